"""What a run owns on this machine, and the reaper that removes it when the run is gone.

Every process of a run carries the run's label in its environment, and everything it writes outside
the run's report lies in one work folder. A reaper process, in a session of its own, holds the
reading end of a pipe whose writing end only the run has: when the run ends, however it ends, the
pipe closes and the reaper kills what carries the label and removes the folder. What even the reaper
could not do (it was killed too) is left to ``afterfault gc``, which reads the lease files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from harness.errors import HarnessError, LeftoverError
from harness.waiting import until

LABEL_VARIABLE = "AFTERFAULT_RUN"
_KEEP = b"keep\n"
_SWEEP_SECONDS = 30.0
# What a process may see of the caller's environment: nothing that steers etcd, Go or a tool.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


def cache_folder() -> Path:
    """The one folder of ours in the user's home: leases and things built once."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "afterfault"


@dataclass(frozen=True, slots=True)
class Lease:
    """What a run owns, as written to its lease file.

    Args:
        label: value of ``AFTERFAULT_RUN`` in the environment of each process owned.
        work: folder that goes with the run.
        owner_pid: the process that runs it.
        owner_created: that process's start time, so that a reused pid is not mistaken for it.
    """

    label: str
    work: Path
    owner_pid: int
    owner_created: float

    @property
    def file(self) -> Path:
        """Where the lease is written."""
        return cache_folder() / "leases" / f"{self.label}.json"

    def owner_lives(self) -> bool:
        """Whether the very process that took the lease is still there."""
        try:
            return psutil.Process(self.owner_pid).create_time() == self.owner_created
        except psutil.NoSuchProcess:
            return False


class Ownership:
    """Holds a lease while a run lives.

    Args:
        label: unique on this machine; one a run and worker.
        work: folder for data that ends with the run; made here.

    Leaves behind: nothing after `release`, unless told to keep.
    """

    def __init__(self, label: str, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        me = psutil.Process()
        self.lease = Lease(label, work.resolve(), me.pid, me.create_time())
        _write_lease(self.lease)
        self._reaper = subprocess.Popen(
            [sys.executable, "-m", "harness.clusters.ownership", str(self.lease.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=_plain_environment() | {"XDG_CACHE_HOME": str(cache_folder().parent)},
        )

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a process this run owns."""
        return _plain_environment() | {LABEL_VARIABLE: self.lease.label} | more

    def end_strays(self) -> list[str]:
        """Kill owned processes that are still there at the end of a case; returns what they were."""
        return _kill_all(self.lease.label)

    def release(self, *, keep: bool = False) -> None:
        """Give everything back, or with `keep` leave it running for a person to look at.

        Raises:
            LeftoverError: processes were still there and had to be killed by the reaper, or
                something could not be removed at all.
        """
        said, _ = self._reaper.communicate(_KEEP if keep else b"", timeout=_SWEEP_SECONDS + 15)
        if leftovers := [line for line in said.decode(errors="replace").splitlines() if line]:
            raise LeftoverError(leftovers)


def collect_garbage(*, dry_run: bool) -> list[str]:
    """Sweep what dead runs left behind; returns a sentence for each thing found.

    Args:
        dry_run: only tell.
    """
    told: list[str] = []
    for file in sorted((cache_folder() / "leases").glob("*.json")):
        lease = _read_lease(file)
        if lease.owner_lives():
            continue
        told += [f"{lease.label}: process {p.pid} ({p.name()})" for p in owned_processes(lease.label)]
        told += [f"{lease.label}: folder {lease.work}"] if lease.work.exists() else []
        told += [f"{lease.label}: its lease file"]
        if not dry_run:
            sweep(lease)
    return told


def owned_processes(label: str) -> list[psutil.Process]:
    """All living processes that carry the label, this one left out."""
    found = []
    for process in psutil.process_iter():
        try:
            owned = process.pid != os.getpid() and process.environ().get(LABEL_VARIABLE) == label
            if owned and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or another user's: not ours
    return found


def sweep(lease: Lease) -> list[str]:
    """Kill what carries the lease's label, remove its folder and lease file.

    Returns a sentence for each process that had to be killed.

    Raises:
        WaitTimeout: a process did not go within 30 s.
        OSError: the folder can't be removed.
    """
    killed = _kill_all(lease.label)
    if lease.work.exists():
        shutil.rmtree(lease.work)
    lease.file.unlink(missing_ok=True)
    return killed


def _kill_all(label: str) -> list[str]:
    killed: dict[int, str] = {}

    def kill_once() -> list[int]:
        living = owned_processes(label)
        for process in living:
            try:
                killed.setdefault(process.pid, f"process {process.pid} ({process.name()}) had to be killed")
                process.kill()
            except psutil.NoSuchProcess:
                continue
        return [process.pid for process in living]

    until(kill_once, lambda left: not left, what="owned processes to go", deadline_seconds=_SWEEP_SECONDS)
    return list(killed.values())


def _plain_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _write_lease(lease: Lease) -> None:
    lease.file.parent.mkdir(parents=True, exist_ok=True)
    lease.file.write_text(json.dumps(asdict(lease) | {"work": str(lease.work)}))


def _read_lease(file: Path) -> Lease:
    raw = json.loads(file.read_text())
    return Lease(raw["label"], Path(raw["work"]), raw["owner_pid"], raw["owner_created"])


def _reap(lease_file: Path) -> int:
    """Wait for the run's end, then sweep; what is printed was left over."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lease = _read_lease(lease_file)
    if sys.stdin.buffer.read().endswith(_KEEP):
        return 0
    try:
        left = sweep(lease)
    except (HarnessError, OSError) as error:
        left = [f"{lease.label}: {error}"]
    # With the run gone nobody reads the pipe; the sweep is done all the same.
    if lease.owner_lives():
        sys.stdout.write("".join(f"{line}\n" for line in left))
    return 0


if __name__ == "__main__":
    raise SystemExit(_reap(Path(sys.argv[1])))
