"""What tools are asked to do on a Kubernetes cluster, turned into the environment they get."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.kind import KindCluster
from harness.taps.node_tap import NodeTap
from harness.tools.deploy_tool import RECOVER_CONTROL_PLANE, REPLACE_CONTROL_PLANE, Task


@dataclass(frozen=True, slots=True)
class ReplaceControlPlane:
    """Replace one control plane by a fresh machine under another address.

    Args:
        old: its name, in full or without the cluster's; it may be dead already.
    """

    old: str

    @property
    def sentence(self) -> str:
        """What is asked, for people."""
        return f"replace {self.old}"

    def prepare(self, cluster: KindCluster, tap: NodeTap, snapshots: Path) -> Task:
        """Make the fresh machine and describe both."""
        old, new = cluster.node(self.old), cluster.create_node()
        environment = _common(cluster, tap, snapshots) | {
            "AFTERFAULT_OLD_NAME": old.name,
            "AFTERFAULT_OLD_ADDRESS": old.address,
            "AFTERFAULT_OLD_PEER_URL": old.peer_url,
            "AFTERFAULT_NEW_NAME": new.name,
            "AFTERFAULT_NEW_ADDRESS": new.address,
            "AFTERFAULT_NEW_PEER_URL": new.peer_url,
        }
        return Task(REPLACE_CONTROL_PLANE, environment, old.name, new.name)


@dataclass(frozen=True, slots=True)
class RecoverControlPlane:
    """Bring a cluster back to as many serving control planes as it had.

    Args:
        snapshot: of its etcd, from before; may not exist when there is none.
    """

    snapshot: Path

    @property
    def sentence(self) -> str:
        """What is asked, for people."""
        return "recover the cluster"

    def prepare(self, cluster: KindCluster, tap: NodeTap, snapshots: Path) -> Task:
        """Name the machines to build on: those that are left, and fresh ones for those that are gone."""
        left = [node for node in cluster.nodes.values() if not node.destroyed]
        fresh = [cluster.create_node() for _ in range(cluster.spec.voters - len(left))]
        environment = _common(cluster, tap, snapshots) | {
            "AFTERFAULT_SNAPSHOT": str(self.snapshot),
            "AFTERFAULT_MEMBERS": ",".join(node.name for node in [*left, *fresh][: cluster.spec.voters]),
        }
        return Task(RECOVER_CONTROL_PLANE, environment)


def _common(cluster: KindCluster, tap: NodeTap, snapshots: Path) -> dict[str, str]:
    return tap.environment() | {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{cluster.setup.kubectl.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AFTERFAULT_SNAPSHOTS": str(snapshots),
    }
