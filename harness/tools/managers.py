"""The managers there are: our own, and the real etcd-manager."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.managed import ManagedCluster, ManagedMachine, ManagerProgram
from harness.clusters.namespaces import Box
from harness.errors import UsageError
from harness.spec import REFERENCE, Target
from harness.tools.etcd_manager import ALARM, NAME, NOTABLE, OPTION, TOOK, EtcdManager
from harness.tools.reference.manager.variants import VARIANTS

_MODULE = (sys.executable, "-m", "harness.tools.reference.manager")


@dataclass(frozen=True, slots=True)
class ReferenceManager:
    """Our own small manager, with the strategy or defect of that name.

    Args:
        variant: strategy, switched off wish, or defect.
        release: the etcd it runs.
    """

    variant: str
    release: EtcdRelease
    client_port: int = 4001
    quarantine_port: int = 8001
    peer_port: int = 2380
    manager_port: int = 8000
    loop_seconds: float = 0.2
    least_backup_seconds: float = 0.2
    formation_seconds: float = 60.0
    restart_seconds: float = 40.0
    fsync: bool = False
    alarm: str = rf"^alarm: |{ALARM}"
    notable: str = rf"^restored |{NOTABLE}"
    took: str = TOOK
    loss: str = r"^restored .*leases lost"

    @property
    def label(self) -> str:
        """Its variant: the tool's own name stands in the target."""
        return self.variant

    @property
    def keeps_control_apart(self) -> bool:
        """As its variant does."""
        return VARIANTS[self.variant].control_apart

    def command(self, machine: ManagedMachine, cluster: ManagedCluster) -> tuple[str, ...]:
        """Machines' names are the managers' IDs: the lowest running one leads."""
        return (
            *_MODULE, "run", *self._stores(cluster),
            "--id", machine.name, "--address", machine.address,
            "--discovery", str(cluster.discovery), "--data-dir", str(machine.data_dir),
            "--etcd-dir", str(self.release.etcd.parent),
            "--loop-seconds", f"{self.loop_seconds:g}", "--backup-seconds", f"{cluster.backup_seconds:g}",
            "--client-port", str(self.client_port), "--quarantine-port", str(self.quarantine_port),
            "--peer-port", str(self.peer_port), "--orders-port", str(self.manager_port),
        )  # fmt: skip

    def environment(self, cluster: ManagedCluster) -> dict[str, str]:  # noqa: ARG002 - the same for all
        """Where this package is found, whatever folder it works in."""
        return {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}

    def box(self, machine: ManagedMachine, cluster: ManagedCluster) -> Box | None:  # noqa: ARG002 - it needs none
        """It is told every path."""
        return None

    def control(self, cluster: ManagedCluster, verb: str, *words: str) -> tuple[str, ...]:
        """By its own control command; the spec's values stand after the verb."""
        spec: tuple[str, ...] = ()
        if verb == "configure-cluster":
            spec = ("--member-count", str(cluster.spec.members), "--etcd-version", self.release.version)
        return (*_MODULE, "ctl", *self._stores(cluster), verb, *words, *spec)

    def _stores(self, cluster: ManagedCluster) -> tuple[str, ...]:
        setup = cluster.setup
        return (
            "--variant", self.variant, "--backup-store", setup.backups.url, "--control-store", setup.apart.url
        )  # fmt: skip


def manager_program(target: Target, releases: Sequence[EtcdRelease], real: EtcdManager | None = None) -> ManagerProgram:
    """The manager a case is about.

    Args:
        target: as in the case's spec; the reference's variant says all.
        releases: etcd for the reference manager, the preferred one first.
        real: the build under test, where the user named one.

    Raises:
        UsageError: the case is about a real manager and none was named.
    """
    if target.tool == REFERENCE:
        return ReferenceManager(target.variant, releases[0])
    if real is None:
        raise UsageError(f"{target.label} is not here", mend=f"give {OPTION} DIR")
    return real


def etcd_manager_target(real: EtcdManager) -> Target:
    """The build's name in reports."""
    return Target(NAME, "build", f"{real.build} with etcd {real.release.version}")
