"""The cluster's own workloads: how many of each there should be and are, and how often they restarted."""

from __future__ import annotations

from typing import Any

from harness.clusters.kube_api import KubeApi
from harness.clusters.kube_resources import Refusal, ask, list_objects
from harness.probes.kubernetes.eyes import Eyes, KubernetesWorld, note

_NAMESPACES = ("kube-system", "local-path-storage")
_LOOPING = "CrashLoopBackOff"
# Last words of that many crashing containers are fetched, and that much of each.
_LOGS = 3
_SAID = 300
# Kubelet's own words, given with status 200 instead of a log.
_NO_LOG = "unable to retrieve container logs"


def observe_workloads(world: KubernetesWorld) -> None:
    """DaemonSets, Deployments and pods of the system (``probe.k8s.workloads``).

    ``workloads`` by ``namespace/kind/name``: ``desired``, ``ready``, ``available`` pods, and
    ``observed``, whether its controller knows its newest version; ``pods`` by ``namespace/name``:
    ``uid``, ``node``, ``phase``, ``containers`` (``restarts``, ``ready``, ``waiting`` for what,
    what it ``said`` before its last crash); ``nodes``: how many are registered;
    ``control_planes``: machines with static pods that are switched on.
    """

    def look(eyes: Eyes) -> dict[str, Any]:
        names = [node.name for node in world.cluster.running()]
        return _look(eyes.api) | {"control_planes": names}

    note(world, "probe.k8s.workloads", look)


def _look(api: KubeApi) -> dict[str, Any]:
    workloads: dict[str, Any] = {}
    pods: dict[str, Any] = {}
    for namespace in _NAMESPACES:
        for kind, describe in (("daemonset", _daemon_set), ("deployment", _deployment)):
            told = list_objects(api, f"/apis/apps/v1/namespaces/{namespace}/{kind}s")
            workloads |= {f"{namespace}/{kind}/{_name(item)}": _observed(item) | describe(item) for item in told}
        told = list_objects(api, f"/api/v1/namespaces/{namespace}/pods")
        # a storage provisioner's helper comes and goes, and belongs to no workload
        pods |= {f"{namespace}/{_name(pod)}": _pod(pod) for pod in told if pod["metadata"].get("ownerReferences")}
    _add_last_words(api, pods)
    return {"workloads": workloads, "pods": pods, "nodes": len(list_objects(api, "/api/v1/nodes"))}


def _observed(item: dict[str, Any]) -> dict[str, Any]:
    """A status that its controller wrote before the newest change is about another version."""
    return {"observed": item.get("status", {}).get("observedGeneration", 0) >= item["metadata"].get("generation", 0)}


def _daemon_set(item: dict[str, Any]) -> dict[str, Any]:
    status = item.get("status", {})
    return {
        "desired": status.get("desiredNumberScheduled", 0),
        "ready": status.get("numberReady", 0),
        "available": status.get("numberAvailable", 0),
    }


def _deployment(item: dict[str, Any]) -> dict[str, Any]:
    status = item.get("status", {})
    return {
        "desired": item["spec"].get("replicas", 1),
        "ready": status.get("readyReplicas", 0),
        "available": status.get("availableReplicas", 0),
    }


def _pod(pod: dict[str, Any]) -> dict[str, Any]:
    status = pod.get("status", {})
    return {
        "uid": pod["metadata"]["uid"],
        "node": pod["spec"].get("nodeName", ""),
        "phase": status.get("phase", ""),
        "containers": {row["name"]: _container(row) for row in status.get("containerStatuses", ())},
    }


def _container(row: dict[str, Any]) -> dict[str, Any]:
    waiting = row.get("state", {}).get("waiting") or {}
    return {"restarts": row["restartCount"], "ready": row["ready"], "waiting": waiting.get("reason", ""), "said": ""}


def _add_last_words(api: KubeApi, pods: dict[str, Any]) -> None:
    crashing = [
        (pod, name, container)
        for pod, told in pods.items()
        for name, container in told["containers"].items()
        if container["waiting"] == _LOOPING
    ]
    for pod, name, container in crashing[:_LOGS]:
        namespace, _, pod_name = pod.partition("/")
        path = f"/api/v1/namespaces/{namespace}/pods/{pod_name}/log"
        # while it waits, its log is that of the run that crashed last; kubelet may have thrown that away
        told = [_log(api, path, container=name), _log(api, path, container=name, previous="true")]
        container["said"] = next((line for line in map(_panic, told) if line), "")


def _log(api: KubeApi, path: str, **query: str) -> str:
    try:
        return ask(api, path, tailLines="30", **query).raw.decode(errors="replace")
    except Refusal:
        return ""


def _panic(log: str) -> str:
    """The line that tells why a Go program died, else its last one."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith(_NO_LOG)]
    panics = [line for line in lines if line.startswith(("panic:", "fatal", "F1", "Error:"))]
    return (panics or lines[-1:] or [""])[0][:_SAID]


def _name(item: dict[str, Any]) -> str:
    return str(item["metadata"]["name"])
