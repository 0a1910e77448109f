"""Replacing one control plane of a kubeadm cluster by another, as runbooks do it.

Sources: incident 002 (``incident`` and the changes its author made afterwards); kubeadm's guide to
highly available clusters; etcd's runtime reconfiguration guide. kubeadm itself looks at every listed
member before it joins a control plane (phase ``check-etcd``); tools that bring their own handling of
etcd, as RKE did, have no such look, which is what ``join_unchecked`` stands for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from harness.taps.node_command import ask
from harness.tools.reference import machines
from harness.tools.reference.etcdctl import StepFailed
from harness.tools.reference.replace_node import Refused


class ControlPlaneReplacement:
    """One replacement under way: the task's variables, and the steps a runbook can be made of."""

    def __init__(self) -> None:
        self.old, self.old_peer = os.environ["AFTERFAULT_OLD_NAME"], os.environ["AFTERFAULT_OLD_PEER_URL"]
        self.new = {"name": os.environ["AFTERFAULT_NEW_NAME"], "address": os.environ["AFTERFAULT_NEW_ADDRESS"]}
        self.snapshots = Path(os.environ["AFTERFAULT_SNAPSHOTS"])

    def refuse_if_unclean(self) -> None:
        """Every listed member but the old one has to be healthy, and they have to be a majority without it."""
        sponsor = self._sponsor()
        listed = machines.members(sponsor)
        others = [member for member in listed if member.peer_url != self.old_peer]
        for member in others:
            if not member.client_urls or not machines.healthy(sponsor, member):
                raise Refused(f"member {member.name or member.member_id} is listed but not healthy; clean up first")
        if len(others) <= len(listed) // 2:
            raise Refused(f"without {self.old} there are {len(others)} of {len(listed)} members, which is no majority")

    def save_snapshot(self) -> None:
        """A snapshot before anything is changed."""
        machines.save_snapshot(self._sponsor(), self.snapshots / "before-change.db")

    def stop_old(self) -> None:
        """Take the old machine offline for good."""
        ask("destroy", node=self.old)

    def remove_old(self) -> None:
        """Take the old machine off etcd's member list."""
        sponsor = self._sponsor()
        for member in machines.members(sponsor):
            if member.peer_url == self.old_peer:
                machines.etcdctl(sponsor, "member", "remove", member.member_id)

    def forget_old(self) -> None:
        """Delete the old node from Kubernetes, which says nothing to etcd."""
        machines.forget_node(self.old)

    def join(self) -> None:
        """Join the new machine as kubeadm does it, with its look at all listed members."""
        machines.join(self._sponsor(), self.new, skip_etcd_check=False)

    def join_unchecked(self) -> None:
        """Join the new machine without a look at the other members."""
        machines.join(self._sponsor(), self.new, skip_etcd_check=True)

    def await_new(self) -> None:
        """Wait until the new machine is a healthy control plane."""
        machines.await_control_plane(self.new["name"])

    def _sponsor(self) -> str:
        """A control plane that serves, the old one only where there is no other."""
        up = sorted(machines.serving(), key=lambda node: node["name"] == self.old)
        if not up:
            raise StepFailed("no control plane serves")
        return str(up[0]["name"])


Step = Callable[[ControlPlaneReplacement], None]
C = ControlPlaneReplacement

STRATEGIES: dict[str, tuple[Step, ...]] = {
    "documented": (
        C.refuse_if_unclean, C.save_snapshot, C.stop_old, C.remove_old, C.forget_old, C.join, C.await_new,
    ),
    "incident": (C.save_snapshot, C.stop_old, C.forget_old, C.join_unchecked, C.await_new),
}  # fmt: skip

DEFECTS: dict[str, tuple[Step, ...]] = {
    "never-remove": (C.save_snapshot, C.join, C.await_new, C.stop_old, C.forget_old),
    "no-snapshot": (C.refuse_if_unclean, C.stop_old, C.remove_old, C.forget_old, C.join, C.await_new),
    "success-too-early": (C.refuse_if_unclean, C.save_snapshot, C.stop_old, C.remove_old, C.forget_old),
}


def replace_control_plane(variant: str) -> None:
    """Run the variant's steps, each announced on stdout.

    Raises:
        Refused: before anything was changed.
        StepFailed, NodeRefused: at the step last announced.
    """
    replacement = ControlPlaneReplacement()
    for step in (STRATEGIES | DEFECTS)[variant]:
        print(json.dumps({"step": step.__name__, "old": replacement.old, "new": replacement.new["name"]}), flush=True)
        step(replacement)
