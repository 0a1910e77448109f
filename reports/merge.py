"""Run folders of many machines become one run: each case once, and nothing of what any of them missed is forgotten."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from harness.errors import UsageError
from harness.run_folder import RunFolder
from reports.junit import merge_junit
from reports.run import RunFacts, load_facts, save_facts

_JOURNAL = "journal.jsonl"
_SHARD = re.compile(r"([1-9]\d*)/([1-9]\d*)")
_MISSING = re.compile(r"shard \d+ of \d+ is missing: its cases were not played")
# Made anew of what is merged.
_MADE = ("report.html", "summary.md")
_UNITED = ("cases", "allure-results")


def merge(runs: Sequence[Path], into: Path, problems: Sequence[str] = ()) -> RunFolder:
    """Put runs together.

    Args:
        runs: their folders; one that is given twice, or that a merged one among them holds, counts once.
        into: a new or empty folder; its name is the merged run's ID.
        problems: what else went wrong, a sentence each.

    Raises:
        UsageError: one is no run folder or is broken, they are of different tools under test, ledgers, versions of
            the harness or selections of cases, or two of them played the same case.

    Leaves behind: the folder, whole or not at all; without its reports, which are made when it is judged.
    """
    folders = [RunFolder(path.resolve()) for path in dict.fromkeys(path.resolve() for path in runs)]
    for folder in folders:
        if not folder.cases.is_dir():
            raise UsageError(f"{folder.path} is no run folder: it has no cases/", mend="give folders of runs")
    facts = [load_facts(folder) for folder in folders]
    _check_alike(folders, facts)
    _check_plays(folders)
    missing = _check_shards(folders)
    with _filled(into) as work:
        merged = RunFolder(work)
        for folder in folders:
            _take(folder, work)
        planned = sorted({play for folder, one in zip(folders, facts, strict=True) for play in _planned(folder, one)})
        _write_lists(folders, planned, merged)
        merge_junit([folder.path / "junit.xml" for folder in folders], work / "junit.xml")
        united = _unite(into.name, folders, facts)
        told = [text for text in united.problems if not _MISSING.fullmatch(text)] + missing + list(problems)
        skipped = (*united.skipped, *merged.left_out_told())
        save_facts(merged, replace(united, problems=_each(told), skipped=skipped, planned=tuple(planned)))
    return RunFolder(into.resolve())


@contextmanager
def _filled(into: Path) -> Iterator[Path]:
    """A folder beside `into` that takes its place once it is full."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"--into {into} is not an empty folder", mend="name a new one; old runs are never overwritten")
    into.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{into.name}-", dir=into.parent))
    try:
        (work / "cases").mkdir()
        yield work
        work.chmod(0o755)
        work.rename(into)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_alike(folders: Sequence[RunFolder], facts: Sequence[RunFacts]) -> None:
    """What differs would make one verdict of two questions."""
    versions = {one.harness_version for one in facts if one.harness_version}
    targets = {one.target for one in facts if one.target}
    ledgers = {folder.ledger.read_bytes() for folder in folders if folder.ledger.exists()}
    if len(versions) > 1:
        raise UsageError(f"the runs are of different versions of the harness: {', '.join(sorted(versions))}")
    if len(targets) > 1:
        raise UsageError(
            f"the runs are of different tools under test: {', '.join(sorted(targets))}", mend="merge those of one"
        )
    if len(ledgers) > 1:
        raise UsageError("the runs were held against different ledgers", mend="merge those of one known_defects.yaml")


def _check_shards(folders: Sequence[RunFolder]) -> list[str]:
    """A sentence for each part that is missing.

    Raises:
        UsageError: the parts don't make one whole.
    """
    parts: dict[tuple[str, int], set[int]] = {}
    for folder in folders:
        # those of a merged run stand with its machines
        for place in (folder.shard, *sorted(folder.machines.glob("*/shard.json"))):
            if place.exists():
                number, count, selection = _read_shard(place)
                parts.setdefault((selection, count), set()).add(number)
    if len(parts) > 1:
        told = ", ".join(f"{selection} in {count}" for selection, count in sorted(parts))
        raise UsageError(
            f"the shards were cut from different selections of cases ({told})",
            mend="give every shard the same --shard-count, --shard-durations, -k, -m and paths",
        )
    return [
        f"shard {number} of {count} is missing: its cases were not played"
        for (_, count), numbers in parts.items()
        for number in range(1, count + 1)
        if number not in numbers
    ]


def _read_shard(place: Path) -> tuple[int, int, str]:
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        found = _SHARD.fullmatch(told["shard"])
        if found and int(found[1]) <= int(found[2]):
            return int(found[1]), int(found[2]), str(told["selection"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{place} is broken: {error!r}") from error
    raise UsageError(f"{place} is broken: there is no shard {told['shard']}")


def _check_plays(folders: Sequence[RunFolder]) -> None:
    """Whether each play is one and the same, wherever it is.

    Raises:
        UsageError: one is not.
    """
    seen: dict[str, tuple[RunFolder, bytes]] = {}
    for folder in folders:
        for case in sorted(folder.cases.iterdir()):
            journal = case / _JOURNAL
            told = journal.read_bytes() if journal.exists() else b""
            first, known = seen.setdefault(case.name, (folder, told))
            if known != told:
                raise UsageError(
                    f"{case.name.replace('__', '/')} was played twice, in {first.path} and in {folder.path}",
                    mend="leave one of the two runs out; to play cases more than once there is --repeat",
                )


def _take(folder: RunFolder, work: Path) -> None:
    """Copy what a run has: cases and results to all others', the rest apart."""
    own = [path for path in sorted(folder.path.iterdir()) if path.name not in (*_UNITED, *_MADE, "machines", "work")]
    for name in _UNITED:
        _copy_each(folder.path / name, work / name)
    _take_machine(folder.run_id, own, work / "machines")
    for machine in sorted(folder.machines.glob("*/")):
        _take_machine(machine.name, sorted(machine.iterdir()), work / "machines")


def _take_machine(name: str, files: Sequence[Path], machines: Path) -> None:
    """A run's own files; two machines may have given their runs the same name."""
    facts = next((path.read_bytes() for path in files if path.name == "run.json"), None)
    room, number = machines / name, 1
    while room.exists():
        if facts is not None and _read(room / "run.json") == facts:
            return  # that very run, from a merged one
        number += 1
        room = machines / f"{name}-{number}"
    room.mkdir(parents=True)
    for path in files:
        copy: Callable[..., object] = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, room / path.name)


def _copy_each(source: Path, place: Path) -> None:
    """All files of a folder; names are their writers' own, so that the first of a name stays."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        target = place / path.relative_to(source)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _write_lists(folders: Sequence[RunFolder], planned: Sequence[str], merged: RunFolder) -> None:
    """Ledger, planned plays, and cases that nobody was asked to play."""
    ledger = next((folder.ledger for folder in folders if folder.ledger.exists()), None)
    if ledger is not None:
        shutil.copyfile(ledger, merged.ledger)
    played = {place.name.replace("__", "/") for place in merged.cases.iterdir()}
    left = {case for folder in folders if folder.left_out.exists() for case in _lines(folder.left_out)}
    _write(merged.planned, planned)
    _write(merged.left_out, sorted(left - set(planned) - played))


def _planned(folder: RunFolder, facts: RunFacts) -> tuple[str, ...]:
    return facts.planned or folder.planned_plays()


def _unite(run_id: str, folders: Sequence[RunFolder], facts: Sequence[RunFacts]) -> RunFacts:
    """What the runs tell of themselves, as one."""
    ended = [f"{one.run_id}: {one.ended_early}" for one in facts if one.ended_early]
    told_left_out = {sentence for folder in folders for sentence in folder.left_out_told()}
    begun, seconds = _time(facts)
    return RunFacts(
        run_id=run_id,
        seed=next((one.seed for one in facts if one.started_at), 0),
        harness_version=next((one.harness_version for one in facts if one.harness_version), ""),
        started_at=begun,
        seconds=seconds,
        etcd="; ".join(_each(one.etcd for one in facts)),
        skipped=tuple(
            text for text in _each(text for one in facts for text in one.skipped) if text not in told_left_out
        ),
        problems=_each([text for one in facts for text in one.problems] + _no_end(folders, facts)),
        target=next((one.target for one in facts if one.target), ""),
        kubernetes="; ".join(_each(one.kubernetes for one in facts)),
        ended_early="; ".join(_each(ended)),
        repeat=max(one.repeat for one in facts),
        notes=_each([text for one in facts for text in one.notes] + _seeds(facts)),
    )


def _no_end(folders: Sequence[RunFolder], facts: Sequence[RunFacts]) -> list[str]:
    """Of runs that were killed so early that they knew nothing of what they were to play."""
    return [
        f"{folder.run_id} never came to its end: it has no run.json"
        for folder, one in zip(folders, facts, strict=True)
        if not (folder.path / "run.json").exists() and not one.ended_early
    ]


def _seeds(facts: Sequence[RunFacts]) -> list[str]:
    """Only where they differ."""
    seeds = {one.run_id: one.seed for one in facts if one.started_at}
    if len(set(seeds.values())) < 2:
        return []
    told = ", ".join(f"{run_id} {seed}" for run_id, seed in seeds.items())
    return [f"the runs that were merged had seeds of their own ({told}); each case has its own in its journal"]


def _time(facts: Sequence[RunFacts]) -> tuple[str, float]:
    """When the first began, and seconds until the last was over, by the machines' own clocks."""
    known = [(datetime.fromisoformat(one.started_at), one.seconds) for one in facts if one.started_at]
    if not known:
        return "", 0.0
    first = min(begun for begun, _ in known)
    last = max(begun + timedelta(seconds=seconds) for begun, seconds in known)
    return first.isoformat(timespec="seconds"), round((last - first).total_seconds(), 1)


def _each(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _write(path: Path, lines: Iterable[str]) -> None:
    if text := "".join(f"{line}\n" for line in lines):
        path.write_text(text, encoding="utf-8")


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
