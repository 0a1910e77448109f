"""What a node itself can tell when nobody else can: containers' logs on its disk, its kubelet's words, its etcd.

Source: kubelet's layout of logs, ``/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log``, each line
``<time> <stream> <F|P> <words>`` (KEP 1495 and the CRI logging format).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass

from harness.clusters.kube_api import KubernetesNode
from harness.errors import ClusterError

_LISTED = "[ ! -d /var/log/pods ] || find /var/log/pods -name '*.log' -printf '%T@ %p\\n'"
_LOG = re.compile(r"([\d.]+) (/var/log/pods/([^_/]+)_([^_/]+)_[^/]+/([^/]+)/(\d+)\.log)")
_CRI_WORDS = 3
_PKI = "/etc/kubernetes/pki/etcd"
# Node images of others have no etcdctl; the one in etcd's own container knows the same files.
_ETCDCTL = (
    'if command -v etcdctl > /dev/null; then exec etcdctl "$@"; fi; '
    'exec crictl exec "$(crictl ps --name \'^etcd$\' --quiet | head -n 1)" etcdctl "$@"'
)
_STORE = (
    "--endpoints=https://127.0.0.1:2379",
    f"--cacert={_PKI}/ca.crt",
    f"--cert={_PKI}/healthcheck-client.crt",
    f"--key={_PKI}/healthcheck-client.key",
    "get", "/registry/", "--prefix", "--limit=10000", "--write-out=json",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContainerLog:
    """One run of a container, as its log lies on a node.

    Args:
        node: where.
        path: of the log there.
        namespace, pod, container: whose.
        restarts: which run of it, from 0.
        changed: when it was written last, in seconds since the epoch.
    """

    node: KubernetesNode
    path: str
    namespace: str
    pod: str
    container: str
    restarts: int
    changed: float

    @property
    def whose(self) -> str:
        """``namespace/pod/container``."""
        return f"{self.namespace}/{self.pod}/{self.container}"


def container_logs(node: KubernetesNode) -> list[ContainerLog]:
    """All there are on a node, the newest first.

    Raises:
        ClusterError: the node does not tell.
    """
    found = [
        _LOG.fullmatch(line)
        for line in _said(node, "its containers' logs", "sh", "-c", _LISTED, most_seconds=5).splitlines()
    ]
    logs = [
        ContainerLog(node, match[2], match[3], match[4], match[5], int(match[6]), float(match[1]))
        for match in found
        if match
    ]
    return sorted(logs, key=lambda log: log.changed, reverse=True)


def tail_of(log: ContainerLog, most_bytes: int) -> str:
    """The end of it, in whole lines and without the times.

    Raises:
        ClusterError: the node does not give it.
    """
    said = _said(log.node, f"the log of {log.whose}", "tail", f"--bytes={most_bytes}", log.path, most_seconds=5)
    # half a line may hold half a secret, which nobody would know
    whole = said.partition("\n")[2] if len(said.encode(errors="replace")) >= most_bytes else said
    return "\n".join((line.split(" ", _CRI_WORDS) + [""] * _CRI_WORDS)[_CRI_WORDS] for line in whole.splitlines())


def kubelet_words(node: KubernetesNode, lines: int) -> str:
    """The last lines of its kubelet; empty when it never spoke.

    Raises:
        ClusterError: the node does not tell.
    """
    words = ("journalctl", "--unit=kubelet", f"--lines={lines}", "--no-pager", "--output=cat", "--quiet")
    return _said(node, "what its kubelet said", *words, most_seconds=5)


def stored_values(node: KubernetesNode) -> dict[str, bytes]:
    """All that the API servers keep in the etcd of a control plane, by key; of ten thousand keys at most.

    Raises:
        ClusterError: there is no etcd there that answers.
    """
    told = _said(node, "what its etcd holds", "sh", "-c", _ETCDCTL, "sh", *_STORE, most_seconds=10)
    try:
        rows = json.loads(told).get("kvs") or []
        decoded = ((base64.b64decode(row["key"]), base64.b64decode(row.get("value", ""))) for row in rows)
        return {key.decode(errors="backslashreplace"): value for key, value in decoded}
    except (ValueError, KeyError, AttributeError) as error:
        raise ClusterError(f"etcd on {node.name} told nothing that can be read: {error}") from error


def _said(node: KubernetesNode, what: str, *words: str, most_seconds: float) -> str:
    done = node.execute(*words, timeout_seconds=most_seconds)
    if done.exit_code != 0:
        raise ClusterError(f"{node.name} does not tell {what}: {words[0]} ended with {done.exit_code}")
    return done.stdout.decode(errors="replace")
