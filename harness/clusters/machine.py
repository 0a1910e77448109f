"""A machine with a manager of etcd on it: what runs there is started, stopped, killed and stilled from here."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

import psutil

from harness.clusters.launch import Launch
from harness.clusters.logged import last_lines
from harness.clusters.namespaces import NO_VIEW, Box
from harness.errors import ClusterError, JournalWriteError, MachineError
from harness.journal import Journal
from harness.waiting import until

_STOP_SECONDS = 10.0
_SHOWN_LINES = 8
# Where managers put old data aside: beside the data directory, or in it.
_TRASHCANS = ("{name}-trashcan", "{name}/data-trashcan")


@dataclass(frozen=True, slots=True)
class Firmware:
    """What every machine of a cluster starts with.

    Args:
        command: the manager's command line on a machine.
        environment: the manager's environment; all of it.
        box: its namespaces on a machine, or None.
        client_port, peer_port: of its etcd.
        journal: every change of a machine is written there.
    """

    command: Callable[[ManagedMachine], tuple[str, ...]]
    environment: Callable[[], dict[str, str]]
    box: Callable[[ManagedMachine], Box | None]
    client_port: int
    peer_port: int
    journal: Journal


@dataclass
class ManagedMachine:
    """A machine of a managed cluster.

    Args:
        name: as ``m1``.
        address: its own loopback address.
        folder: for data and log.
        firmware: what it starts with.

    Leaves behind: processes until `stop` or `kill`; data and log always.
    """

    name: str
    address: str
    folder: Path
    firmware: Firmware
    paused: bool = False
    _launches: list[Launch] = field(default_factory=list, repr=False)
    _asked: bool = field(default=False, repr=False)
    _starts: int = field(default=0, repr=False)

    @property
    def client_url(self) -> str:
        """Where clients reach its etcd, when it serves them."""
        return f"http://{self.address}:{self.firmware.client_port}"

    @property
    def peer_url(self) -> str:
        """Where other members reach its etcd."""
        return f"http://{self.address}:{self.firmware.peer_port}"

    @property
    def data_dir(self) -> Path:
        """What the manager is given as its data directory: survives a stop."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the manager and its etcd print."""
        return self.folder / "manager.log"

    @property
    def identity(self) -> str:
        """Its manager's ID among managers, by which they choose a leader; empty before its first start."""
        with contextlib.suppress(FileNotFoundError):
            return (self.data_dir / "myid").read_text().strip()
        return ""

    @property
    def running(self) -> bool:
        """Whether it is switched on: its manager, or an etcd that was left running, lives. Etcd may not serve."""
        return any(launch.alive for launch in self._launches)

    @property
    def manager_running(self) -> bool:
        """Whether its manager itself lives (a paused one does)."""
        return bool(self.pid)

    @property
    def pid(self) -> int:
        """Process ID of the manager; 0 when it is off."""
        return self._launches[-1].pid if self._launches else 0

    def processes(self) -> list[psutil.Process]:
        """Its manager, and what managers started, as far as they live."""
        return [process for launch in self._launches for process in launch.processes()]

    def start(self, why: str = "") -> None:
        """Start the manager; it starts its etcd itself.

        Raises:
            ClusterError: it runs already, or could not be started.
            MachineError: namespaces can't be had here.
        """
        if self.manager_running:
            raise ClusterError(f"the manager on {self.name} runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._launches = [launch for launch in self._launches if launch.alive]
        self._asked, self._starts = False, self._starts + 1
        setup, ended = self.firmware, partial(self._note_end, self._starts)
        command = setup.command(self)
        try:
            launch = Launch(command, setup.box(self), setup.environment(), self.log, ended)
        except OSError as error:
            raise ClusterError(f"cannot start {command[0]} on {self.name}: {error.strerror}") from error
        self._launches.append(launch)
        if not launch.await_program():
            self._raise_no_start(launch)
        setup.journal.append("machine.started", machine=self.name, pid=launch.pid, why=why)

    def stop(self, why: str = "") -> None:
        """Stop the manager and its etcd in an orderly way (SIGTERM to both); killed after 10 s."""
        if self._end(lambda launch: launch.terminate(_STOP_SECONDS)):
            self.firmware.journal.append("machine.stopped", machine=self.name, why=why)

    def kill(self, why: str = "") -> None:
        """End all that runs on the machine at once, as a power cut does; data stays."""
        if self._end(lambda _: None):
            self.firmware.journal.append("machine.killed", machine=self.name, why=why)

    def kill_manager(self, why: str = "") -> None:
        """End the manager itself (SIGKILL); its etcd goes on serving.

        Raises:
            ClusterError: it does not run.
        """
        if not self.manager_running:
            raise ClusterError(f"the manager on {self.name} is off")
        self._asked = True
        self._launches[-1].kill_program()
        self.firmware.journal.append("manager.killed", machine=self.name, why=why)

    def pause(self) -> None:
        """Stop the machine's time (SIGSTOP to all): sockets stay open and answer nothing."""
        self._signal(signal.SIGSTOP)
        until(self._stands_still, what=f"{self.name} to stand still", deadline_seconds=_STOP_SECONDS)
        self.paused = True
        self.firmware.journal.append("machine.paused", machine=self.name)

    def resume(self) -> None:
        """Let its time go on (SIGCONT)."""
        self._signal(signal.SIGCONT)
        self.paused = False
        self.firmware.journal.append("machine.resumed", machine=self.name)

    def archive(self) -> list[Path]:
        """Old data that the manager put aside, oldest name first."""
        places = [self.folder / pattern.format(name=self.data_dir.name) for pattern in _TRASHCANS]
        return sorted(entry for place in places if place.is_dir() for entry in place.iterdir())

    def log_tail(self, lines: int = _SHOWN_LINES) -> str:
        """The last lines of its log, or an empty string."""
        return last_lines(self.log, lines)

    def _raise_no_start(self, launch: Launch) -> NoReturn:
        if launch.exit_code == NO_VIEW:
            raise MachineError(f"machine {self.name} can't have a view of its own: {self.log_tail(1)}")
        raise ClusterError(f"the manager on {self.name} ended at once", log_tail=self.log_tail())

    def _end(self, ask: Callable[[Launch], object]) -> bool:
        """End every launch; returns whether there was any."""
        living = [launch for launch in self._launches if launch.alive]
        self._asked = True
        for launch in living:
            ask(launch)
        for launch in living:
            launch.kill()
        self._launches, self.paused = [], False
        return bool(living)

    def _signal(self, number: signal.Signals) -> None:
        if not self.running:
            raise ClusterError(f"machine {self.name} is off")
        for launch in self._launches:
            launch.signal(number)

    def _stands_still(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return all(process.status() == psutil.STATUS_STOPPED for process in self.processes())
        return False

    def _note_end(self, start: int, code: int) -> None:
        """Told by the thread that sees a manager end, whoever ended it; what an earlier start left is no news."""
        if self._asked or start != self._starts:
            return
        # A journal that takes no more fails the story's own next entry; this thread has nobody to tell.
        with contextlib.suppress(JournalWriteError):
            self.firmware.journal.append("machine.stopped", machine=self.name, why=f"ended by itself, exit {code}")
