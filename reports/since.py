"""Since when something is bad: the first run of an unbroken row of bad ones, from the lines of a history. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from reports.history import HistoryLine, Play

_UNCLEAR = "inconclusive"


@dataclass(frozen=True, slots=True)
class Since:
    """Since when a case is bad.

    Args:
        first_bad: the oldest run of the unbroken row of bad ones; None where the newest recorded run was good.
        last_good: the newest run that was good; None where none is recorded.
        runs: how many recorded runs that row has.
    """

    first_bad: HistoryLine | None
    last_good: HistoryLine | None
    runs: int

    @property
    def words(self) -> str:
        """As ``bad since RUN (2026-11-20, laconic-so 1.2), in 3 runs; good in RUN (...)``."""
        good = f"good in {_named(self.last_good)}" if self.last_good else "never seen good"
        if self.first_bad is None:
            return f"new in this run; {good}"
        return f"bad since {_named(self.first_bad)}, in {self.runs} {'run' if self.runs == 1 else 'runs'}; {good}"


def since(lines: Sequence[HistoryLine], play_id: str, is_bad: Callable[[Play], bool]) -> Since | None:
    """Since when a case is bad; None where no line of before has judged it.

    Args:
        lines: of runs of one leg, the oldest first, without the run that is asked about.
        play_id: the case.
        is_bad: whether what a line says of the case is the same trouble.
    """
    judged = [
        (line, is_bad(line.cases[play_id]))
        for line in lines
        if play_id in line.cases and line.cases[play_id].standing != _UNCLEAR
    ]
    if not judged:
        return None
    row = [line for line, _ in takewhile(lambda one: one[1], reversed(judged))]
    good = next((line for line, bad in reversed(judged) if not bad), None)
    return Since(row[-1] if row else None, good, len(row))


def earliest(found: Iterable[Since]) -> Since | None:
    """The one that is bad for longest."""
    return min(found, key=lambda one: one.first_bad.started_at if one.first_bad else "~", default=None)


def _named(line: HistoryLine) -> str:
    told = ", ".join(filter(None, [line.started_at[:10], line.target]))
    return f"{line.run_id} ({told})" if told else line.run_id
