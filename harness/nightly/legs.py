"""The legs of a night, read from a matrix file. Values only; nothing is looked for and nothing is run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from harness.errors import UsageError

Expected = Literal["as-the-ledger-says", "must-be-red"]
LEDGER: Expected = "as-the-ledger-says"
MUST_BE_RED: Expected = "must-be-red"
# A leg's name is a folder's, a label's and part of a run's ID.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Leg(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One pytest run of a night.

    Args:
        name: short and unique; letters, digits, dots, dashes.
        says: what it is about, for people.
        pytest: words for pytest; ``{workers}`` stands for the number of the night's workers.
        needs: what it can't do without, as ``etcd-3.6``, ``kubernetes-1.34``, ``laconic-so-main``, ``kind``, ``s3``.
        minutes: what it usually takes; the time of the night is shared by these figures.
        expected: ``as-the-ledger-says``, or ``must-be-red`` for a release that is known to be bad.
        red: of one that must be red: patterns of cases (``*`` matches), for each of which one has to be.
        only_by_name: it is played only where ``--leg`` names it.
        expect: a manifest of the cases it has to have played, beside the matrix file; empty for none.
    """

    name: str
    says: str = ""
    pytest: tuple[str, ...]
    needs: tuple[str, ...] = ()
    minutes: float = 10.0
    expected: Expected = LEDGER
    red: tuple[str, ...] = ()
    only_by_name: bool = False
    expect: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a leg: letters, digits, dots and dashes")
        if not self.minutes > 0:
            raise ValueError(f"{self.name}: minutes is above 0")
        if not self.pytest:
            raise ValueError(f"{self.name}: no words for pytest")
        if (self.expected == MUST_BE_RED) != bool(self.red):
            raise ValueError(f"{self.name}: {MUST_BE_RED} and a list of what has to be red go together")


def load_legs(path: Path) -> tuple[Leg, ...]:
    """Read a matrix file.

    Raises:
        UsageError: it can't be read, or a leg is not as it should be (it is named).
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        legs = msgspec.convert(raw or [], tuple[Leg, ...])
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise UsageError(f"matrix {path.name}: {error}") from error
    twice = sorted({leg.name for leg in legs if [other.name for other in legs].count(leg.name) > 1})
    if twice:
        raise UsageError(f"matrix {path.name}: {', '.join(twice)} is there twice")
    if not legs:
        raise UsageError(f"matrix {path.name} has no legs")
    return legs


def choose(legs: Sequence[Leg], patterns: Sequence[str]) -> tuple[Leg, ...]:
    """The legs that are asked for; all but those that want to be named, if none are.

    Args:
        legs: of the matrix.
        patterns: names; ``*`` and ``?`` match.

    Raises:
        UsageError: one of them names no leg.
    """
    if not patterns:
        return tuple(leg for leg in legs if not leg.only_by_name)
    for pattern in patterns:
        if not any(fnmatchcase(leg.name, pattern) for leg in legs):
            names = ", ".join(leg.name for leg in legs)
            raise UsageError(f"--leg {pattern}: there is no such leg", mend=f"the legs are {names}")
    return tuple(leg for leg in legs if any(fnmatchcase(leg.name, pattern) for pattern in patterns))
