"""Who is a member, in whose eyes: watched all the time, and asked at a moment."""

from __future__ import annotations

import threading
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient
from harness.clusters.members import EtcdEndpoints, EtcdMachine
from harness.errors import HarnessError
from harness.journal import Journal
from harness.waiting import rest_unless

_EVERY_SECONDS = 0.2
_TIMEOUT_SECONDS = 0.5


class MembershipWatch:
    """Asks every running node for its member list and status, five times a second.

    An observation is written when it differs from the node's last one in anything but the raft
    index and the revision; a node that answers for the first time since its start also gets its
    ``node.ready``.

    Args:
        cluster: whom to ask.
        journal: where observations go.
        silence_seconds: after which a node that served and answers no more gets a ``node.silent``;
            None where the end of its etcd process is seen anyway.

    Leaves behind: a thread, until `stop`.
    """

    def __init__(self, cluster: EtcdEndpoints[Any], journal: Journal, silence_seconds: float | None = None) -> None:
        self._cluster, self._journal, self._silence_seconds = cluster, journal, silence_seconds
        self._answered: dict[str, float] = {}
        self._stopped = threading.Event()
        self._asking = threading.Lock()
        self._last: dict[str, dict[str, Any]] = {}
        self._ready: dict[str, int] = {}
        self._connections: dict[str, EtcdClient] = {}
        self._problem: HarnessError | None = None
        self._thread = threading.Thread(target=self._watch, name="membership-watch", daemon=True)

    def start(self) -> None:
        """Begin watching; nodes that are up by now are known to be ready."""
        self._ready = {node.name: node.pid for node in self._cluster.running()}
        self._thread.start()

    def look(self) -> None:
        """Ask everybody once, now, and write what is new."""
        with self._asking:
            for node in self._cluster.running():
                self._ask(node)

    def stop(self) -> None:
        """End watching.

        Raises:
            HarnessError: the watch itself broke, as on a full disk.
        """
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)
        for connection in self._connections.values():
            connection.close()
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def _watch(self) -> None:
        try:
            while not rest_unless(self._stopped, _EVERY_SECONDS):
                self.look()
        except HarnessError as problem:
            self._problem = problem

    def _ask(self, node: EtcdMachine) -> None:
        pid = node.pid
        seen = self._observe(node)
        told = {name: value for name, value in seen.items() if name not in ("raft_index", "revision")}
        if told != self._last.get(node.name):
            self._last[node.name] = told
            self._journal.append("probe.membership", **seen)
        if seen.get("leader") and pid and self._ready.get(node.name) != pid:
            self._ready[node.name] = pid
            self._journal.append("node.ready", node=node.name, member_id=seen["member_id"])
        self._note_silence(node.name, answered="error" not in seen)

    def _note_silence(self, node: str, *, answered: bool) -> None:
        now = self._journal.now()
        if answered or self._silence_seconds is None:
            self._answered[node] = now
        elif node in self._ready and now - self._answered.get(node, now) > self._silence_seconds:
            del self._ready[node]
            self._journal.append("node.silent", node=node, since=round(self._answered[node], 3))

    def _observe(self, node: EtcdMachine) -> dict[str, Any]:
        if node.name not in self._connections:
            self._connections[node.name] = self._cluster.client(node, _TIMEOUT_SECONDS)
        client = self._connections[node.name]
        try:
            status = client.status()
            header, rows = client.members()
        except (CallFailed, CallUnknown) as error:
            return {"node": node.name, "error": type(error).__name__}
        return {
            "node": node.name,
            "cluster_id": header.cluster_id,
            "member_id": header.member_id,
            "leader": status.leader,
            "raft_term": status.raft_term,
            "raft_index": status.raft_index,
            "revision": status.header.revision,
            "members": sorted((row.to_json() for row in rows), key=lambda row: str(row["id"])),
        }
