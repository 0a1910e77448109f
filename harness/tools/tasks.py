"""What tools are asked to do, turned into the environment they get."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.etcd import EtcdCluster
from harness.taps.node_tap import NodeTap
from harness.tools.deploy_tool import RECOVER_QUORUM, REPLACE_NODE, Task


@dataclass(frozen=True, slots=True)
class ReplaceNode:
    """Replace one node by a fresh machine under another address.

    Args:
        old: name of the node that has to go; it may be dead already.
    """

    old: str

    @property
    def sentence(self) -> str:
        """What is asked, for people."""
        return f"replace {self.old}"

    def prepare(self, cluster: EtcdCluster, tap: NodeTap, snapshots: Path) -> Task:
        """Create the fresh machine and describe both."""
        old, new = cluster.node(self.old), cluster.create_node()
        environment = _common(cluster, tap, snapshots) | {
            "AFTERFAULT_OLD_NAME": old.name,
            "AFTERFAULT_OLD_ADDRESS": old.address,
            "AFTERFAULT_OLD_PEER_URL": old.peer_url,
            "AFTERFAULT_OLD_CLIENT_URL": old.client_url,
            "AFTERFAULT_NEW_NAME": new.name,
            "AFTERFAULT_NEW_ADDRESS": new.address,
            "AFTERFAULT_NEW_PEER_URL": new.peer_url,
            "AFTERFAULT_NEW_CLIENT_URL": new.client_url,
        }
        return Task(REPLACE_NODE, environment, old.name, new.name)


@dataclass(frozen=True, slots=True)
class RecoverQuorum:
    """Bring the cluster back to as many serving members as it had.

    Args:
        snapshot: the snapshot from before; may not exist when there is none.
    """

    snapshot: Path

    @property
    def sentence(self) -> str:
        """What is asked, for people."""
        return "recover the cluster"

    def prepare(self, cluster: EtcdCluster, tap: NodeTap, snapshots: Path) -> Task:
        """Name the machines to build on: those that are left, and fresh ones for those that are gone."""
        left = [node for node in cluster.nodes.values() if not node.destroyed]
        fresh = [cluster.create_node() for _ in range(cluster.spec.members - len(left))]
        environment = _common(cluster, tap, snapshots) | {
            "AFTERFAULT_SNAPSHOT": str(self.snapshot),
            "AFTERFAULT_MEMBERS": ",".join(node.name for node in [*left, *fresh]),
        }
        return Task(RECOVER_QUORUM, environment)


def _common(cluster: EtcdCluster, tap: NodeTap, snapshots: Path) -> dict[str, str]:
    etcdctl = cluster.etcdctl_environment(cluster.running())
    return tap.environment() | {
        **{name: value for name, value in etcdctl.items() if name.startswith("ETCDCTL_")},
        "PATH": f"{cluster.release.etcdctl.parent}{os.pathsep}{etcdctl.get('PATH', os.defpath)}",
        "AFTERFAULT_CLIENT_URLS": etcdctl["ETCDCTL_ENDPOINTS"],
        "AFTERFAULT_SNAPSHOTS": str(snapshots),
    }
