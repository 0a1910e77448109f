"""Two control planes of a kubeadm cluster are replaced by fresh machines, one after the other (incident 002).

The incident as its author lived it: "nodes" were Kubernetes control planes with etcd stacked on
them, replaced "as if they were workers". Here it is kind's three control planes behind its load
balancer; the old machine is gone for good, the new one joins by kubeadm.
"""

from __future__ import annotations

import pytest

from harness.expectations import NO_GHOST, REPLACEMENT_COMPLETE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, KindSpec
from harness.tools.deploy_tool import REPLACE_CONTROL_PLANE, DeployTool
from harness.tools.kind_tasks import ReplaceControlPlane
from harness.tools.reference.replace_control_plane import DEFECTS, STRATEGIES

INCIDENT = "002_638ead7455fd6626.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="control_plane_replacement",
        incident=INCIDENT,
        guarantees=(
            "quorum-kept",
            "write-gap-bounded",
            "api-available",
            "no-ghost-member",
            "replacement-complete",
            "clean-before-next-node",
            "bystanders-kept",
            "success-is-true",
            "snapshot-restorable",
            "acknowledged-writes-kept",
            "revisions-monotonic",
            "nodes-ready",
            "foreign-untouched",
        ),
        task=REPLACE_CONTROL_PLANE,
        variants=(*STRATEGIES, *DEFECTS),
        shapes=tuple(KindSpec(control_planes=3, strict_reconfig_check=strict) for strict in (False, True)),
        quick=("documented-kind-3-strict", "incident-kind-3-relaxed"),
        # the load balancer needs some seconds to see that an API server is gone
        write_gap_seconds=30.0,
    ),
)


@pytest.fixture(scope="module")
def replaced(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given three control planes under traffic, when the first and then the second are replaced."""
    with lab.start(case):
        lab.run(tool, ReplaceControlPlane("control-plane"))
        lab.run(tool, ReplaceControlPlane("control-plane2"))
        lab.observe(NO_GHOST, REPLACEMENT_COMPLETE)
    return lab


def test_quorum_is_never_lost(replaced: Lab) -> None:
    """The living voters stay a majority of those listed; the incident left 2 of 4 (002_638ead7455fd6626.txt)."""
    replaced.judge("quorum-kept")


def test_writes_go_on(replaced: Lab) -> None:
    """Clients of the API hardly wait for the next write: a replacement is no outage (002_638ead7455fd6626.txt)."""
    replaced.judge("write-gap-bounded")


def test_the_api_is_available(replaced: Lab) -> None:
    """The API answers through the load balancer all the time; it "came to a halt" in 002_638ead7455fd6626.txt."""
    replaced.judge("api-available")


def test_no_ghost_is_left(replaced: Lab) -> None:
    """Nobody dead stays listed: deleting a Node says nothing to etcd (002_638ead7455fd6626.txt)."""
    replaced.judge("no-ghost-member")


def test_replacement_is_complete(replaced: Lab) -> None:
    """As many vote as before, the new for the old: that is what was asked for (002_638ead7455fd6626.txt)."""
    replaced.judge("replacement-complete")


def test_membership_is_clean_before_the_next_node(replaced: Lab) -> None:
    """No machine is touched while another member is dead: the author's first change after 002_638ead7455fd6626.txt."""
    replaced.judge("clean-before-next-node")


def test_bystanders_are_kept(replaced: Lab) -> None:
    """Only the old machine goes: a healthy one costs a vote that was still needed (002_638ead7455fd6626.txt)."""
    replaced.judge("bystanders-kept")


def test_success_is_true(replaced: Lab) -> None:
    """Exit 0 means done: the next machine is begun on that word (002_638ead7455fd6626.txt)."""
    replaced.judge("success-is-true")


def test_a_snapshot_is_saved_first(replaced: Lab) -> None:
    """A restorable snapshot from before exists: it was the way back (002_638ead7455fd6626.txt)."""
    replaced.judge("snapshot-restorable")


def test_acknowledged_writes_are_kept(replaced: Lab) -> None:
    """Every ConfigMap the API acknowledged is there, in every member's store (002_638ead7455fd6626.txt)."""
    replaced.judge("acknowledged-writes-kept")


def test_revisions_never_run_backwards(replaced: Lab) -> None:
    """Resource versions only grow: controllers and their caches are built on it (002_638ead7455fd6626.txt)."""
    replaced.judge("revisions-monotonic")


def test_nodes_are_ready(replaced: Lab) -> None:
    """At the end the kubelets of all nodes answer: members without machines run no pod (002_638ead7455fd6626.txt)."""
    replaced.judge("nodes-ready")


def test_others_are_untouched(replaced: Lab) -> None:
    """Whatever else runs on this engine is what it was: a harness that hurts its neighbours is worse than none.

    No part of 002_638ead7455fd6626.txt: it guards the machine the incident is replayed on.
    """
    replaced.judge("foreign-untouched")
