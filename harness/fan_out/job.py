"""The Job as it is sent to Kubernetes. Pure values."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.clusters.lease import RUN_LABEL
from harness.errors import UsageError
from harness.fan_out.shard import DONE, DURATIONS, WORK

# The harness image's user; any other but root does as well.
USER = 65532
CONTAINER = "shard"
MANAGED_BY = ("app.kubernetes.io/managed-by", "afterfault")
# Kubernetes writes it on each pod of an Indexed Job.
INDEX = "batch.kubernetes.io/job-completion-index"
# For placing and pulling before, and for fetching after, the time that shards have.
MARGIN_SECONDS = 600
# Whoever looks after a Job may be killed: Kubernetes itself removes one that is over.
TTL_SECONDS = 300
_GRACE_SECONDS = 45
_DURATIONS = "afterfault/durations"
# Kubernetes takes 256 KiB of annotations for one object.
_MOST_DURATIONS = 200_000
_MOST_SHARDS = 100


@dataclass(frozen=True, slots=True)
class Order:
    """One fan-out.

    Args:
        image: of the harness, as the nodes know it.
        shards: pods, and parts of the cases.
        seconds: that playing may take, from now on.
        until: when that is over, in seconds since 1970.
        options: of pytest.
        durations: seconds that cases took before, by ID; empty for parts by turns.
        cpu, memory: what each pod is promised, in Kubernetes' words.
        name: of the Job.
    """

    image: str
    shards: int
    seconds: int
    until: float
    options: tuple[str, ...]
    durations: Mapping[str, float] = field(default_factory=dict)
    cpu: str = "250m"
    memory: str = "512Mi"
    name: str = field(default_factory=lambda: f"afterfault-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= _MOST_SHARDS:
            raise UsageError(f"--shards {self.shards} is not one of 1 to {_MOST_SHARDS}")
        if self.seconds < 1:
            raise UsageError("--timeout is above 0 minutes")
        if len(json.dumps(dict(self.durations))) > _MOST_DURATIONS:
            raise UsageError("these are more durations than a pod can be told", mend="name a run of fewer cases")

    @property
    def labels(self) -> dict[str, str]:
        """Of everything this makes."""
        return {RUN_LABEL: self.name, MANAGED_BY[0]: MANAGED_BY[1]}

    @property
    def selector(self) -> str:
        """Finds everything this made, and nothing else."""
        return f"{RUN_LABEL}={self.name}"


def manifest(order: Order) -> dict[str, Any]:
    """The Job: every shard is tried once, none ends another, and nothing outlives its time.

    Needs Kubernetes 1.29 or newer (``backoffLimitPerIndex``). Pods pass Pod Security's level "restricted".
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": order.name, "labels": order.labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": order.shards,
            "parallelism": order.shards,
            # a shard that dies is told, not tried until it is green
            "backoffLimitPerIndex": 0,
            "maxFailedIndexes": order.shards,
            "activeDeadlineSeconds": order.seconds + MARGIN_SECONDS,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {
                "metadata": {
                    "labels": order.labels,
                    "annotations": {_DURATIONS: json.dumps(dict(order.durations)) if order.durations else ""},
                },
                "spec": _pod(order),
            },
        },
    }


def _pod(order: Order) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Kubernetes' own process 1 buries what etcd and the tools under test leave
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {RUN_LABEL: order.name}},
            }
        ],
        "containers": [_container(order)],
        "volumes": [
            {"name": "work", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "told", "downwardAPI": {"items": [_told()]}},
        ],
    }


def _container(order: Order) -> dict[str, Any]:
    words = ["-m", "harness.fan_out.shard", "--until", f"{order.until:.0f}", "--shards", str(order.shards)]
    return {
        "name": CONTAINER,
        "image": order.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [*words, "--", *order.options],
        "env": [{"name": "HOME", "value": str(WORK)}, {"name": "TMPDIR", "value": "/tmp"}],
        "resources": {"requests": {"cpu": order.cpu, "memory": order.memory}},
        # ready means: the run folder can be fetched
        "readinessProbe": {"exec": {"command": ["test", "-e", str(DONE)]}, "periodSeconds": 2},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": str(WORK)},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "told", "mountPath": str(DURATIONS.parent), "readOnly": True},
        ],
    }


def _told() -> dict[str, Any]:
    path = f"metadata.annotations['{_DURATIONS}']"
    return {"path": DURATIONS.name, "fieldRef": {"fieldPath": path}}
