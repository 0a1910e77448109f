"""Manifests of the cases that a run has to have played: without one, a run that lost half its cases looks green."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from harness.errors import UsageError

_COUNTED = re.compile(r"^(\S+)\s*>=\s*(\d+)$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line of a manifest.

    Args:
        pattern: a case's ID; ``*`` and ``?`` match.
        least: how many cases have to fit.
        line: in the file, counted from 1.
    """

    pattern: str
    least: int
    line: int

    def fits(self, case_id: str) -> bool:
        """Whether it is about this case."""
        return case_id == self.pattern or fnmatchcase(case_id, self.pattern)


@dataclass(frozen=True, slots=True)
class Expected:
    """A manifest.

    Args:
        name: of the file.
        wanted: its lines.
    """

    name: str
    wanted: tuple[Wanted, ...]

    @classmethod
    def load(cls, path: Path) -> Expected:
        """Read one: a case's ID a line, or a pattern, or ``PATTERN >= N``; ``#`` begins a comment.

        Raises:
            UsageError: it can't be read, has no line, or one that is none of these.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"manifest {path.name} can't be read: {error}", mend="see scenarios/expected/") from error
        wanted = tuple(
            _wanted(path.name, number, text)
            for number, line in enumerate(lines, 1)
            if (text := line.partition("#")[0].strip())
        )
        if not wanted:
            raise UsageError(f"manifest {path.name} names no case", mend="a manifest that wants nothing proves nothing")
        return cls(path.name, wanted)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Lines that are one case's ID."""
        return tuple(each.pattern for each in self.wanted if not set(each.pattern) & set("*?["))

    def missing(self, played: Iterable[str]) -> tuple[str, ...]:
        """What was not played of it: IDs; of a pattern that too few cases fit, how many did."""
        ids = set(played)
        told = []
        for each in self.wanted:
            number = 1 if each.pattern in ids else sum(map(each.fits, ids))
            if number < each.least:
                told.append(each.pattern if each.least == 1 else f"{each.pattern} ({number} of {each.least})")
        return tuple(told)

    def unnamed(self, played: Iterable[str]) -> tuple[str, ...]:
        """Cases that were played and are in no line: new ones."""
        exact = set(self.case_ids)
        patterns = [each for each in self.wanted if each.pattern not in exact]
        return tuple(
            case for case in dict.fromkeys(played) if case not in exact and not any(p.fits(case) for p in patterns)
        )


def _wanted(name: str, line: int, text: str) -> Wanted:
    counted = _COUNTED.match(text)
    if counted and int(counted[2]) > 0:
        return Wanted(counted[1], int(counted[2]), line)
    if counted or len(text.split()) > 1:
        mend = "write a case's ID, a pattern, or PATTERN >= N with N above 0"
        raise UsageError(f"{name}:{line}: {text!r} is no line of a manifest", mend=mend)
    return Wanted(text, 1, line)
