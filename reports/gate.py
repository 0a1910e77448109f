"""May this build ship? An exit code and the sentences behind it."""

from __future__ import annotations

from dataclasses import dataclass

from reports.run import RunResult

OK, BROKEN, INCONCLUSIVE = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Decision:
    """What a run comes to.

    Args:
        exit_code: 0 all as expected; 1 a guarantee broken or a known defect changed; 3 inconclusive,
            a problem of the harness, or nothing ran.
        headline: one sentence.
        reasons: one sentence for each thing that is not as expected.
    """

    exit_code: int
    headline: str
    reasons: tuple[str, ...]


def decide(run: RunResult) -> Decision:
    """Decide; broken outranks inconclusive."""
    broken = [
        f"{case.spec.case_id}: {finding.guarantee} is broken: {finding.reason}"
        for case in run.cases
        for finding in case.news
    ]
    broken += [
        f"{case.spec.case_id}: known defect {defect.id} did not show ({defect.guarantee}: {defect.signature})"
        for case in run.cases
        for defect in case.missing
    ]
    unclear = [
        f"{case.spec.case_id}: {case.inconclusive[0].reason} ({len(case.inconclusive)} guarantees not judged)"
        for case in run.cases
        if case.inconclusive
    ]
    unclear += [f"unreadable: {text}" for text in run.unreadable] + list(run.facts.problems)
    if broken:
        return Decision(BROKEN, f"{_count(len(broken), 'thing')} not as expected", tuple(broken + unclear))
    if unclear:
        return Decision(INCONCLUSIVE, f"{_count(len(unclear), 'thing')} could not be judged", tuple(unclear))
    if not run.cases:
        return Decision(INCONCLUSIVE, "nothing ran", ())
    known = sum(case.standing == "known" for case in run.cases)
    named = "the only case is" if len(run.cases) == 1 else f"all {len(run.cases)} cases"
    return Decision(OK, f"{named} as expected ({known} red as known)", ())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
