"""``afterfault nightly``: the night as people and CI call it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from harness.errors import MachineError, UsageError
from harness.nightly.artifacts import collect, tell_step
from harness.nightly.budget import Budget, shares
from harness.nightly.call import ROOT, Stop
from harness.nightly.legs import MUST_BE_RED, choose, load_legs
from harness.nightly.needs import Given, equip, labelled
from harness.nightly.night import NightPlan, run_night
from harness.nightly.outcome import MISSING, PLAYED, Outcome
from harness.nightly.summary import Night, to_json, to_markdown
from harness.waiting import SYSTEM_CLOCK
from reports.expected import Expected
from reports.history import HistoryLine, append, load
from reports.trends import trends
from reports.write import write_reports

MATRIX = ROOT / "scenarios" / "nightly.yaml"
RUNS = ROOT / "runs"
# Cases on bare etcd wait more than they compute.
_WORKERS = 3 * (os.cpu_count() or 1)


@click.command()
@click.argument("more", nargs=-1, metavar="[-- PYTEST-OPTION...]")
@click.option("--leg", "legs", multiple=True, metavar="NAME", help="play these legs only; * and ? match")
@click.option("--minutes", type=float, default=60.0, show_default=True, help="how long the whole night may take")
@click.option(
    "--matrix", type=click.Path(path_type=Path), default=MATRIX, help="other legs than scenarios/nightly.yaml"
)
@click.option("--laconic-so", multiple=True, metavar="LABEL=PATH", help="a build: release=..., main=..., known-bad=...")
@click.option("--etcd-dir", multiple=True, type=click.Path(path_type=Path), help="as for pytest; one for each minor")
@click.option("--node-image", multiple=True, metavar="REF", help="as for pytest; one for each minor of Kubernetes")
@click.option("--workers", type=click.IntRange(min=1), default=_WORKERS, show_default=True, help="of legs on bare etcd")
@click.option("--require", is_flag=True, help="a leg whose needs are not here is an error")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="leave the night here  [default: runs/night-<time>]"
)
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    default=RUNS / "history.jsonl",
    help="add to this  [default: runs/history.jsonl]",
)
@click.option("--dry-run", is_flag=True, help="only tell the legs and their commands")
def nightly(
    more: tuple[str, ...],
    *,
    legs: tuple[str, ...],
    minutes: float,
    matrix: Path,
    laconic_so: tuple[str, ...],
    etcd_dir: tuple[Path, ...],
    node_image: tuple[str, ...],
    workers: int,
    require: bool,
    folder: Path | None,
    history: Path,
    dry_run: bool,
) -> None:
    """Play everything this machine can, unattended, within a time; leave a summary, artifacts and a line of history.

    The legs are those of scenarios/nightly.yaml: etcd and Kubernetes of two minors, and the builds of laconic-so that
    are given, of which the known-bad one has to be red. A leg whose needs are not here is told, with the command
    that mends it. What comes after -- is handed to every leg's pytest. docs/nightly.md has the rest.

    \b
        afterfault nightly --minutes 60
        afterfault nightly --dry-run
        afterfault nightly --leg etcd-3.6 --etcd-dir DIR --require
        afterfault nightly --leg 'laconic-so-*' --laconic-so main=VENV/bin/laconic-so --minutes 90
        afterfault nightly --leg etcd-3.5 -- -k rolling

    \b
    Exit codes, by the gravest leg: 0 all as expected; 1 a guarantee is broken, a known defect changed, or the
    known-bad release was not red; 2 wrong usage; 3 inconclusive, stopped or not begun; 4 this machine can't run it.
    """  # noqa: D301 click wants the character
    if not minutes > 0:
        raise UsageError(f"--minutes {minutes:g} is no time to run for", mend="give it a number above 0, as 60")
    known = load_legs(matrix)
    given = Given(etcd_dir, node_image, labelled(laconic_so, known))
    equipped = equip(choose(known, legs), given)
    place = (folder or RUNS / f"night-{datetime.now(UTC):%Y%m%d-%H%M%S}").resolve()
    expected = {each.leg.name: Expected.load(matrix.parent / each.leg.expect) for each in equipped if each.leg.expect}
    plan = NightPlan(place, equipped, workers, more, minutes * 60, expected)
    if dry_run:
        _tell_plan(plan)
    if require and (lacking := [each for each in equipped if each.missing]):
        raise MachineError(
            "; ".join(f"leg {each.leg.name}: {one.sentence}" for each in lacking for one in each.missing)
        )
    if not dry_run:
        load(history)  # a broken one is told before the night, not after it
        sys.exit(_play(plan, minutes, history))


def _tell_plan(plan: NightPlan) -> None:
    """Every leg with its command; shares as they are if all use up theirs."""
    parts = iter(shares(plan.seconds, [each.leg.minutes for each in plan.ready]) if plan.ready else [])
    for each in plan.legs:
        click.echo(f"{each.leg.name}: {each.leg.says}; expected: {each.leg.expected.replace('-', ' ')}")
        for missing in each.missing:
            click.echo(f"  NOT HERE {missing.sentence}")
        if not each.missing:
            share = next(parts)
            click.echo(f"  at most {share.seconds / 60:.1f} minutes: {shlex.join(plan.command(each, share))}")


def _play(plan: NightPlan, minutes: float, history: Path) -> int:
    """The whole night; the report is written however it ends."""
    _make(plan.folder)
    click.echo(f"night {plan.folder.name}: {len(plan.ready)} of {len(plan.legs)} legs, {minutes:g} minutes at most")
    began = SYSTEM_CLOCK.monotonic()
    with Stop() as stop:
        budget = Budget(plan.seconds, SYSTEM_CLOCK)
        outcomes = run_night(plan, budget, stop, ended=lambda outcome: _ended(plan, outcome, history))
        names = {outcome.leg.name for outcome in outcomes if outcome.state == PLAYED}
        over = [leg for leg in trends(load(history)) if leg.name in names]
        lasted = SYSTEM_CLOCK.monotonic() - began
        night = Night(plan.folder, outcomes, lasted, minutes, stop.why, over)
        return _leave(night)


def _make(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"--dir {folder} is not an empty folder", mend="name a new one; old nights are never overwritten"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot make {folder}: {error.strerror}") from error


def _ended(plan: NightPlan, outcome: Outcome, history: Path) -> None:
    """Tell how a leg ended, and write it into its page and the history at once: a night may be killed."""
    decision, name = outcome.decision, outcome.leg.name
    if outcome.state == MISSING:
        for reason in decision.reasons:
            click.echo(f"{name}: not here: {reason}")
        return
    click.echo(f"{name}: exit code {decision.exit_code} after {outcome.seconds:.0f} s: {decision.headline}")
    for reason in decision.reasons[:6]:
        click.echo(f"  {reason}")
    if outcome.run is not None and outcome.run.facts.started_at:
        _tell_since_when(outcome, [line for line in load(history) if line.leg == name])
        append(history, HistoryLine.of(outcome.run, decision, name))
    elif outcome.state == PLAYED:
        click.echo(f"  what pytest said: {plan.log(outcome.leg)}")


def _tell_since_when(outcome: Outcome, before: Sequence[HistoryLine]) -> None:
    """The page as the gate sees it, with earlier nights; of a release that has to be red it asks another question."""
    if outcome.folder is None or outcome.run is None or outcome.leg.expected == MUST_BE_RED:
        return
    try:
        write_reports(outcome.folder, outcome.run, with_verdicts=False, decision=outcome.decision, history=before)
    except OSError as error:
        raise MachineError(f"{outcome.leg.name}: its page can't be written: {error.strerror}") from error


def _leave(night: Night) -> int:
    """Summary, artifacts, and the answer."""
    text = to_markdown(night)
    try:
        (night.folder / "summary.md").write_text(text, encoding="utf-8")
        (night.folder / "night.json").write_text(json.dumps(to_json(night), indent=1) + "\n", encoding="utf-8")
        for sentence in collect(night.folder / "artifacts", night.outcomes):
            click.echo(f"  {sentence}")
        tell_step(text)
    except OSError as error:
        raise MachineError(f"the night's report can't be written: {error.strerror}") from error
    click.echo(night.headline)
    click.echo(f"summary: {night.folder / 'summary.md'}")
    return night.exit_code
