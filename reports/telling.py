"""A case in words: what was done to the world, when it broke, and the command that plays it again. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from harness.journal import Entry
from harness.judging import Case
from harness.judging.case import ToolCall
from harness.judging.membership import GRACE_SECONDS
from harness.judging.sweep import CONTROL
from harness.spec import CaseSpec

# A user's own tool is called as the option is that brings it; what that option is given.
_OWN_TOOLS = {
    "laconic-so": "PATH",
    "etcd-manager": "DIR",
    "replace-command": "CMD",
    "replace-control-plane-command": "CMD",
}


@dataclass(frozen=True, slots=True)
class Breakage:
    """The moment from which the world was broken.

    Args:
        at: seconds of the journal.
        words: what happened then, as ``quorum lost: 1 of 3 voters serve``.
    """

    at: float
    words: str


def tell(case: Case) -> str:
    """One line: faults, calls of the tool, and the moment of breakage if there was one."""
    told = _sweep(case) if case.last("sweep.learnt") else [*_faults(case), *_calls(case)]
    words = "; ".join(told) or "nothing was asked of a tool"
    broken = breakage(case)
    words += f". At {broken.at:.1f} s {broken.words}." if broken else "."
    return words


def repeat(spec: CaseSpec, run: str = "", cut: str = "") -> str:
    """The command that plays it again, on any machine that has the run's folder.

    Args:
        spec: of the play.
        run: the run's folder, as a person types it; the newest run is meant where it is empty.
        cut: of a sweep, the one cut point that is meant; empty for all of them.
    """
    words = ["afterfault", "repro", f"{spec.play_id}@{cut}" if cut else spec.play_id, *(["--run", run] if run else [])]
    own = own_tool(spec)
    # the placeholder at the end is for the reader: a run does not keep where a user's own tool is
    return shlex.join(words) + (f" -- {own}" if own else "")


def own_tool(spec: CaseSpec) -> str:
    """The option of pytest that brings a user's own tool, with its placeholder; empty where the tool is ours."""
    placeholder = _OWN_TOOLS.get(spec.target.tool)
    return f"--{spec.target.tool} {placeholder}" if placeholder else ""


def was_cut(case: Case, call: ToolCall) -> bool:
    """Whether the harness ended it, as it was to."""
    cut = _cut_of(case, call)
    return cut is not None and bool(cut.data["bit"])


def _cut_of(case: Case, call: ToolCall) -> Entry | None:
    """What is told of its cut; that may be written down a moment after its end, and bear the very same time."""
    started = list(case.of_kind("tool.started"))[call.number - 1]
    after = [entry for entry in case.of_kind("tool.cut") if entry.seq > started.seq]
    return next((entry for entry in after if entry.data["cut"] == started.data.get("cut")), None)


def breakage(case: Case) -> Breakage | None:
    """When and how the world broke: the longest stretch without quorum, else too long a wait for a write.

    The stretch is the one the rule of ``quorum-kept`` names, so that picture and finding agree.
    """
    lost = max(
        case.timeline.quorum_lost(case.trouble_begins, GRACE_SECONDS), key=lambda stretch: stretch[1], default=None
    )
    if lost is not None:
        quorum, _ = lost
        return Breakage(
            max(quorum.at, case.trouble_begins),
            f"quorum lost: {quorum.alive} of {quorum.listed} voters serve",
        )
    gap = longest_gap(case)
    if gap is not None and gap[1] > case.spec.write_gap_seconds:
        return Breakage(gap[0], f"writes stop, for {gap[1]:.1f} s")
    return None


def longest_gap(case: Case) -> tuple[float, float] | None:
    """The longest wait for an acknowledged write, as (seconds when it began, seconds it took)."""
    moments = [call.completed for call in case.acknowledged_writes]
    stopped = case.last("traffic.stopped")
    if not moments or stopped is None:
        return None
    waits = ((after - before, before) for before, after in zip(moments, [*moments[1:], stopped.at], strict=True))
    seconds, since = max(waits)
    return since, seconds


def _faults(case: Case) -> Iterator[str]:
    for entry in case.of_kind("fault.injected"):
        where = str(entry.data.get("node") or "").removeprefix("the store")
        yield f"{entry.data['fault']} on {where}" if where else str(entry.data["fault"])


def _calls(case: Case) -> Iterator[str]:
    for call in case.tool_calls:
        if call.new:
            yield f"{call.old} → {call.new}: {call.said}"
            continue
        cut = _cut_of(case, call)
        yield f"{call.task}, cut {cut_words(cut)}" if cut is not None else f"{call.task}: {call.said}"


def cut_words(entry: Entry) -> str:
    """Where a tool was cut, as people say it: ``after create namespaces caddy-system (timeout)``."""
    cut, call = str(entry.data["cut"]), str(entry.data.get("call") or "").removeprefix("api ")
    return f"{entry.data['moment']} {call} ({cut.rpartition('/')[2]})" if call else cut


def _sweep(case: Case) -> Iterator[str]:
    """Too many starts to tell one by one."""
    points = len(case.data_of("sweep.learnt").get("points", ()))
    cuts = sum(entry.data["id"] != CONTROL for entry in case.of_kind("sweep.cut"))
    yield f"{cuts} of {points} points of a start cut, each from the same state, and started again"
