"""The five verbs of a scenario: start, inject, run, observe, judge.

with lab.start(spec):                 # Given a healthy cluster under traffic
    lab.inject(NodeGone("n1"))
    lab.run(tool, ReplaceNode("n1"))  # When
    lab.observe(NO_GHOST)             # and the world had time to settle
lab.judge("no-ghost-member")          # Then
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from harness import __version__
from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_node import EtcdNode
from harness.clusters.etcd_release import EtcdRelease, pick_release
from harness.clusters.ownership import Ownership
from harness.errors import HarnessError, JournalWriteError, LeftoverError, WaitTimeout
from harness.expectations import Expectation, World
from harness.faults import Fault
from harness.journal import Entry, Journal
from harness.judging import Finding, GuaranteeBroken, Inconclusive, Verdict, judge, judge_all, judge_so_far
from harness.orders import Order
from harness.probes.membership import MembershipWatch
from harness.probes.store import observe_keyspace, observe_serving, observe_snapshot
from harness.spec import CaseSpec
from harness.taps.node_tap import NodeTap
from harness.tools import RECOVER_QUORUM, REPLACE_NODE, DeployTool, Task, ToolRun
from harness.tools.stepwise import walk
from harness.traffic import Traffic
from harness.waiting import SYSTEM_CLOCK, Clock, until

_WARM_UP_WRITES = 5


class Request(Protocol):
    """What a tool is asked to do."""

    @property
    def sentence(self) -> str:
        """For people."""

    def prepare(self, cluster: EtcdCluster, tap: NodeTap, snapshots: Path) -> Task:
        """Turn it into a task for this cluster."""


@dataclass(slots=True)
class LabSettings:
    """What all cases of a run share.

    Args:
        run_id: the run.
        cases: folder that gets one folder a case.
        releases: etcd releases there are, the preferred one first.
        ownership: whose processes and data these are.
        keep: ``no``, ``on-failure`` or ``always``: leave the cluster up for a person to look at.
        progress: told what happens, a line each.
        anything_kept: set once a cluster was left up.
    """

    run_id: str
    cases: Path
    releases: Sequence[EtcdRelease]
    ownership: Ownership
    keep: str = "no"
    progress: Callable[[str], None] = lambda _: None
    anything_kept: bool = False


class Lab:
    """One case, from nothing to findings.

    Args:
        settings: what all cases share.
        clock: where time comes from.
    """

    def __init__(self, settings: LabSettings, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings, self._clock = settings, clock
        self._tasks: list[Task] = []
        self.entries: Sequence[Entry] = ()
        self._leftovers: list[str] = []
        self.findings: dict[str, Finding] = {}

    @contextlib.contextmanager
    def start(self, spec: CaseSpec) -> Iterator[EtcdCluster]:
        """Build a healthy cluster under traffic; on the way out look once more, clean up, seal.

        A problem of the harness inside is written to the journal, and makes each guarantee of the
        case INCONCLUSIVE.

        Raises:
            JournalWriteError: the journal could not be written.
            LeftoverError: something could not be removed; after the journal is sealed.
        """
        self._open(spec)
        try:
            self._build()
            yield self._cluster
            self._end()
        except JournalWriteError:
            raise
        except HarnessError as problem:
            self._journal.append("case.problem", problem=f"{type(problem).__name__}: {problem}")
        finally:
            self._close()
        if self._leftovers:
            raise LeftoverError(self._leftovers)

    def inject(self, *faults: Fault) -> None:
        """Bring each fault about, in order, and write down whether it bit.

        Raises:
            FaultError: it can't be injected here; nothing was broken by it.
        """
        for fault in faults:
            name = type(fault).__name__
            self._step(f"fault: {name} {fault.node}")
            fault.preflight(self._cluster)
            self._journal.append("fault.injected", fault=name, node=fault.node)
            fault.inject(self._cluster)
            self._watch.look()
            evidence = fault.evidence(self._cluster)
            self._journal.append("fault.evidence", fault=name, node=fault.node, bit=evidence.bit, facts=evidence.facts)

    def heal(self, *faults: Fault) -> None:
        """Undo what can be undone of each fault."""
        for fault in faults:
            self._step(f"healed: {type(fault).__name__} {fault.node}")
            fault.heal(self._cluster)
            self._journal.append("fault.healed", fault=type(fault).__name__, node=fault.node)

    def run(self, tool: DeployTool, request: Request) -> ToolRun:
        """Ask the tool to do something, and look at the world the moment it says how it went."""
        number = len(self._tasks) + 1
        snapshots = self._tap.snapshots = self._snapshots(number)
        snapshots.mkdir(parents=True)
        task = request.prepare(self._cluster, self._tap, snapshots)
        self._tasks.append(task)
        self._step(f"{tool.target.label}: {request.sentence}")
        run = tool.run(task, self._settings.ownership, self._journal, self._folder / f"tool-{number}.log", self._clock)
        if task.name == REPLACE_NODE:
            self._look_at_exit(task)
        if task.name == RECOVER_QUORUM:
            self._adopt_restored_cluster()
        self._watch.look()
        return run

    def walk(self, order: Order) -> None:
        """Take the order's steps on the cluster itself, each tried once, with no tool in between."""
        self._step(f"order {order.id}: {', '.join(map(str, order.steps))}")
        walk(self._cluster, order, self._clock)

    def save_snapshot(self) -> Path:
        """Save a snapshot as a careful operator does before anything else; returns the file."""
        self._step("a snapshot is saved")
        file = self._settings.ownership.lease.work / self._folder.name / "extra_snapshot.db"
        began = self._journal.elapsed(self._clock.monotonic())
        self._cluster.save_snapshot(self._cluster.running()[0], file)
        self._journal.append("snapshot.saved", file=file.name, began=began, bytes=file.stat().st_size)
        return file

    def let_traffic_write(self, writes: int) -> None:
        """Wait until that many more writes are acknowledged.

        Raises:
            WaitTimeout: they were not, within 20 s.
        """
        if self._traffic:
            self._traffic.await_acknowledged(writes)

    def observe(self, *expectations: Expectation) -> None:
        """Give the world time to meet the expectations; what it then looks like is for the judge."""
        self._step("waiting for the world to settle")
        world = World(self._cluster, self._journal, self._watch)

        def unmet() -> list[str]:
            for expectation in expectations:
                expectation.probe(world)
            findings = [judge_so_far(expectation.guarantee, self._journal.entries()) for expectation in expectations]
            return [finding.guarantee for finding in findings if finding.verdict is not Verdict.RECOVERED]

        deadline = max(expectation.deadline_seconds for expectation in expectations)
        # A deadline that passes is no problem of the harness: the judge will see the world as it is.
        with contextlib.suppress(WaitTimeout):
            until(
                unmet,
                lambda names: not names,
                what="the world to settle",
                deadline_seconds=deadline,
                every_seconds=0.2,
                clock=self._clock,
            )

    def judge(self, guarantee: str) -> Finding:
        """Judge one guarantee of the finished case.

        Raises:
            GuaranteeBroken: the world did not come back.
            Inconclusive: nothing can be said.
        """
        finding = self.findings[guarantee] = judge(guarantee, self.entries)
        if finding.verdict is Verdict.NOT_RECOVERED:
            raise GuaranteeBroken(self.spec.case_id, finding)
        if finding.verdict is Verdict.INCONCLUSIVE:
            raise Inconclusive(self.spec.case_id, finding)
        return finding

    def _open(self, spec: CaseSpec) -> None:
        self.spec = spec
        self._folder = self._settings.cases / folder_name(spec.case_id)
        self._journal = Journal(self._folder / "journal.jsonl", self._clock.monotonic)
        self._journal.append(
            "case.opened",
            spec=spec.to_json(),
            run_id=self._settings.run_id,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            harness_version=__version__,
        )
        release = pick_release(self._settings.releases, spec.cluster.release)
        work = self._settings.ownership.lease.work / self._folder.name
        self._cluster = EtcdCluster(
            spec.cluster, release, work, self._journal, self._settings.ownership, clock=self._clock
        )
        self._tap = NodeTap(self._cluster, self._journal, work / "snapshots")
        self._traffic = Traffic(spec.traffic, self._cluster, self._journal, self._clock) if spec.traffic else None
        self._watch = MembershipWatch(self._cluster, self._journal)

    def _build(self) -> None:
        self._step(f"etcd cluster {self.spec.cluster.label}")
        self._cluster.start()
        self._watch.start()
        self._watch.look()
        if self._traffic:
            self._traffic.start()
            self._traffic.await_acknowledged(_WARM_UP_WRITES)

    def _end(self) -> None:
        """The last look; traffic ends first, so that all it was promised has to be there."""
        self._step("the last look")
        self._watch.look()
        if self._traffic:
            self._traffic.stop()
            observe_serving(self._cluster, self._journal)
            observe_keyspace(self._cluster, self._journal)
        for number, task in enumerate(self._tasks, start=1):
            self._look_at_snapshots(number, task)
        self._watch.stop()
        self._journal.append("case.ended")

    def _look_at_snapshots(self, number: int, task: Task) -> None:
        role = "disaster" if task.name == RECOVER_QUORUM else f"before-change-{number}"
        file = next(iter(sorted(self._snapshots(number).glob("*.db"))), self._snapshots(number) / "none.db")
        observe_snapshot(self._cluster, self._journal, file, role)

    def _adopt_restored_cluster(self) -> None:
        """A restore makes a new cluster with an ID of its own; from now on that one is meant."""
        statuses = [self._cluster.status(node) for node in self._cluster.running()]
        told = Counter(status.header.cluster_id for status in statuses if status is not None)
        for cluster_id, _ in told.most_common(1):
            self._cluster.cluster_id = cluster_id
            self._journal.append("cluster.restored", cluster_id=cluster_id)

    def _look_at_exit(self, task: Task) -> None:
        """Is what the tool says so, the moment it says it?"""
        node = self._cluster.node(task.new)
        row = self._cluster.member_of(node)
        # An election may be under way just then; two timeouts are its usual length.
        patience = 2 * self.spec.cluster.election_ms / 1000
        healthy = node.running and self._healthy_within(node, patience)
        self._journal.append(
            "probe.at_exit",
            new=task.new,
            listed=row is not None,
            voter=row is not None and not row.learner,
            healthy=healthy,
        )

    def _healthy_within(self, node: EtcdNode, seconds: float) -> bool:
        with self._cluster.client(node, seconds) as client, contextlib.suppress(WaitTimeout):
            return until(client.healthy, what="health", deadline_seconds=seconds, clock=self._clock)
        return False

    def _close(self) -> None:
        """Remove what the case built, whatever happened; what can't be removed is told at the end."""
        self._tap.close()
        # What these two raise was either told by _end already, or comes second to what ended the case.
        with contextlib.suppress(HarnessError):
            if self._traffic:
                self._traffic.stop()
        with contextlib.suppress(HarnessError):
            self._watch.stop()
        self._collect_logs()
        if self._kept():
            self._settings.anything_kept = True
            self._settings.progress(f"{self.spec.case_id}: cluster kept; remove it with `afterfault gc`")
        else:
            self._leftovers = self._cluster.remove()
            self._settings.ownership.end_strays()
        self._journal.seal()
        self.entries = self._journal.entries()

    def _kept(self) -> bool:
        if self._settings.keep == "no":
            return False
        verdicts = [finding.verdict for finding in judge_all(self._journal.entries())]
        return self._settings.keep == "always" or Verdict.merge(verdicts) is not Verdict.RECOVERED

    def _collect_logs(self) -> None:
        for node in self._cluster.nodes.values():
            if node.log.exists():
                shutil.copyfile(node.log, self._folder / f"etcd-{node.name}.log")

    def _snapshots(self, number: int) -> Path:
        return self._cluster.work / "snapshots" / f"run-{number}"

    def _step(self, text: str) -> None:
        self._journal.append("case.step", text=text)
        self._settings.progress(f"{self.spec.case_id}: {text}")


def folder_name(case_id: str) -> str:
    """The case's folder below ``cases/``."""
    return case_id.replace("/", "__")
