"""The way back from a lost quorum, and the gentler one before it is lost.

Source: incident 002, "Recovery from failure"; etcd's disaster recovery guide.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from harness.taps.node_command import ask
from harness.tools.reference import etcdctl


class Recovery:
    """A recovery under way, and the steps it can be made of."""

    def __init__(self) -> None:
        self.snapshot = os.environ["AFTERFAULT_SNAPSHOT"]
        self.snapshots = Path(os.environ["AFTERFAULT_SNAPSHOTS"])
        wanted = os.environ["AFTERFAULT_MEMBERS"].split(",")
        self.nodes = {node["name"]: node for node in ask("list") if node["name"] in wanted}
        self.initial_cluster = ",".join(f"{name}={node['peer_url']}" for name, node in self.nodes.items())

    def save_botched_state(self) -> None:
        """Keep what is there, however broken, before it is thrown away."""
        survivor = next(node for node in ask("list") if node["running"])
        etcdctl.snapshot_save(survivor["client_url"], self.snapshots / "disaster.db")

    def stop_all(self) -> None:
        """Nothing of the broken cluster may run on."""
        for node in ask("list"):
            if node["running"]:
                ask("stop", node=node["name"])

    def restore_all(self) -> None:
        """Every member gets the same snapshot and the same new membership."""
        for name in self.nodes:
            ask("wipe", node=name)
            ask("restore", node=name, snapshot=self.snapshot, initial_cluster=self.initial_cluster)

    def start_all(self) -> None:
        """All at once: none is healthy before a majority is up."""
        for name in self.nodes:
            ask("start", node=name, initial_cluster=self.initial_cluster, initial_cluster_state="new")

    def await_all(self) -> None:
        """Wait until each member serves."""
        for node in self.nodes.values():
            etcdctl.await_healthy(node["client_url"])

    def remove_ghosts(self) -> None:
        """Take the dead off the member list while a majority can still decide it."""
        up = [node for node in ask("list") if node["running"]]
        endpoints = ",".join(node["client_url"] for node in up)
        for row in etcdctl.members(endpoints):
            if row.peer_url not in {node["peer_url"] for node in up}:
                etcdctl.member_remove(endpoints, row.member_id)

    def wipe_all(self) -> None:
        """Defect: throws the data away and restores nothing."""
        for name in self.nodes:
            ask("wipe", node=name)

    def restore_only_the_first(self) -> None:
        """Defect: one member is rebuilt, the others come back with what they had."""
        first = next(iter(self.nodes))
        ask("wipe", node=first)
        alone = f"{first}={self.nodes[first]['peer_url']}"
        ask("restore", node=first, snapshot=self.snapshot, initial_cluster=alone)


Step = Callable[[Recovery], None]
R = Recovery

RECOVERIES: dict[str, tuple[Step, ...]] = {
    "restore-snapshot": (R.save_botched_state, R.stop_all, R.restore_all, R.start_all, R.await_all),
    "remove-ghost": (R.remove_ghosts,),
}

RECOVERY_DEFECTS: dict[str, tuple[Step, ...]] = {
    "restore-unsaved": (R.stop_all, R.restore_all, R.start_all, R.await_all),
    "fresh-cluster": (R.save_botched_state, R.stop_all, R.wipe_all, R.start_all, R.await_all),
    "half-restore": (R.save_botched_state, R.stop_all, R.restore_only_the_first, R.start_all),
    "wait-and-hope": (R.save_botched_state,),
}


def recover_quorum(variant: str) -> None:
    """Run the variant's steps, each announced on stdout.

    Raises:
        StepFailed, NodeRefused: at the step last announced.
    """
    recovery = Recovery()
    for step in (RECOVERIES | RECOVERY_DEFECTS)[variant]:
        print(json.dumps({"step": step.__name__}), flush=True)
        step(recovery)
