"""Flakes: cases that were played more than once (``--repeat``), and how often each came to what.

Told, never judged by: every play is a case of its own for the gate, and the gravest of them is what the
case comes to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from harness.judging.verdict import Verdict
from reports.run import CaseResult, RunResult

_WORDS = {"kept": "kept", "known": "red as known", "broken": "red", "inconclusive": "inconclusive"}
# Where nothing can be judged a list of all guarantees tells nothing.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Flake:
    """One case over all its plays.

    Args:
        case_id: the case.
        plays: how many were played.
        standings: how many of them came to ``kept``, ``known``, ``broken`` or ``inconclusive``; none is 0.
        red: by guarantee, in how many plays it was broken or a known defect of it did not show.
        unclear: by guarantee, in how many plays it could not be judged.
        seconds, longest_seconds: what a play takes, the median and the longest.
    """

    case_id: str
    plays: int
    standings: Mapping[str, int]
    red: Mapping[str, int]
    unclear: Mapping[str, int]
    seconds: float
    longest_seconds: float

    @property
    def is_flaky(self) -> bool:
        """Whether not all plays came to the same."""
        return len(self.standings) > 1

    @property
    def told(self) -> str:
        """``48 of 50 kept, 2 red (quorum-kept)``."""
        return ", ".join(self._parts())

    @property
    def sentence(self) -> str:
        """The same, with the case's name."""
        return f"case {self.case_id}: {self.told}"

    def to_json(self) -> dict[str, Any]:
        """As ``verdicts.json`` has it."""
        return asdict(self) | {"is_flaky": self.is_flaky, "told": self.told}

    def _parts(self) -> Iterator[str]:
        for number, (standing, count) in enumerate(self.standings.items()):
            named = {"broken": self.red, "inconclusive": self.unclear}.get(standing, {})
            why = [*list(named)[:_NAMED], *([f"{len(named) - _NAMED} more"] if len(named) > _NAMED else [])]
            of_all = f" of {self.plays}" if number == 0 else ""
            yield f"{count}{of_all} {_WORDS[standing]}" + (f" ({', '.join(why)})" if why else "")


def flakes(run: RunResult) -> tuple[Flake, ...]:
    """Every case of a run that was played more than once, in the order of their IDs."""
    plays: dict[str, list[CaseResult]] = {}
    for case in run.cases:
        plays.setdefault(case.spec.case_id, []).append(case)
    return tuple(_flake(case_id, cases) for case_id, cases in plays.items() if len(cases) > 1)


def _flake(case_id: str, cases: Sequence[CaseResult]) -> Flake:
    counted = Counter(case.standing for case in cases)
    red = Counter(
        name
        for case in cases
        for name in {*(finding.guarantee for finding in case.news), *(defect.guarantee for defect in case.missing)}
    )
    unclear = Counter(f.guarantee for case in cases for f in case.findings if f.verdict is Verdict.INCONCLUSIVE)
    seconds = [case.seconds for case in cases]
    return Flake(
        case_id,
        len(cases),
        {standing: counted[standing] for standing in _WORDS if counted[standing]},
        dict(sorted(red.items())),
        dict(sorted(unclear.items())),
        round(median(seconds), 2),
        round(max(seconds), 2),
    )
