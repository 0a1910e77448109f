"""An operator's hand on the machines of a managed cluster: switches them, by the same command as on bare etcd."""

from __future__ import annotations

from typing import Any

from harness.clusters.managed import ManagedCluster
from harness.errors import ClusterError
from harness.journal import Journal
from harness.taps.node_tap import TAP_HOST, Deed, NodeTap


class MachineTap(NodeTap):
    """Machines with a manager on them: to be stopped, killed and switched on; nothing else is done by hand.

    Args:
        cluster: whose machines.
        journal: where calls go (``tap.node_call``).
    """

    def __init__(self, cluster: ManagedCluster, journal: Journal) -> None:
        self._managed = cluster
        super().__init__(cluster, journal, cluster.work / "snapshots", cluster.subnet.address(TAP_HOST))

    def deeds(self) -> dict[str, Deed]:
        """List, stop, boot; no machine is wiped or destroyed by its operator here."""
        return {
            "list": lambda _: self._machines(),
            "stop": lambda call: self._managed.node(call["node"]).stop(),
            "boot": lambda call: self._managed.node(call["node"]).start(),
            "destroy": _refuse,
            "wipe": _refuse,
        }

    def _machines(self) -> list[dict[str, Any]]:
        return [
            {
                "name": machine.name,
                "address": machine.address,
                "client_url": machine.client_url,
                "peer_url": machine.peer_url,
                "running": machine.running,
            }
            for machine in self._managed.machines.values()
        ]


def _refuse(call: dict[str, Any]) -> None:
    raise ClusterError(f"nobody does that to {call['node']}")
