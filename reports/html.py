"""One self-contained HTML page: guarantees by procedure, and each case with its picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.judging.guarantees import GUARANTEES
from harness.judging.verdict import Finding, Verdict
from harness.shapes import DeploymentSpec, ManagedSpec, MembersShape
from reports.answer import QUESTIONS, Procedure, Question, procedures
from reports.case_page import case_page
from reports.control_files import OUTCOME_WORDS, draw_table, state_table
from reports.first_screen import first_screen
from reports.gate import Decision, decide
from reports.history import HistoryLine
from reports.options import Options, options
from reports.picture import draw
from reports.run import CaseResult, RunResult
from reports.stories import stories
from reports.template import STANDING_WORDS, styles, template
from reports.world import played_on

# More reasons than these would push the answer off the first screen; the rest is a click away.
_MOST_REASONS = 6
_SIGNS = {"kept": "✓", "alive": "!", "lost": "✕", "unclear": "?"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Procedures that came to the same."""

    group: str
    sign: str
    words: str
    procedures: Sequence[Procedure]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, and what the run says to it."""

    question: Question
    answers: Sequence[Answer]
    options: Options | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell of the table: what is shown, and what is read out."""

    kind: str
    sign: str
    word: str
    title: str


def to_html(run: RunResult, decision: Decision | None = None, *, history: Sequence[HistoryLine] = ()) -> str:
    """The whole page; needs no network and no script.

    Args:
        run: judged.
        decision: the gate's, as where the run was held against another; by default what the run says alone.
        history: lines of runs of the same leg, the oldest first, to tell since when something is bad.
    """
    told = list(stories(run))
    # of a story with very many cases not each has a place on the page
    reachable = {case.anchor for story in told for case in story.shown}
    states = state_table(run, reachable)
    return template("page.html.j2").render(
        run=run,
        first=first_screen(run, decision or decide(run), history),
        facts=_facts(run),
        most_reasons=_MOST_REASONS,
        answered=list(_answered(run)),
        stories=told,
        reachable=reachable,
        states=states,
        state_picture=Markup(draw_table(states)) if states else "",
        outcome_words=OUTCOME_WORDS,
        words=STANDING_WORDS,
        has_members=any(isinstance(case.spec.cluster, MembersShape) for case in run.cases),
        has_deployments=any(isinstance(case.spec.cluster, DeploymentSpec) for case in run.cases),
        has_managed=any(isinstance(case.spec.cluster, ManagedSpec) for case in run.cases),
        marks=_mark,
        reds=_reds,
        case_page=lambda case: case_page(run, case),
        cut_picture=lambda red: Markup(draw(red.entries, red.departure, part=red.cell.id)),
        page_css=styles("page.css"),
        picture_css=styles("picture.css"),
    )


def _facts(run: RunResult) -> list[tuple[str, str]]:
    facts = run.facts
    pairs = [
        ("cases", str(len(run.cases))),
        *played_on(run),
        ("took", _lasted(facts.seconds) if facts.seconds else ""),
        ("seed", str(facts.seed)),
        ("begun", facts.started_at.replace("T", " ").replace("+00:00", " UTC")),
        ("afterfault", facts.harness_version),
    ]
    return [(name, value) for name, value in pairs if value]


def _lasted(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _answered(run: RunResult) -> Iterator[Answered]:
    for question in QUESTIONS:
        if found := procedures(run, question):
            answers = [
                Answer(group, _SIGNS[group], words, [procedure for procedure in found if procedure.group == group])
                for group, words in question.words.items()
                if any(procedure.group == group for procedure in found)
            ]
            yield Answered(question, answers, options(run, question) if question.incident else None)


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


def _title(finding: Finding) -> str:
    known = GUARANTEES.get(finding.guarantee)
    return known.title if known else finding.guarantee
