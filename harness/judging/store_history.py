"""What was in a manager's backup store, over time: control files, commands and backups; derived from a journal.

A backup's time is the store's own, put on the journal's clock: a file is seen at the earliest when it was written, so
the smallest difference between the two is how the clocks differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from math import inf

from harness.control_files import BACKUP, COMMAND, CONTROL, MARKER, META, SPEC, begun
from harness.journal import Entry

# How far apart two entries about the same moment may be: the store is looked at now and then, not all the time.
CLOSE_SECONDS = 1.0
# A snapshot, packed and uploaded, takes no longer on a small cluster, unless its store is slow.
_SNAPSHOT_SECONDS = 5.0
_DATA, _META, _COMMAND = f"/{BACKUP}", f"/{META}", f"/{COMMAND}"
# Files that a manager keeps elsewhere than beneath its backup path are told with this in front.
_ELSEWHERE = "@"
_TRUNCATED, _EMPTIED = "Truncated", "MarkerEmpty"


@dataclass(frozen=True, slots=True)
class SeenFile:
    """One file, from when it was first seen until it was gone.

    Args:
        name: as the journal tells it.
        seen: seconds of the journal.
        gone: the same; infinite where it stayed.
        size: bytes when first seen.
        modified: the store's own time of it, Unix seconds.
        seq: the entry that told of it.
        gone_seq: the entry that told that it was gone; -1 where it stayed.
        changed: when it was last seen changed, seconds; -1 where it never was.
    """

    name: str
    seen: float
    gone: float
    size: int
    modified: float
    seq: int
    gone_seq: int = -1
    changed: float = -1.0


@dataclass(frozen=True, slots=True)
class SeenBackup:
    """A whole backup: its data and its description.

    Args:
        name: its folder.
        uploaded: when it was written, seconds of the journal; about a second uncertain.
        taken_after: whatever was acknowledged before this has to be in it.
        gone: when it was no longer whole; infinite where it stayed.
        spoilt: whether its data was changed after it was whole.
        seq: the entry that told of it.
    """

    name: str
    uploaded: float
    taken_after: float
    gone: float
    spoilt: bool
    seq: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A control file or a backup that vanished, or a control file that was emptied.

    Args:
        name: which.
        at: when it was seen to be so.
        seq: the entry.
    """

    name: str
    at: float
    seq: int


@dataclass(frozen=True)
class StoreHistory:
    """The whole picture.

    Args:
        looks: all ``store.seen``, oldest first.
        unreachable: the last ``store.unreachable``; None where the store always answered.
        files: every file ever seen, in the order in which they came.
        faults: each fault, when it was injected, and when it was proven; seconds.
        struck: what the store answered right after each fault of its files: a manager may put things back before
            anybody looks again.
        opened: when the journal was, Unix seconds; infinite where it does not tell.
    """

    looks: Sequence[Entry]
    unreachable: Entry | None
    files: Sequence[SeenFile]
    faults: Sequence[tuple[str, float, float]]
    struck: Sequence[Entry] = ()
    opened: float = inf

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> StoreHistory:
        """Derive it from a journal's entries."""
        looks = [entry for entry in entries if entry.kind == "store.seen"]
        unreachable = [entry for entry in entries if entry.kind == "store.unreachable"]
        struck = [entry for entry in entries if entry.kind == "control.struck" and entry.data.get("left")]
        last = unreachable[-1] if unreachable else None
        opened = [str(entry.data["started_at"]) for entry in entries[:1] if "started_at" in entry.data]
        since = datetime.fromisoformat(opened[0]).timestamp() if opened else inf
        return cls(looks, last, _files(looks), list(_faults(entries)), struck, since)

    @property
    def is_known(self) -> bool:
        """Whether what is in it at the end is known."""
        return bool(self.looks) and (self.unreachable is None or self.unreachable.seq < self.looks[-1].seq)

    @cached_property
    def backups(self) -> dict[str, SeenBackup]:
        """All whole backups ever seen, by name, oldest first."""
        data = {file.name.removesuffix(_DATA): file for file in self.files if file.name.endswith(_DATA)}
        meta = {file.name.removesuffix(_META): file for file in self.files if file.name.endswith(_META)}
        whole = sorted((data[name].modified, name) for name in data.keys() & meta.keys())
        found: dict[str, SeenBackup] = {}
        before = -inf
        for _, name in whole:
            backup = self._backup(name, data[name], meta[name], before)
            found[name], before = backup, backup.uploaded
        return found

    @cached_property
    def _clock_offset(self) -> float:
        return min((file.seen - file.modified for file in self.files), default=0.0)

    def _backup(self, name: str, data: SeenFile, meta: SeenFile, before: float) -> SeenBackup:
        uploaded = min(max(data.modified, meta.modified) + self._clock_offset, max(data.seen, meta.seen))
        # the next snapshot is begun when the one before it is done
        taken_after = max(min(uploaded - _SNAPSHOT_SECONDS, self._begun(name)), before - CLOSE_SECONDS)
        spoilt = data.changed > max(data.seen, meta.seen) + CLOSE_SECONDS
        return SeenBackup(name, uploaded, taken_after, min(data.gone, meta.gone), spoilt, max(data.seq, meta.seq))

    def _begun(self, name: str) -> float:
        """Seconds of the journal, at the earliest, as both clocks tell whole ones; infinite where it is not known."""
        named = begun(name)
        return inf if named is None or self.opened == inf else named - self.opened - 1.0

    @property
    def queued(self) -> list[SeenFile]:
        """Commands that are in the queue at the end."""
        return [file for file in self.files if is_command(file.name) and file.gone == inf]

    @cached_property
    def losses(self) -> list[Loss]:
        """What vanished or was emptied, oldest first; a backup counts where a fault was just injected.

        A manager removes old backups of its own accord, but never its marker nor its spec.
        """
        found = [loss for entry in self.struck for loss in _struck(entry)]
        found += [Loss(f.name, f.gone, f.gone_seq) for f in self.files if f.gone < inf and is_control(f.name)]
        found += [
            Loss(f.name, f.gone, f.gone_seq)
            for f in self.files
            if f.gone < inf and f.name.endswith(_DATA) and self._by_fault(f.gone)
        ]
        for look in self.looks:
            for name, (size, _) in (look.data.get("changed") or {}).items():
                if is_control(name) and (not size or self._by_fault(look.at, _TRUNCATED)):
                    found.append(Loss(name, look.at, look.seq))
        return list(_once(sorted(found, key=lambda loss: (loss.at, loss.name))))

    def _by_fault(self, at: float, named: str = "") -> bool:
        return any(
            name.endswith(named) and began - CLOSE_SECONDS <= at <= proven + CLOSE_SECONDS
            for name, began, proven in self.faults
        )

    def struck_near(self, at: float) -> bool:
        """Whether a fault was injected about then: what was written may have gone before anybody saw it."""
        return any(began - 2 * CLOSE_SECONDS <= at <= proven + CLOSE_SECONDS for _, began, proven in self.faults)


def is_command(name: str) -> bool:
    """Whether a file is a command in the queue."""
    return name.removeprefix(_ELSEWHERE).startswith(CONTROL) and name.endswith(_COMMAND)


def is_control(name: str) -> bool:
    """Whether a file is the marker or the spec."""
    return name.removeprefix(_ELSEWHERE) in (MARKER, SPEC)


def is_below_backups(name: str) -> bool:
    """Whether it is kept where only backups should be."""
    return not name.startswith(_ELSEWHERE)


def _struck(entry: Entry) -> Iterator[Loss]:
    fault = str(entry.data["fault"])
    for name, size in entry.data["left"].items():
        emptied = is_control(name) and ((fault == _EMPTIED and not size) or fault.endswith(_TRUNCATED))
        if emptied or (size < 0 and (is_control(name) or name.endswith(_DATA))):
            yield Loss(name, entry.at, entry.seq)


def _once(losses: Sequence[Loss]) -> Iterator[Loss]:
    """What is told right after a fault is seen a moment later as well."""
    last: dict[str, float] = {}
    for loss in losses:
        name = loss.name.removeprefix(_ELSEWHERE)
        if loss.at - last.get(name, -inf) > 2 * CLOSE_SECONDS:
            yield loss
        last[name] = loss.at


def _files(looks: Sequence[Entry]) -> list[SeenFile]:
    files: list[SeenFile] = []
    there: dict[str, int] = {}
    for look in looks:
        for name in look.data["removed"]:
            if name in there:
                place = there.pop(name)
                files[place] = replace(files[place], gone=look.at, gone_seq=look.seq)
        for name in look.data.get("changed") or {}:
            if name in there:
                files[there[name]] = replace(files[there[name]], changed=look.at)
        for name, (size, modified) in look.data["added"].items():
            there[name] = len(files)
            files.append(SeenFile(name, look.at, inf, int(size), float(modified), look.seq))
    return files


def _faults(entries: Sequence[Entry]) -> Iterator[tuple[str, float, float]]:
    for entry in entries:
        if entry.kind == "fault.injected":
            proofs = (one.at for one in entries if one.kind == "fault.evidence" and one.seq > entry.seq)
            yield str(entry.data["fault"]), entry.at, next(proofs, entry.at)
