"""The stage of a cluster that the tool under test makes: taps between tool and world, users on what it deploys."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.app_client import AppClient
from harness.clusters.bystanders import observe_bystanders
from harness.clusters.foreign_cluster import ForeignCluster
from harness.clusters.frozen import thawing
from harness.clusters.kind_call import KindSetup
from harness.clusters.kube_ready import await_ready
from harness.clusters.ownership import Ownership
from harness.clusters.tool_made import ToolMadeCluster
from harness.errors import ClusterError, MachineError, UsageError
from harness.journal import Entry, Journal
from harness.judging import Verdict, judge_all
from harness.judging.case import READY
from harness.kept import Kept
from harness.nodeimage import deployment_images, pick_node_image
from harness.nodeimage.pins import Pair, all_pairs, choose_pair
from harness.nodeimage.tools import find_kube_tap
from harness.probes.evidence import Evidence, Occasion
from harness.probes.kubernetes.objects import foreign_probe
from harness.shapes import DeploymentSpec
from harness.spec import CaseSpec
from harness.stages.stage import LabSettings, Stage
from harness.taps.command_tap import CommandTap, Hooks
from harness.taps.engine_view import EngineView
from harness.taps.kube_tap import KubeTap
from harness.tools.by_hand import ByHand
from harness.tools.cutting import Cutter
from harness.tools.deploy_tool import DeployTool, Task, ToolRun
from harness.tools.deployments import START, STOP, DeploymentTool, Site, Start, Stop
from harness.tools.image_mirror import start_mirror
from harness.tools.laconic_images import APP, INGRESS, KUBECTL, TEST_CONTAINER, TOOLS, TOOLS_WITHOUT_JQ, provide
from harness.tools.laconic_lock import engine_lock
from harness.traffic.users import NEIGHBOURS, put_to_use
from harness.waiting import Clock

_STAND_INS = (APP, INGRESS, KUBECTL, TEST_CONTAINER, TOOLS, TOOLS_WITHOUT_JQ)


class DeployStage(Stage):
    """What a deploy tool makes, deletes and makes again, on an engine it shares with others.

    Args:
        spec, settings, clock: as of every stage.
        setup: engine, node image and binaries.
        tool: whose deployment it is.
    """

    cluster: ToolMadeCluster

    def __init__(
        self, spec: CaseSpec, settings: LabSettings, clock: Clock, setup: KindSetup, tool: DeployTool | None
    ) -> None:
        if not isinstance(spec.cluster, DeploymentSpec) or not isinstance(tool, DeploymentTool):
            raise UsageError(f"{spec.case_id}: no deploy tool makes that")
        super().__init__(spec, settings, clock)
        self.shape, self.setup, self.tool = spec.cluster, setup, tool
        self.struck.callback(setup.engine.close)
        self.cutter = Cutter(self.journal, clock)
        self._then_image = _node_image_after(self.shape) if self.shape.is_renewed else setup.image
        self._calls = 0

    def build(self) -> None:
        """Set up taps, a network and a site; with users asked for, deploy by the tool and put that to use.

        Raises:
            MachineError: an image, a program or a port is missing here.
            ClusterError: the tool's first start left nothing that could be used.
        """
        self.step(f"a site for {self.spec.target.label}")
        self.work.mkdir(parents=True, exist_ok=True)
        self.struck.enter_context(thawing(self.setup.engine, self._owner.lease.mark, self.journal))
        if self.tool.deployer.is_exclusive:
            self._owner.labels()  # notes the engine's address
            lease = self._owner.lease
            self.struck.enter_context(engine_lock(lease.engine, lease.label, self.settings.progress))
        self.cluster = ToolMadeCluster(self.setup, self.work / "cluster", self.journal, self._owner)
        apart = ToolMadeCluster(self.setup, self.work / "evidence", self.journal, self._owner)
        self.evidence = Evidence(apart, self.journal, self.folder, clock=self.clock)
        self.remove_at_the_end()
        label, room = f"{self._owner.lease.label}-foreign", self.work / "foreign"
        self.foreign = ForeignCluster(self.setup.engine, deployment_images.find("etcd-tools"), label, room)
        self.struck.callback(self.foreign.remove)
        self.kube_tap = KubeTap(find_kube_tap(), self.work / "kube-tap", self._owner, self.journal, self.cutter)
        self.struck.callback(self.kube_tap.close)
        self.commands = self._tap_commands()
        self.struck.callback(self.commands.close)
        self.made = self.tool.deployer.make(self._site())
        self.cluster.app, self.cluster.backup = self.made.app, self.made.backup
        self.look()
        if self.shape.in_use:
            self._deploy_and_use()
        if self.shape.is_renewed:
            self.commands.make_nodes_of(self._then_image)
        self.journal.append(READY)

    def look(self) -> None:
        """Who else is on the engine."""
        observe_bystanders(self.setup.engine, self._owner.lease.mark, self.journal, known={self.foreign.id})

    def prepare(
        self,
        request: Start | Stop | ByHand,
        tool: DeployTool,  # noqa: ARG002 - one tool a stage
        number: int,  # noqa: ARG002
    ) -> Task:
        """The tool's own call for it, or a person's, with the taps in between."""
        if isinstance(request, ByHand):
            command = request.command(next(iter(self.cluster.names), ""))
        else:
            command = self.tool.deployer.command(self.made, request.action)
        environment = {**self.made.environment, **self.commands.environment()}
        return Task(request.action, environment, command=command, cut=request.cut, cutter=self.cutter)

    def look_at_exit(self, task: Task, run: ToolRun) -> None:
        """Does the app answer, the moment the tool says that it is done; are the nodes gone, when it was a stop?"""
        if task.name == STOP:
            self.journal.append("probe.nodes_at_exit", clusters=self.cluster.names)
        if task.name == START and run.is_done:
            reply = AppClient(self.made.app).get()
            claims = self.tool.claims_readiness
            self.journal.append("probe.app_at_exit", claims=claims, ready=reply.good, text=reply.text)

    def idle_seconds(self) -> float:
        """Since the tool's last call that changed something, or may have; where no node is on, nothing moves at all."""
        if not self.cluster.running():
            return math.inf
        changes = [entry.at for entry in self.journal.entries() if _changes(entry)]
        return self.journal.now() - changes[-1] if changes else 0.0

    def last_look(self) -> None:
        """Look at the neighbours once more."""
        self.step("the last look")
        self.look()
        self.end_story()

    def collect_logs(self) -> None:
        """The nodes' logs where something is not as it was promised."""
        broken = Verdict.merge(finding.verdict for finding in judge_all(self.journal.entries()))
        if broken is not Verdict.RECOVERED:
            self.evidence.gather(Occasion.RED)
            self.cluster.export_logs(self.folder / "logs")

    def remove_cluster(self) -> list[str]:
        """What the tool left; the deployment's folder goes with it."""
        left = self.cluster.remove()
        shutil.rmtree(self.work / "site", ignore_errors=True)
        return left

    def way_in(self) -> Kept:
        """By kubectl, as the node's admin, around the taps."""
        return Kept(kubectl=str(self.setup.kubectl), environment={"KUBECONFIG": str(self.cluster.kubeconfig)})

    @property
    def _owner(self) -> Ownership:
        return self.settings.ownership

    @property
    def world(self) -> Deployed:
        """What probes look at."""
        return Deployed(self.cluster, self.journal)

    def call(self, request: Start | Stop) -> ToolRun:
        """Ask the tool to do something that is no step of a story by itself."""
        self._calls += 1
        output = self.folder / f"tool-within-{self._calls}.log"
        return self.tool.run(
            self.prepare(request, self.tool, self._calls), self._owner, self.journal, output, self.clock
        )

    def _deploy_and_use(self) -> None:
        """What a story begins with is told apart from what it tells: nothing before READY is judged."""
        self.step(f"{self.tool.target.label}: the first start")
        run = self.call(Start())
        if not run.is_done:
            raise ClusterError(f"the first start {run.outcome} with {run.exit_code}: there is nothing to bring back")
        await_ready(self.cluster.kubeconfig, 1, self.clock)
        self.step("users come")
        put_to_use(self.cluster, self.shape, self.journal, self.clock)
        foreign_probe(NEIGHBOURS)(self.world)

    def _tap_commands(self) -> CommandTap:
        found = {"kind": self.setup.kind, "kubectl": self.setup.kubectl, "docker": _docker()}
        hooks = Hooks(
            created=lambda _name, kubeconfig: self.kube_tap.attach(kubeconfig),
            create_failed=lambda _name: self.evidence.gather(Occasion.CREATE_FAILED),
            deleting=lambda _name: self.evidence.gather(Occasion.DELETING),
            kubeconfig_written=self.kube_tap.attach,
            kubeconfig_text=self.kube_tap.lead,
            image_missing=self._stand_in,
        )
        return CommandTap(
            self.work / "command-tap",
            found,
            EngineView(self.setup.engine, self._owner),
            self._owner,
            self.journal,
            self.cutter,
            hooks,
            node_image=self.setup.image,
        )

    def _mirror(self) -> Path:
        """Nodes pull from us what no registry gives them here."""
        images = {name: deployment_images.find(name) for name in _STAND_INS}
        mirror = start_mirror(self._owner, self.work / "mirror", images)
        self.struck.callback(mirror.close)
        return mirror.certs

    def _stand_in(self, reference: str) -> bool:
        """The tool asks the engine for an image that it has not."""
        name = self.tool.deployer.stand_in(reference, jq=self.shape.jq)
        if name is not None:
            provide(self.setup.engine, reference, deployment_images.find(name), self._owner.labels())
        return name is not None

    def _site(self) -> Site:
        return Site(
            folder=self.work / "site",
            cluster=f"{self._owner.lease.cluster_prefix}made",
            path=str(self.commands.folder),
            network=self._owner.network(),
            images=self._images(),
            node_image=self.setup.image,
            certs=self._mirror() if self.tool.deployer.asks_for_images else None,
        )

    def _images(self) -> dict[str, str]:
        tools = "etcd-tools" if self.shape.jq else "etcd-tools-nojq"
        pair = choose_pair(self.shape.kubernetes, self.shape.etcd)
        images = {"app": "app", "ingress": "caddy-stand-in", "etcd_tools": tools}
        found = {purpose: deployment_images.find(name, pair) for purpose, name in images.items()}
        if self.tool.deployer.wants_other_etcd:
            found["other_etcd_tools"] = deployment_images.find(tools, _other_etcd(pair))
        return found


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a probe looks at.

    Args:
        cluster: what the tool made.
        journal: where observations go.
    """

    cluster: ToolMadeCluster
    journal: Journal


def _node_image_after(shape: DeploymentSpec) -> str:
    """What its nodes are made of when they are made anew.

    Raises:
        MachineError: the engine has no such image.
    """
    return pick_node_image("", shape.then_kubernetes or shape.kubernetes, shape.then_etcd or shape.etcd).reference


def _other_etcd(pair: Pair) -> Pair:
    """Versions with another minor of etcd."""
    return next(one for one in all_pairs() if one.etcd.rpartition(".")[0] != pair.etcd.rpartition(".")[0])


def _changes(entry: Entry) -> bool:
    return entry.kind in ("tap.command", "fault.injected") or (entry.kind == "tap.api_call" and entry.data["mutating"])


def _docker() -> Path:
    """The engine's own client; tools call it by name.

    Raises:
        MachineError: there is none.
    """
    found = shutil.which("docker")
    if found is None:
        raise MachineError("there is no docker on PATH, which deploy tools call", mend="scripts/docker-engine")
    return Path(found)
