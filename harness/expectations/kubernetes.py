"""What a recovered Kubernetes cluster looks like, and how long it may take to get there.

Deadlines are for a busy machine with two cores; what is sooner there is sooner done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getattr_static

from harness.clusters.kube_api import KubernetesCluster
from harness.errors import UsageError
from harness.expectations import Expectation, World
from harness.journal import Journal
from harness.probes.kubernetes.basics import observe_api_service, observe_nodes, observe_rbac
from harness.probes.kubernetes.eyes import KubernetesWorld
from harness.probes.kubernetes.fresh_pod import observe_fresh_pod
from harness.probes.kubernetes.objects import foreign_probe, observe_objects
from harness.probes.kubernetes.workloads import observe_workloads


@dataclass(frozen=True, slots=True)
class _Kubernetes:
    """The part of a world that Kubernetes probes look at."""

    cluster: KubernetesCluster
    journal: Journal


def _of_kubernetes(probe: Callable[[KubernetesWorld], None]) -> Callable[[World], None]:
    def look(world: World) -> None:
        cluster = world.cluster
        if not _is_kubernetes(cluster):
            raise UsageError(f"{probe.__name__} looks at Kubernetes, and a {type(cluster).__name__} is none")
        probe(_Kubernetes(cluster, world.journal))

    return look


def _is_kubernetes(cluster: object) -> bool:
    """By its shape alone: `isinstance` asks each property, and a cluster that is gone has no kubeconfig to give."""
    return all(getattr_static(cluster, name, None) is not None for name in ("kubeconfig", "workers", "running"))


NODES_READY = Expectation("nodes-ready", _of_kubernetes(observe_nodes), deadline_seconds=90.0)
API_SERVICE_PRESENT = Expectation("api-service-present", _of_kubernetes(observe_api_service), deadline_seconds=30.0)
# fifteen of the seconds are what it takes to see that nothing restarts
SYSTEM_WORKLOADS_STABLE = Expectation(
    "system-workloads-stable", _of_kubernetes(observe_workloads), deadline_seconds=120.0
)
BOOTSTRAP_RBAC_PRESENT = Expectation("bootstrap-rbac-present", _of_kubernetes(observe_rbac), deadline_seconds=15.0)
OBJECTS_DECODE = Expectation("objects-decode", _of_kubernetes(observe_objects), deadline_seconds=20.0)
FRESH_POD_WORKS = Expectation("fresh-pod-works", _of_kubernetes(observe_fresh_pod), deadline_seconds=120.0, once=True)

RECOVERED_KUBERNETES = (
    NODES_READY,
    API_SERVICE_PRESENT,
    SYSTEM_WORKLOADS_STABLE,
    BOOTSTRAP_RBAC_PRESENT,
    OBJECTS_DECODE,
    FRESH_POD_WORKS,
)


def foreign_workloads_kept(*namespaces: str) -> Expectation:
    """An expectation about what others have in these namespaces; probe once before the trouble begins."""
    return Expectation("foreign-workloads-kept", _of_kubernetes(foreign_probe(*namespaces)), deadline_seconds=30.0)
