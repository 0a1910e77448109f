"""The page's first screen, for who has to decide: ship or not, why, and since when. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.judging.guarantees import GUARANTEES
from harness.spec import REFERENCE
from reports.baseline import Against
from reports.gate import BROKEN, OK, Decision
from reports.history import HistoryLine, Play
from reports.run import CaseResult, RunResult
from reports.severity import gravity, severity
from reports.since import Since, earliest, since
from reports.world import target_of

# What a run says, by whether a build was under test; one that judged nothing says nothing.
_ANSWERS = {
    (True, OK): "Ship",
    (True, BROKEN): "Do not ship",
    (False, OK): "As expected",
    (False, BROKEN): "Not as expected",
}
_UNKNOWN = {True: "Can't tell: do not ship on this run", False: "Can't tell"}
_NO_BUILD = (
    "Only the harness's own reference tools were played, the right ones and the broken ones: "
    "this run says nothing of a build."
)
_ALL_WELL = "Every guarantee that was asked for is kept, or broken just as the ledger of known defects says."
_STANDINGS = {"kept": "kept", "known": "red as known", "broken": "not as expected", "inconclusive": "can't be judged"}
_MISSING = "known defect "
_WORSE = "regression against "
# Longer sentences would push the rest off the screen; the case has the whole of it.
_LONGEST = 260


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence of the gate.

    Args:
        anchor, case_id: the case it is about, as a link; empty where it is about none.
        words: what is wrong.
        severity: how grave it is; empty where no guarantee is broken.
        since: since when, where a history tells it.
    """

    anchor: str
    case_id: str
    words: str
    severity: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A known defect of the build under test: it ships with it.

    Args:
        id, why, link: as in the ledger; `why` and `link` are empty where the run does not have it.
        titles: the guarantees it breaks.
        cases: in how many cases it showed.
        anchor: the first of them.
        since: the day it was seen first, if the ledger says so.
    """

    id: str
    why: str
    link: str
    titles: tuple[str, ...]
    cases: int
    anchor: str
    since: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What is other than in the run it is held against.

    Args:
        baseline: that run.
        groups: a word, and what belongs to it: regressions, fixes, new cases.
        unchanged: how many guarantees of cases are as they were.
        worlds: where the two were not played on the same.
    """

    baseline: str
    groups: Sequence[tuple[str, Sequence[Reason]]]
    unchanged: int
    worlds: Sequence[str]


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """What stands above everything else.

    Args:
        tone: ``ok``, ``broken`` or ``unclear``.
        answer: in a word or two.
        tested: what was under test; empty where only reference tools were.
        sentence: the gate's, in one line.
        why: more of it, where nothing is wrong.
        reasons: what is wrong, the gravest first.
        since: since when the oldest trouble is there; empty where no history tells it.
        known: what a build ships with.
        compared: against another run; None where there is none.
        counts: (standing, how many cases, words), without those that no case came to.
        not_run: cases that were planned or expected, and were not played.
        ended_early: why the run stopped before its end.
    """

    tone: str
    answer: str
    tested: str
    sentence: str
    why: str
    reasons: Sequence[Reason]
    since: str
    known: Sequence[Known]
    compared: Compared | None
    counts: Sequence[tuple[str, int, str]]
    not_run: Sequence[str]
    ended_early: str


def first_screen(run: RunResult, decision: Decision, history: Sequence[HistoryLine] = ()) -> FirstScreen:
    """The answer of a run.

    Args:
        run: judged.
        decision: the gate's.
        history: lines of runs of the same leg, the oldest first; empty where nobody keeps one.
    """
    tested = _tested(run)
    lines = [line for line in history if line.run_id != run.facts.run_id]
    told = sorted((_reason(run, words, lines) for words in decision.reasons), key=lambda one: one[0])
    oldest = earliest(found for _, _, found in told if found)
    counted = Counter(case.standing for case in run.cases)
    is_well = decision.exit_code == OK
    return FirstScreen(
        {OK: "ok", BROKEN: "broken"}.get(decision.exit_code, "unclear"),
        _ANSWERS.get((bool(tested), decision.exit_code), _UNKNOWN[bool(tested)]),
        tested,
        decision.headline[:1].upper() + decision.headline[1:],
        " ".join(filter(None, [_ALL_WELL if is_well else "", "" if tested else _NO_BUILD])),
        [reason for _, reason, _ in told],
        oldest.words if oldest else "",
        list(_known(run)),
        _compared(run, decision.against) if decision.against else None,
        [(kind, counted[kind], words) for kind, words in _STANDINGS.items() if counted[kind]],
        decision.not_run,
        run.facts.ended_early,
    )


def _tested(run: RunResult) -> str:
    """Whoever was under test beside our own tools."""
    target = target_of(run)
    return "" if target == REFERENCE else target


def _reason(run: RunResult, sentence: str, lines: Sequence[HistoryLine]) -> tuple[int, Reason, Since | None]:
    """A reason of the gate with the case it begins with, how far down it belongs, and since when it is there."""
    against, _, rest = sentence.partition(": ") if sentence.startswith(_WORSE) else ("", "", sentence)
    case, words = _split(run, rest)
    if case is None:
        return len(GUARANTEES), Reason("", "", _short(sentence)), None
    guarantee = words.partition(" ")[0]
    broken = guarantee in GUARANTEES
    found = since(lines, case.spec.play_id, _same_trouble(words)) if broken or words.startswith(_MISSING) else None
    told = Reason(
        case.anchor,
        case.spec.play_id,
        _short(": ".join(filter(None, [against, words]))),
        severity(guarantee) if broken else "",
        found.words if found else "",
    )
    return gravity(guarantee) if broken else len(GUARANTEES) - 1, told, found


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST else words[:_LONGEST].rpartition(" ")[0] + " …"


def _split(run: RunResult, sentence: str) -> tuple[CaseResult | None, str]:
    name, _, words = sentence.partition(": ")
    case = next((case for case in run.cases if name in (case.spec.play_id, case.spec.case_id)), None)
    return (case, words) if case else (None, sentence)


def _same_trouble(words: str) -> Callable[[Play], bool]:
    """Whether a line of the history tells the same guarantee broken, or the same known defect missing."""
    if words.startswith(_MISSING):
        defect = words.removeprefix(_MISSING).partition(" ")[0]
        return lambda told: defect in told.missing
    guarantee = words.partition(" ")[0]
    return lambda told: guarantee in told.broken


def _known(run: RunResult) -> Iterator[Known]:
    cases = [case for case in run.cases if case.spec.target.tool != REFERENCE]
    lines = {line.id: line for line in run.ledger.defects}
    for name in sorted({name for case in cases for name in case.known.values()}):
        shown = [case for case in cases if name in case.known.values()]
        broken = {gid for case in shown for gid, known in case.known.items() if known == name}
        titles = tuple(one.title for gid, one in GUARANTEES.items() if gid in broken)
        line = lines.get(name)
        why, link, day = (line.why, line.link, line.since) if line else ("", "", None)
        yield Known(name, why, link, titles, len(shown), shown[0].anchor, str(day) if day else "")


def _compared(run: RunResult, against: Against) -> Compared:
    groups = (
        ("regressions", against.regressions),
        ("broken otherwise", against.otherwise),
        ("fixes", against.fixes),
        ("new cases", against.fresh),
        ("not played any more", against.gone),
    )
    told = [(name, [_link(run, sentence) for sentence in sentences]) for name, sentences in groups if sentences]
    return Compared(against.baseline, told, against.unchanged, against.worlds)


def _link(run: RunResult, sentence: str) -> Reason:
    case, words = _split(run, sentence)
    return Reason(case.anchor, case.spec.play_id, _short(words)) if case else Reason("", "", _short(sentence))
