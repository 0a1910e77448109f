"""How two JSON values differ, field by field, with paths a person can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# By what the rows of a list are told apart, where each has one of its own: containers, variables,
# volumes; conditions; node addresses and taints; volume mounts; ports.
_KEYS = ("name", "type", "key", "mountPath", "containerPort")
_PLAIN = re.compile(r"[\w-]+")
_SHOWN = 60
_MARGIN = 12


class _Absent:
    """What stands where a field is not."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs.

    Args:
        path: as ``spec.template.spec.containers[web].image``.
        steps: the keys on the way there.
        was, now: both values; `ABSENT` where there is none.
    """

    path: str
    steps: tuple[str, ...]
    was: Any
    now: Any

    def __str__(self) -> str:
        was, now = shortened(self.was, self.now)
        return f"{self.path}: {was} -> {now}"


def changes(was: Any, now: Any, steps: tuple[str, ...] = ()) -> Iterator[Change]:
    """Each field that differs, in the order of the fields' names; nothing for equal values."""
    if was == now and type(was) is type(now):
        return
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in sorted({*was, *now}):
            yield from changes(was.get(name, ABSENT), now.get(name, ABSENT), (*steps, name))
    elif _are_rows(was) and _are_rows(now):
        yield from _changes_of_lists(was, now, steps)
    else:
        yield Change(_path(steps), steps, was, now)


def shortened(was: Any, now: Any) -> tuple[str, str]:
    """Both values as short texts; of long ones the part where they begin to differ."""
    if isinstance(was, str) and isinstance(now, str) and ("\n" in was or "\n" in now):
        return _lines(was, now)
    texts = [_text(value) for value in (was, now)]
    start = _first_difference(*texts)
    return _cut(texts[0], start), _cut(texts[1], start)


def _are_rows(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _changes_of_lists(was: Sequence[Any], now: Sequence[Any], steps: tuple[str, ...]) -> Iterator[Change]:
    key = next((key for key in _KEYS if _tells_apart(key, was) and _tells_apart(key, now)), "")
    if not key:
        before = {f"[{place}]": value for place, value in enumerate(was)}
        after = {f"[{place}]": value for place, value in enumerate(now)}
    else:
        before, after = ({f"[{row[key]}]": row for row in rows} for rows in (was, now))
    for name in [*before, *(name for name in after if name not in before)]:
        yield from changes(before.get(name, ABSENT), after.get(name, ABSENT), (*steps, name))
    order = [[name for name in one if name in before and name in after] for one in (before, after)]
    if order[0] != order[1]:
        yield Change(f"{_path(steps)} (order)", steps, " ".join(order[0]), " ".join(order[1]))


def _tells_apart(key: str, rows: Sequence[Any]) -> bool:
    names = [row.get(key) for row in rows if isinstance(row, Mapping)]
    return len(names) == len(rows) and None not in names and len({str(name) for name in names}) == len(names)


def _path(steps: tuple[str, ...]) -> str:
    told = ""
    for step in steps:
        if step.startswith("["):
            told += step
        elif not _PLAIN.fullmatch(step):
            told += f"[{step}]"
        else:
            told += f".{step}" if told else step
    return told


def _text(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_text(inner)}" for name, inner in value.items()) + "}"
    if _are_rows(value):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _lines(was: str, now: str) -> tuple[str, str]:
    """The first lines that differ, with their numbers."""
    before, after = was.splitlines(), now.splitlines()
    place = next((at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    place = min(len(before), len(after)) if place is None else place
    pair = [lines[place] if place < len(lines) else ABSENT for lines in (before, after)]
    if pair == [ABSENT, ABSENT]:  # only the last line's end differs
        return _cut(repr(was[-_SHOWN:]), 0), _cut(repr(now[-_SHOWN:]), 0)
    first, second = shortened(*pair)
    return f"line {place + 1} {first}", second


def _first_difference(was: str, now: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))


def _cut(text: str, start: int) -> str:
    if len(text) <= _SHOWN:
        return text
    begin = max(0, min(start - _MARGIN, len(text) - _SHOWN))
    end = begin + _SHOWN
    return f"{'...' if begin else ''}{text[begin:end]}{'...' if end < len(text) else ''}"
