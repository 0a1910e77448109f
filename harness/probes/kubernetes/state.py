"""Everything a cluster holds, once it has come to rest, written down for judging.

Nothing is normalized here: judging does that, so that an old journal can be judged by newer rules.
Left out are only what nobody will ever compare (events, leases) and what must not be read in a
journal (Secrets, as fingerprints). The rest goes into the entry whole, packed: about a twentieth of
its size. See `harness.judging.state` for what is made of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.clusters.kube_api import admin_of
from harness.clusters.kube_resources import Refusal
from harness.errors import ClusterError
from harness.probes.kubernetes.eyes import KubernetesWorld, eyes_on, failure_of
from harness.probes.kubernetes.rest import Patience, Rest, await_rest
from harness.probes.secrecy import OF_THIS_PROCESS, Fingerprints

KIND = "probe.k8s.state"
REFERENCE, RECOVERED = "reference", "recovered"
# Where an object does not decode, the API server first waits some seconds for its cache before it says so.
_CALL_SECONDS = 10.0
# Longer texts (bundles, binary data) are told apart, and not shown.
_LONGEST_TEXT = 65536
_MOST_PACKED_BYTES = 16 * 2**20
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class StateLook:
    """How to look.

    Args:
        names: what this run calls things, and what to put there instead, so that two runs can be
            compared: ``{cluster name: "<cluster>", deployment folder: "<deployment>"}``.
        fingerprints: of Secrets; both states that are to be compared take the same.
        patience: how long to wait until the cluster is at rest.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Fingerprints = OF_THIS_PROCESS
    patience: Patience = field(default_factory=Patience)


def observe_state(world: KubernetesWorld, role: str, look: StateLook) -> None:
    """Wait for rest, and write down all there is (``probe.k8s.state``).

    Args:
        world: whose state.
        role: ``reference`` (of an uncut start) or ``recovered`` (what is compared with it).
        look: how.

    The entry: ``role``; ``at_rest`` and ``moving`` (what still changed, or does not work, by ID);
    ``waited_seconds``; ``objects``: how many; ``raw_bytes``; ``packed``: base64 of zlib of the JSON
    ``{"names", "objects": {resource: [object, ...]}}``; ``failed``, ``groups_failed``: as
    ``probe.k8s.objects`` has them; ``key``: under which Secrets were hashed. An API that refuses
    becomes ``failure``.

    Raises:
        ClusterError: the harness's own kubeconfig is gone, or the state is beyond all measure.
    """
    world.journal.append(KIND, role=role, **seen_state(world, look))


def seen_state(world: KubernetesWorld, look: StateLook) -> dict[str, Any]:
    """The entry without its role: a reference is taken once, and written to the journal of each case it serves.

    Raises:
        ClusterError: as `observe_state`.
    """
    with eyes_on(world.cluster, _CALL_SECONDS) as eyes:
        try:
            rest = await_rest(eyes.api, look.patience)
        except Refusal as refusal:
            return {"failure": failure_of(refusal), "seen_as": eyes.seen_as}
    names = {**look.names, **_authority(admin_of(world.cluster).authority)}
    return _told(rest, names, look.fingerprints) | {"seen_as": eyes.seen_as}


def _authority(pem: str) -> dict[str, str]:
    """The certificate by which clients know this cluster, as it stands in texts and within kubeconfigs."""
    encoded = base64.b64encode(pem.encode()).decode()
    return {pem.strip(): "<authority of the cluster>", encoded: "<base64 authority of the cluster>"}


def _told(rest: Rest, names: Mapping[str, str], fingerprints: Fingerprints) -> dict[str, Any]:
    objects = {
        resource: [_slim(_without_secrets(resource, raw, fingerprints)) for raw in found]
        for resource, found in rest.objects.items()
    }
    body = json.dumps({"names": names, "objects": objects}, separators=(",", ":"), sort_keys=True).encode()
    packed = base64.b64encode(zlib.compress(body, 9)).decode()
    if len(packed) > _MOST_PACKED_BYTES:
        raise ClusterError(f"the state of the cluster takes {len(packed)} bytes, more than a journal should hold")
    return {
        "at_rest": rest.at_rest,
        "moving": rest.moving,
        "waited_seconds": rest.waited_seconds,
        "objects": sum(len(found) for found in objects.values()),
        "raw_bytes": len(body),
        "packed": packed,
        "failed": {resource: refusal.to_json() for resource, refusal in rest.failed.items()},
        "groups_failed": {group: refusal.to_json() for group, refusal in rest.groups_failed.items()},
        "key": fingerprints.key_id,
    }


def _slim(value: Any) -> Any:
    """The same with long texts as a hash; texts are looked at one by one, so nothing else is cut."""
    if isinstance(value, dict):
        return {name: _slim(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_slim(inner) for inner in value]
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raw = value.encode()
        return f"sha256 {hashlib.sha256(raw).hexdigest()}, {len(raw)} bytes"
    return value


def _without_secrets(resource: str, raw: dict[str, Any], fingerprints: Fingerprints) -> dict[str, Any]:
    """A Secret with fingerprints for values; what was applied last holds them once more."""
    if resource != "secrets":
        return raw
    data = {name: fingerprints.of(_bytes(value)) for name, value in (raw.get("data") or {}).items()}
    metadata = dict(raw["metadata"])
    applied = (metadata.get("annotations") or {}).get(_LAST_APPLIED)
    if applied is not None:
        metadata["annotations"] = metadata["annotations"] | {_LAST_APPLIED: fingerprints.of(applied.encode())}
    return raw | {"data": data, "metadata": metadata}


def _bytes(value: Any) -> bytes:
    """What a value of a Secret says; one that is not base64 counts as it stands."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError):
        return repr(value).encode()
