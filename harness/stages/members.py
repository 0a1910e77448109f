"""The stage of a cluster whose etcd members the harness makes: watched, under traffic, in a tool's hands."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from harness.clusters.members import EtcdMembers, MemberNode
from harness.errors import UsageError, WaitTimeout
from harness.probes.membership import MembershipWatch
from harness.probes.store import observe_keyspace, observe_serving, observe_snapshot
from harness.shapes import MembersShape
from harness.spec import CaseSpec
from harness.stages.stage import LabSettings, Stage
from harness.taps.node_tap import NodeTap
from harness.tools.deploy_tool import DeployTool, Task, ToolRun
from harness.traffic import Store, Traffic
from harness.waiting import Clock, until

_WARM_UP_WRITES = 5


class MembersRequest(Protocol):
    """What a tool is asked to do with machines."""

    @property
    def sentence(self) -> str:
        """For people."""

    def prepare(self, cluster: Any, tap: NodeTap, snapshots: Path) -> Task:
        """Turn it into a task for this cluster."""


class MembersStage(Stage):
    """Bare etcd or kubeadm's stacked etcd: members that are watched one by one.

    Args:
        spec, settings, clock: as of every stage.
    """

    # After how long without an answer a node that served counts as silent; None leaves that to its process.
    silence_seconds: float | None = None
    cluster: EtcdMembers[Any]

    def __init__(self, spec: CaseSpec, settings: LabSettings, clock: Clock) -> None:
        if not isinstance(spec.cluster, MembersShape):
            raise UsageError(f"{spec.case_id}: the harness makes no members there")
        super().__init__(spec, settings, clock)
        self.shape: MembersShape = spec.cluster
        self.tasks: list[Task] = []
        self.traffic: Traffic | None = None

    @abstractmethod
    def make_cluster(self) -> EtcdMembers[Any]:
        """The cluster, not started yet."""

    @abstractmethod
    def start_cluster(self) -> None:
        """Start it and wait until it is healthy."""

    @abstractmethod
    def make_tap(self) -> NodeTap:
        """The tool's hand on its machines."""

    @abstractmethod
    def make_store(self) -> Store:
        """Whom traffic calls."""

    def look_closer(self) -> None:
        """What the last look of this sort of cluster looks at beside its members."""

    def build(self) -> None:
        """Start everything, and wait until a healthy cluster takes traffic.

        Raises:
            MachineError: a release, an image or a port is missing here.
            ClusterError: the cluster did not become healthy.
        """
        self.step(f"cluster {self.spec.cluster.label}")
        self.cluster = self.make_cluster()
        self.remove_at_the_end()
        self.tap = self.make_tap()
        self.struck.callback(self.tap.close)
        self.watch = MembershipWatch(self.cluster, self.journal, self.silence_seconds)
        self.struck.callback(self.watch.stop)
        self.start_cluster()
        self.watch.start()
        self.watch.look()
        if self.spec.traffic:
            self.traffic = Traffic(self.spec.traffic, self.make_store(), self.journal, self.clock)
            self.struck.callback(self.traffic.stop)
            self.traffic.start()
            self.traffic.await_acknowledged(_WARM_UP_WRITES)

    def look(self) -> None:
        """Who is a member now."""
        self.watch.look()

    def prepare(self, request: MembersRequest, tool: DeployTool, number: int) -> Task:  # noqa: ARG002 - same for all tools
        """Name the machines, and a folder for the snapshots of this call."""
        snapshots = self.tap.snapshots = self._snapshots(number)
        snapshots.mkdir(parents=True)
        task = request.prepare(self.cluster, self.tap, snapshots)
        self.tasks.append(task)
        return task

    def look_at_exit(self, task: Task, run: ToolRun) -> None:  # noqa: ARG002 - the world is asked, not the tool
        """Is what the tool says so, the moment it says it?"""
        if task.recovers:
            self._adopt_restored_cluster()
        else:
            self._look_at_newcomer(task)
        self.watch.look()

    def last_look(self) -> None:
        """Look at everything once more; traffic ends first, so that all it was promised has to be there."""
        self.step("the last look")
        self.watch.look()
        if self.traffic:
            self.traffic.stop()
            observe_serving(self.cluster, self.journal)
            observe_keyspace(self.cluster, self.journal)
        self.look_closer()
        for number, task in enumerate(self.tasks, start=1):
            self._look_at_snapshot(number, task)
        self.watch.stop()
        self.end_story()

    def _snapshots(self, number: int) -> Path:
        """Folder for the snapshots of the tool's n-th call."""
        return self.work / "snapshots" / f"run-{number}"

    def _look_at_snapshot(self, number: int, task: Task) -> None:
        role = "disaster" if task.recovers else f"before-change-{number}"
        file = next(iter(sorted(self._snapshots(number).glob("*.db"))), self._snapshots(number) / "none.db")
        observe_snapshot(self.cluster, self.journal, file, role)

    def _adopt_restored_cluster(self) -> None:
        """A restore makes a new cluster with an ID of its own; from now on that one is meant."""
        statuses = [self.cluster.status(node) for node in self.cluster.running()]
        told = Counter(status.header.cluster_id for status in statuses if status is not None)
        for cluster_id, _ in told.most_common(1):
            self.cluster.cluster_id = cluster_id
            self.journal.append("cluster.restored", cluster_id=cluster_id)

    def _look_at_newcomer(self, task: Task) -> None:
        node = self.cluster.node(task.new)
        row = self.cluster.member_of(node)
        # An election may be under way just then; two timeouts are its usual length. Who may be silent for longer and
        # still counts as serving may be so here, too.
        patience = max(2 * self.shape.election_seconds, self.silence_seconds or 0.0)
        healthy = node.running and self._healthy_within(node, patience)
        self.journal.append(
            "probe.at_exit",
            new=task.new,
            listed=row is not None,
            voter=row is not None and not row.learner,
            healthy=healthy,
        )

    def _healthy_within(self, node: MemberNode, seconds: float) -> bool:
        with self.cluster.client(node, seconds) as client, contextlib.suppress(WaitTimeout):
            return until(client.healthy, what="health", deadline_seconds=seconds, clock=self.clock)
        return False
