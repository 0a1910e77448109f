"""What a leg came to: the gate's word on its run, and for a release that is known to be bad whether it was red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from harness.errors import HarnessError
from harness.judging.verdict import Verdict
from harness.nightly.call import Ended
from harness.nightly.legs import MUST_BE_RED, Leg
from harness.run_folder import RunFolder
from reports.expected import Expected
from reports.gate import BROKEN, INCONCLUSIVE, OK, Decision, decide
from reports.run import RunResult, load_judged

# The gravest first. A broken guarantee is news about the tool; the others are about the night.
_GRAVITY = (1, 2, 4, 3, 0)
PLAYED, NOT_BEGUN, MISSING = "played", "not begun", "missing"


@dataclass(frozen=True)
class Outcome:
    """One leg at the end of the night.

    Args:
        leg: which.
        state: ``played``, ``not begun`` (the time was up, or the night was stopped) or ``missing`` (a need).
        decision: what it came to.
        folder: its run; None if it was not played.
        run: read back; None where there is nothing to read.
        seconds: how long it took.
        command: how pytest was called; empty if it was not.
        cut: why it was stopped before its end; empty if it was not.
    """

    leg: Leg
    state: str
    decision: Decision
    folder: RunFolder | None = None
    run: RunResult | None = None
    seconds: float = 0.0
    command: tuple[str, ...] = ()
    cut: str = ""


def gravest(codes: Sequence[int]) -> int:
    """The exit code of many; inconclusive for none at all."""
    return next((code for code in _GRAVITY if code in codes), INCONCLUSIVE)


def judged(
    leg: Leg, folder: RunFolder, ended: Ended, log: Path, expected: Expected | None = None
) -> tuple[Decision, RunResult | None]:
    """What a leg's run came to.

    Args:
        leg: which.
        folder: its run.
        ended: how pytest ended.
        log: what pytest said.
        expected: the cases it has to have played.
    """
    try:
        run = load_judged(folder)
    except HarnessError as error:
        code = ended.exit_code if ended.exit_code in (2, 4) else INCONCLUSIVE
        stopped = [f"the leg was stopped: {ended.cut}"] * bool(ended.cut)
        reasons = (*stopped, _last_words(log), str(error).partition("\n")[0])
        return Decision(code, f"pytest left no run (exit code {ended.exit_code})", reasons), None
    decision = decide_red(leg, run) if leg.expected == MUST_BE_RED else decide(run, expected=expected)
    if ended.exit_code == 4 and decision.exit_code != BROKEN:
        decision = replace(decision, exit_code=4)
    told = []
    if ended.cut:
        told.append(f"the leg was stopped: {ended.cut}" + "; it did not end and was killed" * ended.killed)
    elif ended.exit_code not in range(5):
        told.append(f"pytest ended with {ended.exit_code}: {_last_words(log)}")
    if run.facts.ended_early and leg.expected == MUST_BE_RED:  # of others the gate tells it
        told.append(f"the run ended early: {run.facts.ended_early}")
    return _with_more(decision, told), run


def decide_red(leg: Leg, run: RunResult) -> Decision:
    """Whether a release that is known to be bad was red where it has to be.

    A red of it is no news, whether the ledger has it or not; a known defect that did not show is.
    """
    missing = [f"{case.spec.play_id}: known defect {d.id} did not show" for case in run.cases for d in case.missing]
    kept, unseen = [], []
    for pattern in leg.red:
        cases = [case for case in run.cases if fnmatchcase(case.spec.case_id, pattern)]
        if any(case.verdict is Verdict.NOT_RECOVERED for case in cases):
            continue
        if any(case.verdict is Verdict.RECOVERED for case in cases):
            kept.append(f"{pattern}: everything was kept, and this release is known to be bad")
        else:
            unseen.append(f"{pattern}: no such case was judged, so nobody knows whether it is red")
    if kept or missing:
        return Decision(BROKEN, "not red where it has to be", (*kept, *missing, *unseen))
    if unseen:
        return Decision(INCONCLUSIVE, "not seen to be red", tuple(unseen))
    red = sum(case.verdict is Verdict.NOT_RECOVERED for case in run.cases)
    return Decision(OK, f"red, as it has to be: {red} of {len(run.cases)} cases", ())


def _with_more(decision: Decision, told: Sequence[str]) -> Decision:
    """A leg that was cut short is at least inconclusive."""
    if not told:
        return decision
    code = decision.exit_code or INCONCLUSIVE
    early = "" if decision.exit_code else " as far as it was played, which is not to its end"
    return replace(decision, exit_code=code, headline=f"{decision.headline}{early}", reasons=(*told, *decision.reasons))


def _last_words(log: Path) -> str:
    """The last line that pytest said, most often why."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    told = [line.strip() for line in lines if line.strip()]
    begun = next((line for line in reversed(told) if "afterfault: " in line), "")
    return (begun or (told[-1] if told else "it said nothing"))[:300]
