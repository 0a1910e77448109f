"""Two nodes of an etcd cluster are replaced by fresh machines, one after the other (incident 002).

The author of 002_638ead7455fd6626.txt replaced control-plane nodes as if they were workers: take
one offline, build a new one, run the tool, go on to the next. The old members were never removed,
so the second replacement left 2 of 4 voters, and everything came to a halt.
"""

from __future__ import annotations

import pytest

from harness.expectations import NO_GHOST, REPLACEMENT_COMPLETE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, EtcdSpec
from harness.tools.deploy_tool import REPLACE_NODE, DeployTool
from harness.tools.reference.replace_node import DEFECTS, STRATEGIES
from harness.tools.tasks import ReplaceNode

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="rolling_replacement",
        incident=INCIDENT,
        guarantees=(
            "quorum-kept",
            "write-gap-bounded",
            "no-ghost-member",
            "replacement-complete",
            "clean-before-next-node",
            "bystanders-kept",
            "success-is-true",
            "snapshot-restorable",
            "acknowledged-writes-kept",
            "cluster-identity-kept",
            "revisions-monotonic",
            "reads-linearizable",
        ),
        task=REPLACE_NODE,
        variants=(*STRATEGIES, *DEFECTS),
        shapes=tuple(
            EtcdSpec(members=members, strict_reconfig_check=strict) for members in (3, 5) for strict in (False, True)
        ),
        quick=(
            "*-3-relaxed",
            "documented-*",
            "surge-*",
            "learner-3-*",
            "incident-3-*",
            "never-remove-*-strict",
        ),
    ),
)


@pytest.fixture(scope="module")
def replaced(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a healthy cluster under traffic, when n1 and then n2 are replaced."""
    with lab.start(case):
        lab.run(tool, ReplaceNode("n1"))
        lab.run(tool, ReplaceNode("n2"))
        lab.observe(NO_GHOST, REPLACEMENT_COMPLETE)
    return lab


def test_quorum_is_never_lost(replaced: Lab) -> None:
    """The living voters stay a majority of those listed: without it every write and every control plane stops.

    In 002_638ead7455fd6626.txt the second replacement left 2 of 4.
    """
    replaced.judge("quorum-kept")


def test_writes_go_on(replaced: Lab) -> None:
    """Clients hardly wait for the next write: a replacement is no maintenance window (002_638ead7455fd6626.txt)."""
    replaced.judge("write-gap-bounded")


def test_no_ghost_is_left(replaced: Lab) -> None:
    """Nobody dead stays listed: each ghost raises the majority (002_638ead7455fd6626.txt: check `member list`)."""
    replaced.judge("no-ghost-member")


def test_replacement_is_complete(replaced: Lab) -> None:
    """As many vote as before, the new for the old: that is what was asked for (002_638ead7455fd6626.txt)."""
    replaced.judge("replacement-complete")


def test_membership_is_clean_before_the_next_node(replaced: Lab) -> None:
    """No node is touched while another member is dead: the author's first change after 002_638ead7455fd6626.txt."""
    replaced.judge("clean-before-next-node")


def test_bystanders_are_kept(replaced: Lab) -> None:
    """Only the old node goes: removing a healthy one costs a vote that was still needed (002_638ead7455fd6626.txt)."""
    replaced.judge("bystanders-kept")


def test_success_is_true(replaced: Lab) -> None:
    """Exit 0 means done: the next node is begun on that word ("everything seemed to be functioning well", 002_638ead7455fd6626.txt)."""  # noqa: E501
    replaced.judge("success-is-true")


def test_a_snapshot_is_saved_first(replaced: Lab) -> None:
    """A restorable snapshot from before exists: it was the way back (second change after 002_638ead7455fd6626.txt)."""
    replaced.judge("snapshot-restorable")


def test_acknowledged_writes_are_kept(replaced: Lab) -> None:
    """What was acknowledged is there on every node: the one promise a store makes (002_638ead7455fd6626.txt)."""
    replaced.judge("acknowledged-writes-kept")


def test_there_is_one_cluster(replaced: Lab) -> None:
    """All answers come from the founding cluster: a second one loses what it takes (002_638ead7455fd6626.txt)."""
    replaced.judge("cluster-identity-kept")


def test_revisions_never_run_backwards(replaced: Lab) -> None:
    """Revisions only grow: watchers and caches of a control plane are built on it (002_638ead7455fd6626.txt)."""
    replaced.judge("revisions-monotonic")


def test_reads_are_linearizable(replaced: Lab) -> None:
    """Reads see the newest write: leases and locks of a control plane need it (002_638ead7455fd6626.txt)."""
    replaced.judge("reads-linearizable")
