"""One self-contained HTML page: guarantees by procedure, and each case with its picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import jinja2
from markupsafe import Markup

from harness.journal import Entry
from harness.judging import Case
from harness.judging.guarantees import GUARANTEES, Guarantee
from harness.judging.verdict import Finding, Verdict
from reports.answer import Procedure, procedures
from reports.gate import BROKEN, OK, decide
from reports.picture import draw
from reports.run import CaseResult, RunResult
from reports.telling import repeat, tell

# A story with more cases than this is told in one line, and only what is not as expected is shown.
MOST_SHOWN = 150
# More reasons than these would push the answer off the first screen; the rest is a click away.
_MOST_REASONS = 6
TEMPLATES = Path(__file__).parent / "templates"

_TITLES = {
    "rolling_replacement": (
        "Two nodes are replaced, one after the other",
        "On three and five members, with and without etcd's strict reconfiguration check.",
    ),
    "unclean_membership": (
        "A ghost is listed, and the next node is to be replaced",
        "A procedure that looks first refuses, or cleans up.",
    ),
    "node_killed": ("A node is killed, then replaced", "Its data is still on the machine that is gone."),
    "node_wiped": ("A node is wiped, then replaced", "It is listed, and holds nothing."),
    "node_gone": ("A node is gone for good, then replaced", "The new one has another address."),
    "member_paused": ("A member stands still, then is replaced", "Its sockets are open and answer nothing."),
    "quorum_recovery": ("The way back from 2 of 4", "A snapshot is restored; what came after it is counted as lost."),
    "ghost_removal": ("The ghost is removed while quorum holds", "The gentler way back."),
    "order_exploration": (
        "Every order of two replacements",
        "A small model of quorum predicts each step, and real etcd confirms it.",
    ),
}
_WORDS = {"kept": "all kept", "known": "red as known", "broken": "not as expected", "inconclusive": "can't be judged"}


_GROUPS = (
    ("kept", "✓", "keep the cluster alive, and every guarantee"),
    ("alive", "!", "keep it alive, and break something else"),
    ("lost", "✕", "lose the quorum, writes or data"),
    ("unclear", "?", "can't be judged"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Procedures that came to the same."""

    group: str
    sign: str
    words: str
    procedures: Sequence[Procedure]


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence of the gate; the case it is about comes first, as a link, when there is one."""

    anchor: str
    case_id: str
    words: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell of the table: what is shown, and what is read out."""

    kind: str
    sign: str
    word: str
    title: str


@dataclass(frozen=True, slots=True)
class Story:
    """One scenario on the page."""

    name: str
    title: str
    words: str
    summary: str
    guarantees: Sequence[Guarantee]
    shown: Sequence[CaseResult]


@dataclass(frozen=True, slots=True)
class Told:
    """One finding, in words."""

    kind: str
    title: str
    reason: str
    note: str


def to_html(run: RunResult) -> str:
    """The whole page; needs no network and no script."""
    decision = decide(run)
    page = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    return page.render(
        run=run,
        decision=decision,
        tone={OK: "ok", BROKEN: "broken"}.get(decision.exit_code, "unclear"),
        facts=_facts(run),
        reasons=[_reason(run, text) for text in decision.reasons],
        most_reasons=_MOST_REASONS,
        answers=_answers(procedures(run)),
        stories=list(_stories(run)),
        words=_WORDS,
        marks=_mark,
        reds=_reds,
        tell=lambda case: tell(Case.of(case.entries)),
        told=lambda case: list(_told(case)),
        measures=_measures,
        outputs=_outputs,
        again=lambda case: repeat(case.spec),
        picture=lambda case: Markup(draw(case.entries)),
        page_css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        picture_css=Markup((TEMPLATES / "picture.css").read_text(encoding="utf-8")),
    )


def _facts(run: RunResult) -> list[tuple[str, str]]:
    facts = run.facts
    pairs = [
        ("cases", str(len(run.cases))),
        ("etcd", facts.etcd),
        ("took", _lasted(facts.seconds) if facts.seconds else ""),
        ("seed", str(facts.seed)),
        ("begun", facts.started_at.replace("T", " ").replace("+00:00", " UTC")),
        ("afterfault", facts.harness_version),
    ]
    return [(name, value) for name, value in pairs if value]


def _lasted(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _reason(run: RunResult, words: str) -> Reason:
    """A reason of the gate, with the case it begins with as a link."""
    case_id, _, rest = words.partition(": ")
    case = next((case for case in run.cases if case.spec.case_id == case_id), None)
    return Reason(case.anchor, case_id, rest) if case else Reason("", "", words)


def _answers(found: Sequence[Procedure]) -> list[Answer]:
    return [
        Answer(group, sign, words, [procedure for procedure in found if procedure.group == group])
        for group, sign, words in _GROUPS
        if any(procedure.group == group for procedure in found)
    ]


def _stories(run: RunResult) -> Iterator[Story]:
    order, standings = list(_TITLES), ["broken", "inconclusive", "kept", "known"]
    cases = sorted(
        run.cases,
        key=lambda case: (
            order.index(case.spec.scenario) if case.spec.scenario in order else len(order),
            case.spec.scenario,
            standings.index(case.standing),
        ),
    )
    for name, group in groupby(cases, key=lambda case: case.spec.scenario):
        members = list(group)
        title, words = _TITLES.get(name, (name.replace("_", " "), ""))
        many = len(members) > MOST_SHOWN or name == "order_exploration"
        shown = [case for case in members if case.standing in ("broken", "inconclusive")] if many else members
        summary = f"{len(members)} orders: {len(members) - len(shown)} confirmed, {len(shown)} not" if many else ""
        asked = [GUARANTEES[name] for name in members[0].spec.guarantees if name in GUARANTEES]
        yield Story(name, title, words, summary, asked, shown)


def _mark(case: CaseResult, guarantee: str) -> Mark:
    finding = case.finding(guarantee)
    if finding is None:
        return Mark("none", "·", "not asked", "not asked in this story")
    missing = any(defect.guarantee == guarantee for defect in case.missing)
    if finding.verdict is Verdict.INCONCLUSIVE:
        return Mark("inconclusive", "?", "can't be judged", finding.reason)
    if finding.verdict is Verdict.NOT_RECOVERED:
        known = case.known.get(guarantee)
        return Mark("known" if known else "broken", "✕", "broken as known" if known else "broken", finding.reason)
    if missing:
        return Mark("broken", "!", "kept, but a known defect should have shown", finding.reason)
    return Mark("kept", "✓", "kept", finding.reason)


def _reds(case: CaseResult) -> str:
    return ", ".join(_title(finding) for finding in case.findings if finding.verdict is not Verdict.RECOVERED)


def _told(case: CaseResult) -> Iterator[Told]:
    for finding in case.findings:
        if finding.verdict is Verdict.INCONCLUSIVE:
            yield Told("inconclusive", _title(finding), finding.reason, "")
        if finding.verdict is Verdict.NOT_RECOVERED:
            known = case.known.get(finding.guarantee, "")
            entries = ", ".join(str(seq) for seq in finding.evidence)
            note = f"{finding.guarantee}: {finding.signature}; journal entries {entries}"
            yield Told(
                "known" if known else "broken",
                _title(finding),
                finding.reason,
                f"{note}; known as {known}" if known else note,
            )
    for finding in case.findings:
        if finding.verdict is Verdict.RECOVERED and finding.measures:
            yield Told("kept", _title(finding), finding.reason, "")


def _measures(case: CaseResult) -> list[tuple[str, str]]:
    pairs = {name: value for finding in case.findings for name, value in finding.measures.items()}
    return [
        (name.removesuffix("_seconds").replace("_", " "), f"{value:g} s" if "seconds" in name else f"{value:g}")
        for name, value in pairs.items()
    ]


def _outputs(case: CaseResult) -> list[str]:
    return [
        f"$ {' '.join(start.data['argv'])}   # {start.data['task']} {start.data['old']}\n"
        f"{str(end.data.get('output', '')).rstrip()}".rstrip()
        for start, end in zip(_of(case, "tool.started"), _of(case, "tool.ended"), strict=False)
    ]


def _of(case: CaseResult, kind: str) -> list[Entry]:
    return [entry for entry in case.entries if entry.kind == kind]


def _title(finding: Finding) -> str:
    known = GUARANTEES.get(finding.guarantee)
    return known.title if known else finding.guarantee
