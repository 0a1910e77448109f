"""The way back: from 2 of 4 by restoring a snapshot, and the gentler one while quorum holds (incident 002).

"In order to get the cluster back into working shape, I did do a restore and rebuild", after "a backup
of the botched etcd situation" (002_638ead7455fd6626.txt).
"""

from __future__ import annotations

import pytest

from harness.expectations import NO_GHOST, SERVICE_RESTORED
from harness.faults.membership import QuorumLostToGhost, ReplacedWithoutRemoval
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, EtcdSpec
from harness.tools.deploy_tool import RECOVER_QUORUM, DeployTool
from harness.tools.tasks import RecoverQuorum

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="quorum_recovery",
        incident=INCIDENT,
        guarantees=("service-restored", "no-ghost-member", "writes-before-snapshot-kept", "botched-state-saved"),
        task=RECOVER_QUORUM,
        variants=("restore-snapshot", "restore-unsaved", "fresh-cluster", "half-restore", "wait-and-hope"),
        shapes=tuple(
            EtcdSpec(strict_reconfig_check=strict, mutual_tls=tls)
            for strict, tls in ((False, False), (True, False), (False, True))
        ),
        quick=("*-3-relaxed", "restore-snapshot-3-relaxed-tls"),
    ),
)


@pytest.fixture(scope="module")
def restored(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given 2 of 4 and a snapshot from before, when the cluster is recovered."""
    with lab.start(case):
        snapshot = lab.save_snapshot()
        lab.let_traffic_write(20)
        lab.inject(ReplacedWithoutRemoval("n1"), QuorumLostToGhost("n2"))
        lab.run(tool, RecoverQuorum(snapshot))
        lab.observe(SERVICE_RESTORED, NO_GHOST)
    return lab


def test_service_is_restored(restored: Lab) -> None:
    """Every member takes writes again, in one cluster: half a recovery is a new disaster (002_638ead7455fd6626.txt)."""
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
