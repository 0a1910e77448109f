"""How long a world took to come back, by guarantee: the figures that history, trends and the gate compare. Pure."""

from __future__ import annotations

from harness.judging.recovered import back_after
from harness.judging.verdict import Verdict
from reports.run import CaseResult

# Measures that say how long users waited for the world, the most telling first; other seconds (the age of a backup,
# how long somebody watched, a window of lost writes) say something else.
RECOVERY_MEASURES = (
    "recovery_seconds",
    "restart_seconds",
    "back_after_seconds",
    "fresh_pod_seconds",
    "outage_seconds",
    "alarm_seconds",
    "longest_gap_seconds",
)


def recovery(case: CaseResult) -> dict[str, float]:
    """Seconds until the world was back, by guarantee.

    Only of guarantees that were kept: a world that did not come back has no time of recovery, and how long
    somebody waited for it in vain would make a median say nothing.

    Args:
        case: judged.
    """
    found = {}
    for finding in case.findings:
        # of a state that is looked at again and again: the first look since which it was well, not the last one
        seconds = back_after(case.entries, finding)
        name = next((name for name in RECOVERY_MEASURES if name in finding.measures), None)
        if seconds is not None:
            found[finding.guarantee] = seconds
        elif name is not None and finding.verdict is Verdict.RECOVERED:
            found[finding.guarantee] = round(finding.measures[name], 3)
    return found
