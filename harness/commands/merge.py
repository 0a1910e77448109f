"""``afterfault merge``: run folders of many machines become one run with one report."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.run_folder import RunFolder
from reports.gate import Decision, decide
from reports.merge import merge
from reports.run import load_judged
from reports.write import write_reports


@click.command("merge")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--into",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="a new folder; its name is the run's ID",
)
def merge_command(runs: tuple[Path, ...], into: Path) -> None:
    """Make one run of the folders of several, each RUN from another machine, and judge it as one.

    Cases are copied with their journals, so that the merged run can be judged again, gated and merged itself like any
    other. A case that is in two runs has to be the same play, byte for byte; a shard that is missing is a problem.
    What each machine told of itself is in DIR/machines.

    \b
        afterfault merge shard-1 shard-2 shard-3 shard-4 --into runs/night
        afterfault merge runs/night late-shard --into runs/night-whole

    \b
    Exit codes: as of a run: 0 all as expected, 1 a guarantee broken or a known defect changed, 2 no runs of one kind
    (other tools, other selections, a case played twice; nothing is left behind), 3 inconclusive, or a shard missing.
    """  # noqa: D301 click wants the character
    folder = merge(runs, into)
    decision = judge(folder)
    tell(folder, decision)
    sys.exit(decision.exit_code)


def judge(folder: RunFolder) -> Decision:
    """Judge a merged run and write its reports."""
    run = load_judged(folder)
    decision = decide(run)
    write_reports(folder, run)
    for note in run.facts.notes:
        click.echo(f"note: {note}")
    return decision


def tell(folder: RunFolder, decision: Decision) -> None:
    """The answer, as a run gives it at its end."""
    for reason in decision.reasons:
        click.echo(f"  {reason}")
    click.echo(decision.headline)
    for text in folder.left_out_told():
        click.echo(f"not run: {text}")
    click.echo(f"report: {folder.path / 'report.html'}")
