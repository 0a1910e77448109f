"""A cluster of real etcd in the hands of managers: one a machine, with a store for backups and control files."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Mapping
from pathlib import Path

from harness.clusters.addresses import Subnet, check_free
from harness.clusters.backup_store import BackupStore
from harness.clusters.etcd_client import CallFailed, CallUnknown, Header
from harness.clusters.machine import Firmware, ManagedMachine
from harness.clusters.manager_program import ManagedSetup, ManagerProgram
from harness.clusters.members import POLL_TIMEOUT_SECONDS, EtcdEndpoints, run_binary
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, HarnessError, WaitTimeout
from harness.journal import Journal
from harness.spec import LOG_PREFIX, ManagedSpec
from harness.waiting import SYSTEM_CLOCK, Clock, until

__all__ = ["ManagedCluster", "ManagedMachine", "ManagedSetup", "ManagerProgram"]

_POLL_EVERY_SECONDS = 0.25


class ManagedCluster(EtcdEndpoints[ManagedMachine]):
    """Managers, one a machine, and the real etcd cluster they make.

    Args:
        spec: the shape.
        setup: what it is made with.
        work: folder for all that is not in a store; goes with the cluster.
        journal: every change of a machine is written there.
        ownership: whose processes these are.
        subnet: a leased /24; by default one is leased here.
        clock: where time comes from.

    Leaves behind: processes, data under `work` and the subnet's lease, until `remove`; what is in the stores always.
    """

    spec: ManagedSpec
    log_prefix = LOG_PREFIX

    def __init__(
        self,
        spec: ManagedSpec,
        setup: ManagedSetup,
        work: Path,
        journal: Journal,
        ownership: Ownership,
        *,
        subnet: Subnet | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.spec, self.setup, self.program = spec, setup, setup.program
        self.work, self.journal, self.ownership = work.resolve(), journal, ownership
        program, self.release = setup.program, setup.program.release
        self.subnet = subnet or Subnet()
        self.work.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        firmware = Firmware(
            command=lambda machine: program.command(machine, self),
            environment=self.environment,
            box=lambda machine: program.box(machine, self),
            client_port=program.client_port,
            peer_port=program.peer_port,
            journal=journal,
        )
        numbers = range(1, spec.members + 1)
        self.machines: Mapping[str, ManagedMachine] = {
            f"m{number}": ManagedMachine(f"m{number}", self.subnet.address(number), self.work / f"m{number}", firmware)
            for number in numbers
        }

    @property
    def nodes(self) -> Mapping[str, ManagedMachine]:
        """All machines, by name."""
        return self.machines

    @property
    def client_context(self) -> ssl.SSLContext | None:
        """Managers are told to do without TLS here."""
        return None

    def etcdctl_credentials(self) -> dict[str, str]:
        """None are needed."""
        return {}

    @property
    def store(self) -> BackupStore:
        """Where the backups are."""
        return self.setup.backups

    @property
    def control_store(self) -> BackupStore:
        """Where this manager keeps its control files."""
        return self.setup.apart if self.program.keeps_control_apart else self.setup.backups

    @property
    def backup_seconds(self) -> float:
        """Time between two backups, as the managers are told."""
        return max(self.spec.backup_seconds, self.program.least_backup_seconds)

    @property
    def discovery(self) -> Path:
        """A folder that all machines of this cluster share, and nobody else: managers find each other there."""
        return self.work / "discovery"

    def environment(self) -> dict[str, str]:
        """The whole environment of a manager, and of an operator's command."""
        return self.ownership.environment(**self.setup.environment, **self.program.environment(self))

    def control_command(self, verb: str, *words: str) -> tuple[str, ...]:
        """An operator's control command, to be run with `environment`."""
        return self.program.control(self, verb, *words)

    def control(self, verb: str, *words: str) -> str:
        """Give a control command and wait for its end; returns what it said.

        Raises:
            ClusterError: it failed; carries the end of what it wrote.
        """
        return run_binary(list(self.control_command(verb, *words)), self.environment())

    def configure(self) -> None:
        """Say what the cluster is to be, as kops does before the first start.

        Raises:
            ClusterError: the control command failed.
        """
        self.control("configure-cluster")

    def start(self) -> None:
        """Configure the cluster, start all machines and wait until each of them takes writes, of one cluster.

        Raises:
            ClusterError: it did not become one in time; carries the end of a manager's log.
            MachineError: a port is taken, or namespaces can't be had here.
        """
        started = self._clock.monotonic()
        self.discovery.mkdir(exist_ok=True)
        program = self.program
        for machine in self.machines.values():
            ports = (program.client_port, program.quarantine_port, program.peer_port, program.manager_port)
            check_free(machine.address, ports)
        self.configure()
        for machine in self.machines.values():
            machine.start("first start")
        headers = self.await_serving(program.formation_seconds)
        self.cluster_id = next(iter(headers.values())).cluster_id
        self._tell(headers, round(self._clock.monotonic() - started, 3))

    def await_serving(self, deadline_seconds: float) -> dict[str, Header]:
        """Wait until every machine takes a write, all of the same cluster; returns who took them.

        Raises:
            ClusterError: not in time; carries the end of a manager's log.
        """
        try:
            return until(
                self.try_writes,
                lambda headers: (
                    len(headers) == len(self.machines) and len({header.cluster_id for header in headers.values()}) == 1
                ),
                what="every machine to take writes, of one cluster",
                deadline_seconds=deadline_seconds,
                every_seconds=_POLL_EVERY_SECONDS,
                clock=self._clock,
            )
        except WaitTimeout as error:
            leader = self.leader_machine() or next(iter(self.machines.values()))
            raise ClusterError(str(error), log_tail=leader.log_tail()) from error

    def try_writes(self) -> dict[str, Header]:
        """Try a write through each running machine; who took one, by machine."""
        headers = {}
        for machine in self.running():
            with self.client(machine, POLL_TIMEOUT_SECONDS) as client:
                try:
                    headers[machine.name] = client.put({"afterfault/ready": machine.name})
                except (CallFailed, CallUnknown):
                    continue
        return headers

    def leader_machine(self) -> ManagedMachine | None:
        """The machine whose manager leads the others: the lowest ID among those that run; None when none does."""
        living = [machine for machine in self.machines.values() if machine.manager_running and not machine.paused]
        return min(living, key=lambda machine: machine.identity, default=None)

    def remove(self) -> list[str]:
        """End all, remove the work folder, give the subnet back; the stores are left alone.

        Returns a sentence for each thing that could not be removed.
        """
        problems: list[str] = []
        for machine in self.machines.values():
            try:
                machine.kill("removed")
            except HarnessError as error:
                problems.append(f"machine {machine.name}: {error}")
        try:
            shutil.rmtree(self.work)
        except OSError as error:
            problems.append(f"{self.work}: {error}")
        self.subnet.release()
        return problems

    def _tell(self, headers: Mapping[str, Header], seconds: float) -> None:
        members = [
            {
                "node": machine.name,
                "machine": machine.name,
                "address": machine.address,
                "member_id": headers[machine.name].member_id,
                "client_url": machine.client_url,
                "peer_url": machine.peer_url,
            }
            for machine in self.machines.values()
        ]
        release = {"release": self.release.version, "release_note": self.release.note, "fsync": self.program.fsync}
        known = {"cluster_id": self.cluster_id, **release, "mutual_tls": False}
        self.journal.append("cluster.started", **known, seconds=seconds, members=members)
        self.journal.append(
            "managed.started",
            cluster_id=self.cluster_id,
            manager=self.program.label,
            store=self.spec.store,
            backup_seconds=self.backup_seconds,
            loop_seconds=self.program.loop_seconds,
            restart_seconds=self.program.restart_seconds,
            machines=members,
        )
