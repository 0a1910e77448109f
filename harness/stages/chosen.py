"""The stage for a case's sort of cluster."""

from __future__ import annotations

from harness.errors import HarnessError
from harness.spec import CaseSpec, DeploymentSpec, EtcdSpec, KindSpec, ManagedSpec
from harness.stages.deploy import DeployStage
from harness.stages.etcd import EtcdStage
from harness.stages.kind import KindStage, kind_setup
from harness.stages.managed import ManagedStage
from harness.stages.members import MembersStage
from harness.stages.stage import LabSettings, Stage
from harness.tools.deploy_tool import DeployTool
from harness.waiting import Clock


def stage_of(spec: CaseSpec, settings: LabSettings, clock: Clock, tool: DeployTool | None = None) -> Stage:
    """The stage for a case's sort of cluster.

    Raises:
        HarnessError: nobody has a stage for it.
        MachineError: something is missing here.
    """
    if isinstance(spec.cluster, DeploymentSpec):
        versions = KindSpec(kubernetes=spec.cluster.kubernetes, etcd=spec.cluster.etcd)
        return DeployStage(spec, settings, clock, kind_setup(settings.kind, versions), tool)
    sorts: dict[type, type[MembersStage] | type[ManagedStage]]
    sorts = {EtcdSpec: EtcdStage, KindSpec: KindStage, ManagedSpec: ManagedStage}
    sort = sorts.get(type(spec.cluster))
    if sort is None:
        raise HarnessError(f"no stage for a {type(spec.cluster).__name__}")
    return sort(spec, settings, clock)
