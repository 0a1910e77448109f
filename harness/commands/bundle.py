"""``afterfault bundle``: one case of a run as one file."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import MachineError, UsageError
from harness.replay.bundle import ENDING, pack
from harness.run_folder import RunFolder


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("case", metavar="CASE")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path(),
    help=f"the file to make, which ends in {ENDING}, or the folder to make it in  [default: the working folder]",
)
def bundle(run: Path, case: str, output: Path) -> None:
    """Pack one case of a run into one file that another machine can judge, report and play again.

    RUN is a run's folder. CASE is a case's ID, as every report has it; with an @ and a cut point behind it, `repro` of
    the bundle plays only that cut of a sweep. In the file are the case's folder (journal, logs of tool and nodes), the
    run's facts, verdicts and ledger, and a README.txt; kubeconfigs and data of clusters are not. The same run makes
    the same bytes. Prints the file's path.

    \b
        afterfault bundle runs/20270301-020000-117 rolling_replacement/incident/3-relaxed
        afterfault bundle runs/20270301-020000-117 rolling_replacement/incident/3-relaxed --output /tmp
        afterfault rejudge rolling_replacement__incident__3-relaxed.afterfault.tar.gz

    \b
    Exit codes: 0 packed; 2 wrong usage, or the run has no such case (the nearest ones are named); 4 the file can't
    be written.
    """  # noqa: D301 click wants the character
    if run.is_file():
        raise UsageError(f"{run} is a file", mend="RUN is a run's folder; a bundle needs no bundle")
    try:
        click.echo(pack(RunFolder(run.resolve()), case, output))
    except OSError as error:
        raise MachineError(f"cannot write the bundle: {error.strerror}: {error.filename}") from error
