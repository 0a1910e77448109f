"""When a cluster has come to rest: its controllers have nothing more to do, and nothing changes any more.

A state taken in the middle of a roll-out differs from every other state, and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.clusters.golden_picture import Stored
from harness.clusters.kube_api import KubeApi
from harness.clusters.kube_resources import Refusal, Resource, discover, list_all
from harness.errors import WaitTimeout
from harness.waiting import SYSTEM_CLOCK, Clock, until

# Written for ever, by whoever lives: they tell that the cluster lives, and nothing of its state.
HEARTBEATS = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io"})
_ENDED = ("Succeeded", "Failed")
_WORKS = ("", "settled")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for rest.

    Args:
        deadline_seconds: after which the state is taken as it is.
        quiet_seconds: how long nothing may change, where everything works.
        stuck_seconds: how long nothing may change, where something does not work: it won't any more. On a
            busy machine a volume's helper pod alone was seen to take more than ten.
        every_seconds: rest between two looks.
        clock: where time comes from.
    """

    deadline_seconds: float = 120.0
    quiet_seconds: float = 4.0
    stuck_seconds: float = 45.0
    every_seconds: float = 2.0
    clock: Clock = SYSTEM_CLOCK


@dataclass(slots=True)
class Rest:
    """The last look at a cluster.

    Args:
        objects: everything, by resource ID; without heartbeats.
        failed, groups_failed: what could not be listed.
        moving: what does not work, is on its way out, or changed just now, by ID.
        at_rest: whether nothing changed any more.
        waited_seconds: how long that took.
    """

    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failed: dict[str, Refusal] = field(default_factory=dict)
    groups_failed: dict[str, Refusal] = field(default_factory=dict)
    moving: list[str] = field(default_factory=list)
    at_rest: bool = False
    waited_seconds: float = 0.0


def await_rest(api: KubeApi, patience: Patience) -> Rest:
    """Look until the cluster is at rest, or patience is at its end.

    Raises:
        Refusal: the API does not even tell what it serves.
    """
    watch = _Watch(api, patience)
    try:
        rest = until(
            watch.look,
            lambda seen: seen.at_rest,
            what="the cluster to come to rest",
            deadline_seconds=patience.deadline_seconds,
            every_seconds=patience.every_seconds,
            clock=patience.clock,
        )
    except WaitTimeout:
        # A world that does not come to rest is a fact, as every other.
        rest = watch.last
    rest.waited_seconds = round(patience.clock.monotonic() - watch.started, 3)
    return rest


class _Watch:
    """Compares each look with the one before."""

    def __init__(self, api: KubeApi, patience: Patience) -> None:
        self._api, self._patience = api, patience
        self.started = self._same_since = patience.clock.monotonic()
        self._versions: dict[str, str] = {}
        self.last = Rest()

    def look(self) -> Rest:
        """Everything there is now, and whether it has been so for long enough."""
        served = discover(self._api)
        resources = [resource for resource in served.resources if resource.id not in HEARTBEATS]
        # the moment before it is asked: what is seen is as new as that
        now = self._patience.clock.monotonic()
        found = list_all(self._api, resources)
        stored = list(_stored(resources, found.objects))
        versions = {one.id: str(one.metadata.get("resourceVersion", "")) for one in stored}
        versions |= {f"{name} (not listed)": str(refusal) for name, refusal in found.refusals.items()}
        changed = {name for name, _ in versions.items() ^ self._versions.items()}
        if changed:
            self._versions, self._same_since = versions, now
        unfinished = [one.id for one in stored if _is_unfinished(one)]
        enough = self._patience.stuck_seconds if unfinished else self._patience.quiet_seconds
        at_rest = now - self._same_since >= enough
        moving = sorted({*unfinished, *(changed if not at_rest else ())})
        self.last = Rest(found.objects, found.refusals, served.refusals, moving, at_rest)
        return self.last


def _stored(resources: list[Resource], objects: dict[str, list[dict[str, Any]]]) -> Iterator[Stored]:
    for resource in resources:
        for raw in objects.get(resource.id, ()):
            yield Stored(resource, raw)


def _is_unfinished(one: Stored) -> bool:
    """Whether somebody still has work with it: a controller, a kubelet, or whoever is to take its finalizer away."""
    status = one.raw.get("status") or {}
    if one.deleting:
        return True
    if one.resource.kind == "Pod" and status.get("phase") in _ENDED:
        return False
    if one.resource.id == "jobs.batch":
        return bool(status.get("active")) or not status.get("conditions")
    if one.resource.id == "persistentvolumeclaims":
        return bool(status.get("phase") == "Pending")
    return one.state not in _WORKS
