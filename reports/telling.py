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
from harness.spec import CaseSpec, DeploymentSpec, EtcdSpec


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


def repeat(spec: CaseSpec) -> str:
    """The command that plays the case again.

    The closing bracket ends the label, else ``3-relaxed`` would bring ``3-relaxed-tls`` along.
    Other stories told with the same label come along still.
    """
    if isinstance(spec.cluster, DeploymentSpec):  # minutes each: no other story comes along
        return f"pytest scenarios -m '' --case {shlex.quote(spec.case_id)} --seed {spec.seed}"
    # an order is walked without a shape in its name, see scenarios/node_replacement/conftest.py
    is_order = spec.traffic is None and isinstance(spec.cluster, EtcdSpec)
    label = f"[{spec.target.variant}]" if is_order else f"{spec.label}]"
    return f"pytest scenarios -m '' -k {shlex.quote(label)} --seed {spec.seed}"


def repeat_cut(spec: CaseSpec, cut: str) -> str:
    """The command that plays one cut of a sweep again."""
    return f"afterfault repro {shlex.quote(f'{spec.case_id}@{cut}')}"


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
        yield f"{entry.data['fault']} on {entry.data['node']}" if entry.data.get("node") else str(entry.data["fault"])


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
