"""What a run owns on this machine, written down before any of it is made.

Processes carry the run's label in their environment. Things in the Docker engine carry it as a label
of theirs; nodes of kind clusters, which take no further labels, are told by the name of their cluster,
which begins with the run's prefix, or, where a tool under test chose that name, by the network they
were made on: each run has one of its own. Data lies in one folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from harness.clusters.living import living

RUN_LABEL = "afterfault.run"
OWNER_LABEL = "afterfault.owner"
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
# Names of kind clusters and of networks of any run; see `Mark`.
_CLUSTER_OF_A_RUN = re.compile(r"af-[0-9a-f]{10}-.*")
_NETWORK_OF_A_RUN = re.compile(r"af-[0-9a-f]{10}-net")


def cache_folder() -> Path:
    """The one folder of ours in the user's home: leases and things built once."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "afterfault"


@dataclass(frozen=True, slots=True)
class Mark:
    """How a run's things in the Docker engine are told from everybody else's.

    Args:
        label: value of their label ``afterfault.run``.
        volumes: anonymous volumes that containers of the run were seen with: they carry no label, and
            stay when somebody removes a container without them.
    """

    label: str
    volumes: tuple[str, ...] = ()

    @property
    def cluster_prefix(self) -> str:
        """How the name of each kind cluster of the run begins, and of no other run's.

        Derived, never read from a file: no damage to a lease can make a run own more than its own.
        """
        return f"af-{hashlib.sha256(self.label.encode()).hexdigest()[:10]}-"

    @property
    def network(self) -> str:
        """Name of the run's own network; derived too."""
        return f"{self.cluster_prefix}net"

    def covers(self, labels: Mapping[str, str], network: str = "") -> bool:
        """Whether a thing with these labels is the run's.

        Args:
            labels: its own. A run's label says all, whatever else there is; so does a cluster's name that
                begins with a run's prefix.
            network: for a container, the one it was made on (the engine's ``HostConfig.NetworkMode``). Whoever
                makes a container on the run's network gives it to the run. One that somebody attached
                later was made on another and stays its owner's.
        """
        cluster = labels.get(CLUSTER_LABEL, "")
        if RUN_LABEL in labels:
            return labels[RUN_LABEL] == self.label
        if _CLUSTER_OF_A_RUN.fullmatch(cluster):
            return cluster.startswith(self.cluster_prefix)
        return network == self.network


@dataclass(frozen=True, slots=True)
class Lease:
    """What a run owns, as written to its lease file.

    Args:
        label: value of ``AFTERFAULT_RUN`` in the environment of each process owned.
        work: folder that goes with the run.
        owner_pid: the process that runs it.
        owner_created: that process's start time, so that a reused pid is not mistaken for it.
        engine: address of the Docker engine that may hold things of this run; empty while none can.
        volumes: as `Mark` has them.
    """

    label: str
    work: Path
    owner_pid: int
    owner_created: float
    engine: str = ""
    volumes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Lease:
        """What `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: it did not.
        """
        raw = json.loads(text)
        return cls(
            raw["label"], Path(raw["work"]), raw["owner_pid"], raw["owner_created"],
            raw.get("engine", ""), tuple(raw.get("volumes", ())),
        )  # fmt: skip

    def to_json(self) -> str:
        """As text; with the prefix, for people who look."""
        return json.dumps(asdict(self) | {"work": str(self.work), "cluster_prefix": self.cluster_prefix})

    @property
    def file(self) -> Path:
        """Where the lease is written."""
        return cache_folder() / "leases" / f"{self.label}.json"

    @property
    def mark(self) -> Mark:
        """How its things in the engine are told."""
        return Mark(self.label, self.volumes)

    @property
    def cluster_prefix(self) -> str:
        """How the name of each of its kind clusters begins."""
        return self.mark.cluster_prefix

    @property
    def owner(self) -> str:
        """Owning process and lease file, as things in the engine are labelled with them; `is_orphaned` reads it."""
        return json.dumps([_place(), self.owner_pid, self.owner_created, str(self.file)])

    def owner_lives(self) -> bool:
        """Whether the very process that took the lease is still there."""
        return _lives(self.owner_pid, self.owner_created)

    def write(self) -> None:
        """Write it, whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished.write_text(self.to_json())
        self._unfinished.replace(self.file)

    def forget(self) -> None:
        """Remove the file: nothing of the run is left."""
        self._unfinished.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self.file.with_suffix(".unfinished")


def is_of_a_run(labels: Mapping[str, str], network: str = "") -> bool:
    """Whether a container is some run's, this one's or another's; see `Mark.covers`."""
    named = _CLUSTER_OF_A_RUN.fullmatch(labels.get(CLUSTER_LABEL, "")) or _NETWORK_OF_A_RUN.fullmatch(network)
    return RUN_LABEL in labels or named is not None


def read_lease(file: Path) -> Lease | None:
    """The lease in a file; None when there is no file, or no lease in it."""
    try:
        return Lease.from_json(file.read_text())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def lease_files() -> Iterator[Path]:
    """All lease files of this user."""
    yield from sorted((cache_folder() / "leases").glob("*.json"))


def is_orphaned(owner: str) -> bool:
    """Whether the process that a thing in the engine is labelled with is surely gone, and its lease file too.

    Args:
        owner: from `Lease.owner`. What can't be seen from here counts as there: a process of another machine
            or of a container, a lease in another user's home.
    """
    try:
        place, pid, created, file = json.loads(owner)
        return place == _place() and not _lives(pid, created) and _is_absent(Path(file))
    except (ValueError, TypeError):
        return False


def _lives(pid: int, created: float) -> bool:
    process = living(pid)
    try:
        return process is not None and process.create_time() == created
    except psutil.NoSuchProcess:
        return False


def _is_absent(file: Path) -> bool:
    try:
        file.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # who may not look can't tell
    return False


def _place() -> str:
    """Where process numbers mean the same: this machine, and this namespace of processes."""
    return f"{socket.gethostname()} {Path('/proc/self/ns/pid').stat().st_ino}"
