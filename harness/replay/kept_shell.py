"""A person's shell in a cluster that was left up; when it ends the cluster goes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from harness.clusters.garbage import collect_garbage
from harness.kept import Kept, find_kept
from harness.replay.again import removal
from harness.run_folder import RunFolder


def open_shell(run: RunFolder, *, keep: bool) -> None:
    """Open ``$SHELL`` in the run's folder, with the way into its cluster in the environment.

    Args:
        run: the run; it has played one case.
        keep: leave the cluster up when the shell ends.

    Raises:
        HarnessError: something could not be removed.

    Leaves behind: nothing, also after SIGTERM and SIGHUP; with `keep` the cluster.
    """
    kept = find_kept(run.cases)
    if not kept:
        click.echo("no cluster is up: there is nothing to open a shell in", err=True)
        return
    shell = os.environ.get("SHELL") or "/bin/sh"
    after = "stays" if keep else "goes"
    click.echo(f"{shell} in {run.near}; the cluster {after} when it ends")
    try:
        with left_to_the_child():
            subprocess.run([shell], cwd=run.path, env=_environment(kept[0]), check=False)
    finally:
        if keep:
            click.echo(f"to remove it:\n  {shlex.join(removal(run))}")
        else:
            collect_garbage(dry_run=False, tell=lambda text: click.echo(f"removing {text}"), run=str(run.path))


def _environment(kept: Kept) -> dict[str, str]:
    """The caller's, the way in, and the programs that take it in front on PATH."""
    folders = [str(Path(program).parent) for program in (kept.etcdctl, kept.kubectl) if program]
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
    return os.environ | dict(kept.environment) | {"PATH": path}


@contextmanager
def left_to_the_child() -> Iterator[None]:
    """Ctrl-C is the child's; what would end this process ends the child, and then this one in its own order."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    before |= {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
