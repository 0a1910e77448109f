"""The Docker engine as many share it: what in it is whose, and removing what is one's own.

Told by labels, and for containers by the network they were made on; see `harness.clusters.lease`. What
another owns is refused, whoever asks.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import docker
import docker.errors
import requests.exceptions
from docker import DockerClient
from docker.types import IPAMConfig, IPAMPool

from harness.clusters.docker_engine import ENGINE_MEND
from harness.clusters.lease import CLUSTER_LABEL, OWNER_LABEL, RUN_LABEL, Mark, is_orphaned
from harness.errors import HarnessError, LeftoverError, MachineError, WaitTimeout
from harness.waiting import SYSTEM_CLOCK, Clock, until

__all__ = [
    "CLUSTER_LABEL", "OWNER_LABEL", "RUN_LABEL", "Thing", "anonymous_volumes", "connect", "made_on",
    "make_network", "orphans", "owned_things", "remove", "remove_all",
]  # fmt: skip

CONTAINER, NETWORK, VOLUME, IMAGE = "container", "network", "volume", "image"
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# Removing a node takes its volume with it, a gigabyte or so.
_CALL_SECONDS = 60
_LOOK_SECONDS = 0.5
_SETTLE_SECONDS = 3.0
_SUBNET_TRIES = 9
_TROUBLE = (docker.errors.DockerException, requests.exceptions.RequestException)


@dataclass(frozen=True, slots=True)
class Thing:
    """Something in the engine that can be owned.

    Args:
        sort: ``container``, ``network``, ``volume`` or ``image``.
        id: what the engine calls it.
        name: what people call it.
        labels: its labels.
        network: the one a container was made on, attached to it still or not.
    """

    sort: str
    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = ""

    def __str__(self) -> str:
        return f"{self.sort} {self.name}"

    def belongs_to(self, mark: Mark) -> bool:
        """Whether it is that run's."""
        return mark.covers(self.labels, self.network) or (self.sort == VOLUME and self.name in mark.volumes)


def connect(address: str, timeout_seconds: float = _CALL_SECONDS) -> DockerClient:
    """A client of the engine at the address a lease holds.

    Raises:
        MachineError: no engine answers there.
    """
    try:
        if address.startswith("unix://"):
            with socket.socket(socket.AF_UNIX) as first:  # docker's client leaves its own one open when nobody answers
                first.connect(address.removeprefix("unix://"))
        return docker.from_env(timeout=round(timeout_seconds), environment={**os.environ, "DOCKER_HOST": address})
    except (*_TROUBLE, OSError) as error:
        raise MachineError(f"no Docker engine answers at {address}", mend=ENGINE_MEND) from error


def make_network(client: DockerClient, name: str, labels: Mapping[str, str]) -> None:
    """A network as kind would make it, labelled, in a subnet the engine found free; containers may ask for addresses.

    Raises:
        MachineError: the engine could not, most often because no subnet is left.
    """
    try:
        bridges = client.api.networks(names=["bridge"])
        usual: dict[str, str] = next((bridge["Options"] for bridge in bridges if bridge["Name"] == "bridge"), {})
        # behind a tunnel packets are smaller; kind takes over what the engine was told of that
        options = {name: value for name, value in usual.items() if name.endswith(("driver.mtu", "ip_masquerade"))}
        words = {"driver": "bridge", "options": options, "labels": dict(labels), "check_duplicate": True}
        for last in (False,) * _SUBNET_TRIES + (True,):
            if _make_with_subnet(client, name, words, strict=last):
                return
    except _TROUBLE as error:
        raise MachineError(f"cannot make the network {name}: {error}", mend="docker network prune") from error


def _make_with_subnet(client: DockerClient, name: str, words: Mapping[str, Any], *, strict: bool) -> bool:
    """Addresses can be asked for only in a subnet that was named: the one the engine has just chosen is.

    Returns False when another run was given it in between; with `strict` that is an error.
    """
    chosen = client.api.create_network(name, **words)["Id"]
    subnet = client.api.inspect_network(chosen)["IPAM"]["Config"][0]["Subnet"]
    client.api.remove_network(chosen)
    try:
        client.api.create_network(name, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]), **words)
    except docker.errors.APIError as error:
        if strict or "overlaps" not in str(error.explanation):
            raise
        return False
    return True


def owned_things(client: DockerClient, mark: Mark) -> list[Thing]:
    """What a run owns in the engine, in the order in which it can be removed.

    Raises:
        MachineError: the engine does not answer.
    """
    return [thing for thing in _things(client) if thing.belongs_to(mark)]


def owned_containers(client: DockerClient, mark: Mark) -> list[Thing]:
    """A run's containers alone, which is one question to the engine.

    Raises:
        MachineError: the engine does not answer.
    """
    return [thing for thing in map(_container, _containers(client)) if thing.belongs_to(mark)]


def anonymous_volumes(client: DockerClient, mark: Mark) -> tuple[str, ...]:
    """Anonymous volumes that a run's containers have now, and those noted before.

    Raises:
        MachineError: the engine does not answer.
    """
    ours = [raw for raw in _containers(client) if mark.covers(raw["Labels"] or {}, made_on(raw))]
    mounts = [mount for raw in ours for mount in raw["Mounts"]]
    names = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
    return tuple(sorted({*mark.volumes, *filter(_ANONYMOUS.fullmatch, names)}))


def orphans(client: DockerClient) -> list[Mark]:
    """Runs of which nothing but things in the engine is left: neither process nor lease.

    Raises:
        MachineError: the engine does not answer.
    """
    told = [thing.labels for thing in _things(client) if RUN_LABEL in thing.labels and OWNER_LABEL in thing.labels]
    return [Mark(label) for label in sorted({ls[RUN_LABEL] for ls in told if is_orphaned(ls[OWNER_LABEL])})]


def remove(client: DockerClient, thing: Thing, mark: Mark) -> None:
    """Remove a thing of a run; a container goes with its anonymous volumes. One that is gone already is fine.

    Raises:
        HarnessError: it is not that run's.
        docker.errors.APIError: the engine refuses.
    """
    if not thing.belongs_to(mark):
        raise HarnessError(f"{thing} is not of run {mark.label} and is left alone")
    api = client.api
    ways: Mapping[str, Callable[[str], object]] = {
        CONTAINER: partial(api.remove_container, force=True, v=True),
        NETWORK: api.remove_network,
        VOLUME: api.remove_volume,
        IMAGE: partial(api.remove_image, force=True),
    }
    with suppress(docker.errors.NotFound):
        ways[thing.sort](thing.id)


def remove_all(
    client: DockerClient,
    mark: Mark,
    *,
    cut: bool,
    before_each_look: Callable[[], object] = lambda: None,
    deadline_seconds: float = 45.0,
    clock: Clock = SYSTEM_CLOCK,
) -> list[Thing]:
    """Remove whatever a run owns, until nothing more turns up; returns what was removed.

    Args:
        client: of the engine.
        mark: of the run.
        cut: whether a client of the run may have been killed in the middle of a request: the engine
            goes on with it, and a node's container shows only when its volume has been filled.
        before_each_look: ends whoever could make more.
        deadline_seconds: after which it is given up.
        clock: where time comes from.

    Raises:
        LeftoverError: something is still there.
        MachineError: the engine stopped answering.
    """
    removal = _Removal(client, mark, cut, before_each_look)
    quiet_looks = round(_SETTLE_SECONDS / _LOOK_SECONDS) if cut else 2
    try:
        until(
            removal.look_and_remove,
            lambda looks: looks >= quiet_looks,
            what=f"things of run {mark.label} to go",
            deadline_seconds=deadline_seconds,
            every_seconds=_LOOK_SECONDS,
            clock=clock,
        )
    except WaitTimeout as error:
        if removal.left:
            raise LeftoverError([*removal.left.values()]) from error
    return list(removal.removed.values())


@dataclass(slots=True)
class _Removal:
    """Removing in rounds: a network goes only after the containers on it, and new things may turn up."""

    client: DockerClient
    mark: Mark
    cut: bool
    before_each_look: Callable[[], object]
    removed: dict[str, Thing] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    quiet: int = 0

    def look_and_remove(self) -> int:
        """One round; returns how many looks in a row found nothing."""
        self.before_each_look()
        awaited = self.cut and _one_is_being_made(self.client)
        found = owned_things(self.client, self.mark)
        self.left = {thing.id: f"{thing} turned up at the last moment" for thing in found}
        for thing in found:
            self._remove(thing)
        self.quiet = 0 if found or awaited else self.quiet + 1
        return self.quiet

    def _remove(self, thing: Thing) -> None:
        try:
            remove(self.client, thing, self.mark)
            self.removed[thing.id] = thing
        except _TROUBLE as error:  # the next look tells whether the engine is there at all
            self.left[thing.id] = f"{thing}: {getattr(error, 'explanation', error)}"


def _one_is_being_made(client: DockerClient) -> bool:
    """Whether the engine fills a volume for a container that it does not list yet, whosever it is."""
    try:
        held = {volume["Name"] for volume in client.api.volumes(filters={"dangling": False})["Volumes"] or ()}
    except _TROUBLE as error:
        raise _silent(error) from error
    return bool(held - {mount.get("Name") for raw in _containers(client) for mount in raw["Mounts"]})


def _things(client: DockerClient) -> list[Thing]:
    """Containers first: they hold on to the rest."""
    api, ours = client.api, {"label": RUN_LABEL}
    try:
        networks, images = api.networks(filters=ours), api.images(filters=ours)
        volumes = api.volumes()["Volumes"] or ()
    except _TROUBLE as error:
        raise _silent(error) from error
    things = list(map(_container, _containers(client)))
    things += [Thing(NETWORK, raw["Id"], raw["Name"], raw["Labels"] or {}) for raw in networks]
    things += [Thing(VOLUME, raw["Name"], raw["Name"], raw["Labels"] or {}) for raw in volumes]
    things += [Thing(IMAGE, raw["Id"], (raw["RepoTags"] or [raw["Id"]])[0], raw["Labels"] or {}) for raw in images]
    return things


def _container(raw: Mapping[str, Any]) -> Thing:
    return Thing(CONTAINER, raw["Id"], _name(raw), raw["Labels"] or {}, made_on(raw))


def _containers(client: DockerClient) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = client.api.containers(all=True)
    except _TROUBLE as error:
        raise _silent(error) from error
    return found


def made_on(container: Mapping[str, Any]) -> str:
    """Name of the network a listed or inspected container was made on; known before it was ever started."""
    return str(container["HostConfig"].get("NetworkMode", ""))


def _name(container: Mapping[str, Any]) -> str:
    """One that is being removed has lost its name."""
    return str((container.get("Names") or [container["Id"][:12]])[0]).lstrip("/")


def _silent(error: Exception) -> MachineError:
    return MachineError(f"the Docker engine stopped answering: {error}", mend=ENGINE_MEND)
