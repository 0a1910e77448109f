"""What would have to stand in the ledger for a run to be as expected: lines to add, to change and to delete. Pure.

It says what the lines would be, not that they should be there: a red is to be mended, and listed only while it is not.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from harness.judging import Finding, Verdict
from harness.judging.ledger import KnownDefect
from harness.judging.ledger_rules import RENEWED_FOR
from harness.judging.verdict import KEPT_CUT, UNCLEAR_CUT
from harness.spec import REFERENCE, CaseSpec
from reports.ledger_edits import Edit, LedgerText, as_yaml
from reports.run import CaseResult, RunResult

_MOST_WHY = 160


@dataclass(frozen=True)
class Suggestion:
    """What to do with the ledger.

    Args:
        added: text of new lines, ready to paste; empty for none.
        number: how many they are.
        edits: changes of lines that are there.
        notes: what somebody has to decide, a sentence each.
    """

    added: str
    number: int
    edits: tuple[Edit, ...]
    notes: tuple[str, ...]


@dataclass
class _Group:
    """Cases that one new line would be about."""

    spec: CaseSpec
    finding: Finding
    also: dict[str, None] = field(default_factory=dict)
    cuts: dict[str, str] = field(default_factory=dict)
    moments: dict[str, list[str]] = field(default_factory=dict)


def suggest(run: RunResult, text: str) -> Suggestion:
    """What a run, held against the ledger of this text, would have it say.

    Args:
        run: judged with that ledger.
        text: the ledger's.
    """
    ledger = LedgerText(text)
    changed = list(_changed(run, ledger))
    edits = [edit for edit, _ in changed if edit is not None]
    notes = [note for _, note in changed if note]
    groups: dict[tuple[object, ...], _Group] = {}
    for cases in _plays(run).values():
        note = _gather(run, cases, groups)
        notes += [note] if note else []
    taken = {defect.id for defect in run.ledger.defects}
    lines = [line for group in groups.values() for line in _lines(group, run, taken)]
    return Suggestion("".join(lines), len(lines), tuple(dict.fromkeys(edits)), tuple(notes))


def _plays(run: RunResult) -> dict[str, list[CaseResult]]:
    plays: dict[str, list[CaseResult]] = {}
    for case in run.cases:
        plays.setdefault(case.spec.case_id, []).append(case)
    return plays


def _gather(run: RunResult, cases: Sequence[CaseResult], groups: dict[tuple[object, ...], _Group]) -> str:
    """Put the news of a case where it belongs; a sentence where it can't be listed."""
    spec = cases[0].spec
    news = {finding.guarantee: finding for case in cases for finding in _listable(run, case)}
    if not news:
        return ""
    first = next(news[name] for name in spec.guarantees if name in news)
    red = sum(any(f.guarantee == first.guarantee for f in case.news) for case in cases)
    if red < len(cases):
        told = f"{spec.case_id}: {first.guarantee} is broken in {red} of {len(cases)} plays"
        return f"{told}: what does not always show can't be listed, mend it"
    target = spec.target
    key = (target, spec.scenario, first.guarantee, first.signature, tuple(first.cuts.items()))
    group = groups.setdefault(key, _Group(spec, first))
    group.also |= dict.fromkeys(name for name in news if name != first.guarantee)
    group.cuts |= {cut: how for cut, how in first.cuts.items() if how not in (KEPT_CUT, UNCLEAR_CUT)}
    group.moments.setdefault(spec.cluster.label, []).append(spec.moment)
    return ""


def _listable(run: RunResult, case: CaseResult) -> Iterator[Finding]:
    """News that no line of the ledger announces even after a change."""
    for finding in case.news:
        renewed = run.ledger.explained_once(case.spec, finding)
        if renewed is None and not any(_is_other_way(defect, finding) for defect in case.missing):
            yield finding


def _is_other_way(defect: KnownDefect, finding: Finding) -> bool:
    red = finding.verdict is Verdict.NOT_RECOVERED and finding.guarantee == defect.guarantee
    return red and finding.signature != defect.signature


def _lines(group: _Group, run: RunResult, taken: set[str]) -> Iterator[str]:
    """A line for the clusters on which it shows at the same moments."""
    by_moments: dict[tuple[str, ...], list[str]] = {}
    for cluster, moments in group.moments.items():
        by_moments.setdefault(tuple(moments), []).append(cluster)
    for at, clusters in by_moments.items():
        yield _line(group, _fields(group, run, clusters, at), taken)


def _line(group: _Group, fields: Mapping[str, object], taken: set[str]) -> str:
    name = _fresh_id(group, taken)
    taken.add(name)
    told = [f"- id: {name}\n", *(f"  {key}: {as_yaml(value)}\n" for key, value in fields.items() if value)]
    return "".join(told)


def _fields(group: _Group, run: RunResult, clusters: Sequence[str], moments: Sequence[str]) -> dict[str, object]:
    target = group.spec.target
    own = target.tool == REFERENCE
    return {
        "tool": glob.escape(target.tool),
        "variant": glob.escape(target.variant),
        "versions": "" if own else glob.escape(target.version),
        "scenario": group.spec.scenario,
        "clusters": [glob.escape(cluster) for cluster in clusters],
        "moments": [glob.escape(moment) for moment in moments if moment],
        "guarantee": group.finding.guarantee,
        "signature": group.finding.signature,
        "also": list(group.also),
        "cuts": {glob.escape(cut): how for cut, how in group.cuts.items()},
        "why": _shortened(group.finding.reason),
        "link": group.spec.incident,
        "since": None if own else _day(run),
    }


def _fresh_id(group: _Group, taken: set[str]) -> str:
    target = group.spec.target
    words = f"{target.variant}-{group.spec.scenario}-{group.finding.signature}"
    name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    return next(each for each in (name, *(f"{name}-{n}" for n in range(2, 1000))) if each not in taken)


def _day(run: RunResult) -> date:
    """The day of the run; today where it did not say."""
    try:
        return date.fromisoformat(run.facts.started_at[:10])
    except ValueError:
        return run.ledger.today


def _shortened(reason: str) -> str:
    words = " ".join(reason.split())
    return words if len(words) <= _MOST_WHY else words[: _MOST_WHY - 1] + "…"


def _changed(run: RunResult, text: LedgerText) -> Iterator[tuple[Edit | None, str]]:
    """An edit, or a sentence, for each line that does not show as it says, or has expired."""
    for defect in run.ledger.defects:
        absent = [case for case in run.cases if defect in case.missing]
        shown = [case for case in run.cases if defect.id in case.known.values() and case not in absent]
        if absent:
            yield _as_it_shows(run, text, defect, absent, shown)
        elif defect.has_expired(run.ledger.today):
            yield from _renewed(run, text, defect)


def _as_it_shows(
    run: RunResult, text: LedgerText, defect: KnownDefect, absent: Sequence[CaseResult], shown: Sequence[CaseResult]
) -> tuple[Edit | None, str]:
    now = {told.signature for case in absent if (told := case.finding(defect.guarantee)) is not None}
    edit = None
    if not shown and now == {""}:
        edit = text.deleted(defect.id)
    elif not shown and len(now) == 1 and defect.signature not in now:
        edit = text.changed(defect.id, "signature", next(iter(now)))
    elif now == {""}:
        edit = _narrowed(text, defect, absent, shown)
    if edit is not None:
        return edit, ""
    where = ", ".join(case.spec.play_id for case in absent)
    but = f", and shows in {', '.join(case.spec.play_id for case in shown)}" if shown else ""
    how = ", ".join(sorted(signature or "kept" for signature in now))
    return None, f"{run.ledger.place(defect)}: {defect.id} is {how} in {where}{but}: correct it by hand"


def _narrowed(
    text: LedgerText, defect: KnownDefect, absent: Sequence[CaseResult], shown: Sequence[CaseResult]
) -> Edit | None:
    """Without the clusters or moments that are named and at which it never showed."""
    for name, listed, at in (("clusters", defect.clusters, _cluster), ("moments", defect.moments, _moment)):
        gone = set(map(at, absent))
        left = [pattern for pattern in listed if pattern not in gone]
        if gone <= set(listed) and left and gone.isdisjoint(map(at, shown)):
            return text.changed(defect.id, name, left)
    return None


def _cluster(case: CaseResult) -> str:
    return case.spec.cluster.label


def _moment(case: CaseResult) -> str:
    return case.spec.moment


def _renewed(run: RunResult, text: LedgerText, defect: KnownDefect) -> Iterator[tuple[Edit | None, str]]:
    played = [case for case in run.cases if defect.is_about(case.spec)]
    again = [c for c in played for f in c.news if run.ledger.explained_once(c.spec, f) == defect]
    if again:
        later = run.ledger.today + RENEWED_FOR
        shows = f"has expired and shows in {again[0].spec.play_id}: mend or renew it"
        note = f"{run.ledger.place(defect)}: {defect.id} {shows}"
        yield text.changed(defect.id, "expires", later), note
    elif played and all(_is_kept(case, defect) for case in played):
        yield text.deleted(defect.id), ""


def _is_kept(case: CaseResult, defect: KnownDefect) -> bool:
    finding = case.finding(defect.guarantee)
    return finding is not None and finding.verdict is Verdict.RECOVERED
