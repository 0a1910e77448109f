"""Whether a Kubernetes cluster is really ready: nodes, system pods, and a fresh pod that gets DNS and the API."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import urllib3.exceptions
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from harness.errors import WaitTimeout
from harness.waiting import SYSTEM_CLOCK, Clock, until

READY_SECONDS = 180.0
_CALL_SECONDS = 5
_POD = "afterfault-ready"
_NAMESPACE = "default"
_IMAGE = "afterfault/probe:1"
_SYSTEM = ("kube-system", "local-path-storage")


def api_client(kubeconfig: Path) -> Any:
    """A client for a kubeconfig, which tries each call once; close it."""
    settings = client.Configuration()
    # beside the kubeconfig and not in the machine's own temporary folder: what a killed run leaves there goes with it
    config.load_kube_config_from_dict(
        yaml.safe_load(kubeconfig.read_text(encoding="utf-8")),
        client_configuration=settings,
        persist_config=False,
        temp_file_path=str(kubeconfig.parent),
    )
    settings.retries = False
    return client.ApiClient(settings)


def await_ready(kubeconfig: Path, nodes: int, clock: Clock = SYSTEM_CLOCK) -> None:
    """Wait until everything a fresh cluster promises is so.

    Args:
        kubeconfig: the admin's.
        nodes: how many have to be Ready.
        clock: where time comes from.

    Raises:
        WaitTimeout: something is missing after 180 s; names it.
    """
    api = api_client(kubeconfig)
    with contextlib.ExitStack() as closing:
        closing.callback(api.close)
        core = client.CoreV1Api(api)
        _await(lambda: _missing(core, nodes), "nodes and system pods to be ready", clock)
        _await(lambda: _try_pod(core), "a fresh pod to get DNS and the API", clock)


def _await(look: Any, what: str, clock: Clock) -> None:
    until(look, lambda missing: not missing, what=what, deadline_seconds=READY_SECONDS, every_seconds=0.5, clock=clock)


def _missing(core: Any, nodes: int) -> list[str]:
    """What is not ready yet; a call that fails is no more than another thing missing."""
    try:
        seen = core.list_node(_request_timeout=_CALL_SECONDS).items
        lists = [core.list_namespaced_pod(space, _request_timeout=_CALL_SECONDS) for space in _SYSTEM]
    except (ApiException, urllib3.exceptions.HTTPError) as error:
        return [f"the API: {type(error).__name__}"]
    pods = [pod for found in lists for pod in found.items]
    missing = [f"node {node.metadata.name}" for node in seen if not _is_true(node.status.conditions, "Ready")]
    missing += [f"pod {pod.metadata.name}" for pod in pods if not _is_true(pod.status.conditions, "Ready")]
    missing += [f"{nodes - len(seen)} nodes"] * (len(seen) < nodes)
    spaces = {pod.metadata.namespace for pod in pods}
    return missing + [f"pods in {space}" for space in _SYSTEM if space not in spaces]


def _is_true(conditions: Any, name: str) -> bool:
    return any(one.type == name and one.status == "True" for one in conditions or ())


def _try_pod(core: Any) -> list[str]:
    """Start a pod that asks for a name and for the API; gone again afterwards, whatever it said."""
    try:
        with contextlib.suppress(ApiException):
            core.delete_namespaced_pod(_POD, _NAMESPACE, grace_period_seconds=0, _request_timeout=_CALL_SECONDS)
        core.create_namespaced_pod(_NAMESPACE, _pod(), _request_timeout=_CALL_SECONDS)
        phase = until(
            lambda: core.read_namespaced_pod(_POD, _NAMESPACE, _request_timeout=_CALL_SECONDS).status.phase,
            lambda seen: seen in ("Succeeded", "Failed"),
            what="the pod to end",
            deadline_seconds=20,
            every_seconds=0.3,
        )
        core.delete_namespaced_pod(_POD, _NAMESPACE, grace_period_seconds=0, _request_timeout=_CALL_SECONDS)
    except (ApiException, urllib3.exceptions.HTTPError, WaitTimeout) as error:
        return [f"a pod: {type(error).__name__} {getattr(error, 'reason', error)}"]
    return [] if phase == "Succeeded" else ["a pod that gets DNS and the API"]


def _pod() -> dict[str, Any]:
    def step(name: str, *words: str) -> dict[str, Any]:
        return {"name": name, "image": _IMAGE, "imagePullPolicy": "Never", "args": list(words)}

    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _POD},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "initContainers": [step("dns", "dns", "kubernetes.default.svc.cluster.local")],
            "containers": [step("api", "api")],
        },
    }
