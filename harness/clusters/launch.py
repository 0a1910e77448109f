"""One start of a program that starts others, and all processes that came of it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from harness.clusters.living import lives, living
from harness.clusters.logged import start_logged
from harness.clusters.namespaces import Box
from harness.errors import WaitTimeout
from harness.waiting import until

_GONE_SECONDS = 20.0
_EVERY_SECONDS = 0.05


class Launch:
    """A program started in a session of its own, or in a box.

    Args:
        command: the program; what it starts has to stay in its process group where there is no box.
        box: its namespaces; None for those of this process.
        environment: all of it.
        log: gets what it prints, at the end of what is there; its folder is where the program works.
        ended: told the exit code of the program, or of its box, by a thread of its own.

    Raises:
        OSError: it can't be started.

    Leaves behind: processes, until `kill`.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        box: Box | None,
        environment: Mapping[str, str],
        log: Path,
        ended: Callable[[int], None],
    ) -> None:
        self.command, self.box = command, box
        self._first = start_logged(box.command(command) if box else command, log, environment)
        self._ended = threading.Event()
        self.exit_code: int | None = None
        self._program: psutil.Process | None = None
        threading.Thread(target=self._wait, args=(ended,), name="launch-wait", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process ID of the program itself; 0 when it has ended."""
        program = self.program
        return program.pid if program else 0

    @property
    def program(self) -> psutil.Process | None:
        """The program itself; None when it has ended, or is not there yet."""
        if self._program is None and not self._ended.is_set():
            self._program = self._find_program()
        return self._program if self._program and lives(self._program) else None

    @property
    def alive(self) -> bool:
        """Whether the program or anything it started lives."""
        if not self._ended.is_set():
            return True
        return self.box is None and _group_exists(self._first.pid) and bool(self.processes())

    def processes(self) -> list[psutil.Process]:
        """The program and what it started, as far as they live."""
        if self.box is None:
            group = [pid for pid in psutil.pids() if _group_of(pid) == self._first.pid]
            return [process for pid in group if (process := living(pid))]
        first = self._first_in_box()
        return _children(first, recursive=True) if first else []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each of them."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def terminate(self, grace_seconds: float) -> bool:
        """Ask each of them to end (SIGTERM) and wait; returns whether all did in time."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        with contextlib.suppress(WaitTimeout):
            self._await_gone(lambda: bool(self.processes()), grace_seconds)
            return True
        return False

    def kill(self) -> None:
        """End all of them at once, as a power cut does.

        Raises:
            WaitTimeout: one is there after 20 s.
        """
        if self.box is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._first.pid, signal.SIGKILL)
        else:
            first = self._first_in_box()
            for process in filter(None, (first, living(self._first.pid))):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()  # all in a box end with its first process
        self._await_gone(lambda: self.alive)

    def kill_program(self) -> None:
        """End the program itself; what it started goes on.

        Raises:
            WaitTimeout: it is there after 20 s.
        """
        program = self.program
        if program is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                program.kill()
        self._await_gone(lambda: self.program is not None)

    def await_program(self) -> bool:
        """Wait until the program itself is there; False when it ended before that, or its box could not be made."""
        until(
            lambda: self.program is not None or self._ended.is_set(),
            what=f"{self.command[0]} to start",
            deadline_seconds=_GONE_SECONDS,
            every_seconds=_EVERY_SECONDS,
        )
        return self.program is not None

    def _wait(self, ended: Callable[[int], None]) -> None:
        self.exit_code = self._first.wait()
        self._ended.set()
        ended(self.exit_code)

    def _find_program(self) -> psutil.Process | None:
        if self.box is None:
            return living(self._first.pid)
        first = self._first_in_box()
        # it has the very words it was started with; mount and sleep have others
        own = [child for child in (_children(first) if first else []) if _words(child) == list(self.command)]
        return own[0] if own else None

    def _first_in_box(self) -> psutil.Process | None:
        outer = living(self._first.pid)
        return next(iter(_children(outer)), None) if outer else None

    def _await_gone(self, there: Callable[[], bool], deadline_seconds: float = _GONE_SECONDS) -> None:
        until(
            lambda: not there(),
            what=f"processes of {Path(self.command[0]).name} to end",
            deadline_seconds=deadline_seconds,
            every_seconds=_EVERY_SECONDS,
        )


def _children(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    try:
        return [child for child in process.children(recursive=recursive) if lives(child)]
    except psutil.NoSuchProcess:
        return []


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
