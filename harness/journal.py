"""The append-only timeline of a case: the only evidence there is.

One JSON object a line. Every line carries the SHA-256 of the line before it, and the last line is
a seal with the number of entries, so that a journal that was cut or edited is told from a whole
one. This guards against accidents and hasty hands, not against a forger who rewrites every line:
a run's ``verdicts.json`` therefore also keeps each journal's last hash.

Times (``at``) are seconds since the journal was opened, on the monotonic clock.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, JournalError, JournalWriteError

SEAL = "journal.sealed"
_FIRST = "0" * 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Args:
        seq: place in the journal, from 0.
        at: seconds since the journal was opened.
        kind: ``area.event``, as ``node.stopped``; docs/architecture.md lists them all.
        data: plain JSON values.
    """

    seq: int
    at: float
    kind: str
    data: dict[str, Any]


class Journal:
    """Appends entries to a file; safe to use from many threads.

    Args:
        path: the file to make; its folder is made too.
        now: a monotonic clock in seconds.

    Raises:
        HarnessError: the file is there already; it stays as it is.
        JournalWriteError: the file can't be made or written.

    Leaves behind: the file, sealed once `seal` was called.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path = path
        self._now = now
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._previous = _FIRST
        self._sealed = False
        if path.exists():
            why = "the case was begun before, as by a worker that died; what it left is the evidence"
            raise HarnessError(f"{path} is there already: {why}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("x", encoding="utf-8")
        except OSError as error:
            raise JournalWriteError(f"cannot write {path}: {error.strerror}") from error
        self._started = now()

    def append(self, kind: str, **data: Any) -> Entry:
        """Add one entry and flush it.

        Raises:
            JournalWriteError: the disk would not take it; the entry is not in the journal.
        """
        with self._lock:
            if self._sealed:
                raise JournalWriteError(f"{self.path} is sealed; '{kind}' came too late")
            entry = Entry(len(self._entries), round(self._now() - self._started, 6), kind, data)
            self._write(entry)
            self._entries.append(entry)
            return entry

    def elapsed(self, moment: float) -> float:
        """A reading of the monotonic clock, as seconds since this journal was opened."""
        return round(moment - self._started, 6)

    def now(self) -> float:
        """Seconds since this journal was opened."""
        return self.elapsed(self._now())

    def entries(self) -> Sequence[Entry]:
        """All entries so far, oldest first."""
        with self._lock:
            return tuple(self._entries)

    def seal(self) -> None:
        """Write the last line; nothing can be added afterwards. A second call does nothing."""
        if self._sealed:
            return
        try:
            self.append(SEAL, entries=len(self._entries) + 1)
        finally:
            with self._lock:
                self._sealed = True
                self._close()

    def _close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise JournalWriteError(f"cannot close {self.path}: {error.strerror}") from error

    def _write(self, entry: Entry) -> None:
        line = _line(entry, self._previous)
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise JournalWriteError(
                f"cannot write {self.path}: {error.strerror}", mend="free space, or choose another --run-dir"
            ) from error
        self._previous = _digest(line)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A journal read back whole: its entries (without the seal) and its last hash."""

    entries: tuple[Entry, ...]
    digest: str


def read(path: Path) -> Sealed:
    """Read a sealed journal.

    Raises:
        JournalError: naming the line, when it is cut, edited, or not a journal at all.
    """
    entries: list[Entry] = []
    previous = _FIRST
    for number, line in enumerate(_lines(path), start=1):
        entry = _parse(path, number, line, previous)
        previous = _digest(line)
        entries.append(entry)
    if not entries or entries[-1].kind != SEAL:
        raise JournalError(str(path), max(len(entries), 1), "the journal is cut: it ends without its seal")
    if entries[-1].data.get("entries") != len(entries):
        raise JournalError(str(path), len(entries), "the seal counts another number of entries")
    return Sealed(tuple(entries[:-1]), previous)


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise JournalError(str(path), 1, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise JournalError(str(path), 1, "is not text") from error
    return iter(text.splitlines())


def _parse(path: Path, number: int, line: str, previous: str) -> Entry:
    try:
        raw = json.loads(line)
        entry = Entry(raw["seq"], float(raw["at"]), raw["kind"], raw["data"])
        stated = raw["prev"]
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(str(path), number, "is not a whole journal entry (cut?)") from error
    if entry.seq != number - 1:
        raise JournalError(str(path), number, f"entry {number - 1} is missing or out of order")
    if stated != previous or _line(entry, previous) != line:
        raise JournalError(str(path), number, "was edited, or the line before it was")
    return entry


def _line(entry: Entry, previous: str) -> str:
    body = {"seq": entry.seq, "at": entry.at, "kind": entry.kind, "data": entry.data, "prev": previous}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True)


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()[:16]
