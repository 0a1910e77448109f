"""A multi-node cluster of real etcd processes, each node on its own loopback address."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from harness.clusters.addresses import Subnet
from harness.clusters.certificates import ClusterAuthority
from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient, Header
from harness.clusters.etcd_node import EtcdNode, NodeSetup
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.members import POLL_TIMEOUT_SECONDS, EtcdMembers, run_binary
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, NotInTime, WaitTimeout
from harness.journal import Journal
from harness.spec import LOG_PREFIX, EtcdSpec
from harness.waiting import SYSTEM_CLOCK, Clock, until

T = TypeVar("T")

READY_SECONDS = 20.0
_POLL_EVERY_SECONDS = 0.005


class EtcdCluster(EtcdMembers[EtcdNode]):
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

    spec: EtcdSpec
    log_prefix = LOG_PREFIX

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
        self._nodes: dict[str, EtcdNode] = {}

    @property
    def nodes(self) -> dict[str, EtcdNode]:
        """All nodes there ever were, by name."""
        return self._nodes

    @property
    def client_context(self) -> ssl.SSLContext | None:
        """The authority's, where there is one."""
        return self._context

    def start(self) -> None:
        """Start all members and wait until each of them takes a write.

        The first is a moment ahead. A founding member asks the others whether they are a cluster already,
        before it serves peers itself (etcd's ``getClusterFromRemotePeers``): three that listen and ask at
        the same moment wait for each other's answer for a second a peer.

        Raises:
            ClusterError: not within 20 s; carries the end of a member's log.
            MachineError: a port is taken.
        """
        started = self._clock.monotonic()
        founders = [self.create_node() for _ in range(self.spec.members)]
        everybody = initial_cluster_of(founders)
        for node in founders:
            node.start(everybody, "new")
            if node is founders[0]:
                self._await(node, lambda: founders[0].listens, "listen for its peers", READY_SECONDS)
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

    def admit(self, name: str) -> None:
        """Add a fresh node to the list and start it.

        Raises:
            WaitTimeout: not added within 20 s.
            ClusterError: added, and not healthy within 20 s.
        """
        newcomer = self.node(name)
        up = self.running()
        with self.client(up[-1], 5.0) as client:
            # the strict check accepts a new member only when all others were connected for five seconds
            until(lambda: _try_add(client, newcomer), what="a member to be added", deadline_seconds=READY_SECONDS)
        newcomer.start(initial_cluster_of([*up, newcomer]), "existing")
        self.await_healthy(newcomer)
        # said at once: whoever watches may look a second later on a busy machine, and take it for dead until then
        told = self._await(newcomer, partial(self.status, newcomer), "tell its status", READY_SECONDS)
        self.journal.append("node.ready", node=newcomer.name, member_id=told.header.member_id)

    def await_healthy(self, node: EtcdNode, deadline_seconds: float = READY_SECONDS) -> None:
        """Wait until a linearizable read comes through this node.

        Raises:
            ClusterError: with the end of its log, when it does not (`NotInTime`) or its process ends.
        """
        with self.client(node, POLL_TIMEOUT_SECONDS) as client:
            self._await(node, client.healthy, "be healthy", deadline_seconds)

    def restore_snapshot(self, file: Path, node: EtcdNode, initial_cluster: str) -> None:
        """Make the node's data directory from a snapshot; the node has to be off and wiped.

        Raises:
            ClusterError: etcdutl failed, as it does on a file that is no snapshot.
        """
        node.folder.mkdir(parents=True, exist_ok=True)
        run_binary(
            [
                str(self.release.etcdutl), "snapshot", "restore", str(file),
                f"--name={node.name}", f"--data-dir={node.data_dir}",
                f"--initial-cluster={initial_cluster}", f"--initial-advertise-peer-urls={node.peer_url}",
                f"--initial-cluster-token={self.subnet.prefix}-restored",
            ],
            self.ownership.environment(),
        )  # fmt: skip

    def etcdctl_credentials(self) -> dict[str, str]:
        """The client certificate, where there is TLS."""
        if self.authority is None:
            return {}
        return {
            "ETCDCTL_CACERT": str(self.authority.ca),
            "ETCDCTL_CERT": str(self.authority.client.cert),
            "ETCDCTL_KEY": str(self.authority.client.key),
        }

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
        # the first alone: as long as it has no leader, asking the others too would only cost them time
        self.await_healthy(founders[0])
        with ThreadPoolExecutor(len(founders)) as all_at_once:
            return list(all_at_once.map(self._await_write, founders))

    def _await_write(self, node: EtcdNode) -> Header:
        with self.client(node, POLL_TIMEOUT_SECONDS) as client:
            self._await(node, client.healthy, "be healthy", READY_SECONDS)
            header = self._await(node, partial(_try_write, client), "take a write", READY_SECONDS)
        self.journal.append("node.ready", node=node.name, member_id=header.member_id)
        return header

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
            raise NotInTime(str(error), log_tail=node.log_tail()) from error
        if not seen[0]:
            raise ClusterError(f"etcd on node {node.name} ended before it could {what}", log_tail=node.log_tail())
        return seen[0]


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


def _try_add(client: EtcdClient, newcomer: EtcdNode) -> bool:
    try:
        return bool(client.member_add(newcomer.peer_url))
    except (CallFailed, CallUnknown):
        return False
