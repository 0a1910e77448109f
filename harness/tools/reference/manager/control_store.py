"""Marker, spec and command queue, as they lie beneath `control/` in a store.

A command's JSON shape is etcd-manager's too (its etcdapi.proto, as protojson writes it: 64-bit numbers
are text).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from harness.clusters.backup_store import BackupStore, StoreError
from harness.control_files import (
    COMMAND,
    CONTROL,
    MARKER,
    SPEC,
    commands_among,
    marker_content,
    spec_content,
)

THERE, GONE, EMPTY, UNREADABLE = "there", "gone", "empty", "unreadable"


class ControlError(Exception):
    """A control file that can't be read, or does not hold what it should."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The cluster that is wished for."""

    member_count: int
    etcd_version: str

    def to_json(self) -> dict[str, Any]:
        """As it lies in a store."""
        return {"memberCount": self.member_count, "etcdVersion": self.etcd_version}

    @classmethod
    def from_json(cls, data: Any) -> Spec:
        """Raises ControlError when it is not one."""
        try:
            spec = cls(int(data["memberCount"]), str(data["etcdVersion"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ControlError(f"not a cluster spec: {data}") from error
        if spec.member_count < 1:
            raise ControlError(f"a cluster of {spec.member_count} members is none")
        return spec

    @property
    def quorum(self) -> int:
        """How many members are more than half."""
        return self.member_count // 2 + 1


@dataclass(frozen=True, slots=True)
class Command:
    """A restore that was asked for.

    Args:
        name: its file in the store.
        timestamp: nanoseconds of Unix time; the lowest comes first.
        backup: which one to restore.
        spec: of the cluster to restore it into.
    """

    name: str
    timestamp: int
    backup: str
    spec: Spec


@dataclass(frozen=True, slots=True)
class Seen:
    """What a control file looks like.

    Args:
        state: there, gone, empty or unreadable.
        why: the store's words where it is unreadable.
    """

    state: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Spec and queue as read at one moment.

    Args:
        spec: None where there is none, or none that can be read.
        commands: the oldest first.
        troubles: file name -> why it is not used.
    """

    spec: Spec | None = None
    commands: tuple[Command, ...] = ()
    troubles: tuple[tuple[str, str], ...] = ()


class ControlStore:
    """The control files of one cluster.

    Args:
        store: where they lie.
    """

    def __init__(self, store: BackupStore) -> None:
        self._store = store

    def marker(self) -> Seen:
        """Whether the store says that the cluster was made once."""
        try:
            content = self._store.read(MARKER)
        except StoreError as error:
            return Seen(UNREADABLE, str(error))
        if content is None:
            return Seen(GONE)
        return Seen(THERE if content else EMPTY)

    def mark(self) -> None:
        """Say that the cluster was made. Raises StoreError."""
        self._store.write(MARKER, marker_content(time.time()))

    def spec(self) -> Spec | None:
        """The wished cluster; None when the file is surely gone.

        Raises:
            ControlError: it can't be read, or is not a spec.
        """
        content = self._read(SPEC)
        return None if content is None else Spec.from_json(_parsed(SPEC, content))

    def write_spec(self, spec: Spec) -> None:
        """Put the wished cluster there. Raises StoreError."""
        self._store.write(SPEC, spec_content(spec.member_count, spec.etcd_version))

    def wanted(self) -> Wanted:
        """Spec and queue; what can't be read is left out and told."""
        troubles: list[tuple[str, str]] = []
        spec, commands = None, []
        try:
            spec = self.spec()
        except ControlError as error:
            troubles.append((SPEC, str(error)))
        try:
            names = self._command_names()
        except ControlError as error:
            troubles.append((CONTROL, str(error)))
            names = []
        for name in names:
            try:
                commands.append(self._command(name))
            except ControlError as error:
                troubles.append((name, str(error)))
        return Wanted(spec, tuple(sorted(commands, key=lambda each: each.timestamp)), tuple(troubles))

    def add_restore(self, backup: str, spec: Spec) -> str:
        """Queue a restore; returns the command's file. Raises StoreError."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{CONTROL}{moment}-000000/{COMMAND}"
        command = {"clusterSpec": spec.to_json(), "backup": backup}
        text = json.dumps({"timestamp": str(time.time_ns()), "restoreBackup": command}, indent=2)
        self._store.write(name, text.encode())
        return name

    def remove(self, command: Command) -> None:
        """Take a command off the queue. Raises StoreError."""
        self._store.delete(command.name)

    def _command_names(self) -> list[str]:
        try:
            return list(commands_among(file.name for file in self._store.list(CONTROL)))
        except StoreError as error:
            raise ControlError(str(error)) from error

    def _command(self, name: str) -> Command:
        content = self._read(name)
        data = {} if content is None else _parsed(name, content)
        restore = data.get("restoreBackup") if isinstance(data, dict) else None
        if not isinstance(restore, dict) or not restore.get("backup"):
            raise ControlError(f"{name} asks for nothing that is known")
        spec = Spec.from_json(restore.get("clusterSpec"))
        return Command(name, int(data.get("timestamp", 0)), str(restore["backup"]), spec)

    def _read(self, name: str) -> bytes | None:
        try:
            return self._store.read(name)
        except StoreError as error:
            raise ControlError(str(error)) from error


def _parsed(name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise ControlError(f"{name} is not JSON: {error}") from error
