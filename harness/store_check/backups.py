"""Examines the backups of a store, newest first."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.clusters.backup_store import BackupStore, StoredFile
from harness.clusters.etcd_release import EtcdRelease
from harness.control_files import BACKUP, META, begun
from harness.store_check.control import as_number, as_object
from harness.store_check.findings import BackupSeen, BackupState, ControlSeen
from harness.store_check.snapshot import SnapshotDamage, SnapshotFacts, examine
from harness.store_check.words import members_text


def backup_names(files: Sequence[StoredFile]) -> list[str]:
    """Backups there are, or halves of one; the newest first, as their names tell."""
    names = {file.name.split("/")[0] for file in files if file.name.split("/")[1:] in ([BACKUP], [META])}
    return sorted(names, reverse=True)


def examine_backups(
    store: BackupStore, files: Sequence[StoredFile], releases: Sequence[EtcdRelease], least: int
) -> list[BackupSeen]:
    """The `least` newest ones, and further back until one is valid; foreign ones are not told apart yet.

    Args:
        store: to read from.
        files: everything listed in it.
        releases: etcd releases on this machine.
        least: how many; 0 for all.

    Raises:
        StoreError: one could not be read.
    """
    listed = {file.name: file for file in files}
    names = backup_names(files)
    seen: list[BackupSeen] = []
    with tempfile.TemporaryDirectory(prefix="afterfault-check-") as folder:
        for name in names:
            if least and len(seen) >= least and any(one.state is BackupState.VALID for one in seen):
                break
            seen.append(_examine(store, listed, name, (Path(folder), releases)))
    return seen


def tell_foreign(backups: Sequence[BackupSeen], control: ControlSeen) -> list[BackupSeen]:
    """The same backups, with those called foreign that are not of this cluster.

    A snapshot knows its cluster by the IDs of its members. Snapshots that have a member in common are of one
    cluster; the cluster with most of them is this one, and of two with as many, the elder.
    """
    home = _home([set(one.cluster_members) for one in backups if one.state is BackupState.VALID])
    return [_judged(one, control, home) if one.state is BackupState.VALID else one for one in backups]


def _judged(backup: BackupSeen, control: ControlSeen, home: set[str]) -> BackupSeen:
    why = ""
    if control.member_count and backup.member_count and backup.member_count != control.member_count:
        why = f"it was taken of {members_text(backup.member_count)}, and the spec says {control.member_count}"
    elif control.etcd_version and backup.etcd_version and _minor(backup.etcd_version) != _minor(control.etcd_version):
        why = f"it was taken of etcd {backup.etcd_version}, and the spec says {control.etcd_version}"
    elif home and backup.cluster_members and not home & set(backup.cluster_members):
        why = f"its members ({', '.join(backup.cluster_members)}) are none of those in the other backups"
    return replace(backup, state=BackupState.FOREIGN, why=why) if why else backup


def _home(identities: Sequence[set[str]]) -> set[str]:
    """Member IDs of the cluster that most of them are of; they come newest first."""
    clusters: list[set[str]] = []
    for identity in filter(None, identities):
        kin = [cluster for cluster in clusters if cluster & identity]
        clusters = [cluster for cluster in clusters if not cluster & identity] + [identity.union(*kin)]
    many = Counter({number: sum(bool(cluster & one) for one in identities) for number, cluster in enumerate(clusters)})
    most = max(many.values(), default=0)
    return next((clusters[number] for number in sorted(many, reverse=True) if many[number] == most), set())


def _examine(
    store: BackupStore, listed: dict[str, StoredFile], name: str, means: tuple[Path, Sequence[EtcdRelease]]
) -> BackupSeen:
    data, meta = listed.get(f"{name}/{BACKUP}"), listed.get(f"{name}/{META}")
    size, modified = (data.bytes if data else 0), max(file.modified for file in (data, meta) if file)
    bare = BackupSeen(name, BackupState.INCOMPLETE, _taken(name, {}, modified), size)
    if data is None or meta is None:
        return replace(bare, why=f"{BACKUP if data is None else META} is not there")
    info = as_object(store.read(meta.name) or b"")
    spec = info.get("clusterSpec") if info else None
    if info is None or not isinstance(spec, dict):
        return replace(bare, state=BackupState.CORRUPT, why=f"{META} can't be parsed")
    count, version = as_number(spec.get("memberCount")), str(info.get("etcdVersion") or spec.get("etcdVersion") or "")
    told = replace(
        bare,
        state=BackupState.CORRUPT,
        taken=_taken(name, info, modified),
        etcd_version=version or None,
        member_count=int(count) if count else None,
    )
    packed = store.read(data.name)
    if packed is None:
        return replace(told, state=BackupState.INCOMPLETE, why=f"{BACKUP} was removed meanwhile")
    try:
        facts = examine(packed, *means, version)
    except SnapshotDamage as error:
        return replace(told, why=str(error))
    return _with_facts(told, facts)


def _with_facts(backup: BackupSeen, facts: SnapshotFacts) -> BackupSeen:
    known = replace(
        backup,
        state=BackupState.VALID,
        revision=facts.revision,
        keys=facts.keys,
        cluster_members=facts.members,
        why="" if facts.summed else "it has no checksum: a copied database file, not a snapshot",
    )
    return known if facts.keys else replace(known, state=BackupState.EMPTY, why="there is no key in it")


def _taken(name: str, info: dict[str, object], modified: float) -> float:
    """As the meta file says; else as the name says; else when it was written."""
    return as_number(info.get("timestamp")) or begun(name) or modified


def _minor(version: str) -> list[str]:
    return version.removeprefix("v").split(".")[:2]
