"""Kubernetes in kind, in a cluster made here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from harness.clusters.bystanders import observe_bystanders
from harness.clusters.docker_engine import open_engine
from harness.clusters.frozen import thawing
from harness.clusters.kind import KindCluster
from harness.clusters.kind_binaries import named_kind, named_kubectl
from harness.clusters.kind_call import KindSetup
from harness.journal import Journal
from harness.judging import Verdict, judge_all
from harness.kept import Kept
from harness.nodeimage import pick_node_image, tool_paths
from harness.probes.evidence import Evidence, Occasion
from harness.probes.kubernetes.availability import ApiWatch
from harness.probes.kubernetes.basics import observe_api_service, observe_nodes, observe_rbac
from harness.probes.kubernetes.config_maps import observe_config_maps
from harness.probes.kubernetes.workloads import observe_workloads
from harness.spec import KindSpec
from harness.stages.members import MembersStage
from harness.stages.stage import KindWords
from harness.taps.control_plane_tap import ControlPlaneTap
from harness.taps.node_tap import NodeTap
from harness.traffic import ConfigMapStore, Store

# A command on a node may say nothing for minutes, as kubeadm does while it waits for an etcd member.
_ENGINE_SECONDS = 330


class KindStage(MembersStage):
    """Kubernetes in kind, its stacked etcd members watched one by one, its API through the load balancer."""

    cluster: KindCluster
    # A machine that is on tells nothing of its etcd. While another joins, two cores under two clusters kept a healthy
    # member from answering for 7 s; one that is gone stays silent.
    silence_seconds = 10.0

    def make_cluster(self) -> KindCluster:
        """With the preferred node image, or the one asked for."""
        spec = self.spec.cluster
        assert isinstance(spec, KindSpec)
        setup = kind_setup(self.settings.kind, spec)
        self.struck.callback(setup.engine.close)
        self.struck.enter_context(thawing(setup.engine, self.settings.ownership.lease.mark, self.journal))
        return KindCluster(spec, setup, self.work, self.journal, self.settings.ownership)

    def look_at_others(self) -> None:
        """What else runs on the engine, to be compared."""
        observe_bystanders(self.cluster.setup.engine, self.settings.ownership.lease.mark, self.journal)

    def start_cluster(self) -> None:
        """By kind, and until it is really ready; then its API is watched."""
        self.look_at_others()
        self.cluster.start()
        self._api_watch = ApiWatch(self.cluster, self.journal)
        self.struck.callback(self._api_watch.stop)
        self._api_watch.start()

    def make_tap(self) -> NodeTap:
        """Switches machines and runs commands on them."""
        return ControlPlaneTap(self.cluster, self.journal, self.work / "snapshots")

    def make_store(self) -> Store:
        """The API server, as users reach it."""
        return ConfigMapStore(self.cluster, self.cluster.cluster_id)

    def look_closer(self) -> None:
        """At what Kubernetes says of itself."""
        self._api_watch.stop()
        self.look_at_others()
        world = KindWorld(self.cluster, self.journal)
        observe_config_maps(world)
        observe_nodes(world)
        observe_api_service(world)
        observe_rbac(world)
        observe_workloads(world)

    def collect_logs(self) -> None:
        """Kind's progress always; the nodes' logs where something is not as it was promised."""
        broken = Verdict.merge(finding.verdict for finding in judge_all(self.journal.entries()))
        if broken is not Verdict.RECOVERED:
            Evidence(self.cluster, self.journal, self.folder, clock=self.clock).gather(Occasion.RED)
            self.cluster.export_logs(self.folder / "logs")
        elif self.cluster.log.exists():
            shutil.copyfile(self.cluster.log, self.folder / "kind.log")

    def remove_cluster(self) -> list[str]:
        """By kind; what it leaves is told."""
        return self.cluster.remove()

    def way_in(self) -> Kept:
        """By kubectl, as kind's admin."""
        setup, kubeconfig = self.cluster.setup, self.cluster.kubeconfig
        return Kept(kubectl=str(setup.kubectl), environment={"KUBECONFIG": str(kubeconfig)})


@dataclass(frozen=True, slots=True)
class KindWorld:
    """What Kubernetes probes may look at."""

    cluster: KindCluster
    journal: Journal


def kind_setup(words: KindWords, spec: KindSpec) -> KindSetup:
    """Engine, node image and binaries for a shape.

    Raises:
        MachineError: one of them is missing; says what mends it.
    """
    engine = open_engine(_ENGINE_SECONDS)
    image = pick_node_image(words.node_image or "", spec.kubernetes, spec.etcd)
    tools = tool_paths()
    kind = named_kind(words.kind) if words.kind else tools.kind
    kubectl = named_kubectl(words.kubectl) if words.kubectl else tools.kubectl
    return KindSetup(engine, image.reference, kind, kubectl)
