"""Writes everything a run leaves for people and machines."""

from __future__ import annotations

from collections.abc import Sequence

from harness.run_folder import RunFolder
from reports import allure_run, html, summary, verdicts
from reports.gate import Decision
from reports.history import HistoryLine
from reports.run import RunResult


def write_reports(
    folder: RunFolder,
    run: RunResult,
    *,
    with_verdicts: bool = True,
    decision: Decision | None = None,
    history: Sequence[HistoryLine] = (),
) -> None:
    """Write ``report.html``, ``summary.md``, what Allure is told of the run, and ``verdicts.json``.

    Args:
        folder: of the run.
        run: judged.
        with_verdicts: whether ``verdicts.json`` is written too, or what was judged then has to stay.
        decision: the gate's, where the run was held against another.
        history: lines of runs of the same leg, the oldest first.

    Raises:
        OSError: the folder can't be written.
    """
    if with_verdicts:
        verdicts.save(folder, run)
    allure_run.save(folder, run)
    (folder.path / "summary.md").write_text(summary.to_markdown(run), encoding="utf-8")
    (folder.path / "report.html").write_text(html.to_html(run, decision, history=history), encoding="utf-8")
