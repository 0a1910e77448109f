"""Notices while a case is played that the harness stood still, ran out of something, or the clock was set.

Deadlines run on the monotonic clock, and that goes on while a process is stopped, a virtual machine is
paused or nothing gets the CPU: the world then had less time than a rule thinks, and nobody looked. Etcd's
and Kubernetes' certificates, tokens and cron jobs run on the wall clock. And who can open
no file and start no process sees a world that does not answer. None of it is the tool's doing: it is
written to the journal, and harness/judging/awake.py says what it costs.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

from harness.errors import JournalWriteError
from harness.journal import Journal
from harness.waiting import SYSTEM_CLOCK, rest_unless

GAP, CLOCK_JUMP, SHORT, AWAKE = "harness.gap", "harness.clock_jump", "harness.short", "harness.awake"
EVERY_SECONDS = 0.25
# What is written down; what it costs is for the judge. A beat of a machine in good order is not 0.3 s late.
LIMIT_SECONDS = 1.0
# Two readings of two clocks, between which the machine may do something else for a while.
JUMP_SECONDS = 2.0
_MIB = 2**20


class Heartbeat:
    """Beats four times a second and compares the time between two beats on both clocks.

    Args:
        journal: gets ``harness.gap`` where the next beat comes more than a second late,
            ``harness.clock_jump`` where the wall clock went on by two seconds more or less than the monotonic
            one, ``harness.short`` when first no file can be opened, no thread started or no MiB taken, and
            ``harness.awake`` at the end.
        monotonic, wall: clocks, in seconds; tests bring their own.

    Leaves behind: a thread after `start`, until `stop`.
    """

    def __init__(
        self,
        journal: Journal,
        monotonic: Callable[[], float] = SYSTEM_CLOCK.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._monotonic, self._wall = journal, monotonic, wall
        self._last = monotonic(), wall()
        self._beats, self._worst_seconds, self._short = 0, 0.0, ""
        self._beating, self._stopped = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._last = self._monotonic(), self._wall()
        self._thread.start()

    def beat(self) -> None:
        """Compare the clocks now.

        Raises:
            JournalWriteError: something was noticed, and could not be written.
        """
        with self._beating:
            now, (before, wall_before) = (self._monotonic(), self._wall()), self._last
            self._last = now
            passed = now[0] - before
            late, jumped = passed - EVERY_SECONDS, now[1] - wall_before - passed
            self._beats, self._worst_seconds = self._beats + 1, max(self._worst_seconds, late)
            if late > LIMIT_SECONDS:
                self._journal.append(GAP, seconds=round(passed, 3))
            if abs(jumped) > JUMP_SECONDS:
                self._journal.append(CLOCK_JUMP, seconds=round(jumped, 3))
            if not self._short and (short := what_is_short()):
                self._short = short
                self._journal.append(SHORT, what=short)

    def attest(self) -> None:
        """Compare once more, and write how late the latest beat was: what comes now ends the story.

        Raises:
            JournalWriteError: it could not be written.
        """
        self.beat()
        self._journal.append(AWAKE, beats=self._beats, worst_seconds=round(self._worst_seconds, 3))

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _go_on(self) -> None:
        # A journal that takes no more fails the story's own next entry; this thread has nobody to tell.
        with contextlib.suppress(JournalWriteError):
            while not rest_unless(self._stopped, EVERY_SECONDS):
                self.beat()


def what_is_short() -> str:
    """What this process can't do any more, in words; empty when it can do all a case needs."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
        bytearray(_MIB)
        probe = threading.Thread(target=threading.get_ident, name="heartbeat-probe")
        probe.start()
        probe.join()
    except OSError as error:
        return f"no file can be opened: {error.strerror}"
    except RuntimeError as error:
        return f"no thread can be started: {error}"
    except MemoryError:
        return "no memory can be had"
    return ""
