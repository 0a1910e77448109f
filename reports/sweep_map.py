"""The map of a sweep: every point where a start can be cut, in the order of the uncut start, and what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from harness.cuts import CutPoint, Moment
from harness.journal import Entry
from harness.judging import Case, Finding, Verdict
from harness.judging.departure import Departure, first_departure, healthy_start
from harness.judging.sweep import CONTROL, Cell, cells, passed_calls, shared_entries
from harness.judging.tool_runs import name_of
from reports.anchors import slug
from reports.run import CaseResult
from reports.telling import repeat
from reports.unlike import Unlike, unlike
from reports.why import Evidence, evidence_of

# By what a call's name tells; the first that fits.
_STAGES = (
    ("images", re.compile(r"^kind load|^docker (load|save|pull|tag|image)")),
    ("cluster", re.compile(r"^(kind|docker) ")),
    ("ingress", re.compile(r"caddy|ingress-nginx|ingressclasses|ingress-controller")),
    ("app", re.compile("")),
)
_SIGNS = {"kept": "✓", "known": "✕", "broken": "✕", "inconclusive": "?", "none": "·"}
_WORDS = {"kept": "survived", "known": "not survived", "broken": "not survived", "inconclusive": "can't be judged"}


@dataclass(frozen=True, slots=True)
class Spot:
    """One cut point.

    Args:
        id: of the cut point.
        kind: ``kept``, ``known``, ``broken``, ``inconclusive``, or ``none`` where nobody cut.
        sign: the same for eyes that see no colours.
        title: the ID, and what killed it.
        anchor: where it is told in full; empty where there is nothing to tell.
    """

    id: str
    kind: str
    sign: str
    title: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A call of the uncut start, with its spots before and after it."""

    name: str
    spots: Sequence[Spot]


@dataclass(frozen=True, slots=True)
class Stage:
    """Calls of one stage of the start that follow each other.

    Args:
        name: ``cluster``, ``images``, ``ingress`` or ``app``.
        began, ended: seconds of the uncut start.
        pairs: its calls.
    """

    name: str
    began: float
    ended: float
    pairs: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class RedCut:
    """A cut that was not survived, told in full.

    Args:
        cell: what came of it.
        anchor: its place on the page.
        kind: ``known`` or ``broken``, or ``inconclusive``.
        departure: the first sign of it.
        unlike: how the state differs, where that is what is wrong.
        again: the command that plays it again.
        entries: its part of the journal, as a case of its own.
        evidence: what was gathered while its cluster was there.
    """

    cell: Cell
    anchor: str
    kind: str
    departure: Departure | None
    unlike: Sequence[Unlike]
    again: str
    entries: Sequence[Entry]
    evidence: Sequence[Evidence]

    @property
    def wrong(self) -> list[Finding]:
        """What is not as it should be, the red first."""
        found = [finding for finding in self.cell.findings if finding.verdict is not Verdict.RECOVERED]
        return sorted(found, key=lambda finding: finding.verdict is not Verdict.NOT_RECOVERED)


@dataclass(frozen=True, slots=True)
class SweepMap:
    """The whole map of one sweep.

    Args:
        stages: in the order of the uncut start.
        counts: cut points by kind.
        control: how the start fared that nobody cut; empty where there was none.
        reds: what is not survived or can't be judged, by what killed it, a list each.
    """

    stages: Sequence[Stage]
    counts: Mapping[str, int]
    control: str
    reds: Sequence[tuple[str, Sequence[RedCut]]]


def sweep_map(result: CaseResult) -> SweepMap | None:
    """The map of a case; None where the case is no sweep, or came to no cut."""
    case = Case.of(result.entries)
    learnt = case.last("sweep.learnt")
    if learnt is None:
        return None
    found = {cell.id: cell for cell in cells(case)}
    kinds = {name: _kind(result, cell) for name, cell in found.items()}
    reds = [_red(result, case, cell, kinds[name]) for name, cell in found.items() if kinds[name] != "kept"]
    anchors = {red.cell.id: red.anchor for red in reds}
    stages = list(_stages(case, learnt, found, kinds, anchors))
    spots = [spot for stage in stages for pair in stage.pairs for spot in pair.spots]
    control = found.get(CONTROL)
    return SweepMap(stages, Counter(s.kind for s in spots), _WORDS[_kind(result, control)] if control else "",
                    _by_killer(reds))  # fmt: skip


def _kind(result: CaseResult, cell: Cell) -> str:
    if cell.verdict is Verdict.RECOVERED:
        return "kept"
    if cell.verdict is Verdict.INCONCLUSIVE:
        return "inconclusive"
    return "known" if cell.id in result.known_cuts else "broken"


def _stages(
    case: Case, learnt: Entry, found: Mapping[str, Cell], kinds: Mapping[str, str], anchors: Mapping[str, str]
) -> Iterator[Stage]:
    pairs = []
    before = [entry for entry in case.entries if entry.seq < learnt.seq]
    for call, pattern, occurrence in passed_calls(before, learnt.data.get("names", ())):
        ids = [CutPoint(pattern, moment, occurrence).id for moment in Moment]
        spots = [_spot(name, found, kinds, anchors) for name in ids if name in learnt.data["points"]]
        if spots:
            pairs.append((call, Pair(name_of(call), spots)))
    for name, group in groupby(pairs, key=lambda pair: _stage_of(pair[0])):
        members = list(group)
        began, ended = float(members[0][0].data["began"]), float(members[-1][0].data["ended"])
        yield Stage(name, began, ended, [pair for _, pair in members])
    placed = {spot.id for _, pair in pairs for spot in pair.spots}
    if rest := [point for point in learnt.data["points"] if point not in placed]:
        spots = [_spot(point, found, kinds, anchors) for point in rest]
        yield Stage("elsewhere", learnt.at, learnt.at, [Pair(spot.id, [spot]) for spot in spots])


def _stage_of(call: Entry) -> str:
    return next(stage for stage, pattern in _STAGES if pattern.search(name_of(call)))


def _spot(name: str, found: Mapping[str, Cell], kinds: Mapping[str, str], anchors: Mapping[str, str]) -> Spot:
    cell = found.get(name)
    if cell is None:
        return Spot(name, "none", _SIGNS["none"], f"{name}: not cut in this run", "")
    kind = kinds[name]
    killer = _killer(cell)
    title = f"{name}: {_WORDS[kind]}" + (f", {killer.guarantee}: {killer.reason}" if killer else "")
    return Spot(name, kind, _SIGNS[kind], title, anchors.get(name, ""))


def _killer(cell: Cell) -> Finding | None:
    wrong = cell.broken or [finding for finding in cell.findings if finding.verdict is not Verdict.RECOVERED]
    return wrong[0] if wrong else None


def _red(result: CaseResult, case: Case, cell: Cell, kind: str) -> RedCut:
    part = replace(case, entries=part_of(case, cell.id))
    departure = first_departure(part, cell.findings, healthy_start(case.entries))
    anchor = f"cut-{slug(result.spec.play_id)}--{slug(cell.id)}"
    again = repeat(result.spec, result.place, "" if cell.id == CONTROL else cell.id)
    evidence = evidence_of(result, part.entries)
    return RedCut(cell, anchor, kind, departure, unlike(part, cell.findings), again, part.entries, evidence)


def part_of(case: Case, cut: str) -> list[Entry]:
    """The entries of one cut, after those that all cuts share: a case of its own."""
    within: list[Entry] = []
    inside = False
    for entry in case.entries:
        if entry.kind == "sweep.cut":
            inside = entry.data["id"] == cut
        if inside:
            within.append(entry)
        if entry.kind == "sweep.ended":
            inside = False
    return [*shared_entries(case), *within]


def outside_cuts(entries: Sequence[Entry]) -> list[Entry]:
    """What belongs to no cut; of a case that is no sweep that is all."""
    found: list[Entry] = []
    inside = False
    for entry in entries:
        inside |= entry.kind == "sweep.cut"
        if not inside:
            found.append(entry)
        inside &= entry.kind != "sweep.ended"
    return found


def _by_killer(reds: Sequence[RedCut]) -> list[tuple[str, list[RedCut]]]:
    groups: dict[str, list[RedCut]] = {}
    for red in reds:
        killer = _killer(red.cell)
        how = killer.signature if killer else ""
        name = f"{killer.guarantee if killer else 'unknown'}: {how or 'not judged'}"
        groups.setdefault(name, []).append(red)
    return sorted(groups.items(), key=lambda group: -len(group[1]))
