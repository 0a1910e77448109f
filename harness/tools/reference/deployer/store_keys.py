"""Which of etcd's keys a re-created cluster gets back, and what that costs; pure functions over key names.

Kubernetes keeps its objects as ``/registry/RESOURCE/NAMESPACE/NAME``; nodes are ``minions``, services
``services/specs`` (kube-apiserver, storage prefixes).
"""

from __future__ import annotations

from collections.abc import Iterable

# What belongs to the machine that is gone. The API server, kubelet and controllers make all of it again.
NODE_BOUND = (
    "/registry/minions/",
    "/registry/csinodes/",
    "/registry/leases/kube-node-lease/",
    "/registry/leases/kube-system/",
    "/registry/masterleases/",
    "/registry/certificatesigningrequests/",
    "/registry/volumeattachments/",
    "/registry/events/",
    "/registry/pods/",
)
RBAC = (
    "/registry/clusterroles/",
    "/registry/clusterrolebindings/",
    "/registry/roles/",
    "/registry/rolebindings/",
)
CNI = (
    "/registry/daemonsets/kube-system/kindnet",
    "/registry/controllerrevisions/kube-system/kindnet",
    "/registry/serviceaccounts/kube-system/kindnet",
    "/registry/clusterroles/kindnet",
    "/registry/clusterrolebindings/kindnet",
)
CNI_KEY = "/registry/daemonsets/kube-system/kindnet"
_SYSTEM = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage", "caddy-system")
# Controllers make their pods again, under other names: NAME-SUFFIX of what is called NAME.
_PARENTS = ("replicasets", "daemonsets", "statefulsets", "jobs", "controllers")


def own_workloads(namespace: str) -> tuple[str, ...]:
    """What this tool deploys anew anyway, and which must not start before its images are in the new node."""
    return tuple(
        f"/registry/{resource}/{where}/"
        for where in ("caddy-system", namespace)
        for resource in ("deployments", "replicasets")
    )


def has_cni(keys: Iterable[str]) -> bool:
    """Whether kind's network agent is in the store, so that kind could not create it again."""
    return CNI_KEY in keys


def kept(keys: Iterable[str], dropped: tuple[str, ...]) -> list[str]:
    """The keys that stay when everything below the dropped prefixes goes."""
    return [key for key in keys if not key.startswith(dropped)]


def lost(keys: Iterable[str], dropped: tuple[str, ...], namespace: str) -> list[str]:
    """What others had in the cluster and nothing brings back, as ``KIND NAMESPACE/NAME``.

    Args:
        keys: all there were.
        dropped: prefixes that go.
        namespace: the app's, whose pods come back with the app.
    """
    every = list(keys)
    left = set(kept(every, dropped))
    going = [key.split("/") for key in every if key not in left and key.startswith("/registry/pods/")]
    pods = [
        f"Pod {where}/{name}"
        for *_, where, name in going
        if where not in (*_SYSTEM, namespace) and not _made_again(where, name, left)
    ]
    # a volume of the storage provisioner lies on the node's disk
    volumes = [key.split("/")[-1] for key in every if key.startswith("/registry/persistentvolumes/pvc-")]
    return pods + [f"PersistentVolume {name}" for name in volumes]


def _made_again(where: str, name: str, left: set[str]) -> bool:
    parent = name.rpartition("-")[0]
    return any(f"/registry/{resource}/{where}/{parent}" in left for resource in _PARENTS)
