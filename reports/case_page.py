"""What the page says of one case: its story, its picture, its map, why it broke, and how to play it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.journal import Entry
from harness.judging import Case
from harness.judging.departure import Departure
from harness.judging.guarantees import GUARANTEES
from harness.judging.verdict import Finding, Verdict
from reports.picture import draw
from reports.run import CaseResult, RunResult
from reports.sweep_map import SweepMap, outside_cuts, sweep_map
from reports.telling import repeat, tell
from reports.unlike import Unlike, unlike
from reports.why import Evidence, departure_of, evidence_of, first_shown


@dataclass(frozen=True, slots=True)
class Told:
    """One finding, in words."""

    kind: str
    title: str
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class CasePage:
    """All that is told of a case.

    Args:
        told: the story in one line.
        departure: the first sign of what broke; None where nothing is red, or nothing was seen.
        picture: the case over time.
        map: of a sweep, its cut points.
        findings: what is to be said of the guarantees.
        unlike: how the state differs from that of an uncut start.
        evidence: what was gathered of a cluster that is gone.
        measures: names and figures.
        outputs: what the tool printed, a text a call.
        again: the command that plays it again.
    """

    told: str
    departure: Departure | None
    picture: Markup
    map: SweepMap | None
    findings: Sequence[Told]
    unlike: Sequence[Unlike]
    evidence: Sequence[Evidence]
    measures: Sequence[tuple[str, str]]
    outputs: Sequence[str]
    again: str


def case_page(run: RunResult, result: CaseResult) -> CasePage:
    """All that is told of a case of a run."""
    case = Case.of(result.entries)
    departure = departure_of(run, result)
    return CasePage(
        tell(case),
        departure,
        Markup(draw(result.entries, departure)),
        sweep_map(result),
        list(_told(case, result)),
        unlike(case, result.findings),
        evidence_of(result, outside_cuts(result.entries)),
        _measures(result),
        _outputs(result),
        repeat(result.spec, result.place),
    )


def _told(case: Case, result: CaseResult) -> Iterator[Told]:
    for finding in result.findings:
        if finding.verdict is Verdict.INCONCLUSIVE:
            yield Told("inconclusive", _title(finding), finding.reason, "")
        if finding.verdict is Verdict.NOT_RECOVERED:
            known = result.known.get(finding.guarantee, "")
            entries = ", ".join(str(seq) for seq in finding.evidence)
            notes = [
                f"{finding.guarantee}: {finding.signature}",
                first_shown(case, finding),
                f"journal entries {entries}",
                f"known as {known}" if known else "",
            ]
            yield Told("known" if known else "broken", _title(finding), finding.reason, "; ".join(filter(None, notes)))
    for finding in result.findings:
        if finding.verdict is Verdict.RECOVERED and finding.measures:
            yield Told("kept", _title(finding), finding.reason, "")


def _measures(result: CaseResult) -> list[tuple[str, str]]:
    pairs = {name: value for finding in result.findings for name, value in finding.measures.items()}
    return [
        (name.removesuffix("_seconds").replace("_", " "), f"{value:g} s" if "seconds" in name else f"{value:g}")
        for name, value in pairs.items()
    ]


def _outputs(result: CaseResult) -> list[str]:
    if any(_of(result, "sweep.learnt")):
        return []  # dozens of starts; each is in its log
    return [
        f"$ {' '.join(start.data['argv'])}   # {start.data['task']} {start.data['old']}\n"
        f"{str(end.data.get('output', '')).rstrip()}".rstrip()
        for start, end in zip(_of(result, "tool.started"), _of(result, "tool.ended"), strict=False)
    ]


def _of(result: CaseResult, kind: str) -> list[Entry]:
    return [entry for entry in result.entries if entry.kind == kind]


def _title(finding: Finding) -> str:
    known = GUARANTEES.get(finding.guarantee)
    return known.title if known else finding.guarantee
