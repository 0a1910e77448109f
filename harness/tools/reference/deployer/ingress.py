"""Installing the ingress controller: the bug of incident 001 and its three fix options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubernetes.utils import FailToCreateError, create_from_yaml

from harness.tools.reference.deployer.errors import Failed
from harness.tools.reference.deployer.kube import Kube

NAMESPACE = "caddy-system"
_NAME = "caddy-ingress-controller"
Manifests = list[dict[str, Any]]
Install = Callable[[Kube, Manifests], None]


def plain_create(kube: Kube, manifests: Manifests) -> None:
    """Create all of it; an object that is there already is a failure (the bug).

    Raises:
        Failed: with all that could not be created.
    """
    try:
        create_from_yaml(kube.client, yaml_objects=manifests)  # type: ignore[no-untyped-call]
    except FailToCreateError as error:
        raise Failed(f"FailToCreateError: {' '.join(str(error).split())}") from error


def skip_if_exists(kube: Kube, manifests: Manifests) -> None:
    """Create all of it, unless the namespace exists (option 2)."""
    if kube.find("Namespace", NAMESPACE) is not None:
        print(f"there: Namespace {NAMESPACE}", flush=True)
        return
    conflict_is_success(kube, manifests)


def conflict_is_success(kube: Kube, manifests: Manifests) -> None:
    """Create each object; one that is there already is as good as created (option 3)."""
    for manifest in manifests:
        kube.create(manifest)


def apply(kube: Kube, manifests: Manifests) -> None:
    """Server-side apply of each object (option 1)."""
    for manifest in manifests:
        kube.apply(manifest)


def is_ready(kube: Kube) -> bool:
    """Whether a pod of the controller is Ready: a Deployment's status may be left from a cluster that is gone."""
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for pod in kube.every("Pod", NAMESPACE)
        if (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/name") == _NAME
        and not pod["metadata"].get("deletionTimestamp")
        for condition in pod.get("status", {}).get("conditions", ())
    )
