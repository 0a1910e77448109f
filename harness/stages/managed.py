"""The stage of an etcd cluster that managers run: watched, under traffic, with its store and its operators."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Protocol

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.managed import ManagedCluster, ManagedSetup
from harness.clusters.managed_stores import open_stores
from harness.control_files import backups_among
from harness.errors import ClusterError, UsageError, WaitTimeout
from harness.kept import Kept
from harness.nodeimage.s3_server import find_s3_server
from harness.probes.backups import check_backups, check_newest, list_backups
from harness.probes.managed import ManagedWatch, await_serving, observe_leases, store_files
from harness.probes.store import observe_keyspace, observe_serving
from harness.shapes import ManagedSpec
from harness.spec import CaseSpec
from harness.stages.stage import LabSettings, Stage, etcdctl_to
from harness.taps.machine_tap import MachineTap
from harness.tools.deploy_tool import DeployTool, Task, ToolRun
from harness.tools.managers import manager_program
from harness.traffic import EtcdStore, Traffic
from harness.waiting import Clock, rest_unless, until

_WARM_UP_WRITES = 5
# Longer than any story: a lease that is gone at the end was lost.
_LEASE_SECONDS = 7200
# Beside the loops a window counts, a busy machine takes its own time.
_SLACK_SECONDS = 1.5


class ManagedRequest(Protocol):
    """What an operator's procedure is asked to do."""

    @property
    def sentence(self) -> str:
        """For people."""

    def prepare(self, cluster: ManagedCluster, tap: MachineTap, folder: Path) -> Task:
        """Turn it into a task for this cluster."""


class ManagedStage(Stage):
    """Machines with a manager each, their store, and a healthy cluster that takes traffic and is backed up.

    Args:
        spec, settings, clock: as of every stage.
    """

    cluster: ManagedCluster

    def __init__(self, spec: CaseSpec, settings: LabSettings, clock: Clock) -> None:
        if not isinstance(spec.cluster, ManagedSpec):
            raise UsageError(f"{spec.case_id}: no manager runs there")
        super().__init__(spec, settings, clock)
        self.shape: ManagedSpec = spec.cluster
        self.traffic: Traffic | None = None

    @property
    def loop_seconds(self) -> float:
        """How often a manager looks at its cluster."""
        return self.cluster.program.loop_seconds

    def build(self) -> None:
        """Start everything; wait until the cluster takes writes and has its first backup.

        Raises:
            MachineError: a program, an etcd release or a port is missing here.
            ClusterError: the cluster did not become healthy, or is not backed up.
        """
        self.step(f"cluster {self.spec.cluster.label}")
        self.cluster = self._made()
        self.remove_at_the_end()
        self.tap = MachineTap(self.cluster, self.journal)
        self.struck.callback(self.tap.close)
        self.watch = ManagedWatch(self.cluster, self.journal)
        self.struck.callback(self.watch.stop)
        self.cluster.start()
        self._grant_a_lease()
        self.watch.start()
        if self.spec.traffic:
            self.traffic = Traffic(self.spec.traffic, EtcdStore(self.cluster), self.journal, self.clock)
            self.struck.callback(self.traffic.stop)
            self.traffic.start()
            self.traffic.await_acknowledged(_WARM_UP_WRITES)
        self.await_backups(1)

    def look(self) -> None:
        """At machines, store and logs."""
        self.watch.look()

    def prepare(self, request: ManagedRequest, tool: DeployTool, number: int) -> Task:  # noqa: ARG002 - same for all
        """With a folder of its own for what it copies."""
        folder = self.work / f"operator-{number}"
        folder.mkdir(parents=True)
        return request.prepare(self.cluster, self.tap, folder)

    def look_at_exit(self, task: Task, run: ToolRun) -> None:  # noqa: ARG002 - the world is asked, not the tool
        """What it said is lost goes to the journal by itself."""
        for text in self.journal.entries()[-1].data.get("announced", []):
            self.journal.append("restore.told", text=text)
        self.look()

    def last_look(self) -> None:
        """Look at everything once more; traffic ends first, so that all it was promised has to be there."""
        self.step("the last look")
        if self.traffic:
            self.traffic.stop()
        backups = list_backups(self.cluster)
        self.look()
        self._check(backups)
        observe_serving(self.cluster, self.journal)
        observe_keyspace(self.cluster, self.journal)
        observe_leases(self.cluster, self.journal)
        self.look()
        self.watch.stop()
        self.end_story()

    def _check(self, backups: list[str]) -> None:
        """All where that was promised of all; else what was to be restored, and the newest that can be."""
        told = {word for entry in self.journal.entries() for word in entry.data.get("words", ())}
        if "backups-restorable" in self.spec.guarantees:
            check_backups(self.cluster, self.journal, backups)
        else:
            check_newest(self.cluster, self.journal, [name for name in backups if name not in told])
            check_backups(self.cluster, self.journal, [name for name in backups if name in told])

    def await_backups(self, more: int) -> None:
        """Wait until the store has that many backups that were not there before.

        Raises:
            ClusterError: it gets none in time.
        """
        before = self._backups()
        try:
            until(
                self._backups,
                lambda seen: len(seen - before) >= more,
                what=f"{more} new backups",
                deadline_seconds=self.window_seconds(3 * more, 3 * more) + 10,
                every_seconds=0.1,
                clock=self.clock,
            )
        except WaitTimeout as error:
            raise ClusterError(f"the cluster is not backed up: {error}") from error
        self.look()

    def let_pass(self, loops: float, backups: float) -> None:
        """Leave it alone: until its machines serve, or should; then for that many loops and backup intervals.

        What managers began in that time comes to its end too, or the next event would meet it half way, by chance.
        """
        seconds = self.cluster.program.restart_seconds
        await_serving(self.cluster, seconds)
        rest_unless(threading.Event(), self.window_seconds(loops, backups))
        await_serving(self.cluster, seconds)

    def window_seconds(self, loops: float, intervals: float = 0.0) -> float:
        """How long that many loops of a manager and intervals between its backups take."""
        return loops * self.loop_seconds + intervals * self.cluster.backup_seconds + _SLACK_SECONDS

    def collect_logs(self) -> None:
        """The managers' own, a file a machine; etcd's are in them."""
        for machine in self.cluster.machines.values():
            if machine.log.exists():
                shutil.copyfile(machine.log, self.folder / f"manager-{machine.name}.log")

    def remove_cluster(self) -> list[str]:
        """Processes, data, store, addresses."""
        return self.cluster.remove()

    def way_in(self) -> Kept:
        """By etcdctl, to whoever serves."""
        return etcdctl_to(self.cluster)

    def leave_cluster(self) -> None:
        """Its subnet."""
        self.cluster.subnet.leave()

    def _made(self) -> ManagedCluster:
        ownership = self.settings.ownership
        program = manager_program(self.spec.target, self.settings.releases, self.settings.manager)
        server = find_s3_server() if self.shape.store == "s3" else None
        self.stores = open_stores(self.work / "stores", ownership, server)
        self.struck.callback(self._remove_stores)
        setup = ManagedSetup(program, self.stores.backups, self.stores.apart, self.stores.environment, self.stores.gate)
        return ManagedCluster(self.shape, setup, self.work / "machines", self.journal, ownership, clock=self.clock)

    def _remove_stores(self) -> None:
        """After the cluster; a case's disk is given back when it ends."""
        if not self.keep:
            self.stores.closing.close()
            shutil.rmtree(self.work)

    def _backups(self) -> set[str]:
        return set(backups_among(store_files(self.cluster)))

    def _grant_a_lease(self) -> None:
        """One that outlasts the story: a restore takes leases away, and somebody has to say so."""
        machine = self.cluster.running()[0]
        with self.cluster.client(machine, 5.0) as client:
            try:
                client.lease_grant(_LEASE_SECONDS)
                leases = client.leases()
            except (CallFailed, CallUnknown) as error:
                raise ClusterError(f"the cluster grants no lease: {error}") from error
        self.journal.append("lease.seen", machine=machine.name, leases=len(leases))
