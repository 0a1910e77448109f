"""What others run in the cluster, which goes with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.tools.reference.deployer.kube import Kube, title_of
from harness.tools.reference.deployer.manifest import is_managed

_KINDS = (
    "Namespace", "Deployment", "DaemonSet", "StatefulSet", "CronJob", "Job", "Pod", "Service", "Ingress", "ConfigMap",
    "Secret", "PersistentVolumeClaim",
)  # fmt: skip
_SYSTEM = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage")
# Kubernetes makes these in every cluster.
_ALWAYS_THERE = {
    ("Namespace", "default"),
    *(("Namespace", name) for name in _SYSTEM),
    ("Service", "kubernetes"),
    ("ConfigMap", "kube-root-ca.crt"),
}


def unmanaged(kube: Kube, saved: tuple[str, ...]) -> list[str]:
    """What goes with the cluster, as ``KIND NAMESPACE/NAME``.

    Args:
        kube: the cluster's API.
        saved: namespaces whose secrets are saved.
    """
    return [title_of(found) for kind in _KINDS for found in unmanaged_of(kind, kube.every(kind), saved)]


def unmanaged_of(kind: str, found: Iterable[dict[str, Any]], saved: tuple[str, ...]) -> list[dict[str, Any]]:
    """Those of one kind that neither Kubernetes, nor a controller, nor this tool made."""
    return [
        one | {"kind": kind}
        for one in found
        if one["metadata"].get("namespace") not in _SYSTEM
        and (kind, one["metadata"]["name"]) not in _ALWAYS_THERE
        and not one["metadata"].get("ownerReferences")
        and not is_managed(one)
        and not (kind == "Secret" and one["metadata"].get("namespace") in saved)
    ]
