"""What a check of a store finds: values, and the JSON they are told as.

The JSON is one object, its shape is kept (``schema`` is raised when it changes)::

    schema          1
    store           the address that was checked
    checked         when, RFC 3339
    verdict         "good" or "dangerous": the exit code 0 or 1 in words
    dangers         list of {what, why, do}; what is one of the words of DANGERS below
    notes           list of sentences: odd, but no danger
    control
      marker        "there", "gone", "empty" or "unreadable"        control/etcd-cluster-created
      spec          "there", "gone", "unparsable" or "unreadable"   control/etcd-cluster-spec
      member_count, etcd_version        what the spec says; null without one
      commands      list of {name, restores, asked}: commands that wait, the backup each would restore (or null),
                    and Unix seconds of when it was given (or null)
    spec_write
      founds_new_cluster    true, false, or null where it can't be told
      why                   one sentence
    backups
      total                 how many there are
      looked_at             how many of them, the newest, were fetched and examined
      max_age_seconds       older than this is stale
      newest_valid          the name of the newest one that can be restored, or null
      newest_valid_age_seconds
      each                  list, newest first, of those looked at:
        name, state         "valid", "empty", "corrupt", "incomplete" or "foreign"
        why                 one sentence where the state is not "valid"
        taken, age_seconds  when, in Unix seconds, and how long ago
        bytes               of the compressed snapshot
        etcd_version, member_count      as its meta file has them, or null
        revision, keys, cluster_members as the snapshot itself has them, or null; IDs of members, in hex
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

SCHEMA = 1
DANGERS = (
    "would-found-new-cluster",
    "founds-new-cluster-now",
    "backups-stopped",
    "marker-unreadable",
    "restore-waits",
    "no-valid-backup",
    "stale-backup",
    "foreign-backup",
)


class FileState(StrEnum):
    """How a control file is."""

    THERE = "there"
    GONE = "gone"
    EMPTY = "empty"
    UNPARSABLE = "unparsable"
    UNREADABLE = "unreadable"


class BackupState(StrEnum):
    """What a backup is good for."""

    VALID = "valid"
    EMPTY = "empty"
    CORRUPT = "corrupt"
    INCOMPLETE = "incomplete"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class CommandSeen:
    """A command that waits in the queue.

    Args:
        name: of its folder below ``control/``.
        restores: the backup it would restore; None for another or an unparsable command.
        asked: Unix seconds of when it was given, if it says so.
    """

    name: str
    restores: str | None
    asked: float | None


@dataclass(frozen=True, slots=True)
class ControlSeen:
    """The control files.

    Args:
        marker: ``control/etcd-cluster-created``.
        spec: ``control/etcd-cluster-spec``.
        member_count, etcd_version: what the spec says.
        commands: that wait.
    """

    marker: FileState
    spec: FileState
    member_count: int | None = None
    etcd_version: str | None = None
    commands: tuple[CommandSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupSeen:
    """One backup, examined; the fields are those of the JSON."""

    name: str
    state: BackupState
    taken: float
    bytes: int
    why: str = ""
    etcd_version: str | None = None
    member_count: int | None = None
    revision: int | None = None
    keys: int | None = None
    cluster_members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Danger:
    """A reason not to go on.

    Args:
        what: one of `DANGERS`.
        why: one or two sentences.
        do: what to do about it.
    """

    what: str
    why: str
    do: str


@dataclass(frozen=True, slots=True)
class StoreReport:
    """All that was found.

    Args:
        store: its address.
        now: Unix seconds of the check.
        max_age_seconds: older than this is stale.
        control: the control files.
        founds: whether a write of the spec would found a new cluster; None where it can't be told.
        founds_why: why.
        total: backups there are.
        backups: those examined, newest first.
        dangers, notes: what follows.
    """

    store: str
    now: float
    max_age_seconds: float
    control: ControlSeen
    founds: bool | None
    founds_why: str
    total: int
    backups: tuple[BackupSeen, ...]
    dangers: tuple[Danger, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def newest_valid(self) -> BackupSeen | None:
        """The newest backup that can be restored and is this cluster's."""
        return next((backup for backup in self.backups if backup.state is BackupState.VALID), None)

    @property
    def good(self) -> bool:
        """Whether nothing speaks against going on."""
        return not self.dangers

    def age_seconds(self, backup: BackupSeen) -> float:
        """How long ago it was taken."""
        return round(self.now - backup.taken, 1)

    def to_json(self) -> dict[str, Any]:
        """As the module's docstring has it."""
        newest = self.newest_valid
        return {
            "schema": SCHEMA,
            "store": self.store,
            "checked": datetime.fromtimestamp(self.now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "verdict": "good" if self.good else "dangerous",
            "dangers": [asdict(danger) for danger in self.dangers],
            "notes": list(self.notes),
            "control": asdict(self.control),
            "spec_write": {"founds_new_cluster": self.founds, "why": self.founds_why},
            "backups": {
                "total": self.total,
                "looked_at": len(self.backups),
                "max_age_seconds": self.max_age_seconds,
                "newest_valid": newest.name if newest else None,
                "newest_valid_age_seconds": self.age_seconds(newest) if newest else None,
                "each": [asdict(one) | {"age_seconds": self.age_seconds(one)} for one in self.backups],
            },
        }
