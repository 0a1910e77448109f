"""One run of laconic-so at a time for each Docker engine.

Releases of it use fixed names (`FIXED_CONTAINERS` in the engine, `FIXED_PATHS` on the machine of the
engine), and take the first kind cluster they find: two runs on one engine would disturb each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from harness.clusters.lease import cache_folder
from harness.errors import MachineError, WaitTimeout
from harness.waiting import SYSTEM_CLOCK, Clock, until

# Source: the clean-up that release v1.1.0-4a1b5d8-202602032313 does before it makes a cluster again.
FIXED_CONTAINERS = ("laconic-etcd-cleanup", "etcd-extract")
FIXED_PATHS = (Path("/tmp/laconic-etcd-cleanup"), Path("/tmp/etcdctl-bin"))
_LOOK_SECONDS = 0.5


@contextmanager
def engine_lock(
    engine: str,
    label: str,
    say: Callable[[str], object],
    *,
    deadline_seconds: float = 3600.0,
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[None]:
    """Hold the engine for one run of laconic-so; the kernel frees it when its holder dies.

    Args:
        engine: its address, as in DOCKER_HOST.
        label: the run's, for others who wait.
        say: takes one sentence when there is somebody to wait for.
        deadline_seconds: how long to wait.
        clock: where time comes from.

    Raises:
        MachineError: another run still has it at the deadline, or one of `FIXED_PATHS` can't be removed at the end.

    Leaves behind: an empty file in our cache folder; taking it away would let two hold the lock. Of `FIXED_PATHS`
    only what was there before: containers carry the run's label, folders can't.
    """
    file = cache_folder() / "locks" / f"laconic-so-{hashlib.sha256(engine.encode()).hexdigest()[:12]}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        if not _taken(handle):
            say(f"waiting for {_holder(file)}, which runs laconic-so on the Docker engine at {engine}")
            _wait(handle, file, engine, deadline_seconds, clock)
        _write(handle, f"run {label} (process {os.getpid()})")
        others = [path for path in FIXED_PATHS if path.exists()]
        try:
            yield
        finally:
            _remove([path for path in FIXED_PATHS if path not in others])
            _write(handle, "")


def _wait(handle: TextIO, file: Path, engine: str, deadline_seconds: float, clock: Clock) -> None:
    try:
        until(
            lambda: _taken(handle),
            what=f"the Docker engine at {engine}",
            deadline_seconds=deadline_seconds,
            every_seconds=_LOOK_SECONDS,
            clock=clock,
        )
    except WaitTimeout as error:
        raise MachineError(
            f"{_holder(file)} has been running laconic-so on {engine} for {deadline_seconds:.0f} s",
            mend="wait for its end, or name another engine in DOCKER_HOST",
        ) from error


def _taken(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(paths: Sequence[Path]) -> None:
    try:
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(
            f"{error.filename}, which laconic-so left, can't be removed: {error.strerror}",
            mend="run the harness as root, or with a rootless engine",
        ) from error


def _holder(file: Path) -> str:
    return file.read_text().strip() or "another run"


def _write(handle: TextIO, text: str) -> None:
    handle.truncate(0)
    handle.write(text)
    handle.flush()
