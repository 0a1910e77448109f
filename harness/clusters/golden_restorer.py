"""Goes round a cluster, putting things back, until it is as its golden picture shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.golden_picture import Difference, Picture, Stored, take_picture
from harness.clusters.kube_api import Answer, KubeApi
from harness.clusters.kube_resources import Refusal, Resource, ask
from harness.clusters.kube_store import KubeStore
from harness.errors import ClusterError

_NOW = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
# What can keep others from being deleted or made goes first, what others need is made first.
_BARRIERS = (
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "APIService",
)
# A namespace's controller empties it while the rest is deleted; a definition waits for the last of its objects.
_THEN = ("Namespace",)
_LAST_TO_GO = ("CustomResourceDefinition",)
# Namespaced things that a picture leaves out: nobody would ever list them again in a namespace that is gone.
_UNLISTED = (
    "/api/v1/namespaces/{}/events",
    "/api/v1/namespaces/{}/endpoints",
    "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
)
_FIRST_TO_COME = (
    "Namespace",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ServiceAccount",
    "ConfigMap",
    "Secret",
    "Service",
)
# Pods that were started with these have to start again to notice.
_READ_AT_START = ("ServiceAccount", "ConfigMap", "Secret")
_NUDGE_ROUNDS = 8
_NOT_FOUND, _INVALID = 404, 422
# What the API gives an object, and what nobody may bring along.
_GIVEN = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
)


@dataclass(slots=True)
class Reset:
    """What a reset took.

    Args:
        seconds: from the first look to the last.
        deleted, restored: how many objects, counted once each.
        fingerprint: of the cluster as it then was.
    """

    seconds: float = 0.0
    deleted: set[str] = field(default_factory=set)
    restored: set[str] = field(default_factory=set)
    fingerprint: str = ""


class Restorer:
    """Goes round until nothing differs: each round looks, and does what is then to be done."""

    def __init__(self, golden: Picture, api: KubeApi, store: KubeStore) -> None:
        self._golden, self._api, self._store = golden, api, store
        self.done = Reset()
        self._rounds = 0
        self._at_rest = False
        self._renewed: list[Stored] = []
        self.remaining: list[str] = []
        self.refused: list[str] = []

    def go_round(self) -> bool:
        """Look, act; True when there was nothing left to do twice in a row: what a controller still does shows then."""
        try:
            now = take_picture(self._api, self._golden.objects)
        except Refusal as refusal:
            self.remaining = [f"the API: {refusal}"]
            return False
        difference = Difference.between(self._golden, now)
        self.remaining, self.refused = difference.sentences(), []
        if not self.remaining:
            rested, self._at_rest = self._at_rest, True
            self.done.fingerprint = now.fingerprint
            return rested
        self._at_rest = False
        for stored in sorted(difference.added, key=_order_of_going):
            self._take_away(stored, now)
        for stored in sorted(difference.missing, key=_order_of_coming):
            self._bring_back(stored)
        for before, after in sorted(difference.changed, key=lambda pair: _order_of_coming(pair[0])):
            self._put_back(before, after, now)
        self._restart_users(now)
        for name in [name for name, refusal in difference.refusals.items() if refusal.status == 500]:
            self._drop_undecodable(name)
        if difference.unsettled:
            self._unstick(now)
            self._nudge([after for _, after in difference.unsettled])
        return False

    def _take_away(self, stored: Stored, now: Picture) -> None:
        self.done.deleted.add(stored.id)
        if not stored.deleting or stored.resource.kind == "Pod":
            self._do("delete", stored, lambda: self._api.delete(stored.path, _NOW))
        if stored.resource.kind == "Namespace":
            self._finish_namespace(stored, now)
        elif stored.metadata.get("finalizers"):
            self._do("finish", stored, lambda: self._api.patch(stored.path, {"metadata": {"finalizers": None}}))

    def _finish_namespace(self, stored: Stored, now: Picture) -> None:
        """Its own controller comes round every five seconds only; what is empty need not wait for it."""
        inside = [other for other in (*now.objects.values(), *now.owned) if other.namespace == stored.name]
        if stored.deleting and not inside:
            for collection in _UNLISTED:
                self._do("empty", stored, partial(self._api.delete, collection.format(stored.name)))
            finished = {"metadata": {"name": stored.name}, "spec": {"finalizers": []}}
            self._do("finish", stored, lambda: self._api.replace(f"{stored.path}/finalize", finished))

    def _bring_back(self, stored: Stored) -> None:
        self.done.restored.add(stored.id)
        collection = stored.resource.path(stored.namespace)
        if _is_good(self._do("make", stored, lambda: self._api.create(collection, _bare(stored.raw)))):
            self._renewed.append(stored)

    def _put_back(self, before: Stored, after: Stored, now: Picture) -> None:
        self.done.restored.add(before.id)
        if after.deleting:
            self._take_away(after, now)
            return
        body = _bare(before.raw)
        body["metadata"] |= {"uid": after.metadata["uid"], "resourceVersion": after.metadata["resourceVersion"]}
        status = self._do("put back", before, lambda: self._api.replace(before.path, body))
        if _is_good(status):
            self._renewed.append(before)
        elif status == _INVALID and before.resource.kind != "Node":
            # some fields never change: then it has to be another object of that name
            self._do("delete", after, lambda: self._api.delete(after.path, _NOW))

    def _restart_users(self, now: Picture) -> None:
        """Pods that read at their start what is there again only now."""
        renewed = [stored for stored in self._renewed if stored.resource.kind in _READ_AT_START]
        self._renewed.clear()
        for pod in _pods(now) if renewed else ():
            spec = json.dumps(pod.raw["spec"])
            if any(pod.namespace == stored.namespace and f'"{stored.name}"' in spec for stored in renewed):
                self._do("restart", pod, partial(self._api.delete, pod.path, _NOW))

    def _drop_undecodable(self, resource_id: str) -> None:
        """What the API can't decode it can't delete either: found by asking for each key's object."""
        plural, _, group = resource_id.partition(".")
        try:
            for key in self._store.keys_of(plural):
                if self._is_broken(key, plural, group):
                    self.done.deleted.add(key)
                    self._store.delete(key)
        except ClusterError as error:
            self.refused.append(f"could not look behind the API: {error}")

    def _is_broken(self, key: str, plural: str, group: str) -> bool:
        version = next((s.resource.version for s in self._golden.objects.values() if s.resource.group == group), "v1")
        *_, namespace, name = key.split("/")
        for space in (namespace, ""):
            path = Resource(group, version, plural, "", namespaced=True, verbs=frozenset()).path(space, name)
            try:
                ask(self._api, path)
            except Refusal as refusal:
                if refusal.status == 500:
                    return True
        return False

    def _unstick(self, now: Picture) -> None:
        """A pod that crashed too often is left alone by kubelet for minutes; a new one is started at once."""
        for pod in _pods(now):
            waiting = [
                row.get("state", {}).get("waiting", {}) for row in pod.raw["status"].get("containerStatuses", ())
            ]
            if any(told.get("reason") == "CrashLoopBackOff" for told in waiting):
                self._do("restart", pod, partial(self._api.delete, pod.path, _NOW))

    def _nudge(self, unsettled: list[Stored]) -> None:
        """Make controllers look again, now and then.

        The DaemonSet controller (1.34) takes no notice of a Node that was deleted and made again
        until something about the DaemonSet changes.
        """
        self._rounds += 1
        for stored in unsettled if self._rounds % _NUDGE_ROUNDS == 0 else ():
            if stored.resource.kind != "Node":
                for value in ("yes", None):
                    body = {"metadata": {"annotations": {"afterfault.dev/look-again": value}}}
                    self._do("nudge", stored, partial(self._api.patch, stored.path, body))

    def _do(self, what: str, stored: Stored, call: Callable[[], Answer]) -> int:
        """Try; returns the status, 0 for no answer. A refusal is told when it is still one in the last round."""
        try:
            answer = call()
        except (CallFailed, CallUnknown) as error:
            self.refused.append(f"could not {what} {stored.id}: {error}")
            return 0
        if not answer.good and answer.status != _NOT_FOUND:
            self.refused.append(f"could not {what} {stored.id}: {answer.status} {answer.text}")
        return answer.status


def _is_good(status: int) -> bool:
    return 200 <= status < 300


def _pods(picture: Picture) -> Iterator[Stored]:
    """Pods that a controller would make again; not the mirrors of static ones."""
    for stored in picture.owned:
        if stored.resource.id == "pods" and not stored.is_mirror:
            yield stored


def _bare(raw: dict[str, Any]) -> dict[str, Any]:
    """An object as somebody would declare it."""
    metadata = {name: value for name, value in raw["metadata"].items() if name not in _GIVEN}
    return {name: value for name, value in raw.items() if name != "status"} | {"metadata": metadata}


def _order_of_going(stored: Stored) -> tuple[int, str]:
    kind = stored.resource.kind
    ranks = [kind in _BARRIERS, kind in _THEN, kind not in _LAST_TO_GO]
    return (ranks.index(True) if True in ranks else len(ranks), stored.id)


def _order_of_coming(stored: Stored) -> tuple[int, str]:
    kind = stored.resource.kind
    return (_FIRST_TO_COME.index(kind) if kind in _FIRST_TO_COME else len(_FIRST_TO_COME), stored.id)
