"""``afterfault``: what is done with runs, before and after them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from harness import __version__
from harness.clusters.etcd_release import find_releases
from harness.clusters.garbage import collect_garbage
from harness.doctor import ETCD, KIND, Examined, examine_etcd, examine_kind
from harness.errors import HarnessError
from harness.judging.ledger import Ledger
from harness.nodeimage.commands import images
from harness.repro import repro
from harness.run_folder import RunFolder
from reports import verdicts
from reports.gate import decide
from reports.run import RunResult, load_run
from reports.write import write_reports

_RUN = click.argument("run", type=click.Path(path_type=Path))
_LEDGER = click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    default=None,
    help="hold reds against this ledger, not the run's own copy",
)


class _Family(click.Group):
    """Turns an error of the harness into its sentence and its exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            click.echo(f"afterfault: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Family, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    r"""Bring about documented bad days, let your deploy tool recover, and prove whether the world came back.

    Runs are made by pytest:

    \b
        nox -s scenarios                                the main job
        pytest scenarios --replace-command ./my-play    your own node replacement under test

    Exit codes: 0 all as expected, 1 a guarantee broken or a known defect changed, 2 wrong usage,
    3 inconclusive or a problem of the harness, 4 this machine can't run it.
    """


@main.command()
@_RUN
@_LEDGER
def rejudge(run: Path, ledger: Path | None) -> None:
    """Judge a finished run again from its journals alone, and compare with what was judged then.

    Needs no etcd and no cluster. Exits 1 when a verdict differs, 2 when a journal was cut or edited.
    """
    folder, result = _load(run, ledger)
    for text in result.unreadable:
        click.echo(f"unreadable: {text}", err=True)
    told = verdicts.differences(verdicts.load(folder), result)
    for text in told:
        click.echo(text)
    findings = sum(len(case.findings) for case in result.cases)
    cases = "1 case" if len(result.cases) == 1 else f"{len(result.cases)} cases"
    click.echo(f"{cases}, {findings} findings judged again: {len(told)} differ")
    sys.exit(2 if result.unreadable else 1 if told else 0)


@main.command()
@_RUN
@_LEDGER
def report(run: Path, ledger: Path | None) -> None:
    """Make report.html and summary.md of a finished run again; verdicts.json stays as it is."""
    folder, result = _load(run, ledger)
    write_reports(folder, result, with_verdicts=False)
    click.echo(folder.path / "report.html")


@main.command()
@_RUN
@_LEDGER
def gate(run: Path, ledger: Path | None) -> None:
    """Say whether everything in a run is as expected; the exit code is the answer."""
    _, result = _load(run, ledger)
    decision = decide(result)
    click.echo(decision.headline)
    for reason in decision.reasons:
        click.echo(f"  {reason}")
    sys.exit(decision.exit_code)


@main.command()
@click.option("--dry-run", is_flag=True, help="only tell what would be removed")
def gc(*, dry_run: bool) -> None:
    """Remove what dead runs left behind on this machine.

    Processes, data, kubeconfigs, leases; containers, networks, volumes and images in the Docker engine. Runs that
    live are never touched. Needed only after `--keep`, or when a run and its reaper were both killed. Exits 4 when
    a dead run has things in an engine that does not answer.
    """
    verb, told = "would remove" if dry_run else "removing", []

    def tell(text: str) -> None:
        told.append(text)
        click.echo(f"{verb} {text}")

    collect_garbage(dry_run=dry_run, tell=tell)
    if not told:
        click.echo("nothing to remove")


@main.command()
@click.option("--only", type=click.Choice((ETCD, KIND)), help="look at what these scenarios need, and nothing else")
@click.option("--json", "as_json", is_flag=True, help="for machines: a list of {group, what, good, seen, mend}")
@click.option("--etcd-dir", multiple=True, type=click.Path(path_type=Path), help="as for pytest")
def doctor(only: str | None, etcd_dir: tuple[Path, ...], *, as_json: bool) -> None:
    """Say what this machine can run, and the command that mends what it can't. Exits 4 when something is missing."""
    findings: list[Examined] = []
    if only != KIND:
        findings += examine_etcd(lambda: find_releases(etcd_dir), Path.cwd())
    if only != ETCD:
        findings += examine_kind()
    click.echo(_as_json(findings) if as_json else _told(findings))
    sys.exit(0 if all(finding.good for finding in findings) else 4)


def _as_json(findings: list[Examined]) -> str:
    told = [asdict(finding) | ({"mend": ""} if finding.good else {}) for finding in findings]
    return json.dumps(told, indent=2)


def _told(findings: list[Examined]) -> str:
    lines: list[str] = []
    for finding in findings:
        title = f"{finding.group} scenarios"
        if title not in lines:
            lines.append(title)
        lines.append(f"  {'ok     ' if finding.good else 'MISSING'} {finding.what}: {finding.seen}")
        if not finding.good:
            lines.append(f"          mend: {finding.mend}")
    return "\n".join(lines)


main.add_command(images)
main.add_command(repro)


def _load(run: Path, ledger: Path | None) -> tuple[RunFolder, RunResult]:
    folder = RunFolder(run.resolve())
    chosen = ledger or folder.ledger
    known = Ledger.load(chosen, datetime.now(UTC).date()) if ledger or chosen.exists() else Ledger()
    return folder, load_run(folder, known)
