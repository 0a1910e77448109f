"""Room on this machine for a kind cluster: one that is big for its cores has no other cluster beside it.

Seen on 2 cores: three control planes made beside another cluster were ready after 144 to 381 s, alone after 79 to
138 s. Beside another the API was away for 35 s when one of them went, where 30 s are allowed: red for a faithful tool.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import MachineError, WaitTimeout
from harness.waiting import SYSTEM_CLOCK, Clock, until

# The longest sweep of a start takes hours.
_DEADLINE_SECONDS = 6 * 3600.0
_LOOK_SECONDS = 0.5


@contextmanager
def room_for(nodes: int, cases: Path, say: Callable[[str], object], clock: Clock = SYSTEM_CLOCK) -> Iterator[None]:
    """Hold room for a kind cluster among the workers of a run; the kernel gives it back when its holder dies.

    They come in by turns, so that a big cluster is not kept out by small ones that come one after the other.

    Args:
        nodes: of the cluster; more than there are cores is big, 0 (no kind cluster) needs no room.
        cases: folder of the run's cases, which all its workers share.
        say: takes one sentence when there is somebody to wait for.
        clock: where time comes from.

    Raises:
        MachineError: there was none for six hours, or the folder can't be locked.

    Leaves behind: nothing; locks are on the folders themselves.
    """
    if nodes == 0:
        yield
        return
    cases.mkdir(parents=True, exist_ok=True)
    big = nodes > len(os.sched_getaffinity(0))
    why = f"waiting until {'no other kind cluster is up' if big else 'a bigger kind cluster is gone'}"
    with _folder(cases.parent) as room:
        with _folder(cases) as door:
            if not (_taken(door, fcntl.LOCK_EX) and _taken(room, fcntl.LOCK_EX if big else fcntl.LOCK_SH)):
                say(why)
                _wait(door, fcntl.LOCK_EX, why, clock)
                _wait(room, fcntl.LOCK_EX if big else fcntl.LOCK_SH, why, clock)
        yield


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _taken(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MachineError(
            f"the run's folder can't be locked: {error.strerror}", mend="name one on a local disk with --run-dir"
        ) from error
    return True


def _wait(handle: int, how: int, why: str, clock: Clock) -> None:
    try:
        until(
            lambda: _taken(handle, how),
            what=why.removeprefix("waiting until "),
            deadline_seconds=_DEADLINE_SECONDS,
            every_seconds=_LOOK_SECONDS,
            clock=clock,
        )
    except WaitTimeout as error:
        raise MachineError(f"{why}: not within six hours", mend="play it by itself: --kind-at-once 1") from error
