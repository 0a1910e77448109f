"""Faults of one node: killed, wiped, gone for good, paused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psutil

from harness.clusters.members import EtcdMembers
from harness.errors import ClusterError, FaultError
from harness.faults import Evidence


@dataclass(frozen=True, slots=True)
class _OneNode:
    """A fault of one node that is up before it.

    Args:
        node: the node's name.
    """

    node: str

    def preflight(self, cluster: EtcdMembers[Any]) -> None:
        """The node has to be up."""
        try:
            node = cluster.node(self.node)
        except ClusterError as error:
            raise FaultError(str(error)) from error
        if not node.running:
            raise FaultError(f"node {self.node} is off already; the fault would change nothing")

    def heal(self, cluster: EtcdMembers[Any]) -> None:
        """Nothing: what is gone does not come back."""


class NodeKilled(_OneNode):
    """A power cut: the etcd process is gone, its data is there."""

    def inject(self, cluster: EtcdMembers[Any]) -> None:
        """Kill it."""
        cluster.node(self.node).kill()

    def evidence(self, cluster: EtcdMembers[Any]) -> Evidence:
        """No process, no answer, and the data directory still there."""
        facts = _signs(cluster, self.node)
        return Evidence(_dead(facts) and facts["data"], facts)

    def heal(self, cluster: EtcdMembers[Any]) -> None:
        """Switch it on again; its data tells it who it is."""
        cluster.node(self.node).start("", "existing")


class NodeWiped(_OneNode):
    """The machine is there and empty: reinstalled, or its disk was replaced."""

    def inject(self, cluster: EtcdMembers[Any]) -> None:
        """Kill it and remove its data."""
        cluster.node(self.node).kill()
        cluster.node(self.node).wipe()

    def evidence(self, cluster: EtcdMembers[Any]) -> Evidence:
        """No process, no answer, no data, and still on the member list."""
        facts = _signs(cluster, self.node)
        return Evidence(_dead(facts) and not facts["data"] and facts["listed"], facts)


class NodeGone(_OneNode):
    """The machine is gone for good; whoever replaces it does so under another address."""

    def inject(self, cluster: EtcdMembers[Any]) -> None:
        """Kill it, remove its data, never let it start again."""
        cluster.node(self.node).destroy()

    def evidence(self, cluster: EtcdMembers[Any]) -> Evidence:
        """No process, no answer, cannot be started, and still on the member list."""
        facts = _signs(cluster, self.node)
        return Evidence(_dead(facts) and facts["destroyed"] and facts["listed"], facts)


class MemberPaused(_OneNode):
    """The process stands still with its sockets open, as on a frozen virtual machine."""

    def inject(self, cluster: EtcdMembers[Any]) -> None:
        """Stop the process's time."""
        cluster.node(self.node).pause()

    def evidence(self, cluster: EtcdMembers[Any]) -> Evidence:
        """The kernel calls it stopped, and it does not answer."""
        node = cluster.node(self.node)
        stopped = node.pid != 0 and psutil.Process(node.pid).status() == psutil.STATUS_STOPPED
        answers = cluster.status(node) is not None
        return Evidence(stopped and not answers, {"stopped": stopped, "answers": answers, "pid": node.pid})

    def heal(self, cluster: EtcdMembers[Any]) -> None:
        """Let its time go on, if it is still there."""
        node = cluster.node(self.node)
        if node.running and node.paused:
            node.resume()


def _signs(cluster: EtcdMembers[Any], name: str) -> dict[str, bool]:
    """What is seen of a node from outside and on its disk."""
    node = cluster.node(name)
    return {
        "process": node.pid != 0 and psutil.pid_exists(node.pid),
        "answers": cluster.status(node) is not None,
        "data": node.has_data,
        "destroyed": node.destroyed,
        "listed": cluster.member_of(node) is not None,
    }


def _dead(facts: dict[str, bool]) -> bool:
    return not facts["process"] and not facts["answers"]
