"""Reads the control files of a backup store, and what they mean for who writes a spec now.

What etcd-manager does in each state: its ``pkg/controller/controller.go`` and ``pkg/commands/vfs.go``.
"""

from __future__ import annotations

import json
from typing import Any

from harness.clusters.backup_store import BackupStore, StoredFile, StoreError
from harness.control_files import COMMAND, CONTROL, MARKER, SPEC
from harness.store_check.findings import CommandSeen, ControlSeen, FileState

_NANO = 1e9


def read_control(store: BackupStore, files: list[StoredFile]) -> ControlSeen:
    """The control files as they are now.

    Args:
        store: to read from.
        files: everything listed in it.
    """
    spec_state, spec = _read_spec(store)
    names = [file.name for file in files if file.name.startswith(CONTROL)]
    commands = [name for name in names if name.endswith(f"/{COMMAND}") and name.count("/") == 2]
    return ControlSeen(
        _marker(store),
        spec_state,
        spec.get("memberCount"),
        spec.get("etcdVersion"),
        tuple(_command(store, name) for name in sorted(commands)),
    )


def founds_new_cluster(control: ControlSeen) -> tuple[bool | None, str]:
    """Whether a write of the spec, as ``kops update cluster`` does, would found a new cluster; and why."""
    match control.marker:
        case FileState.THERE:
            return False, f"the marker {MARKER} is there: managers take the cluster for founded"
        case FileState.EMPTY:
            return False, f"the marker {MARKER} is there but empty: managers stop with an error before they would"
        case FileState.GONE if control.spec is FileState.GONE:
            return (
                True,
                f"the marker {MARKER} is gone: to managers there is no cluster yet, and all they lack is a spec",
            )
        case FileState.GONE:
            return True, f"the marker {MARKER} is gone: to managers there is no cluster yet, and a spec is there"
        case _:
            return None, f"the marker {MARKER} can't be read"


def _marker(store: BackupStore) -> FileState:
    try:
        content = store.read(MARKER)
    except StoreError:
        return FileState.UNREADABLE
    if content is None:
        return FileState.GONE
    return FileState.THERE if content else FileState.EMPTY


def _read_spec(store: BackupStore) -> tuple[FileState, dict[str, Any]]:
    try:
        content = store.read(SPEC)
    except StoreError:
        return FileState.UNREADABLE, {}
    if content is None:
        return FileState.GONE, {}
    spec = as_object(content)
    count, version = (spec or {}).get("memberCount"), (spec or {}).get("etcdVersion")
    if not (isinstance(count, int) and count > 0 and isinstance(version, str) and version):
        return FileState.UNPARSABLE, {}
    return FileState.THERE, {"memberCount": count, "etcdVersion": version}


def _command(store: BackupStore, name: str) -> CommandSeen:
    folder = name.split("/")[1]
    command = as_object(store.read(name) or b"") or {}
    restore = command.get("restoreBackup")
    asked = as_number(command.get("timestamp"))
    backup = restore.get("backup") if isinstance(restore, dict) else None
    return CommandSeen(folder, str(backup) if backup else None, asked / _NANO if asked else None)


def as_object(content: bytes) -> dict[str, Any] | None:
    """A JSON object, or None."""
    try:
        told = json.loads(content)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def as_number(value: object) -> float | None:
    """A number, also one in a string as protobuf's JSON writes 64 bits; or None."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
