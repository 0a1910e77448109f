"""A sweep: a start cut at each of its calls, every time from the same state, and started again; judged cut by cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from harness.cuts import CutPoint, Moment
from harness.journal import Entry
from harness.judging.after_cut import no_traces_left, same_state_as_uncut
from harness.judging.awake import disturbance, doubted
from harness.judging.case import READY, Case
from harness.judging.deployment import app_reachable, restart_succeeds
from harness.judging.observed import Flaw, Promise, listed
from harness.judging.tool_runs import CALLS
from harness.judging.verdict import KEPT_CUT, UNCLEAR_CUT, Finding, Verdict

# A start from the same state that nobody cut. That state is a cut start's as well: it has to end as that one does.
CONTROL = "control"
_EVERY = Promise("every-cut-recovers", "sweep.cut")
_BEGIN, _END = "sweep.cut", "sweep.ended"
_RULES = (restart_succeeds, app_reachable, same_state_as_uncut, no_traces_left)
_REFERENCES = ("probe.k8s.state", "probe.traces")
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one cut.

    Args:
        id: of the cut; ``control`` for a start from the same state that nobody cut.
        began, seconds: of the way back to the state before, the cut, the start after it and the looks;
            journal's seconds.
        findings: one a rule.
        like: of a control: the cut that made the state it begins from, and had no golden reset.
    """

    id: str
    began: float
    seconds: float
    findings: tuple[Finding, ...]
    like: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of them."""
        return Verdict.merge(finding.verdict for finding in self.findings)

    @property
    def broken(self) -> list[Finding]:
        """What is red."""
        return [finding for finding in self.findings if finding.verdict is Verdict.NOT_RECOVERED]

    @property
    def unclear(self) -> list[Finding]:
        """What can't be judged."""
        return [finding for finding in self.findings if finding.verdict is Verdict.INCONCLUSIVE]

    @property
    def told(self) -> str:
        """How it broke, as a `Finding` of the whole sweep has it."""
        if self.broken:
            return self.broken[0].signature
        return UNCLEAR_CUT if self.unclear else KEPT_CUT


def cut_points(entries: Sequence[Entry], names: Collection[str] = ()) -> tuple[CutPoint, ...]:
    """The places where a start can be cut, in the order in which an uncut one passes them.

    Args:
        entries: of one start, with what the taps saw of it.
        names: what only this run calls things, as its cluster; ``*`` stands for them, so that a point is
            called the same in the next run.

    """
    moments: list[tuple[float, int, CutPoint]] = []
    for entry, pattern, number in passed_calls(entries, names):
        for at, moment in (("began", Moment.BEFORE), ("ended", Moment.AFTER)):
            moments.append((float(entry.data[at]), len(moments), CutPoint(pattern, moment, number)))
    return tuple(point for _, _, point in sorted(moments, key=lambda row: row[:2]))


def passed_calls(entries: Sequence[Entry], names: Collection[str] = ()) -> Iterator[tuple[Entry, str, int]]:
    """The calls of one start that can be cut, as they began; each with its cut points' pattern and number.

    A call that changes nothing is no place: a tool that ends there has done just as much as before it.
    """
    calls = [entry for entry in entries if entry.kind in CALLS and entry.data.get("mutating", True)]
    before: list[str] = []
    for entry in sorted(calls, key=lambda call: float(call.data["began"])):
        before.append(entry.data["call"])
        pattern = _without(names, entry.data["call"])
        yield entry, pattern, sum(fnmatchcase(call, pattern) for call in before)


def _without(names: Collection[str], call: str) -> str:
    for name in sorted(names, key=len, reverse=True):
        call = call.replace(name, "*")
    return call


def cells(case: Case) -> Iterator[Cell]:
    """Each cut of a sweep, judged by itself."""
    shared = shared_entries(case)
    begun: Entry | None = None
    within: list[Entry] = []
    for entry in case.entries:
        if entry.kind == _BEGIN:
            begun, within = entry, []
        elif entry.kind == _END and begun is not None:
            part = replace(case, entries=[*shared, *within])
            findings = tuple(_judged(part, entry))
            seconds, like = round(entry.at - begun.at, 1), begun.data.get("like", "")
            yield Cell(begun.data["id"], begun.at, seconds, findings, like)
            begun = None
        elif begun is not None:
            within.append(entry)


def under_way(entries: Sequence[Entry]) -> Verdict:
    """What can be said of the cut that has begun last, before it has ended.

    Args:
        entries: of the sweep, so far.
    """
    case = Case.of(entries)
    begun = max(number for number, entry in enumerate(case.entries) if entry.kind == _BEGIN)
    part = replace(case, entries=[*shared_entries(case), *case.entries[begun:]])
    return Verdict.merge(rule(part).verdict for rule in _RULES)


def shared_entries(case: Case) -> list[Entry]:
    """What every cut is judged with: the case, and what was seen of an uncut start."""
    return [
        entry
        for entry in case.entries
        if entry.kind in ("case.opened", READY) or (entry.kind in _REFERENCES and entry.data.get("role") == "reference")
    ]


def every_cut_recovers(case: Case) -> Finding:
    """Wherever a start is cut, the next one does its work and leaves what an uncut start leaves."""
    found = list(cells(case))
    cuts = [cell for cell in found if cell.id != CONTROL]
    control = [cell for cell in found if cell.id == CONTROL]
    if not cuts:
        return _EVERY.inconclusive("nothing was cut")
    if not control:
        return _EVERY.inconclusive("no start from the same state was left alone to compare with")
    if control[0].verdict is not Verdict.RECOVERED and not _is_the_tools(control[0], cuts):
        why = "; ".join(one.reason for one in control[0].findings if one.verdict is not Verdict.RECOVERED)
        return _EVERY.inconclusive(f"a start that nobody cut ends otherwise too: {why}")
    red = [cell for cell in cuts if cell.verdict is Verdict.NOT_RECOVERED]
    unclear = [cell for cell in cuts if cell.verdict is Verdict.INCONCLUSIVE]
    told = {cell.id: cell.told for cell in cuts}
    evidence = [entry for entry in case.of_kind(_BEGIN) if entry.data["id"] in {cell.id for cell in red}]
    if red:
        names = [f"{cell.id} ({cell.broken[0].guarantee}: {cell.broken[0].signature})" for cell in red]
        flaw = Flaw("cut-not-survived", f"{len(red)} of {len(cuts)} cuts are not survived: {listed(names)}")
        return replace(_EVERY.broken(flaw, *evidence, **_measures(cuts)), cuts=told)
    if unclear:
        names = [f"{cell.id}: {cell.unclear[0].reason}" for cell in unclear]
        why = f"{len(unclear)} of {len(cuts)} cuts can't be judged: {listed(names)}"
        return replace(_EVERY.inconclusive(why), cuts=told)
    return replace(_EVERY.kept(f"all {len(cuts)} cuts are survived", **_measures(cuts)), cuts=told)


def _is_the_tools(control: Cell, cuts: Sequence[Cell]) -> bool:
    """Whether it is as red without a golden reset: it's the tool that can't bear that state."""
    alike = [cell for cell in cuts if cell.id == control.like]
    return bool(control.broken and alike) and alike[0].told == control.told


def _measures(cuts: Sequence[Cell]) -> dict[str, float]:
    spent = sum(cell.seconds for cell in cuts)
    verdicts = Counter(cell.verdict for cell in cuts)
    return {
        "cuts": len(cuts),
        "cuts_red": verdicts[Verdict.NOT_RECOVERED],
        "cuts_unclear": verdicts[Verdict.INCONCLUSIVE],
        "cuts_an_hour": round(len(cuts) * _HOUR / spent, 0) if spent else 0.0,
    }


def _judged(part: Case, end: Entry) -> Iterator[Finding]:
    if problem := end.data.get("problem"):
        yield Finding(_EVERY.guarantee, Verdict.INCONCLUSIVE, f"the harness had a problem: {problem}", "", (end.seq,))
        return
    if disturbed := disturbance(part.spec, part.entries):
        yield Finding(_EVERY.guarantee, Verdict.INCONCLUSIVE, disturbed[0], "", (disturbed[1],))
        return
    if missed := part.missed_cut():
        yield Finding(_EVERY.guarantee, Verdict.INCONCLUSIVE, missed[0], "", (missed[1],))
        return
    for rule in _RULES:
        yield doubted(part.spec, part.entries, rule(part))
