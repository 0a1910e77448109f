"""Faults of one node: killed, wiped, gone for good, paused."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_node import EtcdNode
from harness.errors import ClusterError, FaultError
from harness.faults import Evidence


@dataclass(frozen=True, slots=True)
class NodeKilled:
    """A power cut: the etcd process is gone, its data is there.

    Args:
        node: the node's name.
    """

    node: str

    def preflight(self, cluster: EtcdCluster) -> None:
        """The node has to be up."""
        _require_running(cluster, self.node)

    def inject(self, cluster: EtcdCluster) -> None:
        """Kill it."""
        cluster.node(self.node).kill()

    def evidence(self, cluster: EtcdCluster) -> Evidence:
        """No process, no answer, and the data directory still there."""
        node = cluster.node(self.node)
        facts = _signs_of_life(cluster, node) | {"data": node.data_dir.exists()}
        return Evidence(not facts["process"] and not facts["answers"] and facts["data"], facts)

    def heal(self, cluster: EtcdCluster) -> None:
        """Switch it on again; its data tells it who it is."""
        cluster.node(self.node).start("", "existing")


@dataclass(frozen=True, slots=True)
class NodeWiped:
    """The machine is there and empty: reinstalled, or its disk was replaced.

    Args:
        node: the node's name.
    """

    node: str

    def preflight(self, cluster: EtcdCluster) -> None:
        """The node has to be up."""
        _require_running(cluster, self.node)

    def inject(self, cluster: EtcdCluster) -> None:
        """Kill it and remove its data."""
        cluster.node(self.node).kill()
        cluster.node(self.node).wipe()

    def evidence(self, cluster: EtcdCluster) -> Evidence:
        """No process, no answer, no data, and still on the member list."""
        node = cluster.node(self.node)
        facts = _signs_of_life(cluster, node) | {
            "data": node.data_dir.exists(),
            "listed": cluster.member_of(node) is not None,
        }
        bit = not facts["process"] and not facts["answers"] and not facts["data"] and facts["listed"]
        return Evidence(bit, facts)

    def heal(self, cluster: EtcdCluster) -> None:
        """Nothing: wiped data does not come back."""


@dataclass(frozen=True, slots=True)
class NodeGone:
    """The machine is gone for good; whoever replaces it does so under another address.

    Args:
        node: the node's name.
    """

    node: str

    def preflight(self, cluster: EtcdCluster) -> None:
        """The node has to be up."""
        _require_running(cluster, self.node)

    def inject(self, cluster: EtcdCluster) -> None:
        """Kill it, remove its data, never let it start again."""
        cluster.node(self.node).destroy()

    def evidence(self, cluster: EtcdCluster) -> Evidence:
        """No process, no answer, cannot be started, and still on the member list."""
        node = cluster.node(self.node)
        facts = _signs_of_life(cluster, node) | {
            "destroyed": node.destroyed,
            "listed": cluster.member_of(node) is not None,
        }
        bit = not facts["process"] and not facts["answers"] and facts["destroyed"] and facts["listed"]
        return Evidence(bit, facts)

    def heal(self, cluster: EtcdCluster) -> None:
        """Nothing: gone is gone."""


@dataclass(frozen=True, slots=True)
class MemberPaused:
    """The process stands still with its sockets open, as on a frozen virtual machine.

    Args:
        node: the node's name.
    """

    node: str

    def preflight(self, cluster: EtcdCluster) -> None:
        """The node has to be up."""
        _require_running(cluster, self.node)

    def inject(self, cluster: EtcdCluster) -> None:
        """Stop the process's time."""
        cluster.node(self.node).pause()

    def evidence(self, cluster: EtcdCluster) -> Evidence:
        """The kernel calls it stopped, and it does not answer."""
        node = cluster.node(self.node)
        stopped = node.pid != 0 and psutil.Process(node.pid).status() == psutil.STATUS_STOPPED
        answers = cluster.status(node) is not None
        return Evidence(stopped and not answers, {"stopped": stopped, "answers": answers, "pid": node.pid})

    def heal(self, cluster: EtcdCluster) -> None:
        """Let its time go on, if it is still there."""
        node = cluster.node(self.node)
        if node.running and node.paused:
            node.resume()


def _require_running(cluster: EtcdCluster, name: str) -> None:
    try:
        node = cluster.node(name)
    except ClusterError as error:
        raise FaultError(str(error)) from error
    if not node.running:
        raise FaultError(f"node {name} is off already; the fault would change nothing")


def _signs_of_life(cluster: EtcdCluster, node: EtcdNode) -> dict[str, bool]:
    return {"process": node.pid != 0 and psutil.pid_exists(node.pid), "answers": cluster.status(node) is not None}
