"""Time to recovery against a baseline: what is slower, and what is only noise.

Times of one machine scatter: an election that comes a beat later, an image that is not cached. So plays are compared,
never single figures: the median of each side, and a limit that follows from how far the plays of either side scatter.
Why these numbers: docs/gate.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from reports.recovery import recovery
from reports.run import CaseResult

# Fewer plays a side have no spread to speak of: told, not judged.
LEAST_PLAYS = 3
# The difference of two medians of three plays scatters about as much as one play does; three of that is no chance.
SPREADS = 3.0
# Less is not told from a machine that has other work to do, however still the plays of one run were.
LEAST_SHARE, LEAST_SECONDS = 0.5, 2.0
# Makes a median absolute deviation a standard deviation, were the times normal.
_NORMAL = 1.4826
# Few plays have too small a MAD (Croux and Rousseeuw, 1992): by their number, from 2.
_FEW = {2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}

Times = Mapping[tuple[str, str], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long one guarantee of one case took to come back, then and now.

    Args:
        case_id, guarantee: what.
        before, now: seconds, one a play; of plays in which it was kept.
    """

    case_id: str
    guarantee: str
    before: tuple[float, ...]
    now: tuple[float, ...]

    @property
    def is_judged(self) -> bool:
        """Whether there are enough plays on both sides."""
        return min(len(self.before), len(self.now)) >= LEAST_PLAYS

    @property
    def margin_seconds(self) -> float:
        """How far apart the medians may be."""
        noise = SPREADS * max(spread(self.before), spread(self.now))
        return max(noise, LEAST_SHARE * median(self.before), LEAST_SECONDS)

    @property
    def change_seconds(self) -> float:
        """The medians' difference; above 0 is slower."""
        return median(self.now) - median(self.before)

    @property
    def is_slower(self) -> bool:
        """Whether it takes longer than noise explains."""
        return self.is_judged and self.change_seconds > self.margin_seconds

    @property
    def is_faster(self) -> bool:
        """Whether it takes less than noise explains."""
        return self.is_judged and -self.change_seconds > self.margin_seconds

    @property
    def words(self) -> str:
        """The figures, for a person."""
        if not self.is_judged:
            plays = f"{len(self.before)} and {len(self.now)} plays"
            return f"median {median(self.before):.1f} s then, {median(self.now):.1f} s now ({plays}: told, not judged)"
        limit = median(self.before) + self.margin_seconds
        return (
            f"median {median(self.now):.1f} s of {len(self.now)} plays, {median(self.before):.1f} s of "
            f"{len(self.before)} in the baseline (limit {limit:.1f} s)"
        )


@dataclass(frozen=True, slots=True)
class GuaranteePace:
    """All cases of one guarantee.

    Args:
        guarantee: its ID.
        paces: one a case.
    """

    guarantee: str
    paces: tuple[Pace, ...]

    @property
    def before(self) -> float:
        """Median over the cases of their medians in the baseline, in seconds."""
        return median(median(pace.before) for pace in self.paces)

    @property
    def now(self) -> float:
        """The same of this run."""
        return median(median(pace.now) for pace in self.paces)

    @property
    def judged(self) -> int:
        """In how many cases there were enough plays."""
        return sum(pace.is_judged for pace in self.paces)

    @property
    def slower(self) -> tuple[Pace, ...]:
        """Cases in which it takes longer than noise explains, the worst first."""
        found = [pace for pace in self.paces if pace.is_slower]
        return tuple(sorted(found, key=lambda pace: -pace.change_seconds))

    @property
    def faster(self) -> tuple[Pace, ...]:
        """The other way round."""
        found = [pace for pace in self.paces if pace.is_faster]
        return tuple(sorted(found, key=lambda pace: pace.change_seconds))


def spread(times: Sequence[float]) -> float:
    """A standard deviation that one odd play does not move: the median absolute deviation, corrected for few plays."""
    if len(times) < 2:
        return 0.0
    middle = median(times)
    few = _FEW.get(len(times), len(times) / (len(times) - 0.8))
    return few * _NORMAL * median(abs(time - middle) for time in times)


def times_of(cases: Sequence[CaseResult]) -> Times:
    """Seconds to recovery by case and guarantee, one a play."""
    found: dict[tuple[str, str], list[float]] = {}
    for case in cases:
        for guarantee, seconds in recovery(case).items():
            found.setdefault((case.spec.case_id, guarantee), []).append(seconds)
    return found


def compared(before: Times, now: Times) -> tuple[GuaranteePace, ...]:
    """What is in both, by guarantee."""
    groups: dict[str, list[Pace]] = {}
    for pace in _paces(before, now):
        groups.setdefault(pace.guarantee, []).append(pace)
    return tuple(GuaranteePace(guarantee, tuple(paces)) for guarantee, paces in sorted(groups.items()))


def _paces(before: Times, now: Times) -> Iterator[Pace]:
    for case_id, guarantee in sorted(before.keys() & now.keys()):
        key = (case_id, guarantee)
        yield Pace(case_id, guarantee, tuple(before[key]), tuple(now[key]))
