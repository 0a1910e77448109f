"""Traffic straight to etcd, each member an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.clusters.etcd_client import EtcdClient
from harness.clusters.members import EtcdEndpoints
from harness.spec import LOG_PREFIX, REGISTER_PREFIX
from harness.traffic.store import Reply


@dataclass(frozen=True, slots=True)
class EtcdStore:
    """The members of an etcd cluster that are switched on, also those that come later.

    Args:
        cluster: whose.
    """

    cluster: EtcdEndpoints[Any]

    def prepare(self, registers: int) -> None:
        """Etcd needs nothing made."""

    def endpoints(self) -> list[str]:
        """Nodes that are switched on."""
        return [node.name for node in tuple(self.cluster.nodes.values()) if node.running]

    def connect(self, endpoint: str, timeout_seconds: float) -> EtcdConnection:
        """A connection to that member only."""
        return EtcdConnection(self.cluster.client(self.cluster.node(endpoint), timeout_seconds))


@dataclass(frozen=True, slots=True)
class EtcdConnection:
    """A connection to one member: register and log key go in one transaction, hence under one revision."""

    client: EtcdClient

    def write(self, register: str, value: str) -> Reply:
        """Both keys or none."""
        header = self.client.put({REGISTER_PREFIX + register: value, LOG_PREFIX + value: register})
        return Reply(header.revision, header.cluster_id)

    def read(self, register: str) -> Reply:
        """Linearizable."""
        header, item = self.client.get(REGISTER_PREFIX + register)
        if item is None:
            return Reply(header.revision, header.cluster_id)
        return Reply(header.revision, header.cluster_id, item.value, item.mod_revision)

    def close(self) -> None:
        """Close it."""
        self.client.close()
