"""Traffic through the API server: ConfigMaps are registers and log.

A ``metadata.resourceVersion`` is the revision of etcd at which an object was written, and that of a
list the revision it was read at (Kubernetes API concepts, resource versions), so the rules for
etcd's own histories judge these too. A register is a ConfigMap that is replaced without saying
which version is meant; the log has one ConfigMap a write. The two can't go in one transaction: the
log goes first, so whatever a register shows has its log entry, and a write is acknowledged when
both were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.kube_api import Answer, KubeApi, KubernetesCluster, admin_of
from harness.errors import ClusterError
from harness.spec import CONFIGMAP_LOG, CONFIGMAP_NAMESPACE
from harness.traffic.store import Reply

# The one endpoint there is when clients call as users do: through the load balancer.
THROUGH_API = "api"
_MAPS = f"/api/v1/namespaces/{CONFIGMAP_NAMESPACE}/configmaps"
_REGISTER = "register-"
_API_PORT = 6443
_PREPARE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ConfigMapStore:
    """A Kubernetes cluster's ConfigMaps.

    Args:
        cluster: whose kubeconfig says where the API is.
        cluster_id: etcd's ID of the founding cluster; the API does not tell who answers.
        each_server: True calls every control plane's API server by itself, each an endpoint by its
            node's name; False calls through the load balancer, endpoint ``api``.
    """

    cluster: KubernetesCluster
    cluster_id: str
    each_server: bool = False

    def prepare(self, registers: int) -> None:
        """Make the namespace, and registers without a value.

        Raises:
            ClusterError: the API would not, or an earlier traffic's are still there.
        """
        names = [f"{_REGISTER}{number}" for number in range(registers)]
        with KubeApi(admin_of(self.cluster), _PREPARE_SECONDS) as api:
            for path, name in [("/api/v1/namespaces", CONFIGMAP_NAMESPACE), *((_MAPS, name) for name in names)]:
                try:
                    answer = api.create(path, {"metadata": {"name": name}})
                except (CallFailed, CallUnknown) as error:
                    raise ClusterError(f"cannot make {name} for traffic: {error}") from error
                if not answer.good:
                    raise ClusterError(f"cannot make {name} for traffic: {answer.status} {answer.text}")

    def endpoints(self) -> list[str]:
        """The load balancer, or the control planes that are switched on."""
        return [node.name for node in self.cluster.running()] if self.each_server else [THROUGH_API]

    def connect(self, endpoint: str, timeout_seconds: float) -> ConfigMapConnection:
        """A connection to that endpoint only.

        Raises:
            ClusterError: no control plane of that name is on.
        """
        credentials = admin_of(self.cluster)
        if endpoint != THROUGH_API:
            address = next((node.address for node in self.cluster.running() if node.name == endpoint), "")
            if not address:
                raise ClusterError(f"no control plane {endpoint!r} is on")
            credentials = credentials.at(f"https://{address}:{_API_PORT}")
        return ConfigMapConnection(KubeApi(credentials, timeout_seconds), self.cluster_id)


@dataclass(frozen=True, slots=True)
class ConfigMapConnection:
    """A connection to one API server, or to the load balancer."""

    api: KubeApi
    cluster_id: str

    def write(self, register: str, value: str) -> Reply:
        """Log entry first, then the register; its revision is that of the write."""
        _done(self.api.create(_MAPS, {"metadata": {"name": CONFIGMAP_LOG + value}, "data": {"register": register}}))
        name = _REGISTER + register
        written = _done(self.api.replace(f"{_MAPS}/{name}", {"metadata": {"name": name}, "data": {"value": value}}))
        return Reply(_revision(written), self.cluster_id)

    def read(self, register: str) -> Reply:
        """A consistent list of one: it tells the revision it was read at, as a plain read does not."""
        seen = _done(self.api.get(_MAPS, fieldSelector=f"metadata.name={_REGISTER}{register}"))
        found = (seen.get("items") or [None])[0]
        if found is None:
            return Reply(_revision(seen), self.cluster_id)
        value = (found.get("data") or {}).get("value")
        return Reply(_revision(seen), self.cluster_id, value, _revision(found))

    def close(self) -> None:
        """Close it."""
        self.api.close()


def _done(answer: Answer) -> dict[str, Any]:
    """What the API did. A rejection (4xx) was not carried out; its own trouble (5xx) leaves that open."""
    if answer.good:
        return answer.body
    told = f"{answer.status} {answer.text}"
    raise CallFailed(told) if 400 <= answer.status < 500 else CallUnknown(told)


def _revision(body: dict[str, Any]) -> int:
    return int(body["metadata"].get("resourceVersion") or 0)
