"""Snapshots in the store: taken, listed, looked through, fetched, and the oldest removed.

A backup is `<time>-<sequence>/etcd.backup.gz` with `_etcd_backup.meta` beside it, as etcd-manager
writes them (its pkg/backup/vfs.go). The meta file is written last: what has none is no backup.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
import zlib
from datetime import UTC, datetime

import urllib3

from harness.clusters.backup_store import BackupStore, StoreError
from harness.clusters.etcd_release import EtcdRelease
from harness.control_files import BACKUP, META, backups_among, meta_content
from harness.tools.reference.manager.control_store import Spec

_DATA, _META = f"/{BACKUP}", f"/{META}"
_CALL_SECONDS = 3.0
# etcd's snapshot is a bbolt file, whole pages of it, and the SHA-256 of all that (its clientv3/snapshot)
_HASH_BYTES, _PAGE_BYTES = 32, 512


class BackupError(Exception):
    """A backup that could not be taken, or can't be used."""


class Backups:
    """The backups of one cluster.

    Args:
        store: where they lie.
        release: the etcd whose snapshots these are.
    """

    def __init__(self, store: BackupStore, release: EtcdRelease) -> None:
        self._store, self._release = store, release
        self._sequence = 0

    def names(self) -> list[str]:
        """All complete ones, the oldest first. Raises StoreError."""
        return list_backups(self._store)

    def new_name(self) -> str:
        """A name nobody had before, unless two are taken by two managers in one second."""
        self._sequence += 1
        return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}-{self._sequence:06d}"

    def snapshot(self, client_url: str) -> bytes:
        """What a member has now.

        Raises:
            BackupError: it gave none, or not all of it.
        """
        snapshot = bytearray()
        try:
            url = f"{client_url}/v3/maintenance/snapshot"
            with (
                urllib3.PoolManager(retries=False, timeout=_CALL_SECONDS) as http,
                http.request("POST", url, json={}, preload_content=False) as parts,
            ):
                for line in parts:
                    snapshot += base64.b64decode(json.loads(line)["result"]["blob"])
        except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
            raise BackupError(f"error performing snapshot save at {client_url}: {error!r}") from error
        if not _is_whole(bytes(snapshot)):
            raise BackupError(f"error performing snapshot save at {client_url}: it ended half way")
        return bytes(snapshot)

    def upload(self, name: str, snapshot: bytes, spec: Spec) -> None:
        """Put a backup into the store. Raises StoreError."""
        meta = meta_content(spec.member_count, self._release.version, time.time())
        self._store.write(name + _DATA, gzip.compress(snapshot, compresslevel=1))
        self._store.write(name + _META, meta)

    def fetch(self, name: str) -> bytes:
        """The snapshot in a backup, unpacked.

        Raises:
            BackupError: there is no such backup, or it is not what etcd wrote.
        """
        if not name or "/" in name or name in (".", ".."):
            raise BackupError(f"{name!r} is not the name of a backup")
        if self._content(name + _META) is None:
            raise BackupError(f"there is no backup {name}")
        packed = self._content(name + _DATA)
        if packed is None:
            raise BackupError(f"backup {name} has no data")
        try:
            snapshot = gzip.decompress(packed)
        except (OSError, EOFError, zlib.error) as error:
            raise BackupError(f"backup {name} can't be unpacked: {error}") from error
        if not _is_whole(snapshot):
            raise BackupError(f"backup {name} is not a whole snapshot")
        return snapshot

    def remove_oldest(self, keep: int) -> list[str]:
        """Remove all but the newest `keep`; returns what went. Raises StoreError."""
        old = self.names()[:-keep]
        if old:
            # the meta file first: what is left of a half-removed one is no backup
            self._store.delete(*(name + part for part in (_META, _DATA) for name in old))
        return old

    def _content(self, name: str) -> bytes | None:
        try:
            return self._store.read(name)
        except StoreError as error:
            raise BackupError(f"{name} can't be read: {error}") from error


def list_backups(store: BackupStore) -> list[str]:
    """Names of all complete backups, the oldest first. Raises StoreError."""
    return backups_among(file.name for file in store.list())


def _is_whole(snapshot: bytes) -> bool:
    body, told = snapshot[:-_HASH_BYTES], snapshot[-_HASH_BYTES:]
    return len(body) % _PAGE_BYTES == 0 and bool(body) and hashlib.sha256(body).digest() == told
