"""What the tool writes into a deployment folder, and the lock on it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from harness.errors import WaitTimeout
from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.errors import Failed
from harness.waiting import until

# How far a cluster of ours has come.
NOTHING, CREATED, RESTORED = "", "created", "restored"
_LOCK_SECONDS = 300.0
_FOLLOWER = ["docker", "logs"]


@contextlib.contextmanager
def locked(deployment: Deployment) -> Iterator[int]:
    """One call at a time on a folder; gives the descriptor that holds the lock.

    The lock is its inheritors' too: a kind left behind by a killed call is waited for, as it would delete
    by name what the next call creates. What that kind in turn left behind, and would never end, is ended.

    Raises:
        Failed: another call is still at it after five minutes.
    """
    deployment.data.mkdir(parents=True, exist_ok=True)
    place = deployment.data / "lock"
    file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _try_lock(file):
            print("note: waiting for another call's programs to end", flush=True)
            until(lambda: _wins(file, place), what="the lock", deadline_seconds=_LOCK_SECONDS, every_seconds=1.0)
        yield file
    except WaitTimeout as error:
        raise Failed(str(error)) from error
    finally:
        os.close(file)


class State:
    """How far the cluster has come, in ``data/state.json``.

    Args:
        deployment: whose.
        cluster: kind's name of the one in question.
    """

    def __init__(self, deployment: Deployment, cluster: str) -> None:
        self._file, self._cluster = deployment.data / "state.json", cluster

    @property
    def stage(self) -> str:
        """One of the stages above."""
        try:
            told = json.loads(self._file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return NOTHING
        return str(told.get("stage", NOTHING)) if told.get("cluster") == self._cluster else NOTHING

    def reach(self, stage: str) -> None:
        """Write a stage down."""
        replace(self._file, json.dumps({"cluster": self._cluster, "stage": stage}))

    def forget(self) -> None:
        """The cluster is gone, or about to be."""
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch(deployment: Deployment) -> Iterator[Path]:
    """A folder for files of one call; what a killed call left in it goes with the next."""
    folder = deployment.data / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace(file: Path, text: str) -> None:
    """Write a file as a whole or not at all, for the owner's eyes only."""
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    part.replace(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wins(file: int, place: Path) -> bool:
    if _try_lock(file):
        return True
    _end_followers(place)
    return False


def _end_followers(lock: Path) -> None:
    """End each ``docker logs --follow`` whose kind is gone.

    Kind waits for a line of its node's log, and dies in the next moment of writing to a caller that is not there.
    """
    holders = {process.pid: process for process in psutil.process_iter() if _holds(process, lock)}
    for process in holders.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in holders and [Path(word).name for word in process.cmdline()[:2]] == _FOLLOWER:
                print("note: ending a docker logs that was left behind", flush=True)
                process.kill()


def _holds(process: psutil.Process, lock: Path) -> bool:
    try:
        return process.pid != os.getpid() and any(Path(one.path) == lock for one in process.open_files())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
