"""What the etcd members of a cluster tell, whatever machines they run on."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient, ListedMember, Status
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, WaitTimeout
from harness.journal import Journal
from harness.shapes import MembersShape
from harness.waiting import until

T = TypeVar("T")

# Short polls: a member that is not there yet keeps a connection waiting, and a new one is served at once.
POLL_TIMEOUT_SECONDS = 0.3
# Who runs tells the list without quorum, too. On a busy machine a poll comes back empty; taken for an empty list that
# would make a tool's word a lie, or unclean membership clean.
_MEMBERS_SECONDS = 3.0


class EtcdMachine(Protocol):
    """A machine whose etcd clients may call."""

    @property
    def name(self) -> str:
        """Also etcd's member name."""

    @property
    def address(self) -> str:
        """Its own IP address."""

    @property
    def client_url(self) -> str:
        """Where clients reach its etcd."""

    @property
    def peer_url(self) -> str:
        """Where the other members reach it."""

    @property
    def running(self) -> bool:
        """Whether it is switched on (a paused one is)."""

    @property
    def paused(self) -> bool:
        """Whether its time stands still."""

    @property
    def pid(self) -> int:
        """Process ID of what has to run on it; 0 when it is off."""


class MemberNode(EtcdMachine, Protocol):
    """A machine that has, or is to have, an etcd member, as the harness and tools switch it."""

    @property
    def destroyed(self) -> bool:
        """Whether it is gone for good."""

    @property
    def has_data(self) -> bool:
        """Whether etcd's data directory is there."""

    def terminate(self) -> None:
        """Orderly shutdown; data stays."""

    def kill(self) -> None:
        """A power cut; data stays."""

    def pause(self) -> None:
        """Stop its time."""

    def resume(self) -> None:
        """Let its time go on."""

    def wipe(self) -> None:
        """Remove its data; it has to be off."""

    def destroy(self) -> None:
        """Gone for good."""


E = TypeVar("E", bound=EtcdMachine)
N = TypeVar("N", bound=MemberNode)


class EtcdEndpoints(ABC, Generic[E]):
    """What a cluster's etcd tells, each machine asked through its own client URL; nothing is changed here.

    A cluster sets `cluster_id` once it takes writes.
    """

    work: Path
    journal: Journal
    ownership: Ownership
    release: EtcdRelease
    cluster_id: str = ""
    # Keys of the traffic's log: each written once, by one write.
    log_prefix: str

    @property
    @abstractmethod
    def nodes(self) -> Mapping[str, E]:
        """All nodes that have, had or may get a member, by name, oldest first."""

    @property
    @abstractmethod
    def client_context(self) -> ssl.SSLContext | None:
        """For mutual TLS; None for plain HTTP."""

    def node(self, name: str) -> E:
        """The node of that name.

        Raises:
            ClusterError: there is none; names those there are.
        """
        if name not in self.nodes:
            raise ClusterError(f"no node {name!r}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def running(self) -> list[E]:
        """Nodes that are switched on and not paused, oldest first."""
        return [node for node in tuple(self.nodes.values()) if node.running and not node.paused]

    def client(self, node: EtcdMachine, timeout_seconds: float = 1.0) -> EtcdClient:
        """A client that talks to this node only; close it."""
        return EtcdClient(node.client_url, self.client_context, timeout_seconds)

    def status(self, node: EtcdMachine) -> Status | None:
        """What a node says of itself; None when it does not answer within 0.3 s."""
        return self._ask(node, lambda client: client.status())

    def members(self) -> list[ListedMember]:
        """The member list as told by the most advanced running node; empty when nobody answers for 3 s."""
        with contextlib.suppress(WaitTimeout):
            return until(
                self._told_members,
                what="a member list",
                deadline_seconds=_MEMBERS_SECONDS if self.running() else 0.0,
            )
        return []

    def _told_members(self) -> list[ListedMember]:
        told = []
        for node in self.running():
            status = self.status(node)
            listed = self._ask(node, lambda client: client.members()[1])
            if status is not None and listed is not None and status.header.cluster_id == self.cluster_id:
                told.append((status.raft_term, status.raft_index, listed))
        return max(told, key=lambda row: row[:2])[2] if told else []

    def member_of(self, node: EtcdMachine) -> ListedMember | None:
        """The node's row in the member list, found by its peer URL."""
        return next((row for row in self.members() if node.peer_url in row.peer_urls), None)

    def leader(self) -> E | None:
        """The node most members follow; None when there is no leader."""
        for node in self.running():
            status = self.status(node)
            if status is not None and status.leader == status.header.member_id:
                return node
        return None

    @abstractmethod
    def etcdctl_credentials(self) -> dict[str, str]:
        """Variables by which ``etcdctl`` finds its client certificate."""

    def etcdctl_environment(self, nodes: Sequence[EtcdMachine]) -> dict[str, str]:
        """Environment in which plain ``etcdctl`` talks to these nodes."""
        return self.ownership.environment(
            ETCDCTL_API="3",
            ETCDCTL_ENDPOINTS=",".join(node.client_url for node in nodes),
            ETCDCTL_DIAL_TIMEOUT="2s",
            ETCDCTL_COMMAND_TIMEOUT="8s",
            **self.etcdctl_credentials(),
        )

    def save_snapshot(self, node: EtcdMachine, file: Path) -> None:
        """Save the node's store with etcdctl; works without quorum too.

        Raises:
            ClusterError: etcdctl failed.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        run_binary([str(self.release.etcdctl), "snapshot", "save", str(file)], self.etcdctl_environment([node]))

    def _ask(self, node: EtcdMachine, question: Callable[[EtcdClient], T]) -> T | None:
        with self.client(node, POLL_TIMEOUT_SECONDS) as client:
            try:
                return question(client)
            except (CallFailed, CallUnknown):
                return None


class EtcdMembers(EtcdEndpoints[N]):
    """A cluster whose etcd members the harness and tools make, one a machine."""

    spec: MembersShape

    @abstractmethod
    def create_node(self) -> N:
        """A fresh machine with a name and an address nobody had before."""

    @abstractmethod
    def admit(self, name: str) -> None:
        """Make a fresh machine a serving member, as somebody does who looks at nothing else.

        Raises:
            ClusterError, WaitTimeout: it did not become one.
        """


def run_binary(command: list[str], environment: dict[str, str]) -> str:
    """Run a short command to its end; returns what it printed.

    Raises:
        ClusterError: it failed, or took more than a minute; carries the end of what it wrote.
    """
    said = f"{Path(command[0]).name} {command[1]}"
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{said} did not end within a minute") from error
    if done.returncode != 0:
        raise ClusterError(f"{said} failed", log_tail=done.stderr[-600:])
    return done.stdout
