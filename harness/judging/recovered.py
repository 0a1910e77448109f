"""When a state came back for good, read from a journal: how long users were without it. Pure.

A guarantee about a state is judged by the last look at it. When it was kept first, and stayed so, is found by judging
the same journal again as it was after each look, from the last one back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.guarantees import GUARANTEES
from harness.judging.observed import trouble_ends
from harness.judging.verdict import Finding, Verdict

# What is looked at again and again until it is well; of anything else there is no time of coming back.
LOOKS: Mapping[str, str] = MappingProxyType(
    {
        "nodes-ready": "probe.k8s.nodes",
        "api-service-present": "probe.k8s.api_service",
        "system-workloads-stable": "probe.k8s.workloads",
        "bootstrap-rbac-present": "probe.k8s.rbac",
        "objects-decode": "probe.k8s.objects",
        "secrets-kept": "probe.k8s.secrets",
        "app-reachable": "probe.app",
        "app-configured": "probe.app",
    }
)


def back_after(entries: Sequence[Entry], finding: Finding) -> float | None:
    """Seconds from the beginning of the trouble to the first look since which a guarantee stayed kept.

    It is as fine as the looks are: they come a sixtieth of the deadline apart, every 0.2 s at most.

    Args:
        entries: of the whole case.
        finding: what the guarantee came to.

    Returns:
        None where it was not kept in the end, where it is not about a state that is looked at, or where no trouble
        came before the looks.
    """
    kind = LOOKS.get(finding.guarantee)
    if kind is None or finding.verdict is not Verdict.RECOVERED:
        return None
    case = Case.of(entries)
    ends = trouble_ends(case)
    looks = [number for number, entry in enumerate(case.entries) if entry.kind == kind and entry.at >= ends]
    if not ends or not looks:
        return None
    back = looks[-1]
    for number in reversed(looks[:-1]):
        if not _was_kept(case, finding.guarantee, number):
            break
        back = number
    return max(0.0, round(case.entries[back].at - case.trouble_begins, 3))


def _was_kept(case: Case, guarantee: str, number: int) -> bool:
    so_far = replace(case, entries=case.entries[: number + 1], derived={})
    return GUARANTEES[guarantee].rule(so_far).verdict is Verdict.RECOVERED
