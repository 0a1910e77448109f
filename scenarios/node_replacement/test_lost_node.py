"""A node is lost first (killed, wiped, gone for good, frozen), and then replaced (incident 002).

In 002_638ead7455fd6626.txt nodes were taken offline on purpose; machines do the same unasked, and
the same procedure is then used to replace them.
"""

from __future__ import annotations

import pytest

from harness.expectations import NO_GHOST, REPLACEMENT_COMPLETE
from harness.faults import Fault
from harness.faults.node import MemberPaused, NodeGone, NodeKilled, NodeWiped
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, EtcdSpec
from harness.tools.deploy_tool import REPLACE_NODE, DeployTool
from harness.tools.tasks import ReplaceNode

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]

FAULTS: dict[str, Fault] = {
    "node_killed": NodeKilled("n1"),
    "node_wiped": NodeWiped("n1"),
    "node_gone": NodeGone("n1"),
    "member_paused": MemberPaused("n1"),
}
FAITHFUL = ("documented-3-relaxed", "documented-3-relaxed-tls")
QUICK = {
    "node_killed": FAITHFUL,
    "node_wiped": FAITHFUL,
    "node_gone": (*FAITHFUL, "incident-3-relaxed"),
    "member_paused": (*FAITHFUL, "incident-3-relaxed"),
}
CASES = tuple(
    CaseMatrix(
        scenario=scenario,
        incident=INCIDENT,
        guarantees=(
            "quorum-kept",
            "write-gap-bounded",
            "no-ghost-member",
            "replacement-complete",
            "success-is-true",
            "acknowledged-writes-kept",
            "reads-linearizable",
        ),
        task=REPLACE_NODE,
        variants=("documented", "surge", "learner", "incident"),
        shapes=tuple(
            EtcdSpec(members=n, strict_reconfig_check=strict, mutual_tls=tls)
            for n, strict, tls in ((3, False, False), (3, True, False), (5, True, False), (3, False, True))
        ),
        quick=QUICK[scenario],
    )
    for scenario in FAULTS
)


@pytest.fixture(scope="module")
def recovered(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a cluster that lost n1, when n1 is replaced."""
    with lab.start(case):
        lab.inject(FAULTS[case.scenario])
        lab.run(tool, ReplaceNode("n1"))
        lab.observe(NO_GHOST, REPLACEMENT_COMPLETE)
    return lab


def test_quorum_is_never_lost(recovered: Lab) -> None:
    """One loss is what the cluster is built to bear; the repair must not be the second (002_638ead7455fd6626.txt)."""
    recovered.judge("quorum-kept")


def test_writes_go_on(recovered: Lab) -> None:
    """Clients notice an election and no more (002_638ead7455fd6626.txt)."""
    recovered.judge("write-gap-bounded")


def test_no_ghost_is_left(recovered: Lab) -> None:
    """The lost node is off the list: `started` there is no proof of life (002_638ead7455fd6626.txt)."""
    recovered.judge("no-ghost-member")


def test_replacement_is_complete(recovered: Lab) -> None:
    """The cluster can bear one more loss, as before (002_638ead7455fd6626.txt)."""
    recovered.judge("replacement-complete")


def test_success_is_true(recovered: Lab) -> None:
    """Exit 0 means that the new node votes and serves (002_638ead7455fd6626.txt)."""
    recovered.judge("success-is-true")


def test_acknowledged_writes_are_kept(recovered: Lab) -> None:
    """One node's data is gone, none of the cluster's is (002_638ead7455fd6626.txt)."""
    recovered.judge("acknowledged-writes-kept")


def test_reads_are_linearizable(recovered: Lab) -> None:
    """Nobody reads the past from a member that fell behind (002_638ead7455fd6626.txt)."""
    recovered.judge("reads-linearizable")
