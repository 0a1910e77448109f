"""Whether the harness was awake while a case was played, and the clock left alone; else nothing can be said.

A gap costs what it may have made, measured by the case's patience: the time for which its strictest rule
leaves the world alone.

- Longer than the patience: nothing can be said, kept or broken. That long a time nobody saw, and traffic
  that stood still with the harness would have broken the promise of writes all by itself.
- Longer than four fifths of it: what is kept is kept, and what is broken can't be told from a deadline that
  ran while nobody worked. Six cases at once on two busy cores had gaps of two fifths, and their reds were right.
- Shorter: a slow machine. Nothing changes.

A wall clock that jumped costs everything: certificates, tokens, leases and cron jobs run on it. So does a
harness that could open no file or start no thread: it saw a world that did not answer.

What came before the cluster was ready costs nothing, its health was waited for afterwards; and of a sweep
only the cut is lost that it fell into. docs/reliability.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.journal import Entry
from harness.judging.verdict import Finding, Verdict
from harness.spec import CaseSpec, DeploymentSpec

_GAP, _CLOCK_JUMP, _SHORT = "harness.gap", "harness.clock_jump", "harness.short"
# The shortest deadline a deployment is given: its secrets are to be back.
_DEPLOYMENT_SECONDS = 10.0
_DOUBTED_SHARE = 0.8


def patience_seconds(spec: CaseSpec) -> float:
    """The time for which the strictest rule of a case leaves the world alone."""
    return _DEPLOYMENT_SECONDS if isinstance(spec.cluster, DeploymentSpec) else spec.write_gap_seconds


def disturbance(spec: CaseSpec, entries: Sequence[Entry]) -> tuple[str, int] | None:
    """Why nothing can be said: a sentence and an entry; None when it can."""
    for entry in entries:
        if entry.kind == _CLOCK_JUMP:
            seconds = entry.data["seconds"]
            why = f"{'forward' if seconds > 0 else 'back'} by {abs(seconds):.1f} s at {entry.at:.1f} s"
            return f"the wall clock went {why}: it was set, or the machine slept", entry.seq
        if entry.kind == _SHORT:
            return f"the harness was short of something at {entry.at:.1f} s: {entry.data['what']}", entry.seq
    return _gap_above(patience_seconds(spec), entries)


def doubted(spec: CaseSpec, entries: Sequence[Entry], finding: Finding) -> Finding:
    """The finding, or in place of a red one that a gap may have made, that nothing can be said."""
    gap = _gap_above(_DOUBTED_SHARE * patience_seconds(spec), entries)
    if gap is None or finding.verdict is not Verdict.NOT_RECOVERED:
        return finding
    reason = f"{gap[0]}; else it would be broken: {finding.reason}"
    evidence = (*finding.evidence, gap[1])
    return replace(finding, verdict=Verdict.INCONCLUSIVE, reason=reason, signature="", evidence=evidence)


def _gap_above(seconds: float, entries: Sequence[Entry]) -> tuple[str, int] | None:
    gaps = [entry for entry in entries if entry.kind == _GAP and entry.data["seconds"] > seconds]
    if not gaps:
        return None
    longest = max(gaps, key=lambda entry: float(entry.data["seconds"]))
    words = f"the harness stood still for {longest.data['seconds']:.1f} s, up to {longest.at:.1f} s of the case"
    return f"{words}: nobody looked, and deadlines ran", longest.seq
