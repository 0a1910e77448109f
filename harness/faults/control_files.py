"""Faults of what a manager keeps in its backup store, and writes there that are no fault of themselves.

Incident 003: a storage rule deleted control files and snapshots beneath a backup path; an operator and
``kops update cluster`` then wrote some of them again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from harness.clusters.backup_store import BackupStore
from harness.clusters.managed import ManagedCluster
from harness.control_files import MARKER, SPEC, marker_content, spec_content
from harness.errors import FaultError
from harness.faults import Evidence

STRUCK = "control.struck"


def strike(cluster: ManagedCluster, fault: str, left: dict[str, int]) -> None:
    """Write down what the store answered right after a change: a manager may put things back a moment later.

    Args:
        cluster: whose journal.
        fault: what changed it.
        left: bytes by name of what was looked for; -1 for what was not there.
    """
    cluster.journal.append(STRUCK, fault=fault, left=left)


def struck(cluster: ManagedCluster, fault: str) -> dict[str, int]:
    """What was written down last for a fault; empty before it."""
    told = [e.data for e in cluster.journal.entries() if e.kind == STRUCK and e.data["fault"] == fault]
    return dict(told[-1]["left"]) if told else {}


def size_in(store: BackupStore, name: str) -> int:
    """In bytes; -1 for what is not there."""
    content = store.read(name)
    return -1 if content is None else len(content)


@dataclass(frozen=True, slots=True)
class _OfControlFiles:
    """Some control files are not what they were, wherever this manager keeps them."""

    node: str = "the store"
    names: ClassVar[tuple[str, ...]] = ()

    def preflight(self, cluster: ManagedCluster) -> None:
        """They have to be there."""
        missing = [name for name in self.names if size_in(cluster.control_store, name) <= 0]
        if missing:
            raise FaultError(f"{', '.join(missing)} is not there; the fault would change nothing")

    def inject(self, cluster: ManagedCluster) -> None:
        """Change them, and look at once."""
        self._change(cluster.control_store)
        left = {name: size_in(cluster.control_store, name) for name in self.names}
        strike(cluster, type(self).__name__, left)

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """The store itself said so right after; what it says now is told beside."""
        left = struck(cluster, type(self).__name__)
        now = {name: size_in(cluster.control_store, name) for name in self.names}
        return Evidence(bool(left) and self._is_so(left), {"right_after": left, "now": now})

    def heal(self, cluster: ManagedCluster) -> None:
        """Nothing: writing them again is a step of the story."""

    def _change(self, store: BackupStore) -> None:
        store.delete(*self.names)

    def _is_so(self, left: dict[str, int]) -> bool:
        return all(size < 0 for size in left.values())


class MarkerGone(_OfControlFiles):
    """The marker that says the cluster was created is deleted."""

    names = (MARKER,)


class SpecGone(_OfControlFiles):
    """The cluster's spec is deleted."""

    names = (SPEC,)


class ControlFilesGone(_OfControlFiles):
    """Both are deleted, as the rule of the incident did."""

    # the spec first: a marker that is gone beside a spec is another fault, if only for a moment
    names = (SPEC, MARKER)


class MarkerEmpty(_OfControlFiles):
    """The marker is there with nothing in it, as after a write that was cut."""

    names = (MARKER,)

    def _change(self, store: BackupStore) -> None:
        store.write(MARKER, b"")

    def _is_so(self, left: dict[str, int]) -> bool:
        return left[MARKER] == 0


class SpecTruncated(_OfControlFiles):
    """Only the first half of the spec is there."""

    names = (SPEC,)

    def _change(self, store: BackupStore) -> None:
        content = store.read(SPEC) or b""
        store.write(SPEC, content[: len(content) // 2])

    def _is_so(self, left: dict[str, int]) -> bool:
        return left[SPEC] > 0


@dataclass(frozen=True, slots=True)
class BackupPathGone:
    """Everything beneath the backup path is deleted; what a manager keeps elsewhere stays."""

    node: str = "the store"

    def preflight(self, cluster: ManagedCluster) -> None:
        """There has to be something."""
        if not cluster.store.list():
            raise FaultError("nothing is beneath the backup path; the fault would change nothing")

    def inject(self, cluster: ManagedCluster) -> None:
        """Delete all of it; what is being written meanwhile comes in anew."""
        names = [file.name for file in cluster.store.list()]
        cluster.store.delete(*names)
        still = {file.name for file in cluster.store.list()}
        strike(cluster, type(self).__name__, {name: 0 if name in still else -1 for name in names})

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """None of the files of before was there right after."""
        left = struck(cluster, type(self).__name__)
        facts = {"deleted": len(left), "left": [name for name, size in left.items() if size >= 0]}
        return Evidence(bool(left) and not facts["left"], facts)

    def heal(self, cluster: ManagedCluster) -> None:
        """Nothing: it is gone."""


@dataclass(frozen=True, slots=True)
class _WrittenAgain:
    """A control file is written, as new: an event that somebody takes for harmless."""

    node: str = "the store"
    by: str = "operator"
    name: ClassVar[str] = ""

    def preflight(self, cluster: ManagedCluster) -> None:
        """It can always be written."""

    def inject(self, cluster: ManagedCluster) -> None:
        """Write it, and read it back."""
        content = self._content(cluster)
        cluster.control_store.write(self.name, content)
        good = cluster.control_store.read(self.name) == content
        strike(cluster, type(self).__name__, {self.name: len(content) if good else -1})
        cluster.journal.append("control.written", by=self.by, name=self.name)

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """It was read back as it had been written."""
        left = struck(cluster, type(self).__name__)
        return Evidence(left.get(self.name, -1) > 0, {"read_back_bytes": left})

    def heal(self, cluster: ManagedCluster) -> None:
        """Nothing: it is meant to stay."""

    def _content(self, cluster: ManagedCluster) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SpecWrittenAgain(_WrittenAgain):
    """The spec is written as ``kops update cluster`` does: no look at what else is there."""

    by: str = "kops-update"
    name = SPEC

    def _content(self, cluster: ManagedCluster) -> bytes:
        return spec_content(cluster.spec.members, cluster.program.release.version)


class MarkerWrittenAgain(_WrittenAgain):
    """The marker is written by hand, as the author of the incident did on his other clusters."""

    name = MARKER

    def _content(self, cluster: ManagedCluster) -> bytes:  # noqa: ARG002 - a marker is a date and no more
        return marker_content(time.time())
