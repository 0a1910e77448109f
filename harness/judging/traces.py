"""What a tool leaves besides the cluster, against what an uncut start leaves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from harness.judging.observed import Flaw, listed

Seen = Mapping[str, Any]
_File = Mapping[str, str]

# Parts of names that a program chose at random: how they look, and who chooses so.
RANDOM_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "Python's tempfile"),
    (re.compile(r"\btmp\.[A-Za-z0-9]{10}\b"), "mktemp"),
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])"), "the engine, for an anonymous volume"),
    (re.compile(r"(?<!\d)\d{8,10}(?!\d)"), "Go's os.MkdirTemp and os.CreateTemp"),
)
_SORTS = ("container", "volume", "network", "image")


def flaws_of_traces(reference: Seen, recovered: Seen) -> list[Flaw]:
    """What is left, missing or changed, the gravest first.

    Args:
        reference, recovered: data of two ``probe.traces`` entries, with files hashed under one key.
    """
    found = [("process-left", "still running", _more(_processes(recovered), _processes(reference)))]
    expected, there = _things(reference), _things(recovered)
    found += [(f"{sort}-left", f"{sort} left", _more(there[sort], expected[sort])) for sort in _SORTS]
    found += [(f"{sort}-missing", f"{sort} missing", _more(expected[sort], there[sort])) for sort in _SORTS]
    was, now = _files(reference), _files(recovered)
    found += [
        ("file-missing", "files missing", sorted(_roots(was.keys() - now.keys()))),
        ("file-changed", "files changed", [name for name in sorted(was.keys() & now.keys()) if was[name] != now[name]]),
        ("file-left", "files left", sorted(_roots(now.keys() - was.keys()))),
    ]
    return [Flaw(signature, f"{words}: {listed(names)}") for signature, words, names in found if names]


def told_traces(reference: Seen, recovered: Seen) -> list[str]:
    """One line for each thing that is left, missing or changed; of a changed file also how."""
    lines = [f"left: process {name}" for name in _more(_processes(recovered), _processes(reference))]
    expected, there = _things(reference), _things(recovered)
    for sort in _SORTS:
        lines += [f"left: {sort} {name}" for name in _more(there[sort], expected[sort])]
        lines += [f"missing: {sort} {name}" for name in _more(expected[sort], there[sort])]
    was, now = _files(reference), _files(recovered)
    lines += [f"missing: {was[name]['sort']} {name}" for name in sorted(was.keys() - now.keys())]
    lines += [f"left: {now[name]['sort']} {name}" for name in sorted(now.keys() - was.keys())]
    for name in sorted(was.keys() & now.keys()):
        lines += [f"changed: {name}: {what}" for what in _changes(was[name], now[name])]
    return lines


def _changes(was: _File, now: _File) -> Iterator[str]:
    for field in ("sort", "mode"):
        if was[field] != now[field]:
            yield f"{field} {was[field]} -> {now[field]}"
    if was["content"] != now["content"]:
        sizes = [one["content"].rpartition(", ")[2] or one["content"] for one in (was, now)]
        yield f"content ({sizes[0]} -> {sizes[1]})"


def _processes(seen: Seen) -> Counter[str]:
    return Counter(map(_unrandom, seen["processes"]))


def _things(seen: Seen) -> dict[str, Counter[str]]:
    told: dict[str, Counter[str]] = {sort: Counter() for sort in _SORTS}
    for thing in seen["engine"]:
        state = f" ({thing['state']})" if thing["state"] else ""
        told[thing["sort"]][f"{_unrandom(thing['name'])}{state}"] += 1
    return told


def _files(seen: Seen) -> dict[str, _File]:
    """By ``folder/path``; files whose names differ in random parts only are numbered."""
    told: dict[str, _File] = {}
    for folder, files in sorted(seen["files"].items()):
        for path in sorted(files):
            name = _unrandom(f"{folder}/{path}")
            number = 1
            while (numbered := name if number == 1 else f"{name} #{number}") in told:
                number += 1
            told[numbered] = files[path]
    return told


def _roots(names: set[str]) -> Iterator[str]:
    """Without what lies in a folder that is told itself."""
    return (name for name in names if not any(name.startswith(f"{other}/") for other in names))


def _more(one: Counter[str], other: Counter[str]) -> list[str]:
    return sorted((one - other).elements())


def _unrandom(text: str) -> str:
    for pattern, _ in RANDOM_NAMES:
        text = pattern.sub("*", text)
    return text
