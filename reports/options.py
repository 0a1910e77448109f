"""Fix option by guarantee: what each way to deploy keeps, over all cases of a run that an incident is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.judging import Verdict
from harness.judging.guarantees import GUARANTEES, Guarantee
from reports.answer import Question, by_procedure
from reports.run import CaseResult, RunResult

_SIGNS = {"kept": "✓", "known": "✕", "broken": "✕", "inconclusive": "?", "none": "·"}
_WORDS = {
    "kept": "kept",
    "known": "broken as known",
    "broken": "broken",
    "inconclusive": "can't be judged",
    "none": "not asked",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A cell: one guarantee over all cases of an option.

    Args:
        kind: ``kept``, ``known``, ``broken``, ``inconclusive`` or ``none``.
        sign, word: the same to see and to read out.
        count: in how many of the cases it was kept, as ``2/7``; empty for a single case.
        title: why not, of the first case that tells.
        anchor: that case; empty where nobody asked.
    """

    kind: str
    sign: str
    word: str
    count: str
    title: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Option:
    """A row of the table."""

    name: str
    words: str
    cases: int
    cells: Sequence[Kept]


@dataclass(frozen=True, slots=True)
class Options:
    """The table of one question."""

    question: Question
    guarantees: Sequence[Guarantee]
    rows: Sequence[Option]


def options(run: RunResult, question: Question) -> Options | None:
    """The table; None where no case of the run is about it."""
    groups = by_procedure(run.cases, question)
    asked = {gid for cases in groups.values() for case in cases for gid in case.spec.guarantees}
    named = [guarantee for gid, guarantee in GUARANTEES.items() if gid in asked]
    order = list(question.options)
    names = sorted(groups, key=lambda name: (order.index(name) if name in order else -1, name))
    rows = [
        Option(
            name,
            question.options.get(name, ""),
            len(groups[name]),
            [_kept(groups[name], guarantee.id) for guarantee in named],
        )
        for name in names
    ]
    return Options(question, named, rows) if rows else None


def _kept(cases: Sequence[CaseResult], guarantee: str) -> Kept:
    found = [(kind, case) for case in cases if (kind := _kind(case, guarantee))]
    if not found:
        return Kept("none", _SIGNS["none"], _WORDS["none"], "", "", "")
    worst = next(kind for kind in ("broken", "known", "inconclusive", "kept") if kind in {one for one, _ in found})
    telling = next(case for kind, case in found if kind == worst)
    good = sum(kind == "kept" for kind, _ in found)
    count = f"{good}/{len(found)}" if len(found) > 1 else ""
    return Kept(worst, _SIGNS[worst], _WORDS[worst], count, "; ".join(_reasons([telling], guarantee)), telling.anchor)


def _kind(case: CaseResult, guarantee: str) -> str:
    finding = case.finding(guarantee)
    if finding is None:
        return ""
    if finding.verdict is Verdict.NOT_RECOVERED:
        return "known" if guarantee in case.known else "broken"
    return "inconclusive" if finding.verdict is Verdict.INCONCLUSIVE else "kept"


def _reasons(cases: Sequence[CaseResult], guarantee: str) -> Iterator[str]:
    return (f"{case.spec.case_id}: {finding.reason}" for case in cases if (finding := case.finding(guarantee)))
