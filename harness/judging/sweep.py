"""A sweep: a start cut at each of its calls, every time from the same state, and started again; judged cut by cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.cuts import CutPoint, Moment
from harness.journal import Entry
from harness.judging.after_cut import no_traces_left, same_state_as_uncut
from harness.judging.case import READY, Case
from harness.judging.deployment import app_reachable, restart_succeeds
from harness.judging.observed import Flaw, Promise, listed
from harness.judging.verdict import Finding, Verdict

CONTROL = "control"
_EVERY = Promise("every-cut-recovers", "sweep.cut")
_BEGIN, _END = "sweep.cut", "sweep.ended"
_RULES = (restart_succeeds, app_reachable, same_state_as_uncut, no_traces_left)
_REFERENCES = ("probe.k8s.state", "probe.traces")
_CALLS = ("tap.api_call", "tap.command")
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one cut.

    Args:
        id: of the cut; ``control`` for a start from the same state that nobody cut.
        began, seconds: of the cut, the start after it and the looks; journal's seconds.
        findings: one a rule.
    """

    id: str
    began: float
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of them."""
        return Verdict.merge(finding.verdict for finding in self.findings)

    @property
    def broken(self) -> list[Finding]:
        """What is red."""
        return [finding for finding in self.findings if finding.verdict is Verdict.NOT_RECOVERED]


def cut_points(entries: Sequence[Entry]) -> tuple[CutPoint, ...]:
    """The places where a start can be cut, in the order in which an uncut one passes them.

    Args:
        entries: of one start, with what the taps saw of it.

    A call that changes nothing is no place: a tool that ends there has done just as much as before it.
    """
    calls = [entry for entry in entries if entry.kind in _CALLS and entry.data.get("mutating", True)]
    moments: list[tuple[float, str, int, Moment]] = []
    seen: Counter[str] = Counter()
    for entry in sorted(calls, key=lambda call: float(call.data["began"])):
        name = entry.data["call"]
        seen[name] += 1
        moments += [(float(entry.data["began"]), name, seen[name], Moment.BEFORE)]
        moments += [(float(entry.data["ended"]), name, seen[name], Moment.AFTER)]
    return tuple(CutPoint(name, moment, number) for _, name, number, moment in sorted(moments))


def cells(case: Case) -> Iterator[Cell]:
    """Each cut of a sweep, judged by itself."""
    shared = [
        entry
        for entry in case.entries
        if entry.kind in ("case.opened", READY) or (entry.kind in _REFERENCES and entry.data.get("role") == "reference")
    ]
    begun: Entry | None = None
    within: list[Entry] = []
    for entry in case.entries:
        if entry.kind == _BEGIN:
            begun, within = entry, []
        elif entry.kind == _END and begun is not None:
            part = replace(case, entries=[*shared, *within])
            findings = tuple(_judged(part, entry))
            yield Cell(begun.data["id"], begun.at, round(entry.at - begun.at, 1), findings)
            begun = None
        elif begun is not None:
            within.append(entry)


def every_cut_recovers(case: Case) -> Finding:
    """Wherever a start is cut, the next one does its work and leaves what an uncut start leaves."""
    found = list(cells(case))
    cuts = [cell for cell in found if cell.id != CONTROL]
    control = [cell for cell in found if cell.id == CONTROL]
    if not cuts:
        return _EVERY.inconclusive("nothing was cut")
    if not control:
        return _EVERY.inconclusive("no start from the same state was left alone to compare with")
    if control[0].verdict is not Verdict.RECOVERED:
        why = "; ".join(one.reason for one in control[0].findings if one.verdict is not Verdict.RECOVERED)
        return _EVERY.inconclusive(f"a start that nobody cut ends otherwise too: {why}")
    red = [cell for cell in cuts if cell.verdict is Verdict.NOT_RECOVERED]
    unclear = [cell for cell in cuts if cell.verdict is Verdict.INCONCLUSIVE]
    spent = sum(cell.seconds for cell in cuts)
    measures = {
        "cuts": len(cuts),
        "cuts_red": len(red),
        "cuts_unclear": len(unclear),
        "cuts_an_hour": round(len(cuts) * _HOUR / spent, 0) if spent else 0.0,
    }
    evidence = [entry for entry in case.of_kind(_BEGIN) if entry.data["id"] in {cell.id for cell in red}]
    if red:
        told = [f"{cell.id} ({cell.broken[0].guarantee}: {cell.broken[0].signature})" for cell in red]
        flaw = Flaw("cut-not-survived", f"{len(red)} of {len(cuts)} cuts are not survived: {listed(told)}")
        return _EVERY.broken(flaw, *evidence, **measures)
    if unclear:
        told = [f"{cell.id}: {cell.findings[0].reason}" for cell in unclear]
        return _EVERY.inconclusive(f"{len(unclear)} of {len(cuts)} cuts can't be judged: {listed(told)}")
    return _EVERY.kept(f"all {len(cuts)} cuts are survived", **measures)


def _judged(part: Case, end: Entry) -> Iterator[Finding]:
    if problem := end.data.get("problem"):
        yield Finding(_EVERY.guarantee, Verdict.INCONCLUSIVE, f"the harness had a problem: {problem}", "", (end.seq,))
        return
    if missed := part.missed_cut():
        yield Finding(_EVERY.guarantee, Verdict.INCONCLUSIVE, missed[0], "", (missed[1],))
        return
    for rule in _RULES:
        yield rule(part)
