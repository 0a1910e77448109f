"""Pods made now: do they get service variables, DNS, the API and storage? The one probe that writes.

On each node one pod asks about the network, each question in a container of its own; one more pod
writes to a volume and reads it back. All lie in a namespace that goes when they have answered.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.kube_api import KubeApi
from harness.clusters.kube_resources import Refusal, ask, demand, list_objects
from harness.errors import WaitTimeout
from harness.probes.kubernetes.eyes import Eyes, KubernetesWorld, machines, note
from harness.probes.kubernetes.pod_manifests import (
    QUESTIONS,
    WITNESS,
    claim,
    network_pod,
    storage_pod,
)
from harness.waiting import until

# How long pods may take to answer, their namespace to get its account, and to go again.
_ANSWER_SECONDS = 45.0
# A scheduler that works has a place for the first pods within a second.
_PLACE_SECONDS = 20.0
_ACCOUNT_SECONDS = 10.0
_GONE_SECONDS = 8.0
_EVERY_SECONDS = 0.3
_VARIABLES = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")


def observe_fresh_pod(world: KubernetesWorld) -> None:
    """Make pods and hear what they say (``probe.k8s.fresh_pod``).

    ``answers`` by question (``environment``, ``dns``, ``api``, ``storage``): ``ran``, ``ok``,
    ``text`` (of the first that failed, with its pod's node); ``seconds`` until all had answered or
    no longer could; ``removed``: whether the namespace went in time, which nobody waits for longer
    than 8 s.
    """

    def look(eyes: Eyes) -> dict[str, Any]:
        namespace = f"afterfault-probe-{uuid.uuid4().hex[:8]}"
        began = time.monotonic()
        try:
            _make(eyes.api, namespace, [node.name for node in machines(world.cluster)])
            seen = {"answers": _answers(eyes.api, namespace), "seconds": round(time.monotonic() - began, 3)}
        finally:
            # after a refusal too: what was made has to go
            removed = _remove(eyes.api, namespace)
        return seen | {"removed": removed}

    note(world, "probe.k8s.fresh_pod", look)


def _make(api: KubeApi, namespace: str, nodes: list[str]) -> None:
    """Namespace, claim and pods."""
    root = f"/api/v1/namespaces/{namespace}"
    demand(lambda: api.create("/api/v1/namespaces", {"metadata": {"name": namespace}}))
    # without its account a pod is refused; when nobody makes one, that refusal is the answer
    with contextlib.suppress(WaitTimeout):
        _poll(lambda: _is_there(api, f"{root}/serviceaccounts/default"), _ACCOUNT_SECONDS)
    demand(lambda: api.create(f"{root}/persistentvolumeclaims", claim()))
    pods = [storage_pod(), *(network_pod(number, node) for number, node in enumerate(nodes, start=1))]
    for pod in pods:
        demand(partial(api.create, f"{root}/pods", pod))


def _answers(api: KubeApi, namespace: str) -> dict[str, dict[str, Any]]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    # when none has a place by then, no answer will come
    with contextlib.suppress(WaitTimeout):
        _poll(lambda: any(map(_is_placed, list_objects(api, path))), _PLACE_SECONDS)
        _poll(lambda: all(map(_settled, list_objects(api, path))), _ANSWER_SECONDS)
    heard: dict[str, list[dict[str, Any]]] = {question: [] for question in QUESTIONS}
    for pod in list_objects(api, path):
        for question, answer in _heard(api, path, pod):
            heard[question].append(answer)
    return {question: _worst(told) for question, told in heard.items()}


def _is_placed(pod: dict[str, Any]) -> bool:
    return bool(pod["spec"].get("nodeName"))


def _settled(pod: dict[str, Any]) -> bool:
    """Done, or waiting for something that will never come."""
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return True
    return any("ImageNever" in row.get("state", {}).get("waiting", {}).get("reason", "") for row in _statuses(pod))


def _heard(api: KubeApi, path: str, pod: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each question this pod was to answer, and what came of it."""
    name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "no node")
    ended = {row["name"]: row.get("state", {}).get("terminated") for row in _statuses(pod)}
    for container in [row["name"] for row in pod["spec"]["containers"]]:
        state = ended.get(container)
        if not state:
            yield container, {"ran": False, "ok": False, "text": f"{node}: {_why_idle(pod)}"}
            continue
        try:
            text = ask(api, f"{path}/{name}/log", container=container).raw.decode(errors="replace")
        except Refusal as refusal:
            text = f"its log can't be read: {refusal.text}"
        good = state["exitCode"] == 0 and _fits(container, text)
        yield container, {"ran": True, "ok": good, "text": "" if good else f"{node}: {text.strip()[:300]}"}


def _fits(question: str, text: str) -> bool:
    """Whether the answer itself is right; that it came is not enough."""
    try:
        answer = json.loads(text.strip().splitlines()[-1])["answer"]
    except (ValueError, KeyError, IndexError, TypeError):
        return False
    if question == "environment":
        return isinstance(answer, dict) and all(answer.get(name) for name in _VARIABLES)
    return bool(answer == WITNESS if question == "storage" else answer)


def _worst(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the answers to one question from several nodes: one that did not run, else one that is wrong."""
    if not told:
        return {"ran": False, "ok": False, "text": "its pod is gone"}
    return min(told, key=lambda answer: (answer["ran"], answer["ok"]))


def _why_idle(pod: dict[str, Any]) -> str:
    status = pod.get("status", {})
    for row in _statuses(pod):
        waiting = row.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "", "PodInitializing", "ContainerCreating"):
            return f"{waiting['reason']} {waiting.get('message', '')}".strip()[:300]
    blocked = [row for row in status.get("conditions", ()) if row["status"] != "True" and row.get("message")]
    return str(blocked[0]["message"] if blocked else f"still {status.get('phase', 'unknown')}")[:300]


def _statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _remove(api: KubeApi, namespace: str) -> bool:
    path = f"/api/v1/namespaces/{namespace}"
    try:
        # in this order, or the namespace controller comes round twice, five seconds each time
        api.delete(f"{path}/pods", {"gracePeriodSeconds": 0})
        api.delete(f"{path}/persistentvolumeclaims")
        api.delete(path)
        _poll(lambda: not _is_there(api, path), _GONE_SECONDS)
    except (CallFailed, CallUnknown, WaitTimeout, Refusal):
        return False
    return True


def _is_there(api: KubeApi, path: str) -> bool:
    try:
        ask(api, path)
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        return False
    return True


def _poll(look: Callable[[], bool], seconds: float) -> None:
    until(look, what="fresh pods", deadline_seconds=seconds, every_seconds=_EVERY_SECONDS)
