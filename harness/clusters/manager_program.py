"""What a machine of a managed cluster runs, as an adapter describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.clusters.backup_store import BackupStore
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.machine import ManagedMachine
from harness.clusters.namespaces import Box
from harness.clusters.s3_gate import S3Gate

if TYPE_CHECKING:
    from harness.clusters.managed import ManagedCluster


class ManagerProgram(Protocol):
    """What a machine runs: an adapter of a real manager, or of our own."""

    @property
    def label(self) -> str:
        """Short name in reports."""

    @property
    def release(self) -> EtcdRelease:
        """The etcd it starts, and the tools of the same version."""

    @property
    def client_port(self) -> int:
        """Where its etcd serves clients."""

    @property
    def quarantine_port(self) -> int:
        """Where its etcd listens instead while it must not serve clients."""

    @property
    def peer_port(self) -> int:
        """Where its etcd listens for other members."""

    @property
    def manager_port(self) -> int:
        """Where it listens for other managers."""

    @property
    def loop_seconds(self) -> float:
        """Rest between two looks at the world."""

    @property
    def least_backup_seconds(self) -> float:
        """Shortest time between two backups that it can be told."""

    @property
    def formation_seconds(self) -> float:
        """Deadline for a first start, until all machines serve."""

    @property
    def restart_seconds(self) -> float:
        """Deadline for a restart of all, until all machines serve again."""

    @property
    def fsync(self) -> bool:
        """Whether its etcd waits for the disk; one that does not is started with ``--unsafe-no-fsync``."""

    @property
    def keeps_control_apart(self) -> bool:
        """Whether its control files lie elsewhere than below the backup path."""

    @property
    def alarm(self) -> str:
        """Regular expression: text of a log line of severity W, E or F that is an alarm."""

    @property
    def notable(self) -> str:
        """Regular expression: text of any other log line worth telling."""

    @property
    def took(self) -> str:
        """Regular expression: text of the log line of a backup that was taken; one group, its name."""

    @property
    def loss(self) -> str:
        """Regular expression: text of a log line that says what a restore loses; empty when it never says."""

    def command(self, machine: ManagedMachine, cluster: ManagedCluster) -> tuple[str, ...]:
        """The manager's command line on a machine."""

    def environment(self, cluster: ManagedCluster) -> dict[str, str]:
        """What the manager needs beside the store's own variables."""

    def box(self, machine: ManagedMachine, cluster: ManagedCluster) -> Box | None:
        """Namespaces it has to be started in; None where it knows no fixed paths.

        Leaves behind: files below the cluster's work folder.
        """

    def control(self, cluster: ManagedCluster, verb: str, *words: str) -> tuple[str, ...]:
        """A control command as an operator gives it: ``configure-cluster``, ``restore-backup NAME``, ..."""


@dataclass(frozen=True, slots=True)
class ManagedSetup:
    """What a managed cluster is made with.

    Args:
        program: what each machine runs.
        backups: the backup path.
        apart: where control files are for a manager that keeps them apart.
        environment: by which managers and operators reach both; another one than the harness's own where a gate
            stands between.
        gate: the one that does, for S3.
    """

    program: ManagerProgram
    backups: BackupStore
    apart: BackupStore
    environment: Mapping[str, str]
    gate: S3Gate | None = None
