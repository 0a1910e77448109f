"""The gentler way back: the ghost is removed while a majority can still decide it (incident 002).

"Once I was able to ascertain that the original node hadn't been replaced in the node list, the
solution was relatively simple" (002_638ead7455fd6626.txt): `member remove`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.expectations import NO_GHOST
from harness.faults.membership import ReplacedWithoutRemoval
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, EtcdSpec
from harness.tools.deploy_tool import RECOVER_QUORUM, DeployTool
from harness.tools.tasks import RecoverQuorum

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="ghost_removal",
        incident=INCIDENT,
        guarantees=(
            "no-ghost-member",
            "quorum-kept",
            "write-gap-bounded",
            "acknowledged-writes-kept",
            "cluster-identity-kept",
        ),
        task=RECOVER_QUORUM,
        variants=("remove-ghost", "wait-and-hope", "fresh-cluster"),
        shapes=tuple(EtcdSpec(members=n, strict_reconfig_check=strict) for n in (3, 5) for strict in (False, True)),
        quick=("remove-ghost-3-*", "remove-ghost-5-strict", "wait-and-hope-3-relaxed", "fresh-cluster-3-relaxed"),
    ),
)


@pytest.fixture(scope="module")
def cleaned(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a ghost and quorum, when the cluster is cleaned up."""
    with lab.start(case):
        lab.inject(ReplacedWithoutRemoval("n1"))
        lab.run(tool, RecoverQuorum(Path("none")))
        lab.observe(NO_GHOST)
    return lab


def test_no_ghost_is_left(cleaned: Lab) -> None:
    """The ghost is off the list, and the cluster can bear a loss again (002_638ead7455fd6626.txt)."""
    cleaned.judge("no-ghost-member")


def test_quorum_is_never_lost(cleaned: Lab) -> None:
    """Nothing had to be restored: quorum was there and stays (002_638ead7455fd6626.txt)."""
    cleaned.judge("quorum-kept")


def test_writes_go_on(cleaned: Lab) -> None:
    """Taking a dead member off the list is not felt by clients (002_638ead7455fd6626.txt)."""
    cleaned.judge("write-gap-bounded")


def test_acknowledged_writes_are_kept(cleaned: Lab) -> None:
    """No write is lost: this way costs nothing, which is why it comes first (002_638ead7455fd6626.txt)."""
    cleaned.judge("acknowledged-writes-kept")


def test_it_is_the_same_cluster(cleaned: Lab) -> None:
    """The founding cluster goes on; a rebuilt one would lose what its snapshot lacks (002_638ead7455fd6626.txt)."""
    cleaned.judge("cluster-identity-kept")
