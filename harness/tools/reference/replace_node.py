"""Replacing one etcd node by another, as runbooks do it; strategies first, then defects.

Sources: incident 002 (``incident`` and the three changes its author made afterwards, which are
``documented``); etcd's runtime reconfiguration guide (remove, then add, one at a time; learners).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.taps.node_command import ask
from harness.tools.reference import etcdctl
from harness.tools.reference.etcdctl import Member, StepFailed

_LATER_SECONDS = "3"


class Refused(Exception):
    """The procedure will not begin; nothing was changed."""


class Replacement:
    """One replacement under way: the task's variables, and the steps a runbook can be made of."""

    def __init__(self) -> None:
        self.old, self.old_peer = os.environ["AFTERFAULT_OLD_NAME"], os.environ["AFTERFAULT_OLD_PEER_URL"]
        self.new, self.new_peer = os.environ["AFTERFAULT_NEW_NAME"], os.environ["AFTERFAULT_NEW_PEER_URL"]
        self.new_client = os.environ["AFTERFAULT_NEW_CLIENT_URL"]
        self.old_client = os.environ["AFTERFAULT_OLD_CLIENT_URL"]
        self.snapshots = Path(os.environ["AFTERFAULT_SNAPSHOTS"])
        self.initial_cluster = ""

    def refuse_if_unclean(self) -> None:
        """Every listed member but the old one has to be started and healthy."""
        for member in etcdctl.members(self._endpoints()):
            if member.peer_url == self.old_peer:
                continue
            if not member.client_urls or not etcdctl.healthy(member.client_urls[0]):
                raise Refused(f"member {member.name or member.member_id} is listed but not healthy; clean up first")

    def save_snapshot(self) -> None:
        """A snapshot of its own before anything is changed."""
        etcdctl.snapshot_save(self._endpoints().split(",")[0], self.snapshots / "before-change.db")

    def stop_old(self) -> None:
        """Take the old node offline for good."""
        ask("destroy", node=self.old)

    def remove_old(self) -> None:
        """Take the old node off the member list."""
        etcdctl.member_remove(self._endpoints(), self._row(self.old_peer).member_id)

    def add_new(self) -> None:
        """Put the new node on the member list, as a voter."""
        self.initial_cluster = etcdctl.member_add(self._endpoints(), self.new, self.new_peer)

    def add_learner(self) -> None:
        """Put the new node on the member list, without a vote."""
        self.initial_cluster = etcdctl.member_add(self._endpoints(), self.new, self.new_peer, learner=True)

    def start_new(self) -> None:
        """Start etcd on the new node, joining the existing cluster."""
        self._start(self.initial_cluster, "existing")

    def promote_new(self) -> None:
        """Give the new node its vote once it has caught up."""
        etcdctl.member_promote(self._endpoints(), self._row(self.new_peer).member_id)

    def await_new(self) -> None:
        """Wait until the new node serves."""
        etcdctl.await_healthy(self.new_client)

    def remove_wrong(self) -> None:
        """Defect: takes the last listed member that is not the old one."""
        others = [row for row in etcdctl.members(self._endpoints()) if row.peer_url != self.old_peer]
        etcdctl.member_remove(self._endpoints(), others[-1].member_id)

    def remove_ghosts_of_before(self) -> None:
        """Defect: tidies up only when an earlier replacement left something, hence one too late."""
        listed = etcdctl.members(self._endpoints())
        dead = [row for row in listed if row.peer_url not in self._running_peers()]
        if len(dead) > 1:
            for row in dead:
                etcdctl.member_remove(self._endpoints(), row.member_id)

    def start_new_later(self) -> None:
        """Defect: leaves the start to a child and does not wait for it."""
        script = 'sleep "$1"; exec "$AFTERFAULT_NODE" start "$2" "$3" existing'
        words = ["sh", "-c", script, "sh", _LATER_SECONDS, self.new, self.initial_cluster]
        subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_new_alone(self) -> None:
        """Defect: the wrong initial cluster state; the new node founds a cluster of its own."""
        self._start(f"{self.new}={self.new_peer}", "new")

    def die(self) -> None:
        """Defect: the procedure is killed where it stands."""
        os.kill(os.getpid(), signal.SIGKILL)

    def _start(self, initial_cluster: str, state: str) -> None:
        ask("start", node=self.new, initial_cluster=initial_cluster, initial_cluster_state=state)

    def _row(self, peer_url: str) -> Member:
        for row in etcdctl.members(self._endpoints()):
            if row.peer_url == peer_url:
                return row
        raise StepFailed(f"{peer_url} is not on the member list")

    def _endpoints(self) -> str:
        """Everybody who is up, the old node last: it may go at any moment."""
        up = [node["client_url"] for node in ask("list") if node["running"] and node["name"] != self.new]
        return ",".join(sorted(up, key=lambda url: url == self.old_client))

    def _running_peers(self) -> set[str]:
        return {node["peer_url"] for node in ask("list") if node["running"]}


Step = Callable[[Replacement], None]
R = Replacement

STRATEGIES: dict[str, tuple[Step, ...]] = {
    "documented": (
        R.refuse_if_unclean, R.save_snapshot, R.stop_old, R.remove_old, R.add_new, R.start_new, R.await_new,
    ),
    "surge": (
        R.refuse_if_unclean, R.save_snapshot, R.add_new, R.start_new, R.await_new, R.remove_old, R.stop_old,
        R.await_new,
    ),
    "learner": (
        R.refuse_if_unclean, R.save_snapshot, R.add_learner, R.start_new, R.promote_new, R.await_new,
        R.remove_old, R.stop_old, R.await_new,
    ),
    "incident": (R.save_snapshot, R.stop_old, R.add_new, R.start_new, R.await_new),
}  # fmt: skip

DEFECTS: dict[str, tuple[Step, ...]] = {
    "never-remove": (R.save_snapshot, R.add_new, R.start_new, R.await_new, R.stop_old, R.await_new),
    "remove-too-late": (
        R.save_snapshot, R.stop_old, R.add_new, R.start_new, R.await_new, R.remove_ghosts_of_before,
    ),
    "no-check": (R.save_snapshot, R.stop_old, R.remove_old, R.add_new, R.start_new, R.await_new),
    "wrong-member": (
        R.refuse_if_unclean, R.save_snapshot, R.stop_old, R.remove_wrong, R.add_new, R.start_new, R.await_new,
    ),
    "no-snapshot": (R.refuse_if_unclean, R.stop_old, R.remove_old, R.add_new, R.start_new, R.await_new),
    "dies-half-way": (R.refuse_if_unclean, R.save_snapshot, R.stop_old, R.remove_old, R.die),
    "success-too-early": (
        R.refuse_if_unclean, R.save_snapshot, R.stop_old, R.remove_old, R.add_new, R.start_new_later,
    ),
    "second-cluster": (
        R.refuse_if_unclean, R.save_snapshot, R.stop_old, R.remove_old, R.add_new, R.start_new_alone, R.await_new,
    ),
}  # fmt: skip

# Adding first needs all old members alive; where the old node does not serve, both remove first.
_WITH_A_DEAD_OLD_NODE = {"surge": "documented", "learner": "documented"}


def steps_of(variant: str) -> tuple[Step, ...]:
    """The variant's steps for the world as it is."""
    old_serves = etcdctl.healthy(os.environ["AFTERFAULT_OLD_CLIENT_URL"])
    name = variant if old_serves else _WITH_A_DEAD_OLD_NODE.get(variant, variant)
    return (STRATEGIES | DEFECTS)[name]


def replace_node(variant: str) -> None:
    """Run the variant's steps, each announced on stdout.

    Raises:
        Refused: before anything was changed.
        StepFailed, NodeRefused: at the step last announced.
    """
    replacement = Replacement()
    for step in steps_of(variant):
        print(json.dumps({"step": step.__name__, "old": replacement.old, "new": replacement.new}), flush=True)
        step(replacement)
