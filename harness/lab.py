"""The five verbs of a scenario: start, inject, run, observe, judge.

with lab.start(spec):                 # Given a healthy cluster under traffic
    lab.inject(NodeGone("n1"))
    lab.run(tool, ReplaceNode("n1"))  # When
    lab.observe(NO_GHOST)             # and the world had time to settle
lab.judge("no-ghost-member")          # Then
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.clusters.etcd import EtcdCluster
from harness.errors import HarnessError, LeftoverError, MachineError, WaitTimeout
from harness.expectations import Expectation, World
from harness.faults import Fault
from harness.journal import Entry
from harness.judging import Finding, GuaranteeBroken, Inconclusive, Verdict, judge, judge_all, judge_so_far
from harness.orders import Order
from harness.room import room_for
from harness.spec import CaseSpec
from harness.stages.chosen import stage_of
from harness.stages.deploy import DeployStage
from harness.stages.managed import ManagedStage
from harness.stages.members import MembersStage
from harness.stages.stage import LabSettings, Request
from harness.sweep import Choice, Sweep
from harness.tools.deploy_tool import DeployTool, ToolRun
from harness.tools.stepwise import walk
from harness.traffic import Traffic
from harness.waiting import SYSTEM_CLOCK, Clock, until

__all__ = ["Lab", "LabSettings", "Request"]


class Lab:
    """One case, from nothing to findings.

    Args:
        settings: what all cases share.
        clock: where time comes from.
    """

    def __init__(self, settings: LabSettings, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings, self._clock = settings, clock
        self.entries: Sequence[Entry] = ()
        self.findings: dict[str, Finding] = {}
        self._runs = 0

    @contextlib.contextmanager
    def start(self, spec: CaseSpec, tool: DeployTool | None = None) -> Iterator[Any]:
        """Build what the story begins with; on the way out look once more, clean up, seal.

        That is a healthy cluster under traffic, or where `tool` makes the cluster itself, what it needs
        for that, and a deployment of its own in use if the spec says so.

        A problem of the harness inside is written to the journal, and makes each guarantee of the
        case INCONCLUSIVE.

        Raises:
            ClusterError: the cluster did not become healthy.
            MachineError: it can't be run on this machine; a full disk is one of the reasons.
            LeftoverError: something could not be removed; after the journal is sealed.
        """
        settings = self._settings

        def say(text: str) -> None:
            settings.progress(f"{spec.play_id}: {text}")

        with (
            room_for(spec.cluster.kind_nodes, settings.cases, say, self._clock),
            self._play(spec, tool) as cluster,
        ):
            yield cluster

    @contextlib.contextmanager
    def _play(self, spec: CaseSpec, tool: DeployTool | None) -> Iterator[Any]:
        self.spec = spec
        self._stage = stage = stage_of(spec, self._settings, self._clock, tool)
        built = False
        try:
            stage.build()
            built = True
            yield stage.cluster
            stage.last_look()
        except HarnessError as problem:
            stage.journal.append("case.problem", problem=f"{type(problem).__name__}: {problem}")
            if not built or isinstance(problem, MachineError):
                raise
        except (OSError, MemoryError) as error:
            stuck = MachineError(f"this machine does not let the harness go on: {type(error).__name__} {error}")
            stage.journal.append("case.problem", problem=f"{type(stuck).__name__}: {stuck}")
            raise stuck from error
        finally:
            stage.keep = self._is_kept()
            stage.strike()
            self.entries = stage.journal.entries()
            self._settings.ended(spec, judge_all(self.entries))
        if stage.leftovers:
            raise LeftoverError(stage.leftovers)

    def inject(self, *faults: Fault) -> None:
        """Bring each fault about, in order, and write down whether it bit.

        Raises:
            FaultError: it can't be injected here; nothing was broken by it.
        """
        for fault in faults:
            name = type(fault).__name__
            self._stage.step(f"fault: {name} {fault.node}")
            fault.preflight(self._stage.cluster)
            self._stage.journal.append("fault.injected", fault=name, node=fault.node)
            fault.inject(self._stage.cluster)
            self._stage.look()
            evidence = fault.evidence(self._stage.cluster)
            self._stage.journal.append(
                "fault.evidence", fault=name, node=fault.node, bit=evidence.bit, facts=evidence.facts
            )

    def inject_in_turn(self, *faults: Fault, loops: float = 3.0) -> None:
        """Bring each about when the one before has had its time, in loops of a manager.

        Raises:
            FaultError: one can't be injected here.
        """
        for fault in faults:
            self.inject(fault)
            self.let_pass(loops)

    def let_pass(self, loops: float, backups: float = 0.0) -> None:
        """Leave a managed cluster alone: until its machines serve, or should; then for loops and backup intervals."""
        if not isinstance(self._stage, ManagedStage):
            raise HarnessError("only managers have loops")
        self._stage.step(f"left alone for {loops:g} loops and {backups:g} backups")
        self._stage.let_pass(loops, backups)

    def heal(self, *faults: Fault) -> None:
        """Undo what can be undone of each fault."""
        for fault in faults:
            self._stage.step(f"healed: {type(fault).__name__} {fault.node}")
            fault.heal(self._stage.cluster)
            self._stage.journal.append("fault.healed", fault=type(fault).__name__, node=fault.node)

    def run(self, tool: DeployTool, request: Request) -> ToolRun:
        """Ask the tool to do something, and look at the world the moment it says how it went."""
        self._runs += 1
        task = self._stage.prepare(request, tool, self._runs)
        self._stage.step(f"{tool.target.label}: {request.sentence}")
        output = self._stage.folder / f"tool-{self._runs}.log"
        run = tool.run(task, self._settings.ownership, self._stage.journal, output, self._clock)
        self._stage.look_at_exit(task, run)
        return run

    def run_in_turn(self, tool: DeployTool, *requests: Request) -> None:
        """Ask for one after the other, whatever comes of each."""
        for request in requests:
            self.run(tool, request)

    def walk(self, order: Order) -> None:
        """Take the order's steps on the cluster itself, each tried once, with no tool in between."""
        self._stage.step(f"order {order.id}: {', '.join(map(str, order.steps))}")
        if not isinstance(self._stage.cluster, EtcdCluster):
            raise HarnessError("orders are walked on bare etcd only")
        walk(self._stage.cluster, order, self._clock)

    def sweep(self, choice: Choice) -> None:
        """Cut a start of the tool at each chosen place, every time from the same state, and start it again."""
        if not isinstance(self._stage, DeployStage):
            raise HarnessError("sweeps are of tools that make their own cluster")
        Sweep(self._stage, choice).go()

    def save_snapshot(self) -> Path:
        """Save a snapshot as a careful operator does before anything else; returns the file."""
        self._stage.step("a snapshot is saved")
        file = self._stage.work / "extra_snapshot.db"
        began = self._stage.journal.elapsed(self._clock.monotonic())
        self._stage.cluster.save_snapshot(self._stage.cluster.running()[0], file)
        self._stage.journal.append("snapshot.saved", file=file.name, began=began, bytes=file.stat().st_size)
        return file

    def let_traffic_write(self, writes: int) -> None:
        """Wait until that many more writes are acknowledged.

        Raises:
            WaitTimeout: they were not, within 20 s.
        """
        if self._traffic:
            self._traffic.await_acknowledged(writes)

    @contextlib.contextmanager
    def hold_traffic(self, *, really: bool = True) -> Iterator[None]:
        """Have no client call the cluster while this lasts; no write is then under way when something dies.

        Args:
            really: False lets them go on, for the case that is about such writes.
        """
        if really and self._traffic:
            self._stage.step("clients hold still")
            with self._traffic.held():
                yield
        else:
            yield

    def observe(self, *expectations: Expectation) -> None:
        """Give the world time to meet each expectation, up to its deadline; what it then looks like is for the judge.

        A deadline runs from the tool's last change of the world: while a tool only waits, the world settles.
        """
        self._stage.step("waiting for the world to settle")
        world = World(self._stage.cluster, self._stage.journal, self._stage.look)
        settling = _Settling(expectations, world, self._clock, self._stage.idle_seconds())
        deadline = max(expectation.deadline_seconds for expectation in expectations)
        # A deadline that passes is no problem of the harness: the judge will see the world as it is.
        with contextlib.suppress(WaitTimeout):
            until(
                settling.is_over,
                what="the world to settle",
                deadline_seconds=deadline,
                every_seconds=max(0.2, deadline / 60),
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

    @property
    def _traffic(self) -> Traffic | None:
        """Of the stages that have any, where the spec asks for it."""
        return self._stage.traffic if isinstance(self._stage, MembersStage | ManagedStage) else None

    def _is_kept(self) -> bool:
        if self._settings.keep == "no":
            return False
        verdicts = [finding.verdict for finding in judge_all(self._stage.journal.entries())]
        return self._settings.keep == "always" or Verdict.merge(verdicts) is not Verdict.RECOVERED


class _Settling:
    """Looks at the world in rounds, until each expectation is met or late.

    Args:
        expectations: what is waited for.
        world: what is looked at.
        clock: where time comes from.
        idle_seconds: how long the world had been left alone before.
    """

    def __init__(self, expectations: Sequence[Expectation], world: World, clock: Clock, idle_seconds: float) -> None:
        self._costly = [each for each in expectations if each.once]
        self._cheap = [each for each in expectations if not each.once]
        self._world, self._clock, self._idle_seconds = world, clock, idle_seconds
        self._began = clock.monotonic()
        self._first: dict[str, str] = {}

    def is_over(self) -> bool:
        """One look; what costs the world something is asked when nothing else is known to be amiss, and once met."""
        seen = self._look(self._cheap)
        if any(finding.verdict is Verdict.NOT_RECOVERED for finding in self._awaited(seen)):
            return False
        asked = self._look(self._costly)
        self._costly = [each for each, finding in asked if finding.verdict is not Verdict.RECOVERED]
        return not list(self._awaited(seen + asked))

    def _look(self, expectations: Sequence[Expectation]) -> list[tuple[Expectation, Finding]]:
        for expectation in expectations:
            expectation.probe(self._world)
        entries = self._world.journal.entries()
        return [(each, judge_so_far(each.guarantee, entries)) for each in expectations]

    def _awaited(self, seen: Sequence[tuple[Expectation, Finding]]) -> Iterator[Finding]:
        """What is not met and may still come. Only what stays as it was first seen has had the time before, too."""
        waited = self._clock.monotonic() - self._began
        for expectation, finding in seen:
            first = self._first.setdefault(finding.guarantee, finding.signature)
            before = self._idle_seconds if finding.signature and finding.signature == first else 0.0
            if finding.verdict is not Verdict.RECOVERED and before + waited < expectation.deadline_seconds:
                yield finding
