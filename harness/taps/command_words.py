"""Command lines as ``kind`` and ``docker`` read them (both use the pflag library), and as a journal may show them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_NAME_WORDS = 4
MASK = "(masked)"
_SECRET = re.compile(r"token|secret|passw(or)?d|credential|api[_-]?key|private[_-]?key", re.IGNORECASE)
_ASSIGNED = re.compile(rf"[\w.-]*({_SECRET.pattern})[\w.-]*=", re.IGNORECASE)
# docker login has a password behind it, kubectl patch a patch; what docker run has there are ports.
_SHORT_PASSWORD = "-p"
_PORTS = re.compile(r"[0-9.:\[\]/-]+(tcp|udp|sctp)?")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a program by the tool.

    Args:
        program: its name.
        words: its arguments.
        folder: where it was called.
        environment: what it was called with.
    """

    program: str
    words: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """The same from run to run: the program and its words up to the first flag, four words at most."""
        leading = []
        for word in (self.program, *self.words)[:_NAME_WORDS]:
            if word.startswith("-"):
                break
            leading.append(word)
        return " ".join(leading)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command line taken apart.

    Args:
        words: those that are no flags and no values of flags.
        flags: values by flag, the last one last; a switch without a value has ``true``.
        first: where in the command line the first of the words is.
    """

    words: tuple[str, ...]
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    first: int = 0

    def value(self, *flags: str) -> str:
        """The last value given to a flag, under any of its names; empty when there is none."""
        given = [value for flag in flags for value in self.flags.get(flag, ())]
        return given[-1] if given else ""

    def values(self, *flags: str) -> tuple[str, ...]:
        """All values given to it."""
        return tuple(value for flag in flags for value in self.flags.get(flag, ()))

    def has(self, *flags: str) -> bool:
        """Whether a switch is on."""
        return self.value(*flags) not in ("", "false", "0", "F", "f", "False", "FALSE")


def parse(words: Sequence[str], takes_value: Callable[[str], bool], *, mixed: bool = True) -> Parsed:
    """Take a command line apart as pflag does.

    Args:
        words: of the command line.
        takes_value: whether a flag, as ``--name`` or ``-n``, has a value; others are switches.
        mixed: whether flags may follow words; else all that follows the first word is words.
    """
    plain: list[str] = []
    flags: dict[str, tuple[str, ...]] = {}
    first, at = len(words), 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            first, plain = min(first, at), [*plain, *words[at:]]
            break
        if not word.startswith("-") or word == "-":
            first = min(first, at - 1)
            plain.append(word)
            if mixed:
                continue
            plain += words[at:]
            break
        for flag, value in _flags(word, takes_value):
            if value is None:
                value = words[at] if at < len(words) else ""
                at += 1
            flags[flag] = (*flags.get(flag, ()), value)
    return Parsed(tuple(plain), flags, first)


def _flags(word: str, takes_value: Callable[[str], bool]) -> list[tuple[str, str | None]]:
    """The flags in one word, with their values; None where that is the next word."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return [(name, value if equals else None if takes_value(name) else "true")]
    found: list[tuple[str, str | None]] = []
    rest = word[1:]
    while rest:
        name, rest = f"-{rest[0]}", rest[1:]
        if rest.startswith("="):
            return [*found, (name, rest[1:])]
        if takes_value(name):
            return [*found, (name, rest or None)]
        found.append((name, "true"))
    return found


def masked(words: Sequence[str]) -> list[str]:
    """The words without what looks secret: what stands behind flags and behind ``NAME=`` that are called so."""
    shown: list[str] = []
    for before, word in zip(("", *words), words, strict=False):
        flagged = before.startswith("--") and "=" not in before and _SECRET.search(before)
        if flagged or (before == _SHORT_PASSWORD and not _PORTS.fullmatch(word)):
            shown.append(MASK)
        else:
            named = _ASSIGNED.search(word)
            shown.append(f"{word[: named.end()]}{MASK}" if named else word)
    return shown
