"""``afterfault repro``: plays one case of a finished run again, or one cut of a sweep, by its ID or from a bundle."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from harness.errors import HarnessError, UsageError
from harness.replay.again import compare, last_words
from harness.replay.bundle import ENDING, manifest_of, opened
from harness.replay.kept_shell import left_to_the_child, open_shell
from harness.replay.played import Played, cases_of, find
from harness.replay.same_versions import SameVersions, values
from harness.run_folder import RunFolder

_ROOT = Path(__file__).parents[2]
_RUN_DIR = "--run-dir"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done with the cluster, and what may differ.

    Args:
        keep, no_keep: left up whatever comes, or removed whatever comes; neither: left up where it ends red.
        shell: a shell is opened in it.
        any_version: played with what is here.
        more: pytest's own options.
    """

    keep: bool
    no_keep: bool
    shell: bool
    any_version: bool
    more: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.no_keep and (self.keep or self.shell):
            raise UsageError("--no-keep removes the cluster, --keep and --shell leave it up", mend="give one of them")

    @property
    def keep_words(self) -> list[str]:
        """Pytest's option for it."""
        if self.keep or self.shell:
            return ["--keep=always"]
        return [] if self.no_keep else ["--keep=on-failure"]


@click.command()
@click.argument("wanted", metavar="WHAT")
@click.argument("more", nargs=-1, metavar="[-- PYTEST-OPTION...]")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    default=None,
    help="folder of the run that the ID is from  [default: the newest in runs/]",
)
@click.option("--keep", is_flag=True, help="leave the cluster up whatever comes, and say how to get into it")
@click.option("--no-keep", is_flag=True, help="remove the cluster also where it ends red")
@click.option("--shell", is_flag=True, help="open $SHELL in the cluster; it is removed when that ends, unless --keep")
@click.option("--any-version", is_flag=True, help="go on where this machine has other versions than it was played with")
@click.option("--dry-run", is_flag=True, help="only print the pytest command")
def repro(
    wanted: str,
    more: tuple[str, ...],
    run: Path | None,
    *,
    keep: bool,
    no_keep: bool,
    shell: bool,
    any_version: bool,
    dry_run: bool,
) -> None:
    """Play one case again, with its seed and what it was played with; leave the cluster up if it ends red.

    WHAT is the ID of a case, as every report has it; or one cut of a sweep: the case, an @, and the cut point; or a
    bundle, which `afterfault bundle` made, maybe on another machine. A cut point alone will do where no two cases of
    the run have it. PYTEST-OPTION are pytest's own options, after two dashes: a run does not keep where your own tool
    is.

    \b
        afterfault repro rolling_replacement/incident/3-relaxed
        afterfault repro rolling_replacement/incident/3-relaxed --shell
        afterfault repro every_cut/ingress-skip/kind-1-new@api:create:namespaces:caddy-system:1:after --keep
        afterfault repro api:create:namespaces:caddy-system:1:after --run runs/20270301-020000-117
        afterfault repro rolling_replacement__incident__3-relaxed.afterfault.tar.gz
        afterfault repro stop_and_start/laconic-so/kind-1-binary -- --laconic-so ./laconic-so

    The command that does it is printed first; it is plain pytest, in a new folder below runs/. Last come what is
    broken, whether that is what was broken then, the journal, the way into the cluster, and the command that removes
    it.

    \b
    Exit codes: pytest's own (0 as expected, 1 a guarantee broken, 3 inconclusive); 2 wrong usage, a damaged bundle,
    or no such ID (the nearest ones are named); 4 this machine has other versions than the case was played with, or
    can't run it.
    """  # noqa: D301 click wants the character
    asked = Asked(keep, no_keep, shell, any_version, more)
    with _found(wanted, run) as (played, cut):
        same = _versions(played, asked)
        given = next(values(_RUN_DIR, more), "")
        target = RunFolder.choose(given, _ROOT / "runs")
        place = [] if given else [_RUN_DIR, str(target.path)]
        words = [*played.words(cut), *place, *asked.keep_words, *same, *more]
        command = [sys.executable, "-m", "pytest", "scenarios", "-m", "", "-v", *words]
        click.echo(f"cd {shlex.quote(str(_ROOT))} && {shlex.join(command)}")
        if not dry_run:
            sys.exit(_play(command, target, played, cut, asked))


def _play(command: list[str], target: RunFolder, played: Played, cut: str, asked: Asked) -> int:
    """Play it, and say what came of it; returns pytest's exit code."""
    with left_to_the_child():  # on Ctrl-C pytest judges and cleans up before it ends
        ended = subprocess.run(command, cwd=_ROOT, check=False).returncode
    if not target.cases.is_dir():
        return ended  # refused before anything was played; pytest has said why
    for line in (*compare(played, target, cut), *last_words(target)):
        click.echo(line)
    if asked.shell:
        open_shell(target, keep=asked.keep)
    return ended


@contextlib.contextmanager
def _found(wanted: str, run: Path | None) -> Iterator[tuple[Played, str]]:
    """The case that is meant, and its cut point, while the folder is there that it is from.

    Raises:
        UsageError: there is none such, or more than one, or the bundle is none.
    """
    is_bundle = wanted.endswith(ENDING) or Path(wanted).is_file()
    if is_bundle and run is not None:
        raise UsageError("a bundle brings its own run", mend="leave --run out")
    if is_bundle and not Path(wanted).is_file():
        raise UsageError(f"there is no bundle {wanted}", mend="make one: afterfault bundle RUN CASE")
    with opened(Path(wanted) if is_bundle else _chosen(run)) as folder:
        cases = list(cases_of(folder))
        manifest = manifest_of(folder) if is_bundle else None
        if manifest is not None:
            wanted = f"{manifest.case_id}@{manifest.cut}" if manifest.cut else manifest.case_id
        yield find(cases, wanted)


def _versions(played: Played, asked: Asked) -> list[str]:
    """Options that choose what it was played with."""
    try:
        same = SameVersions.of(played, asked.more)
        if not asked.any_version:
            same.require()
    except UsageError:
        raise
    except HarnessError as error:
        if not asked.any_version:
            raise
        click.echo(f"not looked at: {error}", err=True)
        return []
    for one in same.differences:
        click.echo(f"played with {one.what} then", err=True)
    return same.words


def _chosen(run: Path | None) -> Path:
    if run is not None:
        return run
    runs = sorted((path for path in (_ROOT / "runs").glob("*") if (path / "cases").is_dir()), key=_age)
    if not runs:
        raise UsageError("there is no run in runs/", mend="give --run the folder of one")
    click.echo(f"run: {runs[-1]}")
    return runs[-1]


def _age(run: Path) -> float:
    return run.stat().st_mtime
