"""What a manager keeps beneath its backup path: names and content of its control files and backups.

Source: etcd-manager's packages ``commands`` and ``backup``, whose names and JSON shapes these are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

CONTROL = "control/"
MARKER = "control/etcd-cluster-created"
SPEC = "control/etcd-cluster-spec"
COMMAND = "_command.json"
BACKUP = "etcd.backup.gz"
META = "_etcd_backup.meta"
# Managers name a backup after the second in which they begin it, and a number.
_BEGUN = re.compile(r"(?:.*/)?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)-\d+")


def marker_content(unix_seconds: float) -> bytes:
    """The marker of a cluster that was created then."""
    return json.dumps({"timestamp": int(unix_seconds * 1e9)}).encode()


def spec_content(members: int, etcd_version: str) -> bytes:
    """The cluster's spec, as ``kops update cluster`` writes it from its own model (a ``ManagedFile``)."""
    return json.dumps({"memberCount": members, "etcdVersion": etcd_version}, indent=2).encode()


def meta_content(members: int, etcd_version: str, unix_seconds: float) -> bytes:
    """What describes a backup."""
    spec = {"memberCount": members, "etcdVersion": etcd_version}
    return json.dumps({"etcdVersion": etcd_version, "timestamp": str(int(unix_seconds)), "clusterSpec": spec}).encode()


def backups_among(names: Iterable[str]) -> list[str]:
    """Names of the whole backups among the files of a store, oldest first: data and description are both there."""
    files = set(names)
    found = {name.removesuffix(f"/{META}") for name in files if name.endswith(f"/{META}")}
    return sorted(name for name in found if f"{name}/{BACKUP}" in files)


def begun(backup: str) -> float | None:
    """When a backup was begun, as its name or path tells it: whole Unix seconds; None where it does not."""
    named = _BEGUN.fullmatch(backup)
    try:
        return datetime.fromisoformat(named[1]).timestamp() if named else None
    except ValueError:  # there is no such moment
        return None


def commands_among(names: Iterable[str]) -> Sequence[str]:
    """Names of the files of queued commands among those of a store."""
    return sorted(name for name in names if name.startswith(CONTROL) and name.endswith(f"/{COMMAND}"))
