"""``afterfault repro``: plays one case of a finished run again, or one cut of a sweep, by its ID."""

from __future__ import annotations

import difflib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.errors import UsageError
from harness.run_folder import RunFolder
from harness.spec import REFERENCE, CaseSpec

_ROOT = Path(__file__).parents[1]
_AT = "@"
_NEAR = 3
_LEAST_ALIKE = 0.3


@dataclass(frozen=True, slots=True)
class Played:
    """A case as it was played.

    Args:
        spec: which case.
        points: IDs of the cut points that its sweep knew; none where it was no sweep.
        cuts: which of them it was told to try.
    """

    spec: CaseSpec
    points: tuple[str, ...] = ()
    cuts: str = ""

    def words(self, cut: str) -> list[str]:
        """The options that make pytest play it again; with one cut only if one is named."""
        chosen = cut or self.cuts
        return [
            "--case",
            self.spec.case_id,
            "--seed",
            str(self.spec.seed),
            *(["--cuts", chosen] if chosen else []),
        ]


@click.command()
@click.argument("wanted", metavar="ID")
@click.argument("more", nargs=-1, metavar="[-- PYTEST-OPTION...]")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    default=None,
    help="folder of the run that ID is from  [default: the newest in runs/]",
)
@click.option("--no-keep", is_flag=True, help="remove the cluster also where it ends red")
@click.option("--dry-run", is_flag=True, help="only print the pytest command")
def repro(wanted: str, more: tuple[str, ...], run: Path | None, *, no_keep: bool, dry_run: bool) -> None:
    """Play one case of a run again, with its seed, and leave the cluster up if it ends red.

    ID is a case's, as every report has it, or one cut of a sweep: the case, an @, and the cut point.
    A cut point alone will do where no two cases of the run have it.

    \b
        afterfault repro rolling_replacement/incident/3-relaxed
        afterfault repro every_cut/ingress-skip/kind-1-new@api:create:namespaces:caddy-system:1:after
        afterfault repro api:create:namespaces:caddy-system:1:after --run runs/20270301-020000-117
        afterfault repro stop_and_start/laconic-so/kind-1-binary -- --laconic-so ./laconic-so

    The command that does it is printed first; it is plain pytest, in a new folder below runs/. Ends with pytest's
    exit code; 2 when the run has no such ID (the nearest ones are named). A cluster that was left up goes by
    `afterfault gc`.
    """  # noqa: D301 click wants the character
    folder = _chosen(run)
    played, cut = find(list(cases_of(folder)), wanted)
    _refuse_without_tool(played.spec, more)
    keep = [] if no_keep else ["--keep=on-failure"]
    command = [sys.executable, "-m", "pytest", "scenarios", "-m", "", "-v", *played.words(cut), *keep, *more]
    click.echo(f"cd {shlex.quote(str(_ROOT))} && {shlex.join(command)}")
    if not dry_run:
        sys.exit(subprocess.run(command, cwd=_ROOT, check=False).returncode)


def find(cases: list[Played], wanted: str) -> tuple[Played, str]:
    """The case that is meant, and the cut point; empty where the whole case is.

    Raises:
        UsageError: there is none such, or more than one; names those there are.
    """
    case_id, _, cut = wanted.partition(_AT)
    if named := next((case for case in cases if case.spec.case_id == case_id), None):
        if cut and cut not in named.points:
            raise UsageError(f"{case_id} has no cut point {cut}", mend=_near(cut, named.points, f"{case_id}{_AT}"))
        return named, cut
    cutting = [case for case in cases if wanted in case.points]
    if len(cutting) > 1:
        told = ", ".join(f"{case.spec.case_id}{_AT}{wanted}" for case in cutting)
        raise UsageError(f"{len(cutting)} cases have the cut point {wanted}", mend=f"say which: {told}")
    if not cutting:
        known = [*(case.spec.case_id for case in cases), *(point for case in cases for point in case.points)]
        raise UsageError(f"this run has no case and no cut point {wanted}", mend=_near(wanted, known))
    return cutting[0], wanted


def cases_of(folder: RunFolder) -> Iterator[Played]:
    """The cases of a run, also of one that was stopped half-way: nothing is judged by what is read here.

    Raises:
        UsageError: this is no run folder.
    """
    if not folder.cases.is_dir():
        raise UsageError(f"{folder.path} is no run folder", mend="give --run the folder of one, as runs/<run-id>")
    for journal in sorted(folder.cases.glob("*/journal.jsonl")):
        found: dict[str, Any] = {}
        with journal.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if '"case.opened"' in line or '"sweep.learnt"' in line:
                    found |= _entry(line)
        if "case.opened" in found:
            learnt = found.get("sweep.learnt", {})
            spec = CaseSpec.from_json(found["case.opened"]["spec"])
            yield Played(spec, tuple(learnt.get("points", ())), learnt.get("cuts", ""))


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
        return {entry["kind"]: entry["data"]}
    except (ValueError, KeyError, TypeError):
        return {}  # cut in the middle of a line


def _chosen(run: Path | None) -> RunFolder:
    if run is not None:
        return RunFolder(run.resolve())
    runs = sorted((path for path in (_ROOT / "runs").glob("*") if (path / "cases").is_dir()), key=_age)
    if not runs:
        raise UsageError("there is no run in runs/", mend="give --run the folder of one")
    click.echo(f"run: {runs[-1]}")
    return RunFolder(runs[-1])


def _age(run: Path) -> float:
    return run.stat().st_mtime


def _refuse_without_tool(spec: CaseSpec, more: tuple[str, ...]) -> None:
    """A run does not keep what a user's own tool is called by; the reference tool in its place would prove nothing."""
    if spec.target.tool != REFERENCE and not any(word.startswith("--") for word in more):
        option = "--laconic-so PATH" if spec.target.tool == "laconic-so" else "--replace-command CMD"
        raise UsageError(f"{spec.case_id} is a case of {spec.target.label}", mend=f"say where it is: -- {option}")


def _near(wanted: str, known: list[str] | tuple[str, ...], before: str = "") -> str:
    if not known:
        return "a run without a sweep has no cut points"
    near = difflib.get_close_matches(wanted, dict.fromkeys(known), _NEAR, _LEAST_ALIKE) or sorted(known)[:_NEAR]
    return "the nearest are " + ", ".join(f"{before}{name}" for name in near)
