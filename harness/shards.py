"""Which part of a run plays which case: parts that take about as long, by what the cases took before.

The same cases, durations and count give the same parts on every machine: nothing here looks at a clock, a hash
seed or an order that a file system chose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from harness.errors import UsageError

OPTION = "--shard-durations"
_VERDICTS = "verdicts.json"
# What a play's ID has behind its case's.
_PLAY = re.compile(r"~\d+$")
# Sums of whole numbers are the same in any order.
_A_SECOND = 1000


class _Timed(msgspec.Struct):
    """What is read of a case in a history line or among verdicts; its ID stands before it in a history."""

    seconds: float
    case_id: str = ""


def in_turn(cases: Collection[str], count: int) -> list[tuple[str, ...]]:
    """Parts by turns, in the order of names: for cases nobody knows anything of."""
    ordered = sorted(cases)
    return [tuple(ordered[index::count]) for index in range(count)]


def balanced(cases: Mapping[str, float | None], count: int) -> list[tuple[str, ...]]:
    """Parts that take about as long: the longest case that is left goes to the part that has least.

    No part takes longer than 4/3 of what the best split could have (Graham 1969, "Bounds on Multiprocessing Timing
    Anomalies"), as long as the durations hold.

    Args:
        cases: each with the seconds it takes; None where that is not known: such a one counts as the median.
        count: of parts, 1 or more.

    Returns the names of each part, in order; every case is in exactly one.
    """
    known = [seconds for seconds in cases.values() if seconds is not None]
    usual = median(known) if known else 1.0
    weights = {name: round((usual if seconds is None else seconds) * _A_SECOND) for name, seconds in cases.items()}
    parts: list[list[str]] = [[] for _ in range(count)]
    loads = [0] * count
    for name in sorted(weights, key=lambda name: (-weights[name], name)):
        # among equals the one with fewest cases, so that cases of no duration at all are spread too
        index = min(range(count), key=lambda index: (loads[index], len(parts[index]), index))
        parts[index].append(name)
        loads[index] += weights[name]
    return [tuple(sorted(part)) for part in parts]


def fingerprint(parts: Sequence[Sequence[str]]) -> str:
    """Twelve hex digits that two machines have in common when they cut the same cases into the same parts."""
    return sha256(json.dumps([sorted(part) for part in parts]).encode()).hexdigest()[:12]


def read_durations(path: Path) -> dict[str, float]:
    """How long cases took before, by case ID; the median where a case was played more than once.

    Args:
        path: a run folder; its ``verdicts.json``; a history file (a JSON object a line); or a plain JSON object of
            case ID and seconds.

    Raises:
        UsageError: it is none of these, or knows no case.
    """
    file = path / _VERDICTS if path.is_dir() else path
    found: dict[str, list[float]] = {}
    try:
        for case, seconds in _read(file.read_text(encoding="utf-8")):
            found.setdefault(_PLAY.sub("", case), []).append(seconds)
    except OSError as error:
        raise UsageError(f"{OPTION} {path}: cannot be read: {error.strerror}", mend=_mend()) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{OPTION} {path}: tells no durations: {error}", mend=_mend()) from error
    if not found or any(not 0 <= value < float("inf") for values in found.values() for value in values):
        told = "knows no case" if not found else "has durations that are none"
        raise UsageError(f"{OPTION} {path}: {told}", mend=_mend())
    return {case: median(values) for case, values in sorted(found.items())}


def _read(text: str) -> Iterator[tuple[str, float]]:
    """Pairs of a case or play and its seconds."""
    try:
        told = [json.loads(text)]
    except ValueError:
        told = [json.loads(line) for line in text.splitlines() if line.strip()]
    for one in told:
        yield from _pairs(one)


def _pairs(told: Any) -> Iterator[tuple[str, float]]:
    cases = told.get("cases", told)
    if isinstance(cases, list):
        for case in msgspec.convert(cases, list[_Timed]):
            yield case.case_id, case.seconds
    elif cases is told:
        yield from msgspec.convert(told, dict[str, float]).items()
    else:
        for name, timed in msgspec.convert(cases, dict[str, _Timed]).items():
            yield name, timed.seconds


def _mend() -> str:
    return "name the folder of a run, its verdicts.json, a history file, or a JSON object of case IDs and seconds"
