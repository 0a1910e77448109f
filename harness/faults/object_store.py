"""Faults of the backup store itself: out of reach, slow, denied, read-only, or tidied by a rule."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from harness.clusters.backup_store import FileStore, S3Store, StoreError
from harness.clusters.managed import ManagedCluster
from harness.clusters.s3_gate import GateMode, S3Gate
from harness.control_files import SPEC
from harness.errors import FaultError, WaitTimeout
from harness.faults import Evidence
from harness.faults.control_files import strike, struck
from harness.waiting import until

# Its scanner goes over everything about once a second.
_RULE_SECONDS = 60.0
# Long enough for every time limit of a loop, short enough that requests end.
SLOW_SECONDS = 3.0


def _gate(cluster: ManagedCluster, fault: str) -> S3Gate:
    if cluster.setup.gate is None:
        raise FaultError(f"{fault} is for S3 stores: nothing stands between a manager and its files")
    return cluster.setup.gate


@dataclass(frozen=True, slots=True)
class _OfGate:
    """The store behaves badly towards managers; the harness reaches it as before."""

    node: str = "the store"
    mode: ClassVar[GateMode] = GateMode.PASS

    def preflight(self, cluster: ManagedCluster) -> None:
        """There has to be a gate, and it has to be open."""
        if _gate(cluster, type(self).__name__).mode is not GateMode.PASS:
            raise FaultError("the store is in trouble already")

    def inject(self, cluster: ManagedCluster) -> None:
        """Set the gate, and wait until somebody came to it: until then it has struck nobody."""
        gate = _gate(cluster, type(self).__name__)
        gate.set(self.mode, SLOW_SECONDS if self.mode is GateMode.SLOW else 0.0)
        patience = 2 * cluster.program.loop_seconds + 3 * cluster.backup_seconds + 5
        with contextlib.suppress(WaitTimeout):
            until(lambda: _has_struck(gate), what="the gate to strike", deadline_seconds=patience)

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """It has struck a manager's request, or refuses ours."""
        gate = _gate(cluster, type(self).__name__)
        facts = {"mode": str(gate.mode), "struck": dict(gate.struck)}
        return Evidence(gate.mode is self.mode and _has_struck(gate), facts)

    def heal(self, cluster: ManagedCluster) -> None:
        """Open it."""
        _gate(cluster, type(self).__name__).set(GateMode.PASS)


class StoreSlow(_OfGate):
    """Every answer comes seconds late."""

    mode = GateMode.SLOW


class StoreReadOnly(_OfGate):
    """It can be read; what would change it is denied, as after a change of a bucket's policy."""

    mode = GateMode.READ_ONLY


class StoreDenied(_OfGate):
    """Everything is denied, as with credentials that have run out."""

    mode = GateMode.DENY


@dataclass(frozen=True, slots=True)
class StoreUnreachable:
    """Nobody gets an answer that says what is there: connections are refused, or the path leads nowhere."""

    node: str = "the store"

    def preflight(self, cluster: ManagedCluster) -> None:
        """It has to be reachable."""
        folders = list(_folders(cluster))
        if any(folder.is_symlink() for folder in folders) or not all(folder.is_dir() for folder in folders):
            raise FaultError("the store can't be reached already")

    def inject(self, cluster: ManagedCluster) -> None:
        """Refuse, or put a link that leads to itself where the folders were: as a mount that has gone bad."""
        if cluster.setup.gate is not None:
            cluster.setup.gate.set(GateMode.REFUSE)
        for folder in _folders(cluster):
            folder.rename(_aside(folder))
            folder.symlink_to(folder)

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """An attempt of ours by the managers' way is answered by an error, not by 'there is none'."""
        if cluster.setup.gate is not None:
            refused = _is_refused(cluster.setup.gate.endpoint)
            return Evidence(refused, {"refused": refused})
        errors = [_error_of(store) for store in _file_stores(cluster)]
        return Evidence(all(errors), {"errors": errors})

    def heal(self, cluster: ManagedCluster) -> None:
        """As it was before."""
        if cluster.setup.gate is not None:
            cluster.setup.gate.set(GateMode.PASS)
        for folder in _folders(cluster):
            folder.unlink()
            _aside(folder).rename(folder)


@dataclass(frozen=True, slots=True)
class LifecycleApplied:
    """A storage rule deletes what is older than it allows: the incident's, below the backup path.

    An S3 server executes the rule itself, on objects made older; files are deleted as by somebody's daily job.

    Args:
        prefix: of names below the backup path.
        days: what is older goes.
        aged_days: how old everything there is made.
    """

    prefix: str = ""
    days: int = 90
    aged_days: int = 100
    node: str = field(default="the store")

    def preflight(self, cluster: ManagedCluster) -> None:
        """There has to be something for it to delete."""
        if not cluster.store.list(self.prefix):
            raise FaultError(f"nothing is below {self.prefix!r}; the rule would change nothing")

    def inject(self, cluster: ManagedCluster) -> None:
        """Make everything there old, and let the rule go over it."""
        store = cluster.store
        if isinstance(store, S3Store):
            names = list(store.age(self.prefix, self.aged_days))
            store.set_lifecycle(self.prefix, self.days)
            with contextlib.suppress(WaitTimeout):
                until(
                    lambda: not self._still(cluster, names),
                    what="the rule to have gone over all objects",
                    deadline_seconds=_RULE_SECONDS,
                    every_seconds=0.2,
                )
        else:
            names = [file.name for file in store.list(self.prefix)]
            store.delete(*names)
        still = self._still(cluster, names)
        strike(cluster, type(self).__name__, {name: 0 if name in still else -1 for name in names})

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """Nothing of what was there is left; an S3 server shows by delete markers that it was its own doing."""
        left = struck(cluster, type(self).__name__)
        facts = {"deleted": len(left), "left": [name for name, size in left.items() if size >= 0]}
        return Evidence(bool(left) and not facts["left"], facts)

    def heal(self, cluster: ManagedCluster) -> None:
        """The rule is withdrawn; what it has deleted stays so."""
        if isinstance(cluster.store, S3Store):
            cluster.store.clear_lifecycle()

    def _still(self, cluster: ManagedCluster, names: Iterable[str]) -> set[str]:
        return {file.name for file in cluster.store.list(self.prefix)} & set(names)


def _has_struck(gate: S3Gate) -> bool:
    return sum(gate.struck.values()) > 0


def _is_refused(endpoint: str) -> bool:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(endpoint, timeout=2).close()
    except urllib.error.HTTPError:
        return False
    except OSError:
        return True
    return False


def _file_stores(cluster: ManagedCluster) -> list[FileStore]:
    stores = {id(store): store for store in (cluster.store, cluster.control_store)}
    return [store for store in stores.values() if isinstance(store, FileStore)]


def _folders(cluster: ManagedCluster) -> Iterable[Path]:
    return (store.folder for store in _file_stores(cluster))


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-aside")


def _error_of(store: FileStore) -> str:
    try:
        store.list()
        store.read(SPEC)
    except StoreError as error:
        return str(error)[:120]
    return ""
