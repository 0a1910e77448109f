"""What fails, in Kubernetes' own words: checks of the API server's health, pods, warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.kube_api import KubeApi
from harness.clusters.kube_resources import list_objects

_CHECKS = ("readyz", "livez")
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class FailingPod:
    """A pod that is not what it should be.

    Args:
        name: ``namespace/pod``.
        words: why, a line each.
        facts: ``phase``, and ``containers`` by name: ``restarts``, ``waiting`` for what, ``exit_code`` of its last run.
    """

    name: str
    words: tuple[str, ...]
    facts: Mapping[str, Any]


def api_health(api: KubeApi) -> Iterator[tuple[str, int, str]]:
    """Each of the API server's checks of its own health: its name, the status, and what it says, a line a part.

    The status is 0, with the reason, when nobody answers. Source: Kubernetes API health endpoints (``?verbose``).
    """
    for name in _CHECKS:
        try:
            answer = api.get(f"/{name}?verbose")
            yield name, answer.status, answer.raw.decode(errors="replace")
        except (CallFailed, CallUnknown) as error:
            yield name, 0, str(error)


def failing_pods(api: KubeApi) -> list[FailingPod]:
    """Pods that are neither done nor ready, those that crashed most first.

    Raises:
        Refusal: the API does not tell.
    """
    found = [_failing(pod) for pod in list_objects(api, "/api/v1/pods") if not _is_good(pod)]
    return sorted(found, key=lambda pod: -sum(row["restarts"] for row in pod.facts["containers"].values()))


def warning_events(api: KubeApi) -> list[str]:
    """Warnings, the last one last, a line each.

    Raises:
        Refusal: the API does not tell.
    """
    return [_line(event) for event in _in_order(api)]


def _in_order(api: KubeApi) -> list[dict[str, Any]]:
    events = list_objects(api, "/api/v1/events", fieldSelector="type=Warning")
    return sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))


def _line(event: dict[str, Any]) -> str:
    about = event.get("involvedObject") or {}
    place = "/".join(part for part in (about.get("namespace"), about.get("name")) if part)
    when = event.get("lastTimestamp") or event.get("eventTime") or ""
    text = " ".join(str(event.get("message", "")).split())[:_MOST_WORDS]
    return f"{when} {event.get('count') or 1}x {event.get('reason', '')} {about.get('kind', '')} {place}: {text}"


def _is_good(pod: dict[str, Any]) -> bool:
    status = pod.get("status") or {}
    ready = any((row["type"], row["status"]) == ("Ready", "True") for row in status.get("conditions") or ())
    return ready or status.get("phase") == "Succeeded"


def _failing(pod: dict[str, Any]) -> FailingPod:
    status = pod.get("status") or {}
    rows = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    metadata = pod["metadata"]
    return FailingPod(
        f"{metadata.get('namespace', '')}/{metadata['name']}",
        tuple(_words(status, rows)),
        {"phase": status.get("phase", ""), "containers": {row["name"]: _container(row) for row in rows}},
    )


def _words(status: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in status.get("conditions") or ():
        if row["status"] != "True" and row.get("message"):
            yield f"{row['type']}: {row.get('reason', '')}: {row['message']}"
    for row in rows:
        for name in ("state", "lastState"):
            for what, told in (row.get(name) or {}).items():
                if what != "running":
                    text = f"{told.get('reason', '')} {told.get('message', '')}".strip()
                    yield f"{row['name']} {name} {what}: {text}"[:_MOST_WORDS]


def _container(row: dict[str, Any]) -> dict[str, Any]:
    state, last = row.get("state") or {}, row.get("lastState") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    return {
        "restarts": row.get("restartCount", 0),
        "waiting": (state.get("waiting") or {}).get("reason", ""),
        "exit_code": ended.get("exitCode"),
    }
