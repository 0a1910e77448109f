"""Making a cluster out of the machines there are, and adding the ones that came later."""

from __future__ import annotations

import time
from dataclasses import dataclass

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.tools.reference.manager.control_store import ControlError, Spec
from harness.tools.reference.manager.folder import State
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.orders import OrderFailed
from harness.tools.reference.manager.peers import Leadership, new_token
from harness.tools.reference.manager.world import Machine, Observer, World

# A cluster may begin with fewer machines than wished for, but not before the others had time to turn up.
_FEWER_AFTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A cluster to be made.

    Args:
        spec: how many members, of which etcd.
        origin: why; the file name of a command, or `FIRST_START`.
        backup: name of the backup whose data it gets; empty for none.
        backup_for_all: each machine gets it, instead of the first only.
        quarantined: clients can't reach it yet.
        complete: all machines wished for have to be there.
    """

    spec: Spec
    origin: str = ""
    backup: str = ""
    backup_for_all: bool = True
    quarantined: bool = True
    complete: bool = False


FIRST_START = "first-start"


def refuse_other_etcd(spec: Spec, version: str) -> None:
    """Do nothing for an etcd we don't have. Raises ControlError."""
    if spec.etcd_version.removeprefix("v") != version:
        raise ControlError(f"can't act as leader for unknown etcd version {spec.etcd_version!r}; there is {version}")


def create_cluster(observer: Observer, world: World, leading: Leadership, plan: Plan) -> bool:
    """End and archive whatever the machines have, and found a cluster on them.

    Returns False, with nothing touched, as long as there are too few machines.

    Raises:
        OrderFailed: at the machine that did not carry out its part; the others are as far as they got.
    """
    if not _are_enough(world, leading, plan):
        return False
    chosen = list(world.machines.values())[: plan.spec.member_count]
    for machine in world.founded:
        observer.order(machine, "stop", leading.token)
        LOG.info("stopped etcd on peer %s", machine.peer.peer_id)
    nodes = {machine.peer.peer_id: machine.peer.peer_url for machine in chosen}
    state = State(new_token(), nodes, plan.quarantined, new=True, origin=plan.origin)
    LOG.info("starting new etcd cluster with %s, token %s", state.initial_cluster, state.token)
    for machine in chosen:
        given = plan.backup if plan.backup_for_all or machine is chosen[0] else ""
        observer.order(machine, "found", leading.token, state=state.to_json(), backup=given)
    return True


def expand(observer: Observer, world: World, leading: Leadership) -> bool:
    """Have an idle machine join the cluster there is; False when there is none.

    Raises:
        OrderFailed: it could not be added, or did not join.
    """
    url = world.a_healthy_url()
    if not world.idle or url is None:
        LOG.info("Want to expand cluster but no available nodes")
        return False
    newcomer = world.idle[0].peer
    nodes = {member.name: member.peer_urls[0] for member in world.members if member.name}
    LOG.info("Adding member to cluster: %s", newcomer.peer_id)
    if newcomer.peer_url not in [url for member in world.members for url in member.peer_urls]:
        try:
            observer.add_member(url, newcomer.peer_url)
        except (CallFailed, CallUnknown) as error:
            raise OrderFailed(f"{newcomer.peer_id} can't be added: {error}") from error
    nodes[newcomer.peer_id] = newcomer.peer_url
    state = State(world.token, nodes, quarantined=False, new=False)
    observer.order(world.idle[0], "join", leading.token, state=state.to_json())
    return True


def lift_quarantine(observer: Observer, machines: list[Machine], leading: Leadership) -> None:
    """Let clients in. Raises OrderFailed."""
    LOG.info("Setting quarantined state to false")
    for machine in machines:
        observer.order(machine, "quarantine", leading.token, quarantined=False)


def retire_strays(observer: Observer, world: World, leading: Leadership) -> bool:
    """Stop what belongs to a cluster that is no more: a machine that was away while the others were restored.

    Returns whether there was one.

    Raises:
        OrderFailed: it does not stop.
    """
    strays = [each for each in world.founded if world.token and each.state and each.state.token != world.token]
    for stray in strays:
        LOG.warning("%s has a member of another cluster; it is stopped", stray.peer.peer_id)
        observer.order(stray, "stop", leading.token)
    return bool(strays)


def _are_enough(world: World, leading: Leadership, plan: Plan) -> bool:
    have, want = len(world.machines), plan.spec.member_count
    may_be_fewer = not plan.complete and time.monotonic() - leading.since > _FEWER_AFTER_SECONDS
    if not world.missing and (have >= want or (have >= plan.spec.quorum and may_be_fewer)):
        return True
    LOG.info("insufficient peers in our gossip group to build a cluster of size %d", want)
    return False
