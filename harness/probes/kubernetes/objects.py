"""Everything the API serves, listed for real; and what others have on the cluster."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

from harness.clusters.kube_resources import discover, list_all
from harness.probes.kubernetes.eyes import Eyes, KubernetesWorld, note

# What controllers make, replace and expire by themselves says nothing about somebody's work.
_PASSING = frozenset(
    {"events", "events.events.k8s.io", "pods", "endpoints", "endpointslices.discovery.k8s.io",
     "leases.coordination.k8s.io", "replicasets.apps", "controllerrevisions.apps"}
)  # fmt: skip
# Where an object does not decode, the API server first waits some seconds for its cache before it says so.
_LIST_SECONDS = 10.0
_OF_EVERY_NAMESPACE = {"configmaps": "kube-root-ca.crt", "serviceaccounts": "default"}


def observe_objects(world: KubernetesWorld) -> None:
    """List every resource of every group, with all of its objects (``probe.k8s.objects``).

    ``counts``: objects by resource; ``failed``: ``status`` and ``text`` by resource that could not
    be listed (a stored object that does not decode makes its whole list fail with 500);
    ``groups_failed``: likewise by group version; ``secrets``: a hash of each Secret's bytes;
    ``unreadable_secrets``: those whose data are not bytes.
    """

    def look(eyes: Eyes) -> dict[str, Any]:
        served = discover(eyes.api)
        found = list_all(eyes.api, served.resources)
        secrets = {_name(secret): _digest(secret) for secret in found.objects.get("secrets", ())}
        return {
            "counts": {resource: len(objects) for resource, objects in found.objects.items()},
            "failed": {resource: refusal.to_json() for resource, refusal in found.refusals.items()},
            "groups_failed": {group: refusal.to_json() for group, refusal in served.refusals.items()},
            "secrets": {name: digest for name, digest in secrets.items() if digest},
            "unreadable_secrets": [name for name, digest in secrets.items() if not digest],
        }

    note(world, "probe.k8s.objects", look, timeout_seconds=_LIST_SECONDS)


def foreign_probe(*namespaces: str) -> Callable[[KubernetesWorld], None]:
    """A probe for what others have in these namespaces.

    Look once before the trouble begins, and again afterwards: the two observations are compared.
    """

    def observe_foreign(world: KubernetesWorld) -> None:
        """The namespaces and their objects with their UIDs (``probe.k8s.foreign``).

        ``objects``: UID by ``namespace/resource/name``; what controllers make and replace by
        themselves (pods, endpoints, events, ...) is left out.
        """

        def look(eyes: Eyes) -> dict[str, Any]:
            found = list_all(eyes.api, discover(eyes.api).resources)
            objects: dict[str, str] = {}
            for resource, items in found.objects.items():
                ours = [item for item in items if _counts(resource, item, namespaces)]
                objects |= {_id(resource, item): item["metadata"]["uid"] for item in ours}
            return {"objects": objects, "namespaces": list(namespaces)}

        note(world, "probe.k8s.foreign", look, timeout_seconds=_LIST_SECONDS)

    return observe_foreign


def _digest(secret: dict[str, Any]) -> str:
    """A hash of all keys and bytes; empty when a value is not base64."""
    digest = hashlib.sha256()
    try:
        for key, value in sorted((secret.get("data") or {}).items()):
            content = base64.b64decode(value, validate=True)
            digest.update(f"{len(key)} {key} {len(content)} ".encode() + content)
    except (binascii.Error, TypeError):
        return ""
    return digest.hexdigest()[:16]


def _counts(resource: str, item: dict[str, Any], namespaces: tuple[str, ...]) -> bool:
    metadata = item["metadata"]
    if resource == "namespaces":
        return bool(metadata["name"] in namespaces)
    if metadata.get("namespace") not in namespaces or resource in _PASSING:
        return False
    return bool(_OF_EVERY_NAMESPACE.get(resource) != metadata["name"])


def _id(resource: str, item: dict[str, Any]) -> str:
    metadata = item["metadata"]
    return f"{metadata.get('namespace', metadata['name'])}/{resource}/{metadata['name']}"


def _name(item: dict[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
