"""What is left of the traffic's ConfigMaps, as the API tells it."""

from __future__ import annotations

from typing import Any

from harness.clusters.kube_resources import Refusal, ask, list_objects
from harness.probes.kubernetes.eyes import KubernetesWorld, eyes_on
from harness.spec import CONFIGMAP_LOG, CONFIGMAP_NAMESPACE

_MAPS = f"/api/v1/namespaces/{CONFIGMAP_NAMESPACE}/configmaps"
_ENDPOINT = "api"


def observe_config_maps(world: KubernetesWorld) -> None:
    """Read all log entries through the API (``probe.keyspace`` of the node ``api``).

    ``keys``: revision by written value, as for etcd's own log keys; ``revision``: the store's, a
    moment before. Lists are consistent (a quorum's), chunk by chunk of one revision. What can't be
    read is an ``error`` and no ``keys``.
    """
    with eyes_on(world.cluster) as eyes:
        try:
            seen: dict[str, Any] = {
                "revision": int(ask(eyes.api, _MAPS, limit="1").body["metadata"]["resourceVersion"])
            }
            maps = [item["metadata"] for item in list_objects(eyes.api, _MAPS)]
        except Refusal as refusal:
            seen = {"error": str(refusal)[:160]}
        else:
            ours = [row for row in maps if row["name"].startswith(CONFIGMAP_LOG)]
            keys = {row["name"].removeprefix(CONFIGMAP_LOG): int(row["resourceVersion"]) for row in ours}
            seen |= {"linearizable": True, "keys": keys}
    world.journal.append("probe.keyspace", node=_ENDPOINT, **seen, seen_as=eyes.seen_as)
