"""What many runs say together: how often each case flakes, how long recovery takes, since when something is red. Pure.

Two plays are of the same thing when case, tool and version, releases of etcd and Kubernetes, and the harness's own
version are the same. **A flake is a play of the same thing that came to something else**: kept, red or not to be
judged. Red as known and red as news are both red here, or a new line in the ledger would look like a flake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from statistics import median

from harness.judging.verdict import Verdict
from reports.history import HistoryLine, Play, case_of

KEPT, RED, UNCLEAR = Verdict.RECOVERED, Verdict.NOT_RECOVERED, Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Made:
    """Of what a play was made; two with the same are expected to come to the same."""

    tool: str
    etcd: str
    kubernetes: str
    harness: str

    def told(self, other: Made | None = None) -> str:
        """In words; beside another one only what is not the same in both."""
        named = (("", self.tool), ("etcd ", self.etcd), ("Kubernetes ", self.kubernetes), ("afterfault ", self.harness))
        others = (other.tool, other.etcd, other.kubernetes, other.harness) if other else (None,) * len(named)
        told = [
            f"{name}{value}" for (name, value), beside in zip(named, others, strict=True) if value and value != beside
        ]
        return ", ".join(told) or ("the same versions" if other else "versions unknown")


@dataclass(frozen=True, slots=True)
class Seen:
    """One play of a case, and the run it was in."""

    line: HistoryLine
    play: Play

    @property
    def made(self) -> Made:
        """Of what."""
        tool = " ".join(filter(None, (self.play.tool, self.play.version))) or self.line.target
        # a release's source and note are no part of its version
        etcd = self.line.etcd.split(" ")[0].rstrip(";")
        return Made(tool, etcd, self.line.kubernetes, self.line.harness_version)


@dataclass(frozen=True, slots=True)
class CaseTrend:
    """One case of one leg over all its plays.

    Args:
        leg, case_id: which.
        plays: the oldest first.
    """

    leg: str
    case_id: str
    plays: Sequence[Seen]

    @property
    def newest(self) -> Seen:
        """Of the plays of the newest run the gravest."""
        newest = [seen for seen in self.plays if seen.line is self.plays[-1].line]
        gravest = Verdict.merge(seen.play.verdict for seen in newest)
        return next(seen for seen in newest if seen.play.verdict is gravest)

    @property
    def flakes(self) -> int:
        """Plays that came to something else than most plays of the same thing did."""
        return sum(len(group) - max(Counter(group).values()) for group in self._groups())

    @property
    def flake_rate(self) -> float | None:
        """Their share of the plays that can flake at all; None if nothing was played twice."""
        compared = sum(len(group) for group in self._groups())
        return self.flakes / compared if compared else None

    @property
    def last_good(self) -> Seen | None:
        """The newest play in which all was kept; None if there never was one."""
        return next((seen for seen in reversed(self.plays) if seen.play.verdict is KEPT), None)

    @property
    def first_bad(self) -> Seen | None:
        """The first red after the last good play; None where it is not red now."""
        if self.newest.play.verdict is not RED:
            return None
        since = [*takewhile(lambda seen: seen.play.verdict is not KEPT, reversed(self.plays))]
        return next((seen for seen in reversed(since) if seen.play.verdict is RED), self.newest)

    @property
    def seconds(self) -> float:
        """What a play takes, the median."""
        return median(seen.play.seconds for seen in self.plays)

    def _groups(self) -> Iterator[list[Verdict]]:
        """Verdicts of plays of the same thing, where there is more than one."""
        groups: dict[Made, list[Verdict]] = {}
        for seen in self.plays:
            groups.setdefault(seen.made, []).append(seen.play.verdict)
        return (group for group in groups.values() if len(group) > 1)


@dataclass(frozen=True, slots=True)
class RecoveryTrend:
    """How long one guarantee took to be kept again, in one leg.

    Args:
        guarantee: which.
        runs: of each run that has the figure, the oldest first: the run, and the median over its plays in seconds.
    """

    guarantee: str
    runs: Sequence[tuple[HistoryLine, float]]

    @property
    def median(self) -> float:
        """Over all runs, in seconds."""
        return median(seconds for _, seconds in self.runs)

    @property
    def newest(self) -> float:
        """Of the newest run, in seconds."""
        return self.runs[-1][1]


@dataclass(frozen=True, slots=True)
class LegTrend:
    """One leg over all its runs.

    Args:
        name: empty for runs by themselves.
        lines: its runs, the oldest first.
        cases: what needs a look first: red now, not to be judged now, flaky; then the rest by name.
    """

    name: str
    lines: Sequence[HistoryLine]
    cases: Sequence[CaseTrend] = field(default=())

    @property
    def seconds(self) -> float:
        """What a run takes, the median of those that came to their end; of all if none did."""
        whole = [line.seconds for line in self.lines if not line.ended_early]
        return median(whole or [line.seconds for line in self.lines])

    @property
    def flakes(self) -> int:
        """Of all its cases."""
        return sum(case.flakes for case in self.cases)

    def recovery(self) -> list[RecoveryTrend]:
        """By guarantee; medians over all plays of a run, so that runs of the same cases can be held side by side."""
        found: dict[str, list[tuple[HistoryLine, float]]] = {}
        for line in self.lines:
            seen: dict[str, list[float]] = {}
            for play in line.cases.values():
                for guarantee, seconds in play.recovery.items():
                    seen.setdefault(guarantee, []).append(seconds)
            for guarantee, figures in seen.items():
                found.setdefault(guarantee, []).append((line, median(figures)))
        return [RecoveryTrend(guarantee, runs) for guarantee, runs in sorted(found.items())]


def trends(lines: Sequence[HistoryLine]) -> tuple[LegTrend, ...]:
    """All legs of a history, in the order of their names.

    Args:
        lines: in any order; they are sorted by their beginning.
    """
    legs: dict[str, list[HistoryLine]] = {}
    for line in sorted(lines, key=lambda line: line.started_at):
        legs.setdefault(line.leg, []).append(line)
    return tuple(LegTrend(name, runs, tuple(_cases(name, runs))) for name, runs in sorted(legs.items()))


def _cases(leg: str, lines: Sequence[HistoryLine]) -> list[CaseTrend]:
    plays: dict[str, list[Seen]] = {}
    for line in lines:
        for play_id, play in line.cases.items():
            plays.setdefault(case_of(play_id), []).append(Seen(line, play))
    return sorted((CaseTrend(leg, case_id, seen) for case_id, seen in plays.items()), key=_rank)


def _rank(case: CaseTrend) -> tuple[int, float, str]:
    """Red as news, then what can't be judged, then flakes, then red as known."""
    standing = case.newest.play.standing
    order = {"broken": 0, "inconclusive": 1}.get(standing, 3 if standing == "known" else 4)
    return (2 if case.flakes and order > 2 else order), -(case.flake_rate or 0.0), case.case_id
