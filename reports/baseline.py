"""A run against an earlier one: what broke, what was mended, what is as it was, what is new, and what got slower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.judging import Finding, Verdict
from harness.judging.ledger import Ledger
from harness.judging.verdict import KEPT_CUT, UNCLEAR_CUT
from reports.pace import GuaranteePace, Pace, compared, times_of
from reports.run import CaseResult, RunResult
from reports.world import played_on, target_of

REGRESSION, FIX, OTHERWISE, UNCHANGED = "regression", "fix", "broken otherwise", "unchanged"
CONSEQUENCE, CLEARED, UNCLEAR = "consequence", "first judged", "not judged"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one guarantee of one case, over all plays of either run.

    Args:
        kind: ``regression`` (kept then, broken now), ``fix``, ``broken otherwise`` (another signature or other cuts),
            ``unchanged``, ``consequence`` (may or may not break with a known defect that shows in both),
            ``first judged`` (nothing could be said then) or ``not judged`` (nothing can be said now).
        case_id, guarantee: of what.
        now: the finding of this run that tells.
        before: signature then; empty when it was kept.
        plays: how many were red and how many there were, now.
        known: ID of the known defect behind a red of now.
    """

    kind: str
    case_id: str
    guarantee: str
    now: Finding
    before: str
    plays: tuple[int, int]
    known: str = ""

    @property
    def sentence(self) -> str:
        """What a person is told."""
        red, played = self.plays
        times = f" in {red} of {played} plays" if played > 1 and red else ""
        known = f" (known: {self.known})" if self.known else ""
        was = self.before or "kept"
        words = {
            REGRESSION: f"is broken{times}, and was {was}: {self.now.reason} [{self.now.signature}]{known}",
            FIX: f"is kept, and was broken by {was}",
            OTHERWISE: f"is broken{times} by {self.now.signature}, and was by {was}: {self.now.reason}{known}",
            UNCLEAR: f"can't be judged, and was {was}: {self.now.reason}",
        }
        return f"{self.case_id}: {self.guarantee} {words.get(self.kind, self.kind)}"


@dataclass(frozen=True, slots=True)
class Against:
    """A run against its baseline.

    Args:
        baseline: label of the earlier run.
        changes: of every guarantee of every case that is in both.
        fresh: cases that the baseline has not.
        gone: cases that only the baseline has.
        paces: time to recovery, by guarantee.
        worlds: where the two were not played on the same.
    """

    baseline: str
    changes: tuple[Change, ...]
    fresh: tuple[str, ...]
    gone: tuple[str, ...]
    paces: tuple[GuaranteePace, ...]
    worlds: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: RunResult, baseline: RunResult) -> Against:
        """Compare."""
        now, before = _by_case(run), _by_case(baseline)
        both = [case_id for case_id in now if case_id in before]
        return cls(
            label_of(baseline),
            tuple(change for case_id in both for change in _changes(run.ledger, now[case_id], before[case_id])),
            tuple(case_id for case_id in now if case_id not in before),
            tuple(case_id for case_id in before if case_id not in now),
            compared(times_of(baseline.cases), times_of(run.cases)),
            tuple(_worlds(run, baseline)),
        )

    def of_kind(self, *kinds: str) -> tuple[Change, ...]:
        """Changes of these kinds, in the order of their cases."""
        return tuple(change for change in self.changes if change.kind in kinds)

    @property
    def counts(self) -> str:
        """All of it in a line."""
        words = (
            f"{len(self.regressions)} regressions",
            f"{len(self.fixes)} fixes",
            f"{len(self.otherwise)} broken otherwise",
            f"{self.unchanged} guarantees as they were",
            f"{len(self.fresh)} new cases",
            f"{len(self.gone)} cases not played any more",
        )
        return f"against {self.baseline}: {', '.join(words)}"

    @property
    def regressions(self) -> tuple[str, ...]:
        """Sentences of what was kept and is broken, and of what is slower than noise explains."""
        return (*(c.sentence for c in self.of_kind(REGRESSION)), *map(slower_sentence, self.slower))

    @property
    def fixes(self) -> tuple[str, ...]:
        """Sentences of what was broken and is kept."""
        return tuple(change.sentence for change in self.of_kind(FIX))

    @property
    def otherwise(self) -> tuple[str, ...]:
        """Sentences of what was broken and is, in another way."""
        return tuple(change.sentence for change in self.of_kind(OTHERWISE))

    @property
    def unchanged(self) -> int:
        """How many guarantees of cases are as they were."""
        return len(self.of_kind(UNCHANGED))

    @property
    def slower(self) -> tuple[Pace, ...]:
        """Recoveries that take longer than noise explains, the worst first."""
        found = [pace for each in self.paces for pace in each.slower]
        return tuple(sorted(found, key=lambda pace: -pace.change_seconds))


def slower_sentence(pace: Pace) -> str:
    """What a person is told of a recovery that takes longer."""
    return f"{pace.case_id}: {pace.guarantee} takes longer to come back: {pace.words}"


def label_of(run: RunResult) -> str:
    """A run for people: its ID, and who was under test."""
    target = run.facts.target or target_of(run)
    return f"{run.facts.run_id} ({target})" if target else run.facts.run_id


def _by_case(run: RunResult) -> dict[str, list[CaseResult]]:
    """Plays of each case."""
    groups: dict[str, list[CaseResult]] = {}
    for case in run.cases:
        groups.setdefault(case.spec.case_id, []).append(case)
    return groups


def _changes(ledger: Ledger, now: Sequence[CaseResult], before: Sequence[CaseResult]) -> Iterator[Change]:
    shared = _shown(ledger, now) & _shown(ledger, before)
    for guarantee in dict.fromkeys(finding.guarantee for case in now for finding in case.findings):
        found, then = _of(now, guarantee), _of(before, guarantee)
        if not then:
            continue  # the guarantee is new, as a new case is
        told, was = _gravest(found), _gravest(then)
        known = _known(ledger, now, guarantee)
        kind = _kind(found, then)
        if kind in (REGRESSION, FIX, OTHERWISE) and {known, _known(ledger, before, guarantee)} & shared:
            kind = CONSEQUENCE
        red = sum(finding.verdict is Verdict.NOT_RECOVERED for finding in found)
        said = was.signature if was.verdict is Verdict.NOT_RECOVERED else _without_verdict(was)
        yield Change(kind, now[0].spec.case_id, guarantee, told, said, (red, len(found)), known)


def _shown(ledger: Ledger, cases: Sequence[CaseResult]) -> set[str]:
    """IDs of the known defects that show in any play."""
    found = (ledger.explain(case.spec, finding) for case in cases for finding in case.findings)
    return {defect.id for defect in found if defect}


def _known(ledger: Ledger, cases: Sequence[CaseResult], guarantee: str) -> str:
    """The known defect behind a guarantee's reds; empty where it is not red, or one of them is news."""
    told = [
        ledger.explain(case.spec, finding)
        for case in cases
        for finding in case.findings
        if finding.guarantee == guarantee and finding.verdict is Verdict.NOT_RECOVERED
    ]
    return told[0].id if told and told[0] and all(told) else ""


def _kind(now: Sequence[Finding], before: Sequence[Finding]) -> str:
    told, was = _gravest(now).verdict, _gravest(before).verdict
    if told is Verdict.INCONCLUSIVE:
        return UNCHANGED if was is Verdict.INCONCLUSIVE else UNCLEAR
    if was is Verdict.INCONCLUSIVE:
        return CLEARED
    if told is was:
        return UNCHANGED if told is Verdict.RECOVERED or _ways(now, before) <= _ways(before, now) else OTHERWISE
    kind, red, kept = (FIX, before, now) if told is Verdict.RECOVERED else (REGRESSION, now, before)
    return kind if _ways(red, kept) else CLEARED


def _ways(findings: Sequence[Finding], others: Sequence[Finding]) -> set[tuple[str, str]]:
    """How something broke: its signatures; of a sweep the red cuts which the other run tried as well.

    A sweep tries a sample, and another seed another one: a cut that was not tried then was not kept then.
    """
    tried = {cut for finding in others for cut in finding.cuts}
    ways = set()
    for finding in findings:
        if finding.verdict is Verdict.NOT_RECOVERED:
            red = {cut: how for cut, how in finding.cuts.items() if how not in (KEPT_CUT, UNCLEAR_CUT)}
            ways |= {(cut, how) for cut, how in red.items() if cut in tried} if red else {("", finding.signature)}
    return ways


def _of(cases: Sequence[CaseResult], guarantee: str) -> list[Finding]:
    return [finding for case in cases if (finding := case.finding(guarantee)) is not None]


def _gravest(findings: Sequence[Finding]) -> Finding:
    worst = Verdict.merge(finding.verdict for finding in findings)
    return next(finding for finding in findings if finding.verdict is worst)


def _without_verdict(finding: Finding) -> str:
    return "not judged" if finding.verdict is Verdict.INCONCLUSIVE else ""


def _worlds(run: RunResult, baseline: RunResult) -> Iterator[str]:
    """Names and values that differ, but for the tool: that one is to differ."""
    now, before = _world(run), _world(baseline)
    for name in now.keys() & before.keys():
        if now[name] != before[name]:
            yield f"{name}: {before[name]} then, {now[name]} now"


def _world(run: RunResult) -> Mapping[str, str]:
    return {name: value for name, value in played_on(run) if name != "tool"}
