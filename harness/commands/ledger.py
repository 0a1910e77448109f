"""``afterfault ledger``: is the ledger of known defects sound, and what would it have to say after a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from harness.errors import UsageError
from harness.judging.ledger import NAME, Ledger
from harness.judging.ledger_rules import Complaint, expired, never_played, shown_otherwise, stale, unknown
from harness.replay.bundle import opened
from harness.spec import REFERENCE
from reports.expected import Expected
from reports.gate import STALE_RUNS
from reports.history import HistoryLine, load
from reports.ledger_edits import LedgerText
from reports.run import load_run
from reports.suggest import Suggestion, suggest

_SCENARIOS = Path(__file__).parents[2] / "scenarios"
_FILE = click.Path(path_type=Path)
# Manifests beside a ledger: the nightly one has every case of the reference tools, others are called by their tool.
_EXPECTED, _EVERYTHING, _PART = "expected", "nightly", "default"


@click.group()
def ledger() -> None:
    """Check the ledger of known defects, and have it suggest what a run would have it say.

    \b
        afterfault ledger check
        afterfault ledger suggest runs/20270301-020000-117

    The ledger is scenarios/known_defects.yaml; docs/gate.md says what its fields mean.
    """  # noqa: D301 click wants the character


@ledger.command()
@click.argument("path", metavar="[LEDGER]", required=False, type=_FILE)
@click.option("--history", type=_FILE, metavar="FILE", help="earlier runs: tells lines that do not show any more")
@click.option(
    "--runs", type=click.IntRange(min=1), default=STALE_RUNS, metavar="N", show_default=True,
    help="in how many runs that played its cases a line may match nothing",
)  # fmt: skip
def check(path: Path | None, history: Path | None, runs: int) -> None:
    """Say which lines of the ledger have to be changed, with the line and what to change.

    LEDGER is the file [default: scenarios/known_defects.yaml]. Red is a line that has expired, that names a case,
    scenario, variant, cluster or moment there is not (any more), or, with a history, one that was gone or other than
    it says when its cases were played last, or that matched nothing in the last N runs which played them. What cases
    there are is read from the manifests in expected/ beside the ledger.

    \b
        afterfault ledger check
        afterfault ledger check scenarios/known_defects.yaml --history runs/history.jsonl --runs 5

    \b
    Exit codes: 0 nothing is to be changed; 1 a line is; 2 wrong usage, or the file is no ledger: every line that is
    not as it should be is told.
    """  # noqa: D301 click wants the character
    chosen = path or _SCENARIOS / NAME
    known = Ledger.load(chosen, datetime.now(UTC).date())
    lines = _history(history)
    told = [*_complaints(known, _cases_beside(chosen), lines, runs)]
    for complaint in told:
        click.echo(f"{complaint.rule}: {complaint.sentence}")
    if lines and (unseen := never_played(known, lines)):
        click.echo(f"not in this history: the cases of {len(unseen)} lines, as {unseen[0].id}")
    count = "1 line is" if len(told) == 1 else f"{len(told) or 'no'} lines are"
    click.echo(f"{len(known.defects)} known defects: {count} to be changed")
    sys.exit(1 if told else 0)


@ledger.command("suggest")
@click.argument("run", type=_FILE)
@click.option(
    "--ledger", "path", type=_FILE, metavar="FILE", help="the ledger  [default: scenarios/known_defects.yaml]"
)
@click.option("--write", is_flag=True, help="change the file; without it nothing is written")
def suggest_command(run: Path, *, path: Path | None, write: bool) -> None:
    """Print what the ledger would have to say for a run to be as expected: lines to paste, and a patch.

    RUN is a run's folder, or a bundle of one case; it is held against the ledger as it is now. New lines are complete
    but for the words: say in `why` what is wrong, and in `link` where it is written up. A red is to be mended; list
    it only while it is not.

    \b
        afterfault ledger suggest runs/20270301-020000-117
        afterfault ledger suggest RUN --write

    \b
    Exit codes: 0 told, also where there is nothing to change; 2 wrong usage, no run folder, or the changes can't be
    made by themselves.
    """  # noqa: D301 click wants the character
    chosen, today = path or _SCENARIOS / NAME, datetime.now(UTC).date()
    known = Ledger.load(chosen, today)
    text = chosen.read_text(encoding="utf-8")
    with opened(run) as folder:
        told = suggest(load_run(folder, known), text)
    for line in _said(told, LedgerText(text).patch(told.edits, chosen.name, today), chosen.name):
        click.echo(line)
    if write and (told.added or told.edits):
        _write(chosen, LedgerText(text).with_edits(told.edits, told.added, today))
        click.echo(f"# {chosen} is changed")


def _complaints(
    known: Ledger, cases: dict[str, tuple[str, ...]], lines: tuple[HistoryLine, ...], runs: int
) -> Iterator[Complaint]:
    yield from expired(known)
    if cases:
        yield from unknown(known, cases)
    yield from shown_otherwise(known, lines)
    yield from stale(known, lines, runs)


def _cases_beside(path: Path) -> dict[str, tuple[str, ...]]:
    """IDs of all cases by tool, from the manifests beside a ledger."""
    manifests = sorted((path.parent / _EXPECTED).glob("*.txt"))
    if not manifests:
        click.echo(f"no manifest in {path.parent / _EXPECTED}: what cases there are is not known, and not checked")
    return {
        REFERENCE if file.stem == _EVERYTHING else file.stem: Expected.load(file).case_ids
        for file in manifests
        if file.stem != _PART
    }


def _history(path: Path | None) -> tuple[HistoryLine, ...]:
    if path is None:
        return ()
    if not path.exists():
        raise UsageError(f"history {path} is not there", mend=f"afterfault history add RUN --file {path}")
    return load(path)


def _said(told: Suggestion, patch: str, name: str) -> Iterator[str]:
    if told.added:
        count = "1 line" if told.number == 1 else f"{told.number} lines"
        yield f"# {count} for {name}; say why in your own words, and mend it: a listed red is still a red"
        yield told.added.rstrip("\n")
    if patch:
        yield "# lines that are to be changed or deleted:"
        yield patch.rstrip("\n")
    yield from (f"# {note}" for note in told.notes)
    if not (told.added or patch or told.notes):
        yield f"# {name} says all of this run"


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
