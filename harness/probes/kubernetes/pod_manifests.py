"""The pods that `fresh_pod` makes: one static program, one question a container."""

from __future__ import annotations

from typing import Any

# Baked into the node image (harness/nodeimage/files/probe), so that nothing has to be pulled.
PROBE_IMAGE = "afterfault/probe:1"
STORAGE_CLASS = "standard"
WITNESS = "written by a fresh pod"
_FILE = "/data/witness"
_CLAIM = "fresh"
QUESTIONS = ("environment", "dns", "api", "storage")
_NETWORK = {"environment": ["env"], "dns": ["dns", "kubernetes.default.svc"], "api": ["api"]}
# A cluster whose nodes are all control planes has to run pods too.
_TOLERATIONS = [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}]


def network_pod(number: int, node: str) -> dict[str, Any]:
    """Asks about service variables, DNS and the API, on that node, put there by the scheduler."""
    containers = [_container(name, words) for name, words in _NETWORK.items()]
    spec = {"containers": containers, "nodeSelector": {"kubernetes.io/hostname": node}}
    return _pod(f"network-{number}", spec)


def storage_pod() -> dict[str, Any]:
    """Writes to a volume, and reads it back from another container."""
    mount = [{"name": "data", "mountPath": "/data"}]
    spec = {
        "initContainers": [_container("write", ["write", _FILE, WITNESS]) | {"volumeMounts": mount}],
        "containers": [_container("storage", ["read", _FILE]) | {"volumeMounts": mount}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": _CLAIM}}],
    }
    return _pod("storage", spec)


def claim() -> dict[str, Any]:
    """A claim to a volume of the cluster's standard class."""
    return {
        "metadata": {"name": _CLAIM},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }


def _pod(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    common = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "tolerations": _TOLERATIONS}
    return {"metadata": {"name": name}, "spec": common | spec}


def _container(name: str, words: list[str]) -> dict[str, Any]:
    return {"name": name, "image": PROBE_IMAGE, "imagePullPolicy": "Never", "args": words}
