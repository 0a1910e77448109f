"""``afterfault gc``: what dead runs left behind."""

from __future__ import annotations

import click

from harness.clusters.garbage import collect_garbage


@click.command()
@click.option("--dry-run", is_flag=True, help="only tell what would be removed")
@click.option("--run", default="", metavar="RUN", help="only what this run left: its folder, or its name")
def gc(*, dry_run: bool, run: str) -> None:
    """Remove what dead runs left behind on this machine.

    Processes, data, kubeconfigs, leases; containers, networks, volumes and images in the Docker engine. Runs that
    live are never touched. Needed only after `--keep`, or when a run and its reaper were both killed.

    \b
        afterfault gc --dry-run     look first
        afterfault gc
        afterfault gc --run runs/20270301-020000-117     the cluster that `afterfault repro` left up there

    \b
    Exit codes: 0 nothing is left; 2 wrong usage, or --run names a run that lives, or none that left anything;
    3 something could not be removed; 4 a dead run has things in an engine that does not answer.
    """  # noqa: D301 click wants the character
    verb, told = "would remove" if dry_run else "removing", []

    def tell(text: str) -> None:
        told.append(text)
        click.echo(f"{verb} {text}")

    collect_garbage(dry_run=dry_run, tell=tell, run=run)
    if not told:
        click.echo("nothing to remove")
