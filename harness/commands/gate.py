"""``afterfault gate``: may this build ship? The exit code is the answer, the rest says why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from harness.commands.arguments import LEDGER, RUN
from harness.errors import UsageError
from harness.replay.bundle import judged
from reports.expected import Expected
from reports.gate import Decision, decide
from reports.gate_page import to_json, to_markdown
from reports.history import HistoryLine, load

_STDOUT = Path("-")
_MOST_NAMED = 20
_FILE = click.Path(path_type=Path)


@click.command()
@RUN
@click.option("--baseline", type=_FILE, metavar="RUN", help="compare with this run, as the last release's")
@click.option("--expect", type=_FILE, metavar="FILE", help="cases that have to have been played, a line each")
@click.option("--at-least", type=click.IntRange(min=0), default=0, metavar="N", help="how many cases have to")
@click.option(
    "--history", type=_FILE, metavar="FILE", help="earlier runs: tells ledger lines that match nothing any more"
)
@LEDGER
@click.option("--json", "as_json", type=_FILE, metavar="FILE", help="write the answer for machines here; - prints it")
@click.option("--markdown", type=_FILE, metavar="FILE", help="write a page for a release here; - prints it")
def gate(
    run: Path,
    *,
    baseline: Path | None,
    expect: Path | None,
    at_least: int,
    history: Path | None,
    ledger: Path | None,
    as_json: Path | None,
    markdown: Path | None,
) -> None:
    """May this build ship? The exit code is the answer.

    RUN is a run's folder, or a bundle of one case. Every journal is judged again, every red held against the ledger
    of known defects. A run that is empty, was cut short, or lost cases that the manifest or the baseline has is not
    green. docs/gate.md says what forbids to ship, and how noise is told from a slower recovery.

    \b
        afterfault gate runs/20270301-020000-117
        afterfault gate RUN --baseline ../last-release/run --markdown release.md
        afterfault gate RUN --expect scenarios/expected/nightly.txt --at-least 500 --json gate.json
        afterfault gate RUN --ledger scenarios/known_defects.yaml --history runs/history.jsonl

    \b
    Exit codes: 0 ship: all is as expected; 1 do not: a guarantee is broken, a known defect changed, or something is
    worse than in the baseline; 2 wrong usage, no run folder, or a file that is not what it should be; 3 nobody can
    say: inconclusive, a problem of the harness, cases that were not run, or nothing ran.
    """  # noqa: D301 click wants the character
    if as_json is not None and as_json == markdown:
        raise UsageError(f"--json and --markdown both want {as_json}", mend="give each a file of its own")
    wanted = Expected.load(expect) if expect else None
    lines = _history(history) if history else ()
    result = judged(run, ledger)
    before = judged(baseline, ledger) if baseline else None
    decision = decide(result, baseline=before, expected=wanted, at_least=at_least, history=lines)
    pages: dict[Path | None, Callable[[], str]] = {
        as_json: lambda: json.dumps(to_json(result, decision), indent=1) + "\n",
        markdown: lambda: to_markdown(result, decision),
    }
    for path, made in pages.items():
        if path is not None:
            _write(path, made())
    if _STDOUT not in (as_json, markdown):
        click.echo("\n".join(_told(decision)))
    sys.exit(decision.exit_code)


def _history(path: Path) -> tuple[HistoryLine, ...]:
    if not path.exists():
        raise UsageError(f"history {path} is not there", mend=f"afterfault history add RUN --file {path}")
    return load(path)


def _told(decision: Decision) -> Iterator[str]:
    yield decision.headline
    yield from (f"  {reason}" for reason in decision.reasons)
    against = decision.against
    if against is not None:
        yield against.counts
        yield from (f"  not the same: {text}" for text in against.worlds)
        told = " ".join(decision.broken)
        yield from _named("regression", tuple(text for text in against.regressions if text not in told))
        yield from _named("fix", against.fixes)
        yield from _named("broken otherwise", against.otherwise)
        judged = sum(each.judged for each in against.paces)
        paces = sum(len(each.paces) for each in against.paces)
        if paces:
            yield f"  time to recovery: {len(against.slower)} slower; {judged} of {paces} had plays enough to be judged"
    yield from _named("not run", decision.not_run)
    yield from _named("in no line of the manifest", decision.fresh)


def _named(word: str, names: tuple[str, ...]) -> Iterator[str]:
    yield from (f"  {word}: {name}" for name in names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        yield f"  {word}: {len(names) - _MOST_NAMED} more; --json has them all"


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a page that is cut off in the middle may still look like an answer."""
    if path == _STDOUT:
        click.echo(text, nl=False)
        return
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} can't be written: {error.strerror}", mend="name a file in a folder that is"
        ) from error
