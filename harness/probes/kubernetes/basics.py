"""Nodes, the API's own Service, and who may do what."""

from __future__ import annotations

from typing import Any

from harness.clusters.kube_api import KubeApi, admin_of
from harness.clusters.kube_resources import Refusal, ask, demand, list_objects
from harness.probes.kubernetes.eyes import TIMEOUT_SECONDS, Eyes, KubernetesWorld, machines, note

_CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
_SERVICE = "/api/v1/namespaces/default/services/kubernetes"
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
_SLICES_OF_SERVICE = "kubernetes.io/service-name=kubernetes"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_EVERYTHING = {"verb": "*", "group": "*", "resource": "*"}


def observe_nodes(world: KubernetesWorld) -> None:
    """Which nodes there are and how they are (``probe.k8s.nodes``).

    ``nodes`` by name: ``ready``, ``reason`` (when not), ``version``, ``control_plane``,
    ``schedulable``; ``expected``: machines that are switched on.
    """

    def look(eyes: Eyes) -> dict[str, Any]:
        nodes = {node["metadata"]["name"]: _node(node) for node in list_objects(eyes.api, "/api/v1/nodes")}
        return {"nodes": nodes, "expected": [node.name for node in machines(world.cluster)]}

    note(world, "probe.k8s.nodes", look)


def observe_api_service(world: KubernetesWorld) -> None:
    """The Service default/kubernetes and where it leads (``probe.k8s.api_service``).

    ``service``: ``cluster_ip`` and ``ports``, null when there is none; ``endpoints``: addresses of
    its EndpointSlices; ``api_servers``: addresses of control-plane machines that are switched on.
    """

    def look(eyes: Eyes) -> dict[str, Any]:
        slices = list_objects(eyes.api, _SLICES, labelSelector=_SLICES_OF_SERVICE)
        servers = [node.address for node in world.cluster.running()]
        return {"service": _service(eyes.api), "endpoints": _addresses(slices), "api_servers": servers}

    note(world, "probe.k8s.api_service", look)


def observe_rbac(world: KubernetesWorld) -> None:
    """Roles, bindings, and whether the admin is let in (``probe.k8s.rbac``).

    ``roles``: number of rules by ClusterRole; ``bindings`` by ClusterRoleBinding: ``role`` and
    ``subjects``; ``admin``: ``status`` and ``text`` of a list of all Secrets asked for as the
    admin, and ``may_everything`` of its own access review (null when that was not answered).
    """

    def look(eyes: Eyes) -> dict[str, Any]:
        roles = list_objects(eyes.api, f"{_RBAC}/clusterroles")
        bindings = list_objects(eyes.api, f"{_RBAC}/clusterrolebindings")
        return {
            "roles": {role["metadata"]["name"]: len(role.get("rules") or ()) for role in roles},
            "bindings": {binding["metadata"]["name"]: _binding(binding) for binding in bindings},
            "admin": _admin(world),
        }

    note(world, "probe.k8s.rbac", look)


def _admin(world: KubernetesWorld) -> dict[str, Any]:
    told: dict[str, Any] = {"may_everything": None, "status": 200, "text": ""}
    with KubeApi(admin_of(world.cluster), TIMEOUT_SECONDS) as api:
        try:
            review = demand(lambda: api.create(_REVIEW, {"spec": {"resourceAttributes": _EVERYTHING}}))
            told["may_everything"] = review.body["status"]["allowed"]
            ask(api, "/api/v1/secrets", limit="1")
        except Refusal as refusal:
            # a Secret that does not decode (500) is no refusal of the admin
            told |= {"status": 200 if refusal.status >= 500 else refusal.status, "text": refusal.text}
    return told


def _service(api: KubeApi) -> dict[str, Any] | None:
    try:
        spec = ask(api, _SERVICE).body["spec"]
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        return None
    return {"cluster_ip": spec.get("clusterIP", ""), "ports": [port["port"] for port in spec.get("ports", ())]}


def _node(node: dict[str, Any]) -> dict[str, Any]:
    status = node.get("status", {})
    ready: dict[str, Any] = next((row for row in status.get("conditions", ()) if row["type"] == "Ready"), {})
    good = ready.get("status") == "True"
    return {
        "ready": good,
        "reason": "" if good else ready.get("reason", "no condition"),
        "version": status.get("nodeInfo", {}).get("kubeletVersion", ""),
        "control_plane": _CONTROL_PLANE_LABEL in node["metadata"].get("labels", {}),
        "schedulable": not node.get("spec", {}).get("unschedulable", False),
    }


def _addresses(slices: list[dict[str, Any]]) -> list[str]:
    """Of endpoints that are ready; no condition means ready (EndpointSlice API)."""
    endpoints = [endpoint for part in slices for endpoint in part.get("endpoints") or ()]
    ready = [endpoint for endpoint in endpoints if (endpoint.get("conditions") or {}).get("ready") is not False]
    return sorted({address for endpoint in ready for address in endpoint["addresses"]})


def _binding(row: dict[str, Any]) -> dict[str, Any]:
    subjects = [f"{subject['kind']}/{subject['name']}" for subject in row.get("subjects") or ()]
    return {"role": row["roleRef"]["name"], "subjects": subjects}
