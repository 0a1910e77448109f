"""``summary.md``: the run on one page of Markdown, for a release page or a CI summary."""

from __future__ import annotations

from statistics import median

from harness.judging.guarantees import GUARANTEES
from harness.judging.verdict import Finding, Verdict
from reports.gate import decide
from reports.run import CaseResult, RunResult

_MARKS = {"kept": "kept", "known": "red as known", "broken": "**BROKEN**", "inconclusive": "inconclusive"}


def to_markdown(run: RunResult) -> str:
    """The whole summary."""
    decision = decide(run)
    sections = [f"# afterfault {run.facts.run_id}: {decision.headline}", _facts(run)]
    if decision.reasons:
        sections.append("## Not as expected\n" + "\n".join(f"- {reason}" for reason in decision.reasons))
    sections += [_table(run), _measures(run)]
    if run.facts.skipped:
        sections.append("## Not run\n" + "\n".join(f"- {text}" for text in run.facts.skipped))
    return "\n\n".join(section for section in sections if section) + "\n"


def _facts(run: RunResult) -> str:
    facts = run.facts
    etcd = facts.etcd or "unknown"
    return f"Seed {facts.seed}, etcd {etcd}, {len(run.cases)} cases in {facts.seconds:.0f} s, {facts.started_at}"


def _table(run: RunResult) -> str:
    rows = ["## Cases", "| case | standing | broken guarantees | seconds |", "|---|---|---|---|"]
    rows += [
        f"| {case.spec.case_id} | {_MARKS[case.standing]} | {_broken(case)} | {case.seconds:.1f} |"
        for case in run.cases
    ]
    return "\n".join(rows)


def _broken(case: CaseResult) -> str:
    return ", ".join(f.guarantee for f in case.findings if f.verdict is Verdict.NOT_RECOVERED)


def _measures(run: RunResult) -> str:
    """Figures of the cases in which all was kept: what a faithful tool costs."""
    gaps = [f.measures["longest_gap_seconds"] for f in _kept(run) if "longest_gap_seconds" in f.measures]
    losses = [f.measures["lost_writes"] for f in _kept(run) if "loss_window_seconds" in f.measures]
    lines = []
    if gaps:
        title = GUARANTEES["write-gap-bounded"].title
        lines.append(f"- {title}: longest wait for a write, median {median(gaps):.2f} s, worst {max(gaps):.2f} s")
    if losses:
        lines.append(
            f"- Loss window after a restore: median {median(losses):.0f} acknowledged writes, worst {max(losses):.0f}"
        )
    return "## Measured\n" + "\n".join(lines) if lines else ""


def _kept(run: RunResult) -> list[Finding]:
    return [f for case in run.cases for f in case.findings if f.verdict is Verdict.RECOVERED]
