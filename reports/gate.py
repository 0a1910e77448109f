"""May this build ship? An exit code and the sentences behind it; docs/gate.md says what counts and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.judging import Finding
from harness.judging.ledger import KnownDefect
from harness.judging.ledger_rules import PlayedRun, stale
from reports.baseline import REGRESSION, Against, slower_sentence
from reports.expected import Expected
from reports.run import CaseResult, RunResult

OK, BROKEN, INCONCLUSIVE = 0, 1, 3
# In how many runs that played its cases a line of the ledger may match nothing.
STALE_RUNS = 5
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """What a run comes to.

    Args:
        exit_code: 0 all as expected; 1 a guarantee broken, a known defect changed, or a regression against the
            baseline; 3 inconclusive, a problem of the harness, cases that were not run, or nothing ran.
        headline: one sentence.
        reasons: one sentence for each thing that is not as expected.
        broken: those of the reasons that forbid to ship.
        unclear: those for which nobody can say.
        not_run: cases that were planned, expected by the manifest or in the baseline, and were not played.
        fresh: cases that are in no line of the manifest.
        against: the run against its baseline; None without one.
    """

    exit_code: int
    headline: str
    reasons: tuple[str, ...]
    broken: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    against: Against | None = None


def decide(
    run: RunResult,
    *,
    baseline: RunResult | None = None,
    expected: Expected | None = None,
    at_least: int = 0,
    history: Sequence[PlayedRun] = (),
) -> Decision:
    """Decide; broken outranks inconclusive.

    Args:
        run: judged.
        baseline: an earlier run that users have, as the last release's.
        expected: what has to have been played.
        at_least: how many cases have to.
        history: earlier runs, oldest first: a line of the ledger that matched in none of the last is red.
    """
    against = Against.of(run, baseline) if baseline else None
    missing = tuple(_not_run(run, against, expected))
    broken = [*_news(run), *_changed(run), *_worse(against), *_stale(run, history)]
    unclear = [*_unjudged(run), *_thin(run, against, expected, at_least)]
    fresh = expected.unnamed(case.spec.case_id for case in run.cases) if expected else ()
    code, headline = _answer(run, broken, unclear)
    reasons = (*broken, *unclear) if code else ()
    return Decision(code, headline, reasons, tuple(broken), tuple(unclear), missing, fresh, against)


def _answer(run: RunResult, broken: Sequence[str], unclear: Sequence[str]) -> tuple[int, str]:
    if broken:
        return BROKEN, f"{_count(len(broken), 'thing')} not as expected"
    if not run.cases:
        return INCONCLUSIVE, "nothing ran"
    if unclear:
        return INCONCLUSIVE, f"{_count(len(unclear), 'thing')} could not be judged"
    known = sum(case.standing == "known" for case in run.cases)
    named = "the only case is" if len(run.cases) == 1 else f"all {len(run.cases)} cases"
    return OK, f"{named} as expected ({known} red as known)"


def _news(run: RunResult) -> Iterator[str]:
    for case in run.cases:
        for finding in case.news:
            once = run.ledger.explained_once(case.spec, finding)
            told = f" ({_expired(run, once)})" if once else ""
            yield f"{case.spec.play_id}: {finding.guarantee} is broken: {finding.reason}{told}"


def _expired(run: RunResult, defect: KnownDefect) -> str:
    place = run.ledger.place(defect)
    return f"{place}: {defect.id} announced it until it expired on {defect.expires}; mend it, or renew that line"


def _changed(run: RunResult) -> Iterator[str]:
    """Known defects that should have shown, and did not, or not as they say."""
    for case in run.cases:
        for defect in case.missing:
            told = f"({defect.guarantee}: {defect.signature})"
            head = f"{case.spec.play_id}: known defect {defect.id} did not show {told}"
            yield f"{head}; {run.ledger.place(defect)}: {_what_to_change(case, defect)}"


def _what_to_change(case: CaseResult, defect: KnownDefect) -> str:
    finding = case.finding(defect.guarantee)
    if finding is None or not finding.signature:
        return "delete the line, or say where it still shows"
    if finding.signature != defect.signature:
        return f"it is {finding.signature} now: change the signature, if that is the same defect"
    return f"not at all of its cut points: correct {'cuts' if defect.cuts else 'the line'}"


def _worse(against: Against | None) -> Iterator[str]:
    """What the ledger does not tell: known by now, and not broken in what users have; and what got slower."""
    if against is None:
        return
    for change in against.of_kind(REGRESSION):
        if change.known:
            yield f"regression against {against.baseline}: {change.sentence}"
    for pace in against.slower:
        yield f"regression against {against.baseline}: {slower_sentence(pace)}"


def _stale(run: RunResult, history: Sequence[PlayedRun]) -> Iterator[str]:
    """Lines about cases of this run that matched nothing in it, nor in the last runs that played them."""
    told = {defect for case in run.cases for defect in (*case.known.values(), *(each.id for each in case.missing))}
    earlier = [line for line in history if line.run_id != run.facts.run_id]
    for each in stale(run.ledger, earlier, STALE_RUNS):
        if each.defect.id not in told and any(each.defect.is_about(case.spec) for case in run.cases):
            yield each.sentence


def _unjudged(run: RunResult) -> Iterator[str]:
    for case in run.cases:
        if case.inconclusive:
            finding: Finding = case.inconclusive[0]
            yield f"{case.spec.play_id}: {finding.reason} ({len(case.inconclusive)} guarantees not judged)"
    yield from (f"unreadable: {text}" for text in run.unreadable)
    yield from run.facts.problems


def _thin(run: RunResult, against: Against | None, expected: Expected | None, at_least: int) -> Iterator[str]:
    """Cases that are not there: a run that has lost half of them is not as good as one that has not."""
    if run.facts.ended_early:
        yield f"the run ended early: {run.facts.ended_early}"
    number = len({case.spec.case_id for case in run.cases})
    if number < at_least:
        yield f"{_count(number, 'case')} played, and at least {at_least} have to be"
    if planned := _unplayed(run):
        yield f"{_count(len(planned), 'play')} of {len(run.facts.planned)} planned did not come about: {_some(planned)}"
    if expected and (absent := expected.missing(case.spec.case_id for case in run.cases)):
        yield f"{_count(len(absent), 'case')} of {expected.name} not played: {_some(absent)}"
    elif against and not expected and against.gone:
        told = f"{_count(len(against.gone), 'case')} of {against.baseline} not played: {_some(against.gone)}"
        yield f"{told}; where there is no such case any more, play the baseline again with this harness"


def _not_run(run: RunResult, against: Against | None, expected: Expected | None) -> Iterator[str]:
    told = list(_unplayed(run))
    if expected:
        told += expected.missing(case.spec.case_id for case in run.cases)
    elif against:
        told += against.gone
    yield from dict.fromkeys(told)


def _unplayed(run: RunResult) -> tuple[str, ...]:
    """Planned plays without a journal; one that is there and can't be read is told as that."""
    played = {case.spec.play_id for case in run.cases}
    return tuple(play for play in run.facts.planned if play not in played)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
