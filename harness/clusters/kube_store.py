"""The raw keys of a Kubernetes cluster in its etcd, reached from inside a control plane.

What the API server can't decode it can neither show nor delete; only here can it be written, seen
and removed. Needs etcdctl on the node, as our own node images have it.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.clusters.kube_api import KubernetesNode
from harness.errors import ClusterError

ROOT = "/registry/"
_PKI = "/etc/kubernetes/pki/etcd"
_ETCDCTL = (
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    f"--cacert={_PKI}/ca.crt",
    f"--cert={_PKI}/healthcheck-client.crt",
    f"--key={_PKI}/healthcheck-client.key",
)
_SECONDS = 10.0
# The API server's names for what it stored before resources had their names.
_OLD_NAMES = {"nodes": "minions", "ingresses": "ingress"}


@dataclass(frozen=True, slots=True)
class KubeStore:
    """The store behind a cluster's API.

    Args:
        node: a control plane with etcd on it.

    Raises (every call):
        ClusterError: etcdctl is not there, or did not do it.
    """

    node: KubernetesNode

    def keys_of(self, plural: str) -> list[str]:
        """Keys of all objects of a resource, whatever its group.

        Args:
            plural: the resource's name, as ``secrets``.
        """
        wanted = f"/{_OLD_NAMES.get(plural, plural)}/"
        return [key for key in self._run("get", ROOT, "--prefix", "--keys-only").split() if wanted in key]

    def put(self, key: str, value: bytes) -> None:
        """Write bytes past the API server."""
        # the value comes from the standard input: etcdctl takes it so when no word gives it
        self._run("put", key, stdin=value)

    def delete(self, key: str) -> None:
        """Remove a key past the API server."""
        self._run("del", key)

    def _run(self, *words: str, stdin: bytes = b"") -> str:
        done = self.node.execute(*_ETCDCTL, *words, stdin=stdin, timeout_seconds=_SECONDS)
        if done.exit_code != 0:
            raise ClusterError(f"etcdctl {words[0]} on {self.node.name} ended with {done.exit_code}")
        return done.stdout.decode(errors="replace")
