"""The rule over containers of others: whatever else runs on the engine is none of a tool's business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.judging.case import Case
from harness.judging.observed import Flaw, Promise, listed, trouble_ends
from harness.judging.verdict import Finding

_PROMISE = Promise("foreign-untouched", "bystanders.seen")
Containers = Mapping[str, Mapping[str, Any]]


def foreign_untouched(case: Case) -> Finding:
    """Every later look shows each container of the first one as it was; looks were taken before and after."""
    looks = list(case.of_kind(_PROMISE.kind))
    if not looks:
        return _PROMISE.inconclusive("nobody looked")
    first, last = looks[0], looks[-1]
    before: Containers = first.data["containers"]
    reached = list(case.of_kind("tap.refused"))
    attempts = listed([f"{entry.data['thing']} ({entry.data['call']})" for entry in reached])
    for look in looks[1:]:
        if told := changes(before, look.data["containers"]):
            said = f"containers of others are not what they were: {listed(told)}"
            flaw = Flaw("foreign-changed", f"{said}; and the tool reached for {attempts}" if reached else said)
            return _PROMISE.broken(
                flaw, first, look, *reached, foreign_containers=len(before), foreign_changed=len(told)
            )
    if reached:
        flaw = Flaw("foreign-reached-for", f"the tool would have changed what is not its own: {attempts}")
        return _PROMISE.broken(flaw, *reached, foreign_containers=len(before))
    if first.at > case.trouble_begins:
        return _PROMISE.inconclusive(f"nobody looked before {case.trouble_begins:.1f} s", first)
    if len(looks) == 1 or last.at < trouble_ends(case):
        return _PROMISE.inconclusive(f"nobody looked after {trouble_ends(case):.1f} s", last)
    said = f"{len(before)} containers of others are what they were" if before else "nothing else was on the engine"
    return _PROMISE.kept(said, first, last, foreign_containers=len(before))


def changes(before: Containers, after: Containers) -> list[str]:
    """What happened to containers of others between two looks, a phrase each.

    Args:
        before, after: by ID: ``name``, ``cluster``, ``started_at``, ``restart_count``, ``running``. One that
            is new in the second look is nobody's business.
    """
    told = ((_full_name(was), _change(was, after.get(container))) for container, was in before.items())
    return [f"{name} {what}" for name, what in told if what]


def _change(was: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    if now is None:
        return "is gone"
    if was["running"] and not now["running"]:
        return "runs no more"
    if now["restart_count"] > was["restart_count"]:
        return f"was restarted {now['restart_count'] - was['restart_count']} times"
    if now["started_at"] != was["started_at"]:
        return f"was started anew at {now['started_at']}"
    return ""


def _full_name(container: Mapping[str, Any]) -> str:
    cluster = container["cluster"]
    return f"{container['name']} of cluster {cluster}" if cluster else str(container["name"])
