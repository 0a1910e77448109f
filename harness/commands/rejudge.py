"""``afterfault rejudge``: the same journals, today's rules."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.commands.arguments import LEDGER, RUN
from harness.replay.bundle import opened
from reports import verdicts
from reports.run import load_judged


@click.command()
@RUN
@LEDGER
def rejudge(run: Path, ledger: Path | None) -> None:
    """Judge a finished run again from its journals alone, and compare with what was judged then.

    RUN is a run's folder, or a bundle of one case. Needs no etcd and no cluster; writes nothing.

    \b
        afterfault rejudge runs/20270301-020000-117
        afterfault rejudge RUN --ledger scenarios/known_defects.yaml     against today's known defects

    \b
    Exit codes: 0 all verdicts are the same; 1 one differs, each is told; 2 wrong usage, no run folder, a damaged
    bundle, or a journal was cut or edited (its line is named).
    """  # noqa: D301 click wants the character
    with opened(run) as folder:
        result = load_judged(folder, ledger)
        saved = verdicts.load(folder)
    for text in result.unreadable:
        click.echo(f"unreadable: {text}", err=True)
    told = verdicts.differences(saved, result)
    for text in told:
        click.echo(text)
    findings = sum(len(case.findings) for case in result.cases)
    cases = "1 case" if len(result.cases) == 1 else f"{len(result.cases)} cases"
    click.echo(f"{cases}, {findings} findings judged again: {len(told)} differ")
    sys.exit(2 if result.unreadable else 1 if told else 0)
