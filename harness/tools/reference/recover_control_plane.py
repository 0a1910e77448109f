"""The way back for a kubeadm cluster that lost its etcd quorum, and the gentler one before that.

Sources: incident 002, "Recovery from failure"; etcd's disaster recovery guide (``--bump-revision``
and ``--mark-compacted`` are meant for stores with watchers, as Kubernetes is); kubeadm's guides to
highly available clusters and to ``kubeadm reset``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.taps.node_command import ask
from harness.tools.reference import machines
from harness.tools.reference.etcdctl import StepFailed, in_time
from harness.waiting import until

_SNAPSHOT = "/root/afterfault-snapshot.db"
_ASIDE = "/root/manifests-aside"
# More revisions than an API server writes in a day, so that no watcher sees time run backwards.
_BUMP_REVISION = 1_000_000_000
_STOP_SECONDS = 60.0


class ControlPlaneRecovery:
    """A recovery under way, and the steps it can be made of."""

    def __init__(self) -> None:
        self.snapshot = os.environ["AFTERFAULT_SNAPSHOT"]
        self.snapshots = Path(os.environ["AFTERFAULT_SNAPSHOTS"])
        wanted = os.environ["AFTERFAULT_MEMBERS"].split(",")
        self.nodes = {node["name"]: node for node in ask("list") if node["name"] in wanted}
        self.survivors = [node["name"] for node in machines.serving()]
        self.first = self.survivors[0]

    def save_botched_state(self) -> None:
        """Keep what is there, however broken, before it is thrown away."""
        machines.save_snapshot(self.first, self.snapshots / "disaster.db")

    def stop_all(self) -> None:
        """No API server and no etcd of the broken cluster may run on."""
        for name in self.survivors:
            machines.run_on(name, "sh", "-c", f"mkdir -p {_ASIDE} && mv /etc/kubernetes/manifests/*.yaml {_ASIDE}/")
        for name in self.survivors:
            _await(partial(_stands_still, name), f"{name} to stop")

    def restore_first(self) -> None:
        """One machine gets the snapshot, and a membership of its own."""
        address = self.nodes[self.first]["address"]
        ask("send", node=self.first, file=self.snapshot, path=_SNAPSHOT)
        machines.run_on(self.first, "rm", "-rf", "/var/lib/etcd")
        machines.run_on(
            self.first, "etcdutl", "snapshot", "restore", _SNAPSHOT, f"--name={self.first}",
            f"--initial-cluster={self.first}=https://{address}:2380",
            f"--initial-advertise-peer-urls=https://{address}:2380", "--data-dir=/var/lib/etcd",
            f"--bump-revision={_BUMP_REVISION}", "--mark-compacted",
        )  # fmt: skip

    def start_first(self) -> None:
        """Its manifests back in place; the kubelet does the rest."""
        machines.run_on(self.first, "sh", "-c", f"mv {_ASIDE}/*.yaml /etc/kubernetes/manifests/")
        machines.await_control_plane(self.first)

    def forget_others(self) -> None:
        """Nodes of the snapshot that are gone, or are to join anew."""
        for name in machines.node_names() - {self.first}:
            machines.forget_node(name)

    def rejoin_others(self) -> None:
        """The other machines, emptied where they were in use, join one after the other."""
        for name, node in self.nodes.items():
            if name == self.first:
                continue
            if name in self.survivors:
                machines.run_on(name, "kubeadm", "reset", "--force", "--skip-phases=remove-etcd-member")
                # its old data goes by hand: that is part of the phase left out, which asks a cluster that is no more
                machines.run_on(name, "rm", "-rf", "/var/lib/etcd", _ASIDE)
                # the folder stays: containerd watches it, and would not see one that is made again
                machines.run_on(name, "find", "/etc/cni/net.d", "-mindepth", "1", "-delete")
            machines.join(self.first, node, skip_etcd_check=False)
            machines.await_control_plane(name)

    def remove_ghosts(self) -> None:
        """Take the dead off the member list while a majority can still decide it."""
        up = {node["name"] for node in machines.serving()}
        for member in machines.members(self.first):
            if member.name not in up:
                machines.etcdctl(self.first, "member", "remove", member.member_id)
                machines.forget_node(member.name)


Step = Callable[[ControlPlaneRecovery], None]
C = ControlPlaneRecovery

RECOVERIES: dict[str, tuple[Step, ...]] = {
    "restore-snapshot": (
        C.save_botched_state, C.stop_all, C.restore_first, C.start_first, C.forget_others, C.rejoin_others,
    ),
    "remove-ghost": (C.remove_ghosts,),
}  # fmt: skip

RECOVERY_DEFECTS: dict[str, tuple[Step, ...]] = {
    "restore-unsaved": (C.stop_all, C.restore_first, C.start_first, C.forget_others, C.rejoin_others),
    "half-restore": (C.save_botched_state, C.stop_all, C.restore_first, C.start_first),
    "wait-and-hope": (C.save_botched_state,),
}


def recover_control_plane(variant: str) -> None:
    """Run the variant's steps, each announced on stdout.

    Raises:
        StepFailed, NodeRefused: at the step last announced.
    """
    recovery = ControlPlaneRecovery()
    for step in (RECOVERIES | RECOVERY_DEFECTS)[variant]:
        print(json.dumps({"step": step.__name__}), flush=True)
        step(recovery)


def _stands_still(node: str) -> bool:
    return not _runs(node, "etcd") and not _runs(node, "kube-apiserver")


def _runs(node: str, program: str) -> bool:
    try:
        machines.run_on(node, "pgrep", "-x", program)
    except StepFailed:
        return False
    return True


def _await(look: Callable[[], bool], what: str) -> None:
    with in_time():
        until(look, what=what, deadline_seconds=_STOP_SECONDS, every_seconds=0.5)
