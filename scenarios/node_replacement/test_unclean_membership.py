"""A ghost is on the member list, and the next node is to be replaced (incident 002).

This is where the author of 002_638ead7455fd6626.txt stood before the second replacement: "everything
seemed to be functioning well", and a procedure that had looked at the member list would have known
better.
"""

from __future__ import annotations

import pytest

from harness.faults.membership import ReplacedWithoutRemoval
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, EtcdSpec
from harness.tools.deploy_tool import REPLACE_NODE, DeployTool
from harness.tools.tasks import ReplaceNode

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="unclean_membership",
        incident=INCIDENT,
        guarantees=("clean-before-next-node", "quorum-kept", "acknowledged-writes-kept"),
        task=REPLACE_NODE,
        variants=("documented", "surge", "learner", "incident", "no-check"),
        shapes=tuple(EtcdSpec(members=n, strict_reconfig_check=strict) for n in (3, 5) for strict in (False, True)),
        quick=("*-3-relaxed", "documented-5-relaxed", "no-check-5-relaxed"),
    ),
)


@pytest.fixture(scope="module")
def asked_for_more(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a cluster with a ghost, when one more node is to be replaced."""
    with lab.start(case):
        lab.inject(ReplacedWithoutRemoval("n1"))
        lab.run(tool, ReplaceNode("n2"))
    return lab


def test_it_refuses_or_cleans_up_first(asked_for_more: Lab) -> None:
    """No node is touched while a ghost is listed: the next loss is the one too many (002_638ead7455fd6626.txt)."""
    asked_for_more.judge("clean-before-next-node")


def test_quorum_is_not_lost(asked_for_more: Lab) -> None:
    """Whatever it does, the vote stays possible: 2 of 4 was the incident's end (002_638ead7455fd6626.txt)."""
    asked_for_more.judge("quorum-kept")


def test_acknowledged_writes_are_kept(asked_for_more: Lab) -> None:
    """Refusing costs nothing, and no write either (002_638ead7455fd6626.txt)."""
    asked_for_more.judge("acknowledged-writes-kept")
