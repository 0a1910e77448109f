"""A night on one page of Markdown, for people and for a CI job's step summary; and as JSON for machines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.nightly.outcome import MISSING, NOT_BEGUN, PLAYED, Outcome, gravest
from reports.telling import repeat
from reports.trends import LegTrend
from reports.trends_table import flakes, since

# More than these push the table of legs off the screen; the leg's own report has all.
_MOST_REASONS, _MOST_FLAKES = 12, 10
_MARKS = {
    0: "as expected",
    1: "**NOT AS EXPECTED**",
    2: "**wrong usage**",
    3: "**inconclusive**",
    4: "**can't run here**",
}


@dataclass(frozen=True)
class Night:
    """A night at its end, also one that was cut short.

    Args:
        folder: of the night.
        outcomes: of all legs, in their order.
        seconds: how long it took.
        minutes: how long it might take.
        stopped: by which signal; empty if it was not.
        trends: of the legs that were played, over all nights of the history.
    """

    folder: Path
    outcomes: Sequence[Outcome]
    seconds: float
    minutes: float
    stopped: str = ""
    trends: Sequence[LegTrend] = ()

    @property
    def played(self) -> list[Outcome]:
        """Legs that were played."""
        return [outcome for outcome in self.outcomes if outcome.state == PLAYED]

    @property
    def not_begun(self) -> list[Outcome]:
        """Legs there was no time for."""
        return [outcome for outcome in self.outcomes if outcome.state == NOT_BEGUN]

    @property
    def missing(self) -> list[Outcome]:
        """Legs whose needs are not here."""
        return [outcome for outcome in self.outcomes if outcome.state == MISSING]

    @property
    def exit_code(self) -> int:
        """By the gravest leg; 4 where this machine can run none of them, 3 where one was not begun."""
        codes = [outcome.decision.exit_code for outcome in (*self.played, *self.not_begun)]
        return gravest(codes) if codes else 4

    @property
    def is_partial(self) -> bool:
        """Whether something that could have been played was not, or not to its end."""
        early = any(one.cut or (one.run is not None and one.run.facts.ended_early) for one in self.played)
        return bool(self.stopped or self.not_begun or early)

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        bad = [outcome.leg.name for outcome in self.played if outcome.decision.exit_code]
        legs = "1 leg" if len(self.played) == 1 else f"{len(self.played)} legs"
        if not self.played and not self.not_begun:
            return "no leg can be played here"
        told = (
            f"{legs} played, all as expected" if not bad else f"{len(bad)} of {legs} not as expected: {', '.join(bad)}"
        )
        return told + " (a partial report)" * self.is_partial


def to_markdown(night: Night) -> str:
    """The whole page."""
    sections = [
        f"# afterfault {night.folder.name}: {night.headline}",
        _facts(night),
        _table(night),
        *(_reasons(outcome) for outcome in night.played),
        _section("Not begun", (f"- {each.leg.name}: {each.decision.headline}" for each in night.not_begun)),
        _section(
            "Not here", (f"- {each.leg.name}: {reason}" for each in night.missing for reason in each.decision.reasons)
        ),
        _section("Play it again", (line for outcome in night.played for line in _again(outcome))),
        _section("Over all nights", (line for leg in night.trends for line in _trend(leg))),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def to_json(night: Night) -> dict[str, Any]:
    """``night.json``."""
    return {
        "schema": 1,
        "night": night.folder.name,
        "exit_code": night.exit_code,
        "headline": night.headline,
        "partial": night.is_partial,
        "stopped": night.stopped,
        "seconds": round(night.seconds, 1),
        "minutes": night.minutes,
        "legs": [_leg_json(outcome) for outcome in night.outcomes],
    }


def _leg_json(outcome: Outcome) -> dict[str, Any]:
    decision = outcome.decision
    return {
        "name": outcome.leg.name,
        "expected": outcome.leg.expected,
        "state": outcome.state,
        "exit_code": decision.exit_code,
        "headline": decision.headline,
        "reasons": list(decision.reasons),
        "run": outcome.folder.path.name if outcome.folder else "",
        "seconds": outcome.seconds,
        "command": list(outcome.command),
    }


def _facts(night: Night) -> str:
    told = [f"{night.seconds / 60:.1f} of {night.minutes:g} minutes", f"exit code {night.exit_code}"]
    if night.stopped:
        told.append(f"**stopped by {night.stopped}: what is here is partial**")
    elif night.is_partial:
        told.append("**the time was up: what is here is partial**")
    return ", ".join(told)


def _table(night: Night) -> str:
    rows = ["| leg | came to | cases | minutes | in words |", "|---|---|---|---|---|"]
    for outcome in night.outcomes:
        cases = str(len({case.spec.case_id for case in outcome.run.cases})) if outcome.run else ""
        mark = _MARKS.get(outcome.decision.exit_code, "") if outcome.state == PLAYED else outcome.state
        lasted = f"{outcome.seconds / 60:.1f}" if outcome.state == PLAYED else ""
        rows.append(f"| {outcome.leg.name} | {mark} | {cases} | {lasted} | {_cell(outcome.decision.headline)} |")
    return "\n".join(rows)


def _reasons(outcome: Outcome) -> str:
    reasons = outcome.decision.reasons
    more = [f"- and {len(reasons) - _MOST_REASONS} more, in its report.html"] * (len(reasons) > _MOST_REASONS)
    lines = [*(f"- {_cell(reason)}" for reason in reasons[:_MOST_REASONS]), *more]
    return _section(f"{outcome.leg.name}: {outcome.decision.headline}", lines)


def _again(outcome: Outcome) -> Iterator[str]:
    if outcome.run is None or outcome.folder is None:
        return
    for case in outcome.run.cases:
        if case.standing in ("broken", "inconclusive"):
            yield f"- {outcome.leg.name}: `{repeat(case.spec, case.place)}`"


def _trend(leg: LegTrend) -> Iterator[str]:
    flaky = [case for case in leg.cases if case.flakes]
    yield f"- {leg.name}: {len(leg.lines)} nights, {leg.seconds:.0f} s (median), {leg.flakes} flakes"
    for case in flaky[:_MOST_FLAKES]:
        yield f"  - flaky: {case.case_id}: {flakes(case)} of {len(case.plays)} plays"
    for case in leg.cases:
        if case.newest.play.standing == "broken" and (told := since(case)):
            yield f"  - {case.case_id}: {told}"


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> str:
    told = list(lines)
    return f"## {title}\n" + "\n".join(told) if told else ""


def _cell(words: str) -> str:
    """Text from outside inside a table or a list: no bar ends the cell, no line ends the row."""
    return " ".join(words.replace("|", "\\|").split())
