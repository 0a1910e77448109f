"""The way back for a kubeadm cluster: from 2 of 4 by a snapshot, and the gentler one while quorum holds (incident 002).

"In order to get the cluster back into working shape, I did do a restore and rebuild", after "a backup
of the botched etcd situation" (002_638ead7455fd6626.txt).
"""

from __future__ import annotations

import pytest

from harness.expectations import NO_GHOST, SERVICE_RESTORED
from harness.expectations.kubernetes import RECOVERED_KUBERNETES
from harness.faults.membership import QuorumLostToGhost, ReplacedWithoutRemoval
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, KindSpec
from harness.tools.deploy_tool import RECOVER_CONTROL_PLANE, DeployTool
from harness.tools.kind_tasks import RecoverControlPlane

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

_RESTORED = (
    "service-restored",
    "no-ghost-member",
    "writes-before-snapshot-kept",
    "botched-state-saved",
    "nodes-ready",
    "api-service-present",
    "system-workloads-stable",
    "bootstrap-rbac-present",
    "objects-decode",
    "fresh-pod-works",
    "foreign-untouched",
)
_RELAXED = (KindSpec(control_planes=3, strict_reconfig_check=False),)

CASES = (
    CaseMatrix(
        scenario="control_plane_recovery",
        incident=INCIDENT,
        guarantees=_RESTORED,
        task=RECOVER_CONTROL_PLANE,
        variants=("restore-snapshot", "restore-unsaved", "half-restore", "wait-and-hope"),
        shapes=_RELAXED,
        quick=("restore-snapshot-*",),
    ),
)


@pytest.fixture(scope="module")
def restored(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given 2 of 4 and a snapshot from before, when the cluster is recovered."""
    with lab.start(case):
        snapshot = lab.save_snapshot()
        lab.let_traffic_write(20)
        lab.inject(ReplacedWithoutRemoval("control-plane"), QuorumLostToGhost("control-plane2"))
        lab.run(tool, RecoverControlPlane(snapshot))
        lab.observe(SERVICE_RESTORED, NO_GHOST, *RECOVERED_KUBERNETES)
    return lab


def test_service_is_restored(restored: Lab) -> None:
    """Every control plane's etcd takes writes again, all in one cluster (002_638ead7455fd6626.txt)."""
    restored.judge("service-restored")


def test_no_ghost_is_left(restored: Lab) -> None:
    """The restored membership holds the living only; else the next loss ends it again (002_638ead7455fd6626.txt)."""
    restored.judge("no-ghost-member")


def test_loss_is_bounded_by_the_snapshot(restored: Lab) -> None:
    """What was acknowledged before the snapshot is there, and what is gone is counted (002_638ead7455fd6626.txt)."""
    restored.judge("writes-before-snapshot-kept")


def test_the_botched_state_is_saved_first(restored: Lab) -> None:
    """What was broken is kept before it is overwritten: it held the newest writes (002_638ead7455fd6626.txt)."""
    restored.judge("botched-state-saved")


def test_nodes_are_ready(restored: Lab) -> None:
    """Kubernetes itself is back on every machine, not etcd alone (002_638ead7455fd6626.txt)."""
    restored.judge("nodes-ready")


def test_the_api_service_is_there(restored: Lab) -> None:
    """Pods find the API by this Service; an older store may hold its endpoints of then (002_638ead7455fd6626.txt)."""
    restored.judge("api-service-present")


def test_system_workloads_are_stable(restored: Lab) -> None:
    """DNS, proxy and network run, and go on running, with the state of before (002_638ead7455fd6626.txt)."""
    restored.judge("system-workloads-stable")


def test_bootstrap_rights_are_there(restored: Lab) -> None:
    """The admin is let in, and roles are what kubeadm made them (002_638ead7455fd6626.txt)."""
    restored.judge("bootstrap-rbac-present")


def test_every_object_decodes(restored: Lab) -> None:
    """A restored store can be read as a whole, not only by those who look at one key (002_638ead7455fd6626.txt)."""
    restored.judge("objects-decode")


def test_a_fresh_pod_works(restored: Lab) -> None:
    """Working shape means that new work can be done in it (002_638ead7455fd6626.txt)."""
    restored.judge("fresh-pod-works")


def test_others_are_untouched(restored: Lab) -> None:
    """Whatever else runs on this engine is what it was: a harness that hurts its neighbours is worse than none.

    No part of 002_638ead7455fd6626.txt: it guards the machine the incident is replayed on.
    """
    restored.judge("foreign-untouched")
