"""``summary.md``: the run on one page of Markdown, for a release page or a CI summary."""

from __future__ import annotations

from statistics import median

from harness.judging.guarantees import GUARANTEES
from harness.judging.verdict import KEPT_CUT, UNCLEAR_CUT, Finding, Verdict
from reports.answer import QUESTIONS, Question, procedures
from reports.control_files import state_table
from reports.flakes import flakes
from reports.gate import decide
from reports.options import Options, options
from reports.run import CaseResult, RunResult
from reports.telling import repeat
from reports.world import played_on

_MARKS = {"kept": "kept", "known": "red as known", "broken": "**BROKEN**", "inconclusive": "inconclusive"}


def to_markdown(run: RunResult) -> str:
    """The whole summary."""
    decision = decide(run)
    sections = [f"# afterfault {run.facts.run_id}: {decision.headline}", _facts(run)]
    if decision.reasons:
        sections.append("## Not as expected\n" + "\n".join(f"- {reason}" for reason in decision.reasons))
    sections += [
        _again(run),
        _repeats(run),
        _procedures(run),
        _ways(run),
        _states(run),
        _guarantees(run),
        _cuts(run),
        _table(run),
    ]
    sections.append(_measures(run))
    if run.facts.skipped:
        sections.append("## Not run\n" + "\n".join(f"- {text}" for text in run.facts.skipped))
    return "\n\n".join(section for section in sections if section) + "\n"


def _facts(run: RunResult) -> str:
    facts = run.facts
    world = ", ".join(f"{name} {value}" for name, value in played_on(run)) or "etcd unknown"
    count = f"{len(run.cases)} {'case' if len(run.cases) == 1 else 'cases'}"
    return f"Seed {facts.seed}, {world}, {count} in {facts.seconds:.0f} s, {facts.started_at}"


def _again(run: RunResult) -> str:
    """The command for each case that is not as expected."""
    cases = [case for case in run.cases if case.standing in ("broken", "inconclusive")]
    lines = [f"- {case.spec.play_id}: `{repeat(case.spec, case.place)}`" for case in cases]
    return "## Play it again\n" + "\n".join(lines) if lines else ""


def _repeats(run: RunResult) -> str:
    """How often each case that was played more than once came to what; the gravest play is the case's verdict."""
    rows = [
        f"| {_cell(flake.case_id)} | {_cell(flake.told)} | {flake.seconds:.1f} | {flake.longest_seconds:.1f} |"
        for flake in flakes(run)
    ]
    head = ["## Repeats", "The gravest play is what a case comes to; repeats change no verdict.", ""]
    head += ["| case | came to | seconds, median | longest |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else ""


def _procedures(run: RunResult) -> str:
    return "\n\n".join(filter(None, (_answer(run, question) for question in QUESTIONS)))


def _answer(run: RunResult, question: Question) -> str:
    found = procedures(run, question)
    lines = [
        f"- {f'**{words}**' if group == 'lost' else words}: {', '.join(_cell(p.name) for p in members)}"
        for group, words in question.words.items()
        if (members := [p for p in found if p.group == group])
    ]
    return f"## {question.asks.rstrip('?')}\n" + "\n".join(lines) if lines else ""


def _ways(run: RunResult) -> str:
    """Fix option by guarantee, for each incident of deployments."""
    tables = [table for question in QUESTIONS if question.incident and (table := options(run, question))]
    return "\n\n".join(_way_table(table) for table in tables)


def _way_table(table: Options) -> str:
    heads = " | ".join(guarantee.title for guarantee in table.guarantees)
    rows = [f"## What each way keeps: {table.question.incident}", f"| way | {heads} |"]
    rows.append("|---|" + "---|" * len(table.guarantees))
    for row in table.rows:
        name = f"**{_cell(row.name)}**" + f" {row.words}" * bool(row.words)
        cells = [f"{cell.sign} {cell.count}".strip() for cell in row.cells]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cuts(run: RunResult) -> str:
    """Cut points that were not survived, as `afterfault repro` takes them."""
    lines = []
    for case in run.cases:
        for cuts in (finding.cuts for finding in case.findings if finding.cuts):
            red = {cut: how for cut, how in cuts.items() if how != KEPT_CUT}
            lines.append(f"- {_cell(case.spec.case_id)}: {len(cuts) - len(red)} of {len(cuts)} cuts survived")
            lines += [f"  - `{_cell(case.spec.case_id)}@{cut}`: {_unsurvived(how)}" for cut, how in red.items()]
    return "## Sweeps\n" + "\n".join(lines) if lines else ""


def _states(run: RunResult) -> str:
    """The state table, a line for each damage and manager."""
    table = state_table(run, ())
    if table is None:
        return ""
    heads = " | ".join(f"{group} {name}".strip() for group, name in table.columns)
    rows = [f"| damage | manager | {heads} |", "|---|---|" + "---|" * len(table.columns)]
    for row in table.rows:
        for line, manager in enumerate(table.managers):
            said = " | ".join(
                f"**{c.short} ≠**" if c.differs else c.short for c in (cells[line] for cells in row.cells)
            )
            rows.append(f"| {row.words} | {_cell(manager)} | {said} |")
    signs = "✓ safe, ‖ backups stop, ✕ swapped for an empty cluster, ‼ wrong data, ? can't be judged, · not played"
    told = f"{signs}; seconds from the last thing that was done; ≠ what the frozen model foretells otherwise."
    lines = [f"- `{one.cell}`: {one.words}" for one in table.differences] or ["- no cell that was played differs"]
    return "\n".join(["## State table of control files", told, "", *rows, "", *lines])


def _unsurvived(how: str) -> str:
    return "can't be judged" if how == UNCLEAR_CUT else how


def _guarantees(run: RunResult) -> str:
    """Guarantees by procedure, over all stories and shapes."""
    groups: dict[str, list[CaseResult]] = {}
    for case in run.cases:
        if case.spec.traffic is not None:  # an order of membership changes is no procedure
            groups.setdefault(case.procedure, []).append(case)
    if not groups:
        return ""
    asked = [gid for gid in GUARANTEES if any(case.finding(gid) for cases in groups.values() for case in cases)]
    heads = " | ".join(GUARANTEES[gid].title for gid in asked)
    rows = [f"| procedure | {heads} |", "|---|" + "---|" * len(asked)]
    rows += [
        f"| {_cell(name)} | {' | '.join(_counted(cases, gid) for gid in asked)} |"
        for name, cases in sorted(groups.items())
    ]
    told = "Kept in how many of the cases that asked; *expected* reds are known defects."
    return "## Guarantees\n" + told + "\n\n" + "\n".join(rows)


def _counted(cases: list[CaseResult], guarantee: str) -> str:
    found = [(case, finding) for case in cases if (finding := case.finding(guarantee)) is not None]
    if not found:
        return ""
    reds = [case for case, finding in found if finding.verdict is Verdict.NOT_RECOVERED]
    unclear = sum(finding.verdict is Verdict.INCONCLUSIVE for _, finding in found)
    news = any(guarantee not in case.known for case in reds)
    missing = any(defect.guarantee == guarantee for case in cases for defect in case.missing)
    words = f"{len(found) - len(reds) - unclear}/{len(found)}"
    if news or missing:
        return f"✕ **{words} unexpected**"
    if unclear:
        return f"? {words}"
    return f"✕ {words} expected" if reds else f"✓ {words}"


def _cell(words: str) -> str:
    """Text from outside inside a table: no bar ends the cell, no line ends the row."""
    return " ".join(words.replace("|", "\\|").split())


def _table(run: RunResult) -> str:
    rows = ["## Cases", "| case | standing | broken guarantees | seconds |", "|---|---|---|---|"]
    rows += [
        f"| {_cell(case.spec.play_id)} | {_MARKS[case.standing]} | {_broken(case)} | {case.seconds:.1f} |"
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
