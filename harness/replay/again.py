"""What came of a case that was played again: what is broken, whether that is as it was then, and the way in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import JournalError, UsageError
from harness.journal import read
from harness.judging import Case, Finding, Verdict, judge_all
from harness.judging.sweep import cells
from harness.kept import find_kept
from harness.replay.played import Played, cases_of
from harness.run_folder import RunFolder

_JOURNAL = "journal.jsonl"
# The guarantee of a whole sweep.
_WHOLE = "every-cut-recovers"


def compare(then: Played, now: RunFolder, cut: str) -> Iterator[str]:
    """What is broken in the play that just ended, and whether it is what was broken then, a line each.

    Args:
        then: the play that was meant.
        now: the new run; it has played nothing else.
        cut: the one cut point that was tried; of a sweep's findings no other cut's are held against each other.
    """
    before = _findings(then.folder / _JOURNAL, cut)
    for case in cases_of(now):
        after = _findings(case.folder / _JOURNAL, cut)
        if isinstance(after, str):
            yield f"can't be judged: {after}"
            continue
        red = {name: finding for name, finding in after.items() if finding.verdict is not Verdict.RECOVERED}
        yield from (f"{_WORDS[finding.verdict]}: {name}: {finding.reason}" for name, finding in red.items())
        if not red:
            yield f"nothing is broken: {len(after)} guarantees kept"
        yield f"then: {_compared(before, after)}"


def last_words(run: RunFolder) -> Iterator[str]:
    """Where things are, how to get into the cluster that was left up, and the command that removes it."""
    for journal in sorted(run.cases.glob(f"*/{_JOURNAL}")):
        yield f"journal: {_shown(journal)}"
    if (page := run.path / "report.html").exists():
        yield f"report: {_shown(page)}"
    kept = find_kept(run.cases)
    for cluster in kept:
        yield "the cluster is up; to get in:"
        yield from (f"  {line}" for line in cluster.lines())
    if kept:
        yield "to remove it:"
        yield f"  {shlex.join(removal(run))}"


def removal(run: RunFolder) -> list[str]:
    """The command that removes what a run left up, and nothing else."""
    return ["afterfault", "gc", "--run", run.near]


_WORDS = {Verdict.NOT_RECOVERED: "broken", Verdict.INCONCLUSIVE: "inconclusive"}


def _findings(journal: Path, cut: str) -> Mapping[str, Finding] | str:
    """By guarantee, and those of the one cut that is meant by its ID and guarantee; or why there are none."""
    try:
        entries = read(journal).entries
        found = {finding.guarantee: finding for finding in judge_all(entries)}
        own = next((cell for cell in cells(Case.of(entries)) if cell.id == cut), None)
    except (JournalError, UsageError) as error:
        return str(error)
    if cut:
        found.pop(_WHOLE, None)  # that is of the other cuts and of the control, too
        found |= {f"{cut}, {one.guarantee}": one for one in (own.findings if own else ())}
    return found


def _compared(before: Mapping[str, Finding] | str, after: Mapping[str, Finding]) -> str:
    """A case is the same when each guarantee ended as it did; how a consequence looked may depend on the moment."""
    if isinstance(before, str):
        return "nobody knows, its journal can't be read"
    other = [
        f"{name} was {before[name].verdict if name in before else 'not played'}, is {finding.verdict}"
        for name, finding in after.items()
        if name not in before or before[name].verdict is not finding.verdict
    ]
    if other:
        return "; ".join(other)
    otherwise = [
        f"{name} was {before[name].signature}, is {finding.signature}"
        for name, finding in after.items()
        if before[name].signature != finding.signature
    ]
    return f"the same, seen otherwise: {'; '.join(otherwise)}" if otherwise else "the same"


def _shown(path: Path) -> str:
    return RunFolder(path).near
