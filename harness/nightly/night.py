"""A night: legs one after another, each with its share of the time, each told as it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.nightly.budget import Budget, Share
from harness.nightly.call import Ended, Stop, play
from harness.nightly.legs import Leg
from harness.nightly.needs import Equipped
from harness.nightly.outcome import MISSING, NOT_BEGUN, PLAYED, Outcome, judged
from harness.run_folder import RunFolder
from reports.expected import Expected
from reports.gate import INCONCLUSIVE, OK, Decision

Player = Callable[[Sequence[str], Path, float, Stop], Ended]


@dataclass(frozen=True)
class NightPlan:
    """What a night is to do.

    Args:
        folder: of the night; its name is the night's ID. Each leg's run is below it.
        legs: in their order, with what their needs came to.
        workers: for legs that are played by several.
        more: words for every leg's pytest.
        expected: by leg, the cases it has to have played; held against nothing where `more` may choose other ones.
        seconds: how long all of it may take.
    """

    folder: Path
    legs: Sequence[Equipped]
    workers: int
    more: Sequence[str]
    seconds: float
    expected: Mapping[str, Expected] = field(default_factory=dict)

    @property
    def ready(self) -> list[Equipped]:
        """Legs whose needs are all met."""
        return [each for each in self.legs if not each.missing]

    def run_folder(self, leg: Leg) -> RunFolder:
        """Where a leg's run goes; its name, the run's ID, is unique over nights."""
        return RunFolder(self.folder / f"{self.folder.name}-{leg.name}")

    def log(self, leg: Leg) -> Path:
        """What its pytest says."""
        return self.folder / f"{leg.name}.log"

    def command(self, each: Equipped, share: Share) -> list[str]:
        """How its pytest is called."""
        words = [word.replace("{workers}", str(self.workers)) for word in each.leg.pytest]
        limits = ["--minutes", f"{share.begin_minutes:g}", "--run-dir", str(self.run_folder(each.leg).path)]
        return [sys.executable, "-m", "pytest", *words, *each.words, *limits, *self.more]


def run_night(
    plan: NightPlan, budget: Budget, stop: Stop, *, ended: Callable[[Outcome], None], player: Player = play
) -> list[Outcome]:
    """Play all legs that can be played, and account for those that can't; nothing is left out of what comes back.

    Args:
        plan: what is to be done.
        budget: its time; already running.
        stop: whether somebody asked it to end.
        ended: told each outcome as it is known.
        player: runs one pytest.

    Leaves behind: a run folder and a log for each leg that was played, below the night's folder.
    """
    waiting = plan.ready
    outcomes = []
    for each in plan.legs:
        if each.missing:
            outcome = _missing(each)
        else:
            waiting = waiting[1:]
            share = budget.share(each.leg.minutes, [other.leg.minutes for other in waiting])
            outcome = _not_begun(each, stop) if stop.why or share is None else _played(plan, each, share, stop, player)
        outcomes.append(outcome)
        ended(outcome)
    return outcomes


def _played(plan: NightPlan, each: Equipped, share: Share, stop: Stop, player: Player) -> Outcome:
    folder, log, command = plan.run_folder(each.leg), plan.log(each.leg), plan.command(each, share)
    told = player(command, log, share.seconds, stop)
    decision, run = judged(each.leg, folder, told, log, None if plan.more else plan.expected.get(each.leg.name))
    return Outcome(each.leg, PLAYED, decision, folder, run, told.seconds, tuple(command), told.cut)


def _not_begun(each: Equipped, stop: Stop) -> Outcome:
    why = f"the night was stopped by {stop.why}" if stop.why else "the night's time was up"
    return Outcome(each.leg, NOT_BEGUN, Decision(INCONCLUSIVE, f"not begun: {why}", ()))


def _missing(each: Equipped) -> Outcome:
    """No blame: without --require a machine plays what it can."""
    return Outcome(each.leg, MISSING, Decision(OK, "not here", tuple(one.sentence for one in each.missing)))
