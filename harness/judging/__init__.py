"""Pure rules over a journal; knows no cluster, no Docker and no tool.

journal entries -> Case -> one rule a guarantee -> Finding
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UsageError
from harness.journal import Entry
from harness.judging.awake import doubted
from harness.judging.case import Case
from harness.judging.guarantees import GUARANTEES
from harness.judging.verdict import Finding, GuaranteeBroken, Inconclusive, Verdict

__all__ = ["Case", "Finding", "GuaranteeBroken", "Inconclusive", "Verdict", "judge", "judge_all", "judge_so_far"]


def judge(guarantee: str, entries: Sequence[Entry]) -> Finding:
    """Judge one guarantee.

    Raises:
        UsageError: there is no such guarantee, or the entries are not a case's.
    """
    return _judge(guarantee, Case.of(entries))


def judge_all(entries: Sequence[Entry]) -> tuple[Finding, ...]:
    """Judge every guarantee the case's spec asks for, in the spec's order.

    Raises:
        UsageError: the entries are not a case's, or ask for a guarantee that is not known.
    """
    case = Case.of(entries)
    return tuple(_judge(guarantee, case) for guarantee in case.spec.guarantees)


def judge_so_far(guarantee: str, entries: Sequence[Entry]) -> Finding:
    """Judge a case that is still going on, to tell whether waiting longer makes sense."""
    return GUARANTEES[guarantee].rule(Case.of(entries))


def _judge(guarantee: str, case: Case) -> Finding:
    if guarantee not in GUARANTEES:
        raise UsageError(f"no guarantee {guarantee!r}; there are {', '.join(GUARANTEES)}")
    obstacle = case.obstacle()
    if obstacle is not None:
        reason, seq = obstacle
        return Finding(guarantee, Verdict.INCONCLUSIVE, reason, evidence=(seq,))
    return doubted(case.spec, case.watched, GUARANTEES[guarantee].rule(case))
