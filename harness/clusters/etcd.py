"""A multi-node cluster of real etcd processes, each node on its own loopback address."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from harness.clusters.addresses import Subnet
from harness.clusters.certificates import ClusterAuthority
from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient, Header, ListedMember, Status
from harness.clusters.etcd_node import EtcdNode, NodeSetup
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, WaitTimeout
from harness.journal import Journal
from harness.spec import EtcdSpec
from harness.waiting import SYSTEM_CLOCK, Clock, until

T = TypeVar("T")

READY_SECONDS = 20.0
# Short polls: a member that is not there yet keeps a connection waiting, and a new one is served at once.
_POLL_TIMEOUT_SECONDS = 0.3
_POLL_EVERY_SECONDS = 0.01


class EtcdCluster:
    """Real etcd members on loopback, from nothing to removed.

    Args:
        spec: the shape.
        release: the binaries.
        work: folder for data; goes with the cluster.
        journal: every change of a node is written there.
        ownership: whose processes these are.
        subnet: a leased /24; by default one is leased here.
        clock: where time comes from.

    Leaves behind: etcd processes, data under `work` and the subnet's lease, until `remove`.
    """

    def __init__(
        self,
        spec: EtcdSpec,
        release: EtcdRelease,
        work: Path,
        journal: Journal,
        ownership: Ownership,
        *,
        subnet: Subnet | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.spec, self.release, self.work, self.journal = spec, release, work, journal
        self.ownership = ownership
        self.subnet = subnet or Subnet()
        self.authority = ClusterAuthority(work / "pki") if spec.mutual_tls else None
        self._context = self.authority.client_context() if self.authority else None
        self._setup = NodeSetup(spec, release, journal, ownership, self.authority, self.subnet.prefix)
        self._clock = clock
        self._lock = threading.Lock()
        self.nodes: dict[str, EtcdNode] = {}
        self.cluster_id = ""

    def start(self) -> None:
        """Start all members at once and wait until each of them takes a write.

        Raises:
            ClusterError: not within 20 s; carries the end of a member's log.
            MachineError: a port is taken.
        """
        started = self._clock.monotonic()
        founders = [self.create_node() for _ in range(self.spec.members)]
        everybody = initial_cluster_of(founders)
        for node in founders:
            node.start(everybody, "new")
        headers = self._await_writes(founders)
        self.cluster_id = headers[-1].cluster_id
        self.journal.append(
            "cluster.started",
            cluster_id=self.cluster_id,
            release=self.release.version,
            release_note=self.release.note,
            fsync=self.spec.fsync,
            mutual_tls=self.spec.mutual_tls,
            seconds=round(self._clock.monotonic() - started, 3),
            members=[_described(node, header) for node, header in zip(founders, headers, strict=True)],
        )

    def create_node(self) -> EtcdNode:
        """A fresh machine with a name and an address nobody had before, switched off."""
        with self._lock:
            number = len(self.nodes) + 1
            name = f"n{number}"
            node = EtcdNode(name, self.subnet.address(number), self.work / name, self._setup)
            self.nodes[name] = node
        self.journal.append(
            "node.created", node=name, address=node.address, client_url=node.client_url, peer_url=node.peer_url
        )
        return node

    def node(self, name: str) -> EtcdNode:
        """The node of that name.

        Raises:
            ClusterError: there is none; names those there are.
        """
        if name not in self.nodes:
            raise ClusterError(f"no node {name!r}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def running(self) -> list[EtcdNode]:
        """Nodes whose etcd process lives and is not paused, oldest first."""
        return [node for node in tuple(self.nodes.values()) if node.running and not node.paused]

    def client(self, node: EtcdNode, timeout_seconds: float = 1.0) -> EtcdClient:
        """A client that talks to this node only; close it."""
        return EtcdClient(node.client_url, self._context, timeout_seconds)

    def status(self, node: EtcdNode) -> Status | None:
        """What a node says of itself; None when it does not answer within 0.3 s."""
        return self._ask(node, lambda client: client.status())

    def members(self) -> list[ListedMember]:
        """The member list as told by the most advanced running node; empty when nobody answers."""
        told = []
        for node in self.running():
            status = self.status(node)
            listed = self._ask(node, lambda client: client.members()[1])
            if status is not None and listed is not None and status.header.cluster_id == self.cluster_id:
                told.append((status.raft_term, status.raft_index, listed))
        return max(told, key=lambda row: row[:2])[2] if told else []

    def member_of(self, node: EtcdNode) -> ListedMember | None:
        """The node's row in the member list, found by its peer URL."""
        return next((row for row in self.members() if node.peer_url in row.peer_urls), None)

    def leader(self) -> EtcdNode | None:
        """The node most members follow; None when there is no leader."""
        for node in self.running():
            status = self.status(node)
            if status is not None and status.leader == status.header.member_id:
                return node
        return None

    def await_healthy(self, node: EtcdNode, deadline_seconds: float = READY_SECONDS) -> None:
        """Wait until a linearizable read comes through this node.

        Raises:
            ClusterError: with the end of its log, when it does not or its process ends.
        """
        with self.client(node, _POLL_TIMEOUT_SECONDS) as client:
            self._await(node, client.healthy, "be healthy", deadline_seconds)

    def save_snapshot(self, node: EtcdNode, file: Path) -> None:
        """Save the node's store with etcdctl; works without quorum too.

        Raises:
            ClusterError: etcdctl failed.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        self._run([str(self.release.etcdctl), "snapshot", "save", str(file)], self.etcdctl_environment([node]))

    def restore_snapshot(self, file: Path, node: EtcdNode, initial_cluster: str) -> None:
        """Make the node's data directory from a snapshot; the node has to be off and wiped.

        Raises:
            ClusterError: etcdutl failed, as it does on a file that is no snapshot.
        """
        node.folder.mkdir(parents=True, exist_ok=True)
        self._run(
            [
                str(self.release.etcdutl), "snapshot", "restore", str(file),
                f"--name={node.name}", f"--data-dir={node.data_dir}",
                f"--initial-cluster={initial_cluster}", f"--initial-advertise-peer-urls={node.peer_url}",
                f"--initial-cluster-token={self.subnet.prefix}-restored",
            ],
            self.ownership.environment(),
        )  # fmt: skip

    def etcdctl_environment(self, nodes: list[EtcdNode]) -> dict[str, str]:
        """Environment in which plain ``etcdctl`` talks to these nodes."""
        settings = {
            "ETCDCTL_API": "3",
            "ETCDCTL_ENDPOINTS": ",".join(node.client_url for node in nodes),
            "ETCDCTL_DIAL_TIMEOUT": "2s",
            "ETCDCTL_COMMAND_TIMEOUT": "8s",
        }
        if self.authority is not None:
            settings |= {
                "ETCDCTL_CACERT": str(self.authority.ca),
                "ETCDCTL_CERT": str(self.authority.client.cert),
                "ETCDCTL_KEY": str(self.authority.client.key),
            }
        return self.ownership.environment(**settings)

    def remove(self) -> list[str]:
        """Stop all nodes, remove their data, give the subnet back.

        Returns a sentence for each thing that could not be removed.
        """
        problems: list[str] = []
        for node in self.nodes.values():
            try:
                node.kill()
                if node.data_dir.exists():
                    shutil.rmtree(node.data_dir)
            except (ClusterError, WaitTimeout, OSError) as error:
                problems.append(f"node {node.name}: {error}")
        self.subnet.release()
        return problems

    def _await_writes(self, founders: list[EtcdNode]) -> list[Header]:
        headers = []
        for node in founders:
            with self.client(node, _POLL_TIMEOUT_SECONDS) as client:
                self._await(node, client.healthy, "be healthy", READY_SECONDS)
                header = self._await(node, partial(_try_write, client), "take a write", READY_SECONDS)
            headers.append(header)
            self.journal.append("node.ready", node=node.name, member_id=header.member_id)
        return headers

    def _await(self, node: EtcdNode, probe: Callable[[], T | None], what: str, deadline_seconds: float) -> T:
        """Poll until the probe is true; give up at once when the process has ended."""
        try:
            seen = until(
                lambda: (probe(), node.running),
                lambda pair: pair[0] or not pair[1],
                what=f"node {node.name} to {what}",
                deadline_seconds=deadline_seconds,
                every_seconds=_POLL_EVERY_SECONDS,
                clock=self._clock,
            )
        except WaitTimeout as error:
            raise ClusterError(str(error), log_tail=node.log_tail()) from error
        if not seen[0]:
            raise ClusterError(f"etcd on node {node.name} ended before it could {what}", log_tail=node.log_tail())
        return seen[0]

    def _ask(self, node: EtcdNode, question: Callable[[EtcdClient], T]) -> T | None:
        with self.client(node, _POLL_TIMEOUT_SECONDS) as client:
            try:
                return question(client)
            except (CallFailed, CallUnknown):
                return None

    def _run(self, command: list[str], environment: dict[str, str]) -> None:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise ClusterError(f"{Path(command[0]).name} {command[1]} failed", log_tail=done.stderr[-600:])


def _described(node: EtcdNode, header: Header) -> dict[str, str]:
    return {
        "node": node.name,
        "address": node.address,
        "member_id": header.member_id,
        "client_url": node.client_url,
        "peer_url": node.peer_url,
    }


def initial_cluster_of(nodes: list[EtcdNode]) -> str:
    """Etcd's ``--initial-cluster`` for these nodes."""
    return ",".join(f"{node.name}={node.peer_url}" for node in nodes)


def _try_write(client: EtcdClient) -> Header | None:
    try:
        return client.put({"afterfault/ready": client.client_url})
    except (CallFailed, CallUnknown):
        return None
