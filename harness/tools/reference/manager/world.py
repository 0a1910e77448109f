"""What a leader sees of all machines in one pass, and the orders it gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown, EtcdClient, ListedMember
from harness.tools.reference.manager.folder import State
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.orders import LONG_SECONDS, QUICK_SECONDS, Messenger, OrderFailed
from harness.tools.reference.manager.peers import Peer

_HEALTH_SECONDS = 0.7


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine whose manager answers.

    Args:
        peer: its manager.
        has_data: whether it ever had a member.
        state: the cluster its etcd belongs to; None for an idle machine.
    """

    peer: Peer
    has_data: bool
    state: State | None

    @property
    def client_url(self) -> str:
        """Where its etcd listens for clients at the moment."""
        return self.peer.quarantine_url if self.state and self.state.quarantined else self.peer.client_url


@dataclass(frozen=True, slots=True)
class World:
    """All that answered in a pass.

    Args:
        machines: by ID, in that order.
        missing: IDs of managers that were there a moment ago and do not answer.
        members: etcd's own list, as a member with a leader told it; empty where there is none.
        healthy: IDs of machines whose etcd answers a linearizable read.
        cluster_id: of the members; empty where there are none.
        revision: of the store in it.
    """

    machines: dict[str, Machine]
    missing: tuple[str, ...] = ()
    members: tuple[ListedMember, ...] = ()
    healthy: tuple[str, ...] = ()
    cluster_id: str = ""
    revision: int = 0

    @property
    def founded(self) -> list[Machine]:
        """Machines that belong to a cluster."""
        return [machine for machine in self.machines.values() if machine.state]

    @property
    def quarantined(self) -> list[Machine]:
        """Machines whose etcd hides from clients."""
        return [machine for machine in self.founded if machine.state and machine.state.quarantined]

    @property
    def idle(self) -> list[Machine]:
        """Machines that belong to no cluster."""
        return [machine for machine in self.machines.values() if not machine.state]

    @property
    def token(self) -> str:
        """Of the cluster that the healthy members are of; empty when nobody is healthy."""
        states = [self.machines[name].state for name in self.healthy if name in self.machines]
        return states[0].token if states and states[0] else ""

    @property
    def states(self) -> list[State]:
        """Of the machines that belong to a cluster."""
        return [machine.state for machine in self.machines.values() if machine.state]

    def is_whole(self, origin: str) -> bool:
        """Whether everything there is is one cluster that was founded for that, on all of its machines.

        One that clients were let into counts as whole: it was when that happened.
        """
        ours = [state for state in self.states if state.origin == origin]
        if not ours or any(not state.quarantined for state in ours):
            return bool(ours)
        machines = {machine.peer.peer_id for machine in self.founded}
        one_cluster = len({state.token for state in self.states}) == 1
        return one_cluster and len(ours) == len(machines) and machines == set(ours[0].nodes)

    def a_healthy_url(self) -> str | None:
        """Where a member answers, if any does."""
        return self.machines[self.healthy[0]].client_url if self.healthy else None


class Observer:
    """Looks at the machines and orders them about, while we lead.

    Args:
        messenger: brings the orders.
        my_id: who orders.
    """

    def __init__(self, messenger: Messenger, my_id: str) -> None:
        self._messenger, self._me = messenger, my_id
        self._clients: dict[str, EtcdClient] = {}

    def lead(self, peers: Sequence[Peer], token: str) -> World:
        """Tell everybody who leads, and hear what they are and have.

        Raises:
            OrderFailed: somebody does not agree.
        """
        machines, missing = {}, []
        for peer in peers:
            try:
                answer = self._messenger.ask(peer, "lead", {"leader": self._me, "token": token}, QUICK_SECONDS)
            except OrderFailed as error:
                LOG.info("%s", error)
                missing.append(peer.peer_id)
                continue
            if not answer["accepted"]:
                raise OrderFailed(f"{peer.peer_id} does not agree that we lead")
            state = State.from_json(answer["state"]) if answer["state"] else None
            machines[peer.peer_id] = Machine(peer, answer["has_data"], state)
        return World(machines, tuple(missing))

    def with_members(self, world: World) -> World:
        """The same world, with what its etcd members say."""
        healthy = tuple(each.peer.peer_id for each in world.founded if self._client(each.client_url).healthy())
        for name in healthy:
            try:
                header, members = self._client(world.machines[name].client_url).members(linearizable=True)
                revision = self._client(world.machines[name].client_url).status().header.revision
            except (CallFailed, CallUnknown) as error:
                LOG.info("%s does not tell its members: %s", name, error)
                continue
            return World(world.machines, world.missing, tuple(members), healthy, header.cluster_id, revision)
        return World(world.machines, world.missing)

    def order(self, machine: Machine, order: str, token: str, **words: Any) -> None:
        """Have one machine do something. Raises OrderFailed."""
        self._messenger.ask(machine.peer, order, {"token": token, **words}, LONG_SECONDS)

    def add_member(self, url: str, peer_url: str) -> None:
        """Put a machine on the member list. Raises CallFailed, CallUnknown."""
        self._client(url).member_add(peer_url)

    def _client(self, url: str) -> EtcdClient:
        return self._clients.setdefault(url, EtcdClient(url, timeout_seconds=_HEALTH_SECONDS))
