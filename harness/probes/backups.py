"""Every backup in the store, proven by restoring it aside."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.clusters.backup_store import StoreError
from harness.clusters.managed import ManagedCluster
from harness.control_files import BACKUP, backups_among
from harness.errors import ClusterError, NotInTime
from harness.journal import Journal
from harness.probes.store import ScratchMember

# Each restored backup is an etcd for a second, most of which it waits.
_AT_ONCE = 6
_LONGEST = 300


def list_backups(cluster: ManagedCluster) -> list[str]:
    """Names of the whole backups that are there now, oldest first; none when the store does not say."""
    try:
        return backups_among(file.name for file in cluster.store.list())
    except StoreError:
        return []


def check_backups(cluster: ManagedCluster, journal: Journal, names: list[str]) -> None:
    """Restore each into a scratch member, start that, and note what it holds (``backup.checked``).

    Where that member lives and is not healthy in its time, nothing is known of the backup (``backup.unclear``):
    a machine may be that slow.

    Args:
        cluster: lends its release and ownership; is not touched.
        journal: where the observations go.
        names: of the backups.
    """
    copies: dict[str, str] = {}
    folder = cluster.work / "checked"
    folder.mkdir(exist_ok=True)
    with ThreadPoolExecutor(_AT_ONCE) as at_once:
        asked = []
        for name in names:
            content = cluster.store.read(f"{name}/{BACKUP}")
            digest = hashlib.sha256(content or b"").hexdigest()
            first = copies.setdefault(digest, name)
            asked.append((name, len(content or b""), first, at_once.submit(_check, cluster, folder, name, content)
                          if first == name else None))  # fmt: skip
        unclear: dict[str, str] = {}
        for name, size, first, result in asked:
            try:
                seen = result.result() if result is not None else {"same_as": first}
            except NotInTime as error:
                unclear[name] = str(error)[:_LONGEST]
            if first in unclear:
                journal.append("backup.unclear", name=name, why=unclear[first])
                continue
            journal.append("backup.checked", name=name, size=size, **seen)


def check_newest(cluster: ManagedCluster, journal: Journal, names: list[str]) -> None:
    """Go back from the newest until one restores, each as `check_backups` does it; that one tells how fresh they are.

    Args:
        cluster, journal: as there.
        names: of the backups, oldest first.
    """
    for name in reversed(names):
        check_backups(cluster, journal, [name])
        if journal.entries()[-1].data.get("restorable"):
            return


def _check(cluster: ManagedCluster, folder: Path, name: str, content: bytes | None) -> dict[str, Any]:
    if not content:
        return _bad("it is empty" if content is not None else "it is gone")
    place = folder / name.replace(":", "")
    place.mkdir()
    file = place / "snapshot.db"
    try:
        file.write_bytes(gzip.decompress(content))
    except (OSError, EOFError, zlib.error) as error:
        return _bad(f"it is no gzip file: {error}")
    spare = ScratchMember(cluster, place / "scratch")
    try:
        seen = spare.read(file)
    except NotInTime:
        raise
    except ClusterError as error:
        return _bad(str(error)[-300:])
    finally:
        spare.remove()
        file.unlink()
    return {
        "restorable": seen["restorable"],
        "why": seen["error"],
        "revision": seen["revision"],
        "keys": seen["keys"],
    }


def _bad(why: str) -> dict[str, Any]:
    return {"restorable": False, "why": why, "revision": 0, "keys": {}}
