"""``afterfault history``: runs over nights, a line each, and what they say together."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import UsageError
from harness.run_folder import RunFolder
from reports.gate import decide
from reports.history import HistoryLine, append, load
from reports.run import load_judged
from reports.trends import trends
from reports.trends_page import to_html
from reports.trends_table import to_text

_FILE = click.option(
    "--file", "file", type=click.Path(path_type=Path), required=True, help="the history, a line a run (JSON)"
)


@click.group()
def history() -> None:
    """Keep what runs came to, a line each, and look at it over many: flakes, time to recovery, first bad version.

    \b
        afterfault history add runs/20270301-020000-117 --file runs/history.jsonl
        afterfault history show --file runs/history.jsonl --html runs/trends.html

    `afterfault nightly` adds its legs by itself. docs/nightly.md says what a line holds.
    """  # noqa: D301 click wants the character


@history.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_FILE
@click.option("--leg", default="", metavar="NAME", help="the leg of a night that the runs are; trends are told by leg")
@click.option("--ledger", type=click.Path(path_type=Path), default=None, help="hold reds against this ledger")
def add(runs: tuple[Path, ...], file: Path, leg: str, ledger: Path | None) -> None:
    """Add finished runs to a history; one that is there already is not added twice.

    RUN... are run folders. Each is judged again from its journals, and held against the ledger it was held against
    then. Several of these commands may write to one file at the same time.

    \b
        afterfault history add runs/20270301-020000-117 --file runs/history.jsonl
        afterfault history add RUN RUN --file runs/history.jsonl --leg etcd-3.5

    \b
    Exit codes: 0 they are in the history; 2 wrong usage, no run folder, or a line of the file is broken (its number
    is told, and nothing is added); 4 the file can't be written.
    """  # noqa: D301 click wants the character
    lines = [_line(run, leg, ledger) for run in runs]
    for line in lines:
        added = append(file, line)
        said = f"exit code {line.exit_code}, {len(line.cases)} plays" if added else "is there already"
        click.echo(f"{file}: {line.run_id}: {said}")


@history.command()
@_FILE
@click.option("--html", type=click.Path(path_type=Path), default=None, help="write the page here as well")
@click.option("--leg", default=None, metavar="NAME", help="of this leg only")
@click.option("--case", "pattern", default="*", metavar="PATTERN", help="list these cases only; * and ? match")
def show(file: Path, html: Path | None, leg: str | None, pattern: str) -> None:
    """Say what the runs of a history say together: a table in the terminal, and one HTML page with pictures.

    A flake is a play that came to something else than most plays of the same case, with the same versions of the
    tool, etcd, Kubernetes and afterfault. Of a case that is red now, the first bad version and the last good one.

    \b
        afterfault history show --file runs/history.jsonl
        afterfault history show --file runs/history.jsonl --html runs/trends.html
        afterfault history show --file runs/history.jsonl --leg etcd-3.5 --case 'rolling_*'

    \b
    Exit codes: 0 shown, whatever it says; 2 wrong usage, no such file or leg, or a line of it is broken.
    """  # noqa: D301 click wants the character
    if not file.exists():
        raise UsageError(f"there is no history {file}", mend=f"afterfault history add RUN --file {file}")
    lines = load(file)
    chosen = [line for line in lines if leg is None or line.leg == leg]
    if leg is not None and not chosen:
        known = ", ".join(sorted({line.leg for line in lines if line.leg})) or "none"
        raise UsageError(f"no run of leg {leg} in {file}", mend=f"the legs there are: {known}")
    told = trends(chosen)
    click.echo(to_text(told, pattern))
    if html is not None:
        try:
            html.write_text(to_html(told), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--html {html}: {error.strerror}") from error
        click.echo(f"page: {html}")


def _line(run: Path, leg: str, ledger: Path | None) -> HistoryLine:
    folder = RunFolder(run.resolve())
    result = load_judged(folder, ledger)
    return HistoryLine.of(result, decide(result), leg)
