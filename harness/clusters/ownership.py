"""What a run owns on this machine, and the reaper that removes it when the run is gone.

Every process of a run carries the run's label in its environment, everything it writes outside the
run's report lies in one work folder, and what it has in a Docker engine is marked there. A reaper
process, in a session of its own, holds the reading end of a pipe whose writing end only the run has:
when the run ends, however it ends, the pipe closes and the reaper removes all of it. What even the
reaper could not do (it was killed too) is left to ``afterfault gc``, which reads the lease files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psutil

from harness.clusters.lease import OWNER_LABEL, RUN_LABEL, Lease, cache_folder, read_lease
from harness.clusters.living import lives
from harness.errors import HarnessError, LeftoverError
from harness.waiting import until

__all__ = ["LABEL_VARIABLE", "Lease", "Ownership", "cache_folder", "owned_processes", "sweep"]

LABEL_VARIABLE = "AFTERFAULT_RUN"
# What an orderly end says to the reaper; a run that is killed says nothing.
_KEEP, _DONE = b"keep\n", b"done\n"
_SWEEP_SECONDS = 30.0
_RELEASE_SECONDS = 120.0
# What a process may see of the caller's environment: nothing that steers etcd, Go or a tool.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
_ENGINE_VARIABLES = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
_USUAL_ENGINE = "unix:///var/run/docker.sock"


class Ownership:
    """Holds a lease while a run lives.

    Args:
        label: unique on this machine; one a run and worker.
        work: folder for data that ends with the run; made here.

    Leaves behind: nothing after `release`, unless told to keep.
    """

    def __init__(self, label: str, work: Path) -> None:
        me = psutil.Process()
        self.lease = Lease(label, work.resolve(), me.pid, me.create_time())
        self._lock = threading.Lock()
        self._network, self._released = "", False
        # The reaper comes first: a run that is killed in the next moment has nothing that nobody looks after.
        self._reaper = subprocess.Popen(
            [sys.executable, "-m", "harness.clusters.ownership", self.lease.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=_plain_environment(*_ENGINE_VARIABLES) | {"XDG_CACHE_HOME": str(cache_folder().parent)},
        )
        work.mkdir(parents=True, exist_ok=True)
        self.lease.write()

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a process this run owns; with the engine's address once the run uses one."""
        own = {LABEL_VARIABLE: self.lease.label}
        if self.lease.engine:
            # named outright: a client's own settings may lead to another engine than the one that is swept
            own |= _plain_environment(*_ENGINE_VARIABLES) | {"DOCKER_HOST": self.lease.engine}
        return _plain_environment() | own | more

    def labels(self) -> dict[str, str]:
        """The labels of a container, volume or image that this run is going to make in the engine.

        Leaves behind: the word in the lease that there may be such things, written before there are any.
        """
        with self._lock:
            if not self.lease.engine:
                self._rewrite(replace(self.lease, engine=os.environ.get("DOCKER_HOST") or _USUAL_ENGINE))
        return {RUN_LABEL: self.lease.label, OWNER_LABEL: self.lease.owner}

    def network(self) -> str:
        """Name of the run's own network in the engine; made when it is first asked for, gone with the run.

        Raises:
            MachineError: no engine answers, or it has no subnet left.
        """
        from harness.clusters import engine  # noqa: PLC0415 - runs without Docker don't load its client

        labels = self.labels()
        with self._lock:
            if not self._network:
                name = self.lease.mark.network
                with contextlib.closing(engine.connect(self.lease.engine)) as client:
                    engine.make_network(client, name, labels)
                self._network = name
            return self._network

    def note_volumes(self) -> None:
        """Remember the anonymous volumes of this run's containers, to be called when containers were made.

        A node's disk is one. kind can't label it, and it stays when a tool removes the container only.

        Raises:
            MachineError: the engine does not answer.
        """
        from harness.clusters import engine  # noqa: PLC0415

        if self.lease.engine:
            with contextlib.closing(engine.connect(self.lease.engine)) as client, self._lock:
                self._rewrite(replace(self.lease, volumes=engine.anonymous_volumes(client, self.lease.mark)))

    def end_strays(self) -> list[str]:
        """Kill owned processes that are still there at the end of a case; returns what they were."""
        return _kill_all(self.lease.label)

    def release(self, *, keep: bool = False) -> None:
        """Give everything back, or with `keep` leave it running for a person to look at. A second call does nothing.

        Raises:
            LeftoverError: processes or containers were still there and had to be removed by the
                reaper, or something could not be removed at all.
        """
        if self._released:
            return
        self._released = True
        try:
            said, _ = self._reaper.communicate(_KEEP if keep else _DONE, timeout=_RELEASE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise LeftoverError([f"{self.lease.label}: its reaper is still at it"]) from error
        leftovers = [line for line in said.decode(errors="replace").splitlines() if line]
        if self._reaper.returncode:
            # nothing is lost by it this time; a run that was killed too would have left everything
            leftovers.append(f"{self.lease.label}: its reaper was killed (exit {self._reaper.returncode})")
        if self._reaper.returncode and not keep:
            leftovers += sweep(self.lease)
        if leftovers:
            raise LeftoverError(leftovers)

    def _rewrite(self, lease: Lease) -> None:
        lease.write()
        self.lease = lease


def owned_processes(label: str) -> list[psutil.Process]:
    """All living processes that carry the label, this one left out."""
    found = []
    for process in psutil.process_iter():
        try:
            owned = process.pid != os.getpid() and process.environ().get(LABEL_VARIABLE) == label
            if owned and lives(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or another user's: not ours
    return found


def sweep(lease: Lease, *, cut: bool = False) -> list[str]:
    """Kill what carries the lease's label, empty the engine of it, remove its folder and lease file.

    Args:
        lease: of the run.
        cut: whether the run ended only just now, and not in an orderly way.

    Returns a sentence for each process and container that had to go.

    Raises:
        WaitTimeout: a process did not go within 30 s.
        LeftoverError: the engine refuses to remove something. The lease file stays, so that
            `afterfault gc` can try again; so it does after every other error.
        MachineError: the engine does not answer.
        OSError: the folder can't be removed.
    """
    killed = _kill_all(lease.label)
    try:
        removed = _empty_engine(lease, cut=cut or bool(killed)) if lease.engine else []
    finally:
        _remove_folder(lease.work)
    lease.forget()
    return killed + removed


def _empty_engine(lease: Lease, *, cut: bool) -> list[str]:
    from harness.clusters import engine, frozen  # noqa: PLC0415 - runs without Docker don't load its client

    with contextlib.closing(engine.connect(lease.engine)) as client:

        def end() -> None:
            # a child that was not labelled yet when all others were killed is met in one of the next looks
            _kill_all(lease.label)
            frozen.thaw_dying(client, lease.mark)

        removed = engine.remove_all(client, lease.mark, cut=cut, before_each_look=end)
    return [f"{thing} had to be removed" for thing in removed if thing.sort == engine.CONTAINER]


def _remove_folder(folder: Path) -> None:
    """Whoever else removes it at the same time."""

    def gone() -> bool:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        return not folder.exists()

    until(gone, what=f"{folder} to go", deadline_seconds=10)


def _kill_all(label: str) -> list[str]:
    killed: dict[psutil.Process, str] = {}

    def kill_once() -> list[int]:
        found = owned_processes(label)
        for process in found:
            try:
                killed.setdefault(process, f"process {process.pid} ({process.name()}) had to be killed")
                process.kill()
            except psutil.NoSuchProcess:
                continue
        # one that is ending shows no environment any more, and holds its ports and files still
        return [process.pid for process in (*found, *filter(lives, killed))]

    until(kill_once, lambda left: not left, what="owned processes to go", deadline_seconds=_SWEEP_SECONDS)
    return list(killed.values())


def _plain_environment(*more: str) -> dict[str, str]:
    return {name: os.environ[name] for name in (*_PASSED_ON, *more) if name in os.environ}


def _reap(first: Lease) -> int:
    """Wait for the run's end, then sweep; what is printed was left over."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    last_word = sys.stdin.buffer.read()
    if last_word == _KEEP:
        return 0
    lease = read_lease(first.file) or first
    try:
        left = sweep(lease, cut=last_word != _DONE)
    except LeftoverError as error:
        left = error.leftovers
    except (HarnessError, OSError) as error:
        left = [f"{lease.label}: {error}".replace("\n", ";")]
    # With the run gone nobody reads the pipe; the sweep is done all the same.
    if last_word == _DONE:
        sys.stdout.write("".join(f"{line}\n" for line in left))
    return 0


if __name__ == "__main__":
    raise SystemExit(_reap(Lease.from_json(sys.argv[1])))
