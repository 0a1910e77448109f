"""Walks an order of membership changes on a live cluster, each step tried once, and writes down what came of it.

No deploy tool is under test here but etcd itself, hence no etcdctl: every membership call goes to the
one founder that no replacement touches, and it tells the list too.

A step ends when the cluster has settled: a write goes through, or the survivor has known no leader for
longer than any election takes. That wait matters: a leader that lost its quorum keeps what is proposed
to it in its log for one more election timeout, and a later start of a newcomer would commit it.
A survivor without a leader passes nothing on, so whatever is tried then is surely not carried out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import httpx

from harness.clusters.etcd import EtcdCluster, initial_cluster_of
from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient, ListedMember
from harness.clusters.etcd_node import EtcdNode
from harness.errors import ClusterError
from harness.orders import FIRST, FOUNDERS, SECOND, Action, Order, Step
from harness.waiting import SYSTEM_CLOCK, Clock, until

SURVIVOR = FOUNDERS[2]
_POLL_SECONDS = 0.02
_READ_SECONDS = 3.0
_WRITE_SECONDS = 0.4
# A change is done within milliseconds where writes go through; where they don't, nothing is worth the wait.
_CHANGE_SECONDS = 8.0
_HOPELESS_SECONDS = 0.3
# etcd draws each election's timeout between one and two of the configured ones; this leaves room for lost rounds.
_ELECTIONS = 3
# While nobody serves, a newcomer asks each peer alive in turn for a linearizable read before it votes
# (getDowngradeEnabledFromRemotePeers), each for 5 s and two election timeouts: 11 s with two peers.
_DEADLINE_SECONDS = 30.0
# etcd's HealthInterval is 5 s: the strict check asks who was connected for so long.
_STRICT_REST_SECONDS = 5.7


def walk(cluster: EtcdCluster, order: Order, clock: Clock = SYSTEM_CLOCK) -> None:
    """Take each step of the order once; one ``walk.step`` entry a step.

    Args:
        cluster: three members that take writes, plain HTTP.
        order: what to do.
        clock: where time comes from.

    Raises:
        ClusterError: it is another cluster, or a member does not answer.
        WaitTimeout: the cluster did not settle within 30 s after a step.
    """
    if tuple(cluster.nodes) != FOUNDERS or cluster.spec.mutual_tls:
        raise ClusterError(f"an order is walked on {', '.join(FOUNDERS)} over plain HTTP")
    newcomers = [cluster.create_node().name for _ in (FIRST, SECOND)]
    if newcomers != [FIRST.new, SECOND.new]:
        raise ClusterError(f"the newcomers are called {newcomers}")
    survivor = cluster.node(SURVIVOR)
    with cluster.client(survivor, _READ_SECONDS) as reader, cluster.client(survivor, _WRITE_SECONDS) as writer:
        walker = _Walker(cluster, reader, writer, clock)
        for index, step in enumerate(order.steps):
            walker.take(index, step)


class _Walker:
    """Takes steps, one after the other."""

    def __init__(self, cluster: EtcdCluster, reader: EtcdClient, writer: EtcdClient, clock: Clock) -> None:
        self._cluster, self._reader, self._writer, self._clock = cluster, reader, writer, clock
        self._writes = True
        self._changed = self._leader_seen = clock.monotonic()

    def take(self, index: int, step: Step) -> None:
        """Take one step, let the cluster settle, and write down what came of it."""
        node = self._cluster.node(step.node)
        worked = _DEEDS[step.action](self, node)
        if worked:
            self._changed = self._clock.monotonic()
        # Without quorum only a start can bring it back; what failed or took a vote away can't.
        if self._writes or (worked and step.action is Action.START):
            self._writes = self._settle()
        if self._writes and worked and step.action is Action.START:
            self._cluster.await_healthy(node)
        self._cluster.journal.append(
            "walk.step",
            index=index,
            action=step.action.name.lower(),
            node=step.node,
            worked=worked,
            writes=self._writes,
            listed=sorted(self._names(self._listed())),
            alive=sorted(node.name for node in self._cluster.running()),
        )

    def stop(self, node: EtcdNode) -> bool:
        """The machine is gone."""
        node.destroy()
        return not node.running

    def remove(self, node: EtcdNode) -> bool:
        """Take the node off the list; one that runs ends by itself, about a second later."""
        member = next(row for row in self._listed() if node.peer_url in row.peer_urls)
        self._change(lambda client: client.member_remove(member.member_id))
        worked = node.name not in self._names(self._listed())
        if worked:
            until(
                lambda: not node.running,
                what=f"etcd on {node.name} to end, for it was removed",
                deadline_seconds=_DEADLINE_SECONDS,
                every_seconds=_POLL_SECONDS,
                clock=self._clock,
            )
        return worked

    def add(self, node: EtcdNode) -> bool:
        """Put the node on the list."""
        self._change(lambda client: client.member_add(node.peer_url))
        return node.name in self._names(self._listed())

    def start(self, node: EtcdNode) -> bool:
        """Start the node with the list as it is; it worked when its peers can reach it."""
        listed = self._names(self._listed()) | {node.name}
        node.start(initial_cluster_of([self._cluster.node(name) for name in sorted(listed)]), "existing")
        until(
            lambda: not node.running or _joined(node),
            what=f"etcd on {node.name} to join or to end",
            deadline_seconds=_DEADLINE_SECONDS,
            every_seconds=_POLL_SECONDS,
            clock=self._clock,
        )
        return node.running

    def _change(self, call: Callable[[EtcdClient], object]) -> None:
        """Try once. What came of it is told by the list, not by the answer."""
        if self._writes and self._cluster.spec.strict_reconfig_check:
            self._rest()
        patience = _CHANGE_SECONDS if self._writes else _HOPELESS_SECONDS
        # A client that gives up takes its proposal back, unless a leader has it already.
        with (
            self._cluster.client(self._cluster.node(SURVIVOR), patience) as client,
            contextlib.suppress(CallFailed, CallUnknown),
        ):
            call(client)

    def _rest(self) -> None:
        until(
            lambda: self._clock.monotonic() - self._changed >= _STRICT_REST_SECONDS,
            what="etcd's health interval to pass",
            deadline_seconds=2 * _STRICT_REST_SECONDS,
            every_seconds=0.2,
            clock=self._clock,
        )

    def _settle(self) -> bool:
        """Whether writes are possible, once that is certain."""
        self._leader_seen = self._clock.monotonic()
        seen = until(
            self._look,
            lambda look: look.writes or look.leaderless_seconds >= self._longest_election_seconds,
            what="the cluster to take a write or to have no leader",
            deadline_seconds=_DEADLINE_SECONDS,
            every_seconds=_POLL_SECONDS,
            clock=self._clock,
        )
        return seen.writes

    def _look(self) -> _Look:
        """Ask the survivor for its leader, and try a write where there is one that knows the list as it is now."""
        listed = self._listed()
        status = self._reader.status()
        if status.leader:
            self._leader_seen = self._clock.monotonic()
            leader = next((row for row in listed if row.member_id == status.leader), None)
            return _Look(writes=leader is not None and self._knows(leader, listed) and self._takes_write())
        return _Look(writes=False, leaderless_seconds=self._clock.monotonic() - self._leader_seen)

    def _knows(self, leader: ListedMember, listed: list[ListedMember]) -> bool:
        """Whether the leader works by this list already: until then it counts votes by the one before."""
        node = next(node for node in self._cluster.nodes.values() if node.peer_url in leader.peer_urls)
        with self._cluster.client(node, _READ_SECONDS) as client:
            try:
                return {row.member_id for row in client.members()[1]} == {row.member_id for row in listed}
            except (CallFailed, CallUnknown):
                return False

    def _takes_write(self) -> bool:
        try:
            return bool(self._writer.put({"afterfault/walk": "step"}))
        except (CallFailed, CallUnknown):
            return False

    def _listed(self) -> list[ListedMember]:
        return self._reader.members()[1]

    def _names(self, listed: list[ListedMember]) -> set[str]:
        """By peer URL: a row has no name before its member's first start."""
        by_url = {node.peer_url: node.name for node in self._cluster.nodes.values()}
        return {by_url[url] for row in listed for url in row.peer_urls}

    @property
    def _longest_election_seconds(self) -> float:
        return _ELECTIONS * 2 * self._cluster.spec.election_ms / 1000


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look showed: whether a write went through, else for how long there was no leader."""

    writes: bool
    leaderless_seconds: float = 0.0


_DEEDS: MappingProxyType[Action, Callable[[_Walker, EtcdNode], bool]] = MappingProxyType(
    {
        Action.STOP: _Walker.stop,
        Action.REMOVE: _Walker.remove,
        Action.ADD: _Walker.add,
        Action.START: _Walker.start,
    }
)


def _joined(node: EtcdNode) -> bool:
    """Whether it serves its peers, which etcd does once it found itself on their list; clients come later."""
    try:
        return httpx.get(f"{node.peer_url}/version", timeout=_READ_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False
