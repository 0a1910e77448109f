"""A night's time, shared fairly: what one leg does not use is the others'. Pure but for the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.waiting import Clock

# A share below that would be spent on collecting tests.
LEAST_SECONDS = 20.0
_MOST_TAIL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Share:
    """A leg's part of the night.

    Args:
        seconds: after which it is stopped.
    """

    seconds: float

    @property
    def begin_minutes(self) -> float:
        """For how long its cases may begin (pytest's ``--minutes``); the rest is for those that run by then."""
        return round((self.seconds - min(_MOST_TAIL_SECONDS, self.seconds / 4)) / 60, 3)


def shares(seconds: float, weights: Sequence[float]) -> list[Share]:
    """What each leg would get if all used up theirs."""
    return [Share(seconds * weight / sum(weights)) for weight in weights]


class Budget:
    """The time of one night, from now on.

    Args:
        seconds: all of it.
        clock: where time comes from.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock, self._ends = clock, clock.monotonic() + seconds

    @property
    def left_seconds(self) -> float:
        """Until the night is over; not below 0."""
        return max(0.0, self._ends - self._clock.monotonic())

    def share(self, weight: float, others: Sequence[float]) -> Share | None:
        """What a leg gets of what is left; None where that is too little to begin.

        Args:
            weight: the leg's.
            others: of the legs that come after it.
        """
        share = Share(self.left_seconds * weight / (weight + sum(others)))
        return share if share.seconds >= LEAST_SECONDS else None
