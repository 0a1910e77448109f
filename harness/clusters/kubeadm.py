"""Joining a fresh machine as a control plane, by kubeadm's own commands.

Source: kubeadm's guide to highly available clusters (``init phase upload-certs``, ``join
--control-plane --certificate-key``) and its reference of JoinConfiguration. kind cannot add a node
to a cluster; it leaves on each node the configuration it called kubeadm with.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

KIND_CONFIG = "/kind/kubeadm.conf"
JOIN_CONFIG = "/root/afterfault-join.yaml"
# With a configuration, since without one kubeadm asks the internet for the newest version, for ten seconds.
UPLOAD_CERTS = (
    "kubeadm", "init", "phase", "upload-certs", "--upload-certs", f"--config={KIND_CONFIG}",
    "--kubeconfig=/etc/kubernetes/admin.conf",
)  # fmt: skip


def certificate_key_of(printed: str) -> str:
    """The key in what ``upload-certs`` printed.

    Raises:
        ValueError: there is none.
    """
    keys = [line.strip() for line in printed.splitlines() if len(line.strip()) == 64]
    if not keys:
        raise ValueError(f"kubeadm printed no certificate key: {printed[-200:]}")
    return keys[-1]


def join_configuration(example: str, example_name: str, name: str, address: str, certificate_key: str) -> str:
    """The configuration kind gave an older node, made fit for a new one.

    Args:
        example: content of `KIND_CONFIG` on the older node.
        example_name: the older node's name.
        name, address: of the new one.
        certificate_key: decrypts the certificates ``upload-certs`` left in the cluster.

    Raises:
        ValueError: the example holds no JoinConfiguration.
    """
    documents: list[dict[str, Any]] = [part for part in yaml.safe_load_all(example) if part]
    join = next((part for part in documents if part.get("kind") == "JoinConfiguration"), None)
    if join is None:
        raise ValueError("no JoinConfiguration in what kind left on the node")
    old_address = join["nodeRegistration"]["kubeletExtraArgs"]["node-ip"]
    join["controlPlane"] = {
        "localAPIEndpoint": {"advertiseAddress": address, "bindPort": 6443},
        "certificateKey": certificate_key,
    }
    text = json.dumps(join["nodeRegistration"]).replace(old_address, address).replace(f"/{example_name}", f"/{name}")
    join["nodeRegistration"] = json.loads(text)
    return str(yaml.safe_dump(join))


def join_words(*, skip_etcd_check: bool) -> tuple[str, ...]:
    """The call that joins, with the configuration at `JOIN_CONFIG`.

    Args:
        skip_etcd_check: leave out kubeadm's look at the health of all listed members (phase
            ``check-etcd``), as tools do that bring their own etcd handling.
    """
    phases = "--skip-phases=preflight" + ",check-etcd" * skip_etcd_check
    return ("kubeadm", "join", f"--config={JOIN_CONFIG}", phases)
