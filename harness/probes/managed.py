"""Watches a managed cluster: its etcd, its store, what its managers say, what lies on its machines' disks."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.clusters.backup_store import BackupStore, StoreError
from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient
from harness.clusters.machine import ManagedMachine
from harness.clusters.managed import ManagedCluster
from harness.clusters.members import POLL_TIMEOUT_SECONDS
from harness.control_files import CONTROL
from harness.errors import HarnessError, WaitTimeout
from harness.journal import Journal
from harness.probes.manager_logs import ManagerLogs
from harness.waiting import rest_unless, until

_EVERY_SECONDS = 0.2
# Each costs a member an answer, and of who it is traffic tells too.
_STATUS_EVERY_SECONDS = 0.5
_ALL_THE_SAME_SECONDS = 2.0
# Of what the kernel counts as a block of a file.
_BLOCK = 512
# A data directory may grow by write-ahead logs of 64 MB and snapshots; one that grows by more is filling the disk.
_GROWTH = 4
_ARCHIVES_A_RESTORE = 2


class ManagedWatch:
    """Looks several times a second, and writes what is new.

    Args:
        cluster: what is watched.
        journal: gets ``etcd.seen``, ``store.seen``, ``store.unreachable``, ``archive.seen``, ``disk.seen``, and
            what `ManagerLogs` reads.

    Leaves behind: threads, until `stop`.
    """

    def __init__(self, cluster: ManagedCluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        self._logs = ManagerLogs(cluster, journal)
        self._store = _StoreLook(cluster, journal)
        self._etcd = _EtcdLook(cluster, journal)
        self._disk = _DiskLook(cluster, journal)
        self._stopped = threading.Event()
        self._asking = threading.Lock()
        self._problem: HarnessError | None = None
        # a store or a member that is slow must not keep the others waiting
        looks = (
            (self._of_machines, _EVERY_SECONDS), (self._etcd.look, _STATUS_EVERY_SECONDS),
            (self._store.look, _EVERY_SECONDS),
        )  # fmt: skip
        self._threads = [threading.Thread(target=self._watch, args=look, daemon=True) for look in looks]

    def start(self) -> None:
        """Begin watching."""
        self.look()
        for thread in self._threads:
            thread.start()

    def look(self) -> None:
        """Look at everything once, now."""
        self._of_machines()
        self._etcd.look()
        self._store.look()

    def stop(self) -> None:
        """End watching.

        Raises:
            HarnessError: the watch itself broke, as on a full disk.
        """
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(30)
        self._etcd.close()
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def _of_machines(self) -> None:
        with self._asking:
            self._logs.look()
            self._disk.look()

    def _watch(self, look: Callable[[], None], every_seconds: float) -> None:
        try:
            while not rest_unless(self._stopped, every_seconds):
                look()
        except HarnessError as problem:
            self._problem = problem


class _EtcdLook:
    """Who answers clients on each machine, and as what."""

    def __init__(self, cluster: ManagedCluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        self._last: dict[str, dict[str, Any]] = {}
        self._told_at: dict[str, float] = {}
        self._asking = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, cluster.spec.members))
        # one a machine for good, as with mutual TLS each new connection is a handshake
        self._clients: dict[str, EtcdClient] = {}

    def look(self) -> None:
        machines = list(self._cluster.machines.values())
        with self._asking:
            for machine, seen in zip(machines, self._pool.map(self._observe, machines), strict=True):
                self._note(machine.name, seen)

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients.values():
            client.close()

    def _note(self, name: str, seen: dict[str, Any]) -> None:
        steady = {word: value for word, value in seen.items() if word not in ("revision", "raft_term")}
        due = self._journal.now() - self._told_at.get(name, -_ALL_THE_SAME_SECONDS)
        if steady != self._last.get(name) or due >= _ALL_THE_SAME_SECONDS:
            self._last[name], self._told_at[name] = steady, self._journal.now()
            self._journal.append("etcd.seen", machine=name, **seen)

    def _observe(self, machine: ManagedMachine) -> dict[str, Any]:
        if machine.name not in self._clients:
            self._clients[machine.name] = self._cluster.client(machine, POLL_TIMEOUT_SECONDS)
        try:
            status = self._clients[machine.name].status()
        except (CallFailed, CallUnknown):
            return {"answers": False}
        return {
            "answers": True,
            "cluster_id": status.header.cluster_id,
            "member_id": status.header.member_id,
            "leader": status.leader,
            "revision": status.header.revision,
            "raft_term": status.raft_term,
        }


class _StoreLook:
    """What is in the store, straight from it and by no way a manager takes."""

    def __init__(self, cluster: ManagedCluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        self._asking = threading.Lock()
        self._last: dict[str, tuple[int, float]] | None = None
        self._error = ""

    def look(self) -> None:
        with self._asking:
            try:
                seen = store_files(self._cluster)
            except StoreError as error:
                if str(error) != self._error:
                    self._error = str(error)
                    self._journal.append("store.unreachable", error=self._error[:300])
                return
            answers_again, self._error = bool(self._error), ""
            self._note(seen, answers_again)

    def _note(self, seen: dict[str, tuple[int, float]], answers_again: bool) -> None:
        before = self._last or {}
        added = {name: list(told) for name, told in seen.items() if name not in before}
        removed = sorted(before.keys() - seen.keys())
        changed = {name: list(told) for name, told in seen.items() if name in before and told != before[name]}
        if self._last is None or answers_again or added or removed or changed:
            self._last = seen
            self._journal.append("store.seen", added=added, removed=removed, changed=changed, total=len(seen))


class _DiskLook:
    """What lies on the machines' disks."""

    def __init__(self, cluster: ManagedCluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        self._archives: dict[str, dict[str, int]] = {}
        self._founding: dict[str, int] = {}
        self._told_at = -_ALL_THE_SAME_SECONDS

    def look(self) -> None:
        for machine in self._cluster.machines.values():
            names = {path.name for path in machine.archive()}
            known = self._archives.get(machine.name)
            if known is None or names != known.keys():
                entries = {path.name: bytes_below(path) for path in machine.archive()}
                self._archives[machine.name] = entries
                self._journal.append("archive.seen", machine=machine.name, entries=entries)
        if self._journal.now() - self._told_at >= _ALL_THE_SAME_SECONDS:
            self._told_at = self._journal.now()
            self._tell()

    def _tell(self) -> None:
        restores = sum(e.kind == "control.asked" and e.data["expects"] == "restore" for e in self._journal.entries())
        for machine in self._cluster.machines.values():
            archive = sum(self._archives.get(machine.name, {}).values())
            data = max(0, bytes_below(machine.data_dir) - archive)
            founding = self._founding.setdefault(machine.name, data)
            self._journal.append(
                "disk.seen",
                machine=machine.name,
                data_bytes=data,
                archive_bytes=archive,
                bound_bytes=founding * (_GROWTH + _ARCHIVES_A_RESTORE * restores),
            )


def store_files(cluster: ManagedCluster) -> dict[str, tuple[int, float]]:
    """Bytes and time of change of each file in the store; of control files kept elsewhere too, with ``@`` in front.

    Raises:
        StoreError: it does not say.
    """
    seen = _listed(cluster.store, "", "")
    if cluster.control_store is not cluster.store:
        seen |= _listed(cluster.control_store, CONTROL, "@")
    return seen


def _listed(store: BackupStore, prefix: str, mark: str) -> dict[str, tuple[int, float]]:
    return {f"{mark}{file.name}": (file.bytes, round(file.modified, 3)) for file in store.list(prefix)}


def observe_leases(cluster: ManagedCluster, journal: Journal) -> None:
    """How many leases each machine knows of (``lease.seen``)."""
    for machine in cluster.running():
        with cluster.client(machine, 2.0) as client:
            try:
                leases = client.leases()
            except (CallFailed, CallUnknown):
                continue
        journal.append("lease.seen", machine=machine.name, leases=len(leases))


def await_serving(cluster: ManagedCluster, seconds: float) -> bool:
    """Wait until each machine that is on follows a leader; False when they don't in time."""

    def all_serve() -> bool:
        told = [cluster.status(machine) for machine in cluster.running()]
        return all(status is not None and status.leader for status in told)

    with contextlib.suppress(WaitTimeout):
        return until(all_serve, what="all machines to serve", deadline_seconds=seconds, every_seconds=0.25)
    return False


def bytes_below(folder: Path) -> int:
    """What a folder takes of its disk; what goes away meanwhile takes nothing."""
    total = 0
    for at, _, names in os.walk(folder):  # tells nothing of folders that are moved meanwhile
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(Path(at) / name).st_blocks * _BLOCK
    return total
