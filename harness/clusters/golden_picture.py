"""A picture of everything stored in a Kubernetes cluster, in a form that is the same whenever the cluster is.

Left out, and why:

- events, leases, endpoints and endpoint slices (but those of default/kubernetes), IP addresses,
  CSINodes, certificate requests, API services that follow from CRDs: written, renewed and expired by
  the control plane itself;
- what a controller owns on behalf of something in the picture (pods, replica sets, controller
  revisions, mirror pods of static pods): controllers bring it in line. What is owned by a stranger,
  or by nobody any more, is in the picture;
- of every object: UID, resource version, times, generation, managed fields, owners, status, and
  annotations in which controllers count (rollout revision, template generation, leader, ttl);
- of a node: taints that tell its condition;
- of the cluster-info ConfigMap: signatures by bootstrap tokens, which end when the tokens do.

Bootstrap tokens may be missing (they expire after a day), but none may be added. Of the status, what
tells whether things work is kept apart, as an object's `state`: ready nodes, available pods.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.clusters.kube_api import KubeApi
from harness.clusters.kube_resources import Listing, Refusal, Resource, discover, list_all

_LEFT_OUT = frozenset(
    {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "endpoints", "endpointslices.discovery.k8s.io",
     "ipaddresses.networking.k8s.io", "csinodes.storage.k8s.io", "certificatesigningrequests.certificates.k8s.io"}
)  # fmt: skip
# Its endpoints are the API servers themselves: they are written every ten seconds, and miss that long.
_API_SERVICE = "default/kubernetes"
_AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
_METADATA = ("name", "namespace", "labels", "annotations", "finalizers")
_COUNTED = frozenset(
    {"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation", "node.alpha.kubernetes.io/ttl",
     "control-plane.alpha.kubernetes.io/leader"}
)  # fmt: skip
_BOOTSTRAP_TOKEN = "bootstrap.kubernetes.io/token"
_SETTLED = "settled"
_MIRROR = "kubernetes.io/config.mirror"
_CONDITION = "node.kubernetes.io/"
_SIGNATURE = "jws-kubeconfig-"
_AVAILABLE = {"Deployment": "availableReplicas", "DaemonSet": "numberAvailable", "StatefulSet": "availableReplicas"}


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as it was listed.

    Args:
        resource: what sort it is.
        raw: as the API told it.
    """

    resource: Resource
    raw: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """The object's."""
        told: dict[str, Any] = self.raw["metadata"]
        return told

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty where there is none."""
        return str(self.metadata.get("namespace", ""))

    @property
    def id(self) -> str:
        """``resource namespace/name``, unique in a picture."""
        return f"{self.resource.id} {self.namespace + '/' if self.namespace else ''}{self.name}"

    @property
    def path(self) -> str:
        """Where the API has it."""
        return self.resource.path(self.namespace, self.name)

    @property
    def deleting(self) -> bool:
        """Whether it only waits for its finalizers, or for its pod to end."""
        return "deletionTimestamp" in self.metadata

    @property
    def may_be_missing(self) -> bool:
        """Whether it goes by itself one day."""
        return self.resource.id == "secrets" and self.raw.get("type") == _BOOTSTRAP_TOKEN

    @property
    def form(self) -> str:
        """What somebody declared, as text; equal for equal objects."""
        body = {name: value for name, value in self.raw.items() if name not in ("metadata", "status")}
        if self.id == "configmaps kube-public/cluster-info":
            body["data"] = {name: value for name, value in body["data"].items() if not name.startswith(_SIGNATURE)}
        if self.resource.kind == "Node":
            body["spec"] = body["spec"] | {"taints": self._own_taints}
        kept = {name: self.metadata[name] for name in _METADATA if self.metadata.get(name)}
        annotations = {name: value for name, value in kept.pop("annotations", {}).items() if name not in _COUNTED}
        return json.dumps([kept, annotations, body, self.deleting], sort_keys=True)

    @property
    def is_mirror(self) -> bool:
        """Whether it shows a static pod, which kubelet alone starts and ends."""
        return self.resource.id == "pods" and _MIRROR in self.metadata.get("annotations", {})

    @property
    def _own_taints(self) -> list[dict[str, Any]]:
        """A node's taints without those by which controllers tell its condition."""
        return [taint for taint in self.raw["spec"].get("taints", ()) if not taint["key"].startswith(_CONDITION)]

    @property
    def state(self) -> str:
        """Whether it works, as far as its status tells; empty for what has no such status."""
        status = self.raw.get("status") or {}
        if self.resource.kind in ("Node", "Pod"):
            ready = next((row["status"] for row in status.get("conditions", ()) if row["type"] == "Ready"), "Unknown")
            return _SETTLED if ready == "True" else f"Ready {ready}"
        if self.resource.kind not in _AVAILABLE:
            return ""
        if status.get("observedGeneration") != self.metadata.get("generation"):
            return "stale"
        wanted = status.get("desiredNumberScheduled", self.raw.get("spec", {}).get("replicas", 1))
        updated = status.get("updatedReplicas", status.get("updatedNumberScheduled", 0))
        available = status.get(_AVAILABLE[self.resource.kind], 0)
        return _SETTLED if wanted == updated == available else f"{available} of {wanted} available, {updated} updated"


@dataclass(slots=True)
class Picture:
    """Everything that counts, by ID; and the rest, by resource.

    Args:
        objects: what is compared.
        owned: what controllers keep on behalf of objects in the picture.
        refusals: resources that could not be listed.
    """

    objects: dict[str, Stored] = field(default_factory=dict)
    owned: list[Stored] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)

    @property
    def mirrors(self) -> list[Stored]:
        """Mirrors of static pods."""
        return [stored for stored in self.owned if stored.is_mirror]

    @property
    def unsettled(self) -> list[Stored]:
        """What does not work yet."""
        candidates = [*self.objects.values(), *self.mirrors]
        return [stored for stored in candidates if stored.state not in ("", _SETTLED)]

    @property
    def states(self) -> dict[str, str]:
        """State of each owned object by its ID."""
        return {stored.id: stored.state for stored in self.owned}

    @property
    def fingerprint(self) -> str:
        """64 hex digits; the same for clusters that are the same."""
        digest = hashlib.sha256()
        for stored in sorted(self.mirrors, key=lambda mirror: mirror.id):
            digest.update(f"{stored.id} {stored.state}\n".encode())
        for name, stored in sorted(self.objects.items()):
            if not stored.may_be_missing:
                digest.update(f"{name}\n{stored.form}\n{stored.state}\n".encode())
        return digest.hexdigest()


@dataclass(slots=True)
class Difference:
    """How a picture differs from another.

    Args:
        added, missing: objects only in the new, or only in the old one.
        changed: old and new of each object whose form differs.
        unsettled: old and new of each object whose state differs.
        absent: mirrors of static pods that are not there, or not as ready.
        refusals: resources that could not be listed.
    """

    added: list[Stored] = field(default_factory=list)
    missing: list[Stored] = field(default_factory=list)
    changed: list[tuple[Stored, Stored]] = field(default_factory=list)
    unsettled: list[tuple[Stored, Stored]] = field(default_factory=list)
    absent: list[Stored] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """One for each difference."""
        told = [f"added: {stored.id}" for stored in self.added]
        told += [f"missing: {stored.id}" for stored in self.missing]
        told += [f"{'deleting' if new.deleting else 'changed'}: {new.id}" for _, new in self.changed]
        told += [f"not settled: {new.id} ({new.state}, not {old.state})" for old, new in self.unsettled]
        told += [f"not settled: {stored.id} (a static pod)" for stored in self.absent]
        return told + [f"can't be listed: {name} ({refusal})" for name, refusal in self.refusals.items()]

    @classmethod
    def between(cls, old: Picture, new: Picture) -> Difference:
        """What became of the old picture."""
        # of what can't be listed nothing is known
        unseen = set(new.refusals)

        def is_gone(stored: Stored) -> bool:
            known = unseen.isdisjoint({stored.resource.id, stored.resource.api_version})
            return known and stored.id not in new.objects and not stored.may_be_missing

        both = [(stored, new.objects[name]) for name, stored in old.objects.items() if name in new.objects]
        return cls(
            added=[stored for name, stored in new.objects.items() if name not in old.objects],
            missing=[stored for stored in old.objects.values() if is_gone(stored)],
            changed=[(before, now) for before, now in both if before.form != now.form],
            unsettled=[(before, now) for before, now in both if before.state != now.state],
            absent=[] if new.refusals else [s for s in old.mirrors if s.state != new.states.get(s.id)],
            refusals=new.refusals,
        )


def take_picture(api: KubeApi, golden: Mapping[str, Stored] | None = None) -> Picture:
    """Everything there is now.

    Args:
        api: as somebody who may list everything.
        golden: objects whose property is left to their controllers; all roots when not given.

    Raises:
        Refusal: the API does not even tell what there is.
    """
    served = discover(api)
    listing = list_all(api, served.resources)
    everything = list(_stored(served.resources, listing))
    by_uid = {stored.metadata["uid"]: stored for stored in everything}
    picture = Picture(refusals=listing.refusals | served.refusals)
    for stored in everything:
        root = _root(stored, by_uid)
        # an owner that is not found may be among what can't be listed
        known = bool(listing.refusals) if root is None else golden is None or root.id in golden
        if root is not stored and known:
            picture.owned.append(stored)
        else:
            picture.objects[stored.id] = stored
    return picture


def _stored(resources: list[Resource], listing: Listing) -> Iterator[Stored]:
    for resource in resources:
        for raw in listing.objects.get(resource.id, ()):
            stored = Stored(resource, raw)
            passing = resource.id in _LEFT_OUT and f"{stored.namespace}/{stored.name}" != _API_SERVICE
            if not passing and _AUTOMANAGED not in raw["metadata"].get("labels", {}):
                yield stored


def _root(stored: Stored, by_uid: Mapping[str, Stored]) -> Stored | None:
    """Whom it belongs to in the end; itself when nobody controls it, None when that owner is gone."""
    seen: Stored | None = stored
    while seen is not None:
        owners = seen.metadata.get("ownerReferences", ())
        controller = next((owner["uid"] for owner in owners if owner.get("controller")), None)
        if controller is None:
            return seen
        seen = by_uid.get(controller)
    return None
