"""Faults of the member list: what careless replacements leave behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.members import EtcdMembers, MemberNode
from harness.errors import FaultError, WaitTimeout
from harness.faults import Evidence
from harness.waiting import until


@dataclass(frozen=True, slots=True)
class ReplacedWithoutRemoval:
    """A node was replaced and never removed: one ghost on the member list, one newcomer.

    Brought about newcomer first, which etcd's strict check lets pass.

    Args:
        node: the node that becomes the ghost.
    """

    node: str

    def preflight(self, cluster: EtcdMembers[Any]) -> None:
        """The node has to be up."""
        if not cluster.node(self.node).running:
            raise FaultError(f"node {self.node} is off already")

    def inject(self, cluster: EtcdMembers[Any]) -> None:
        """Add a newcomer, then destroy the old node."""
        newcomer = cluster.create_node()
        cluster.admit(newcomer.name)
        cluster.node(self.node).destroy()

    def evidence(self, cluster: EtcdMembers[Any]) -> Evidence:
        """The old node is listed and dead, and more are listed than were there at first."""
        old, listed = cluster.node(self.node), cluster.members()
        facts = {
            "listed": len(listed),
            "ghost_listed": any(old.peer_url in row.peer_urls for row in listed),
            "ghost_runs": old.running,
        }
        bit = bool(facts["ghost_listed"]) and not facts["ghost_runs"] and len(listed) > cluster.spec.voters
        return Evidence(bit, facts)

    def heal(self, cluster: EtcdMembers[Any]) -> None:
        """Nothing: to take the ghost away is the tool's job."""


@dataclass(frozen=True, slots=True)
class QuorumLostToGhost:
    """The incident's end: with a ghost listed, one more old node goes, and 2 of 4 are no majority.

    Args:
        node: the node that goes now; a ghost has to be there.
    """

    node: str

    def preflight(self, cluster: EtcdMembers[Any]) -> None:
        """One more loss has to be one too many."""
        listed, up = len(cluster.members()), len(cluster.running())
        if up - 1 > listed // 2:
            raise FaultError(f"{up - 1} of {listed} would still be a majority")

    def inject(self, cluster: EtcdMembers[Any]) -> None:
        """Destroy the node."""
        cluster.node(self.node).destroy()

    def evidence(self, cluster: EtcdMembers[Any]) -> Evidence:
        """No survivor takes a write, and none knows a leader once the election timeout has passed."""
        try:
            leaderless = until(
                lambda: [node.name for node in cluster.running() if _leaderless(cluster, node)],
                lambda names: len(names) == len(cluster.running()),
                what="all survivors to be without a leader",
                deadline_seconds=10.0,
            )
        except WaitTimeout:
            leaderless = []
        writable = [node.name for node in cluster.running() if _takes_write(cluster, node)]
        facts = {"up": len(cluster.running()), "listed": len(cluster.members()), "leaderless": leaderless}
        return Evidence(not writable and len(leaderless) == len(cluster.running()), facts | {"writable": writable})

    def heal(self, cluster: EtcdMembers[Any]) -> None:
        """Nothing: the way back is the tool's job."""


def _leaderless(cluster: EtcdMembers[Any], node: MemberNode) -> bool:
    status = cluster.status(node)
    return status is not None and not status.leader


def _takes_write(cluster: EtcdMembers[Any], node: MemberNode) -> bool:
    with cluster.client(node, 0.7) as client:
        try:
            client.put({"afterfault/evidence": node.name})
        except (CallFailed, CallUnknown):
            return False
        return True
