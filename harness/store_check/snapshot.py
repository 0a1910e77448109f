"""Whether one backup's snapshot can be restored, and what is in it. Works on a copy of its own."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.etcd_release import EtcdRelease
from harness.store_check.bolt import BoltError, bucket_items, live_keys

_STATUS_SECONDS = 300.0
_CHUNK_BYTES = 1 << 20
_SUM_BYTES = hashlib.sha256().digest_size
_SECTOR_BYTES = 512


class SnapshotDamage(ValueError):
    """It can't be restored; says why."""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a snapshot holds.

    Args:
        revision: as ``etcdutl snapshot status`` tells it.
        keys: those that are not deleted. etcdutl's own count is of all rows in all buckets, old revisions too.
        summed: whether it ends in its own checksum; a copied database file doesn't.
        members: IDs of the members, in hex; the cluster's identity, as far as a snapshot has one.
    """

    revision: int
    keys: int
    summed: bool
    members: tuple[str, ...]


def examine(packed: bytes, folder: Path, releases: Sequence[EtcdRelease], etcd_version: str) -> SnapshotFacts:
    """Unpack a snapshot and ask etcd's own tool about it.

    Args:
        packed: content of ``etcd.backup.gz``.
        folder: for the unpacked copy, which is removed again.
        releases: etcd releases on this machine.
        etcd_version: that wrote it; a release of the same minor version is asked if there is one.

    Raises:
        SnapshotDamage: it can't be restored.
    """
    file = folder / "snapshot.db"
    try:
        summed = _unpack(packed, file)
        told = _status(file, _fitting(releases, etcd_version))
        members = tuple(sorted(key.decode("ascii", "replace") for key, _ in bucket_items(file, b"members")))
        keys = live_keys(file)
    except BoltError as error:
        raise SnapshotDamage(str(error)) from error
    finally:
        file.unlink(missing_ok=True)
    return SnapshotFacts(int(told.get("revision", 0)), keys, summed, members)


def _unpack(packed: bytes, file: Path) -> bool:
    """Write the database; whether it ended in a checksum, which has been compared then."""
    if not packed:
        raise SnapshotDamage("the file is empty")
    digest, kept = hashlib.sha256(), b""
    size = 0
    try:
        with gzip.open(io.BytesIO(packed)) as source, file.open("wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
                size += len(chunk)
                whole = kept + chunk
                digest.update(whole[:-_SUM_BYTES])
                kept = whole[-_SUM_BYTES:]
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SnapshotDamage(f"it can't be unpacked: {error}") from error
    if size % _SECTOR_BYTES != _SUM_BYTES:  # etcd's own way to tell
        return False
    if digest.digest() != kept:
        raise SnapshotDamage("its checksum is wrong")
    return True


def _status(file: Path, release: EtcdRelease) -> dict[str, int]:
    command = [str(release.etcdutl), "snapshot", "status", str(file), "--write-out=json"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_STATUS_SECONDS, check=False
        )
        if done.returncode == 0:
            told: dict[str, int] = json.loads(done.stdout)
            return told
        why = next((line for line in done.stderr.splitlines() if line.strip()), f"exit {done.returncode}")
    except subprocess.TimeoutExpired:
        why = f"no answer within {_STATUS_SECONDS:.0f} s"
    except ValueError:
        why = f"it says {done.stdout[:80]!r}"
    raise SnapshotDamage(f"etcdutl {release.version} does not take it: {why[:160]}")


def _fitting(releases: Sequence[EtcdRelease], version: str) -> EtcdRelease:
    minor = version.split(".")[:2]
    return next((release for release in releases if release.version.split(".")[:2] == minor), releases[0])
