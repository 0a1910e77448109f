"""Writes everything a run leaves for people and machines."""

from __future__ import annotations

from harness.run_folder import RunFolder
from reports import html, summary, verdicts
from reports.run import RunResult


def write_reports(folder: RunFolder, run: RunResult, *, with_verdicts: bool = True) -> None:
    """Write ``report.html`` and ``summary.md``, and ``verdicts.json`` unless what was judged then has to stay.

    Raises:
        OSError: the folder can't be written.
    """
    if with_verdicts:
        verdicts.save(folder, run)
    (folder.path / "summary.md").write_text(summary.to_markdown(run), encoding="utf-8")
    (folder.path / "report.html").write_text(html.to_html(run), encoding="utf-8")
