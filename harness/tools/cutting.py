"""The gate between a tool and the world: open to every call, until the tool is cut at one of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading

from harness.cuts import Cut, Means, Moment
from harness.errors import WaitTimeout
from harness.journal import Journal
from harness.waiting import SYSTEM_CLOCK, Clock, rest_unless, until

# A tool that is asked to end may tidy up; one that is still there after that has taken no notice.
_END_SECONDS = 15.0
_SIGNALS = {
    Means.SIGINT_GROUP: (signal.SIGINT, True),
    Means.SIGTERM: (signal.SIGTERM, False),
    Means.SIGKILL_TOOL: (signal.SIGKILL, False),
    Means.SIGKILL_GROUP: (signal.SIGKILL, True),
    Means.TIMEOUT: (signal.SIGKILL, True),
}


class Cutter:
    """Holds the call at which a tool is to be cut, and ends the tool meanwhile; asked by the taps.

    Args:
        journal: gets ``tool.cut`` with ``cut``, ``call``, ``moment``, and ``bit``: whether the tool was
            running before and ended of it.
        clock: where time comes from.
    """

    def __init__(self, journal: Journal, clock: Clock = SYSTEM_CLOCK) -> None:
        self._journal, self._clock = journal, clock
        self._lock = threading.Lock()
        self._cut: Cut | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self._called_off = threading.Event()
        self._timer: threading.Thread | None = None

    def begin(self, cut: Cut | None, process: subprocess.Popen[bytes]) -> None:
        """A call of the tool begins, and is to be cut like this; it leads a process group of its own."""
        with self._lock:
            self._cut, self._process, self._seen = cut, process, 0
            self._called_off = threading.Event()
        if cut is not None and cut.point is None:
            self._cut_later(cut, "", "")

    def end(self) -> None:
        """The call of the tool is over, cut or not."""
        self._called_off.set()
        if self._timer is not None:
            self._timer.join()
        with self._lock:
            self._cut = self._process = self._timer = None

    def passes(self, call: str, moment: Moment) -> bool:
        """Whether a call goes on; False for the one the tool was cut at."""
        cut = self._reached(call, moment)
        if cut is None:
            return True
        if cut.after_seconds:
            self._cut_later(cut, call, moment)
            return True
        return not self._fire(cut, call, moment)

    def _reached(self, call: str, moment: Moment) -> Cut | None:
        """The cut, the moment it is reached; once."""
        with self._lock:
            cut = self._cut
            if cut is None or cut.point is None or not cut.point.matches(call):
                return None
            self._seen += moment is Moment.BEFORE
            if moment is not cut.point.moment or self._seen != cut.point.occurrence:
                return None
            self._cut = None
            return cut

    def _cut_later(self, cut: Cut, call: str, moment: str) -> None:
        called_off = self._called_off

        def wait_and_cut() -> None:
            if not rest_unless(called_off, cut.after_seconds):
                self._fire(cut, call, moment)

        self._timer = threading.Thread(target=wait_and_cut, name="cutter", daemon=True)
        self._timer.start()

    def _fire(self, cut: Cut, call: str, moment: str) -> bool:
        """End the tool; True when it ended."""
        process = self._process
        if process is None:
            return False
        number, whole_group = _SIGNALS[cut.by]
        was_running = process.poll() is None
        if was_running:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if whole_group else os.kill)(process.pid, number)
        ended = self._await_end(process)
        self._journal.append("tool.cut", cut=cut.id, call=call, moment=moment, bit=was_running and ended)
        return ended

    def _await_end(self, process: subprocess.Popen[bytes]) -> bool:
        with contextlib.suppress(WaitTimeout):
            until(
                lambda: process.poll() is not None,
                what="the tool to end",
                deadline_seconds=_END_SECONDS,
                every_seconds=0.01,
                clock=self._clock,
            )
        return process.poll() is not None
