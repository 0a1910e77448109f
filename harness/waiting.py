"""Waiting is polling a probe until a deadline; here and nowhere else.

The one user of tenacity and the one place that sleeps. Time is an input: tests bring their own
clock and wait for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import tenacity

from harness.errors import WaitTimeout

T = TypeVar("T")


class Clock(Protocol):
    """Monotonic seconds, and a way to let them pass."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never backwards."""

    def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds of the kernel's monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()


def until(
    probe: Callable[[], T],
    accept: Callable[[T], object] = bool,
    *,
    what: str,
    deadline_seconds: float,
    every_seconds: float = 0.05,
    clock: Clock = SYSTEM_CLOCK,
) -> T:
    """Poll `probe` until `accept` likes what it saw; the first poll is at once.

    Args:
        probe: read-only, returns an observation; what it raises is not caught.
        accept: a predicate over the observation.
        what: what is waited for, as it should read in an error.
        deadline_seconds: after which it is given up; one last poll happens at the deadline.
        every_seconds: rest between two polls.
        clock: where time comes from.

    Raises:
        WaitTimeout: with the last observation and the seconds waited.
    """
    started = clock.monotonic()
    deadline = started + deadline_seconds

    def rest(_: tenacity.RetryCallState) -> float:
        return max(0.0, min(every_seconds, deadline - clock.monotonic()))

    polling = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda seen: not accept(seen)),
        stop=lambda _: clock.monotonic() >= deadline,
        wait=rest,
        sleep=clock.sleep,
        retry_error_callback=lambda state: _give_up(state, what, clock.monotonic() - started),
    )
    return polling(probe)


def rest_unless(stopped: threading.Event, seconds: float) -> bool:
    """Rest for `seconds`, or less when `stopped` gets set; True when it is set."""
    return stopped.wait(seconds)


def _give_up(state: tenacity.RetryCallState, what: str, waited: float) -> None:
    outcome = state.outcome
    raise WaitTimeout(what, waited, outcome.result() if outcome is not None else None)
