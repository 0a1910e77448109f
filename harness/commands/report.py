"""``afterfault report``: a finished run's pages, made again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.arguments import LEDGER, RUN
from harness.errors import UsageError
from harness.replay.bundle import judged, lay_out, opened
from reports.gate import decide
from reports.history import load
from reports.run import load_judged
from reports.write import write_reports


@click.command()
@RUN
@LEDGER
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="of a bundle: the folder to unpack it into, with its page  [default: a folder beside it]",
)
@click.option("--baseline", type=click.Path(path_type=Path), metavar="RUN", help="show what is other than in this run")
@click.option("--history", "lines", type=click.Path(path_type=Path), metavar="FILE", help="show since when it is bad")
@click.option("--leg", default="", metavar="NAME", help="the leg of the night this run is of, in the history")
def report(
    run: Path, ledger: Path | None, *, output: Path | None, baseline: Path | None, lines: Path | None, leg: str
) -> None:
    """Make report.html and summary.md of a finished run again; verdicts.json stays as it is.

    RUN is a run's folder, or a bundle of one case, which is unpacked for it. Prints the page's path. The pages are
    made from the journals alone, by today's rules.

    \b
        afterfault report runs/20270301-020000-117
        afterfault report rolling_replacement__incident__3-relaxed.afterfault.tar.gz --output /tmp/it
        afterfault report RUN --baseline ../last-release/run --history runs/history.jsonl

    \b
    Exit codes: 0 written, whatever stands in it; 2 wrong usage, no run folder, or a damaged bundle.
    """  # noqa: D301 click wants the character
    if output is not None and not run.is_file():
        raise UsageError("--output is for bundles: the page of a run lies in its folder", mend="leave --output out")
    with opened(run) as folder:
        if run.is_file():
            folder = lay_out(run, folder, output)
        result = load_judged(folder, ledger)
        decision = decide(result, baseline=judged(baseline, ledger) if baseline else None)
        before = [line for line in load(lines) if line.leg == leg] if lines else []
        write_reports(folder, result, with_verdicts=False, decision=decision, history=before)
    click.echo(folder.path / "report.html")
