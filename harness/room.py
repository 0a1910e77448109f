"""Room on this machine for a case: one on a kind cluster that is big for its cores has no other case beside it.

Seen on 2 cores: three control planes made beside other cases were ready after 122 to 381 s, alone after 79 and 95 s;
when one of them went, writes waited for up to 44 s, alone for 1 and 2 s. 30 s are allowed. Beside cases on bare etcd,
with other work on the machine, all members were silent for 10 s at a time.
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


def is_big(nodes: int) -> bool:
    """Whether a kind cluster of that many nodes has more of them than there are cores."""
    return nodes > len(os.sched_getaffinity(0))


@contextmanager
def room_for(nodes: int, cases: Path, say: Callable[[str], object], clock: Clock = SYSTEM_CLOCK) -> Iterator[None]:
    """Hold room for a case among the workers of a run; the kernel gives it back when its holder dies.

    One on a big cluster is not kept out by small ones that come one after the other: they come in by a door, which it
    holds while it waits.

    Args:
        nodes: of its kind cluster; 0 where it has none.
        cases: folder of the run's cases, which all its workers share.
        say: takes one sentence when there is somebody to wait for.
        clock: where time comes from.

    Raises:
        MachineError: there was none for six hours, or the folder can't be locked.

    Leaves behind: nothing; locks are on the folders themselves.
    """
    big = is_big(nodes)
    how = fcntl.LOCK_EX if big else fcntl.LOCK_SH
    why = f"waiting until {'no other case is played' if big else 'a big kind cluster is gone'}"
    with _folder(cases.parent) as room:
        with _folder(cases) as door:
            if not (_taken(door, how) and _taken(room, how)):
                say(why)
                _wait(door, how, why, clock)
                _wait(room, how, why, clock)
        yield


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _no_lock(error) from error
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
        raise _no_lock(error) from error
    return True


def _no_lock(error: OSError) -> MachineError:
    why = f"the run's folder can't be locked: {error.strerror}"
    return MachineError(why, mend="name one on a local disk with --run-dir")


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
        raise MachineError(
            f"{why}: not within six hours",
            mend="leave control planes out, or play them by themselves: -k control_plane",
        ) from error
