"""What a case is played on: the shapes of clusters. Frozen values, validated when made, no I/O."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

from harness.errors import UsageError

# What users may keep under TLS secrets.
SECRETS = ("none", "text", "binary")
# Where managers of etcd may keep backups and control files.
BACKUP_STORES = ("file", "s3")


class ClusterShape(ABC):
    """What kind of cluster a case is played on, and how big."""

    __slots__ = ()

    @property
    @abstractmethod
    def label(self) -> str:
        """Short name of the shape."""

    @property
    def kind_nodes(self) -> int:
        """How many nodes of kind it has; 0 where it has nothing to do with kind."""
        return 0


class MembersShape(ClusterShape):
    """One whose etcd members the harness makes and watches."""

    __slots__ = ()
    strict_reconfig_check: bool

    @property
    @abstractmethod
    def election_seconds(self) -> float:
        """Etcd's ``--election-timeout``."""

    @property
    @abstractmethod
    def voters(self) -> int:
        """Voting etcd members at the start."""


@dataclass(frozen=True, slots=True)
class EtcdSpec(MembersShape):
    """A multi-node etcd cluster.

    Args:
        members: voting members at the start, 1 to 9.
        strict_reconfig_check: etcd's ``--strict-reconfig-check``.
        mutual_tls: client and peer traffic over mutual TLS instead of plain HTTP.
        fsync: False starts etcd with ``--unsafe-no-fsync``; said in the journal.
        release: an etcd version as ``3.5.1``; empty means the preferred one found.
        heartbeat_ms: etcd's ``--heartbeat-interval``.
        election_ms: etcd's ``--election-timeout``; at least five heartbeats (etcd's own rule).
    """

    members: int = 3
    strict_reconfig_check: bool = True
    mutual_tls: bool = False
    fsync: bool = False
    release: str = ""
    heartbeat_ms: int = 50
    election_ms: int = 500

    def __post_init__(self) -> None:
        if not 1 <= self.members <= 9:
            raise UsageError(f"an etcd cluster has 1 to 9 members here, not {self.members}")
        if self.election_ms < 5 * self.heartbeat_ms:
            raise UsageError(f"election_ms {self.election_ms} is under five heartbeats of {self.heartbeat_ms} ms")

    @property
    def election_seconds(self) -> float:
        """As asked for."""
        return self.election_ms / 1000

    @property
    def voters(self) -> int:
        """All members vote at the start."""
        return self.members

    @property
    def label(self) -> str:
        """Short name of the shape, as ``3-strict`` or ``5-relaxed``."""
        parts = [str(self.members), "strict" if self.strict_reconfig_check else "relaxed"]
        return "-".join(parts + ["tls"] * self.mutual_tls)


@dataclass(frozen=True, slots=True)
class KindSpec(MembersShape):
    """A Kubernetes cluster made by kind: node containers, kubeadm, stacked etcd.

    Args:
        control_planes: 1 to 3; more than one brings kind's load balancer.
        workers: 0 to 5.
        strict_reconfig_check: etcd's ``--strict-reconfig-check`` on every control plane.
        kubernetes: a version as ``1.34.4``; empty means that of the preferred node image.
        etcd: a version as ``3.6.6``; empty means that of the preferred node image.
        mounts: ``(folder here, folder in every node)`` pairs.
        ports: ``(port here on loopback, port in the first node)`` pairs; 0 here picks a free one.
    """

    control_planes: int = 1
    workers: int = 0
    strict_reconfig_check: bool = True
    kubernetes: str = ""
    etcd: str = ""
    mounts: tuple[tuple[str, str], ...] = ()
    ports: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.control_planes <= 3:
            raise UsageError(f"a kind cluster has 1 to 3 control planes here, not {self.control_planes}")
        if not 0 <= self.workers <= 5:
            raise UsageError(f"a kind cluster has 0 to 5 workers here, not {self.workers}")
        if any(not 0 <= port < 2**16 for pair in self.ports for port in pair):
            raise UsageError(f"ports are 0 to 65535, not {self.ports}")

    @property
    def kind_nodes(self) -> int:
        """All of them."""
        return self.control_planes + self.workers

    @property
    def election_seconds(self) -> float:
        """Kubeadm leaves etcd's default."""
        return 1.0

    @property
    def voters(self) -> int:
        """Every control plane has an etcd member."""
        return self.control_planes

    @property
    def label(self) -> str:
        """Short name of the shape, as ``kind-3-relaxed`` or ``kind-1+2w``."""
        nodes = f"{self.control_planes}+{self.workers}w" if self.workers else str(self.control_planes)
        strictness = [] if self.control_planes == 1 else ["strict" if self.strict_reconfig_check else "relaxed"]
        skew = [f"k{self.kubernetes}"] * bool(self.kubernetes) + [f"e{self.etcd}"] * bool(self.etcd)
        return "-".join(["kind", nodes, *strictness, *skew])

    @classmethod
    def size_in(cls, name: str) -> KindSpec | None:
        """The size of the kind cluster whose label stands in a case's name; None where there is none."""
        found = re.search(r"[-/]kind-(\d)(?:\+(\d)w)?(?=[-\]]|$)", name)
        return cls(int(found[1]), int(found[2] or 0)) if found else None


@dataclass(frozen=True, slots=True)
class DeploymentSpec(ClusterShape):
    """A kind cluster that the tool under test makes itself, for an app that it deploys there.

    Args:
        in_use: whether it is up and has users when the story begins; else nothing is there yet.
        secrets: the TLS secrets users have there: ``none``, ``text`` (PEM only) or ``binary`` (with a
            value of all 256 bytes beside, NUL included).
        jq: whether the image in which a tool may clean up etcd has jq.
        kubernetes, etcd: versions of the node image; empty means the preferred one.
        then_kubernetes, then_etcd: those of the node image from the second creation on; empty means the same.
    """

    in_use: bool = True
    secrets: str = "binary"
    jq: bool = True
    kubernetes: str = ""
    etcd: str = ""
    then_kubernetes: str = ""
    then_etcd: str = ""

    def __post_init__(self) -> None:
        if self.secrets not in SECRETS:
            raise UsageError(f"secrets are one of {', '.join(SECRETS)}, not {self.secrets!r}")
        if self.is_renewed and not self.in_use:
            raise UsageError("nothing is made anew where nothing was there before")

    @property
    def kind_nodes(self) -> int:
        """One: that is what deploy tools make here."""
        return 1

    @property
    def is_renewed(self) -> bool:
        """Whether its later nodes are made of another image than the first."""
        return bool(self.then_kubernetes or self.then_etcd)

    @property
    def label(self) -> str:
        """Short name of the shape, as ``kind-1-binary``, ``kind-1-text-nojq`` or ``kind-1-new``."""
        skew = [f"k{self.kubernetes}"] * bool(self.kubernetes) + [f"e{self.etcd}"] * bool(self.etcd)
        skew += [f"then-k{self.then_kubernetes}"] * bool(self.then_kubernetes)
        skew += [f"then-e{self.then_etcd}"] * bool(self.then_etcd)
        users = self.secrets if self.in_use else "new"
        return "-".join(["kind-1", users, *["nojq"] * (not self.jq), *skew])


@dataclass(frozen=True, slots=True)
class ManagedSpec(ClusterShape):
    """An etcd cluster in the hands of managers, one a machine as kops has it, with a store for backups.

    Args:
        members: machines, and etcd members at the start, 1 to 9.
        store: ``file`` or ``s3``.
        backup_seconds: time between two backups; a manager may know a longer shortest one.
    """

    members: int = 3
    store: str = "file"
    backup_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.members <= 9:
            raise UsageError(f"a managed cluster has 1 to 9 machines here, not {self.members}")
        if self.store not in BACKUP_STORES:
            raise UsageError(f"backups are kept in one of {', '.join(BACKUP_STORES)}, not {self.store!r}")
        if not self.backup_seconds > 0:  # nan is not above 0 either
            raise UsageError(f"backup_seconds {self.backup_seconds} is not above 0")

    @property
    def voters(self) -> int:
        """Every machine has a member."""
        return self.members

    @property
    def label(self) -> str:
        """Short name of the shape, as ``managed-3-file`` or ``managed-1-s3-every5s``."""
        every = [f"every{self.backup_seconds:g}s"] * (self.backup_seconds != 1)
        return "-".join(["managed", str(self.members), self.store, *every])


def shape_of(data: dict[str, object]) -> type[ClusterShape]:
    """Which shape plain JSON values are: each has a field that no other has."""
    if "secrets" in data:
        return DeploymentSpec
    if "backup_seconds" in data:
        return ManagedSpec
    return KindSpec if "control_planes" in data else EtcdSpec
