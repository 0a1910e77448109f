"""The files of one deployment: a stack of ours, its spec, and what `deploy create` made of them, adapted to a test.

Source of all forms: the stack, spec and deployment files that laconic-so's releases of February to May 2026
read and write.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ClusterError

MINI, SHIPPED_TEST = "mini", "test"
STACKS = (MINI, SHIPPED_TEST)
APP_PORT = 8080
# The shipped stack's compose file says so.
_TEST_PORT = 80
ETCD_FOLDER, PKI_FOLDER = "/var/lib/etcd", "/etc/kubernetes/pki"
_LOOPBACK, _PORTS = "127.0.0.1", range(20000, 30000)


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What is to be deployed, and where to.

    Args:
        cluster: name of the kind cluster; one that the run owns (`Lease.cluster_prefix`).
        stack: ``mini`` (ours: one pod, one volume, one route) or ``test`` (the one the tool ships).
        app_image: of the stack ``mini``; one the engine has.
        host: the name under which the ingress answers.
        node_image: what nodes are made of; empty leaves it to kind.
        cpus: reserved for each container; the tool's own default is a whole core.
        keeps_etcd: mount etcd's data and the PKI from the deployment's folder even when this release
            does not: a kind-config.yml kept from an older one.
    """

    cluster: str
    stack: str = MINI
    app_image: str = "afterfault/app:1"
    host: str = "app.afterfault.test"
    node_image: str = ""
    cpus: float = 0.05
    keeps_etcd: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """What `deploy create` left, as it lies there.

    Args:
        folder: what ``deployment --dir`` is given.
        cluster: name of the kind cluster.
        app: prefix of the names, and value of the label ``app``, of all objects it makes for the app.
        namespace: of the app.
        host: the name under which the ingress answers.
        http_port, https_port: of the ingress, on 127.0.0.1.
        mount_root: folder of this machine that holds the app's volumes; ``/mnt`` in the node.
        etcd_folder: etcd's data that outlives the cluster; None when this release keeps none.
    """

    folder: Path
    cluster: str
    app: str
    namespace: str
    host: str
    http_port: int
    https_port: int
    mount_root: Path
    etcd_folder: Path | None

    @property
    def kind_config(self) -> Path:
        """What the cluster is made from."""
        return self.folder / "kind-config.yml"

    @property
    def certificate_backup(self) -> Path:
        """Where releases from 7f4b058 (April 2026) on keep the ingress's secrets, labelled ``manager=caddy``."""
        return self.mount_root / "caddy-cert-backup" / "caddy-secrets.yaml"


def write_stack(folder: Path, image: str) -> Path:
    """The smallest stack: one pod with one volume and one port; returns what ``--stack`` is given.

    Args:
        folder: gets ``stacks/mini/stack.yml`` and ``compose/docker-compose-mini.yml``.
        image: of the one container; the tool loads it into the node, as it is named among the stack's own.
    """
    stack, compose = folder / "stacks" / MINI, folder / "compose"
    stack.mkdir(parents=True)
    compose.mkdir()
    own = image.partition(":")[0]
    _dump(stack / "stack.yml", {"version": "1.0", "name": MINI, "containers": [own], "pods": [MINI]})
    service = {
        "image": image,
        "restart": "always",
        "environment": {"APP_DATA": "/data"},
        "volumes": ["mini-data:/data"],
        "ports": [str(APP_PORT)],
    }
    _dump(compose / f"docker-compose-{MINI}.yml", {"services": {MINI: service}, "volumes": {"mini-data": None}})
    return stack


def edit_spec(spec_file: Path, plan: DeploymentPlan, mount_root: Path) -> None:
    """Fill in what `init` leaves open: volumes in a folder of ours, a route for the host, small reservations.

    Keys that a release doesn't know are ignored by it: ``kind-mount-root`` and ``namespace`` are of 2026.
    """
    spec = _load(spec_file)
    spec["kind-mount-root"] = str(mount_root)
    spec["namespace"] = app_namespace(plan.cluster)
    spec["volumes"] = {name: str(mount_root / name) for name in spec.get("volumes") or {}}
    port = APP_PORT if plan.stack == MINI else _TEST_PORT
    spec.setdefault("network", {})["http-proxy"] = [
        {"host-name": plan.host, "routes": [{"path": "/", "proxy-to": f"{plan.stack}:{port}"}]}
    ]
    spec["resources"] = {
        "containers": {"reservations": {"cpus": str(plan.cpus), "memory": "16M"}, "limits": {"memory": "256M"}},
        "volumes": {"reservations": {"storage": "64M"}},
    }
    _dump(spec_file, spec)


def edit_deployment(folder: Path, plan: DeploymentPlan) -> None:
    """Give the cluster, and the app's objects, the name that the run knows as its own.

    ``cluster-id`` names the kind cluster; releases of February use it for the objects too, those from
    421b83c (April 2026) on have ``deployment-id`` for that.
    """
    file = folder / "deployment.yml"
    content = _load(file)
    if "cluster-id" not in content:
        raise ClusterError(f"{file} has no cluster-id: this release is not known here")
    _dump(file, content | {key: plan.cluster for key in ("cluster-id", "deployment-id") if key in content})


def edit_kind_config(folder: Path, plan: DeploymentPlan, certs: Path | None) -> tuple[int, int]:
    """Make a cluster of it that shares the machine with others; returns the ingress's ports for http and https.

    Args:
        folder: of the deployment.
        plan: what is deployed.
        certs: containerd's ``certs.d`` for the node; None leaves it its own.

    Raises:
        ClusterError: the release mapped no port 80 or 443.
    """
    file = folder / "kind-config.yml"
    config = _load(file)
    node = config["nodes"][0]
    if plan.node_image:
        node["image"] = plan.node_image
    mapped = _map_to_loopback(node.get("extraPortMappings") or [])
    node["extraMounts"] = list(_mounts(node.get("extraMounts") or [], folder, plan, certs))
    _dump(file, config)
    if not {80, 443} <= mapped.keys():
        raise ClusterError(f"{file} maps no ports 80 and 443: this release is not known here")
    return mapped[80], mapped[443]


def etcd_mount(folder: Path) -> Path | None:
    """Where etcd's data of a deployment outlives the cluster, by its kind-config.yml."""
    mounts = _load(folder / "kind-config.yml")["nodes"][0].get("extraMounts") or []
    return next((Path(mount["hostPath"]) for mount in mounts if mount["containerPath"] == ETCD_FOLDER), None)


def app_namespace(cluster: str) -> str:
    """What releases of February make of a cluster's name; later ones are told in the spec."""
    return f"laconic-{cluster}"


def is_shared(path: Path, mountinfo: str) -> bool:
    """Whether the mount that a path lies on passes mounts on; else Docker refuses any propagation but private.

    Args:
        path: absolute, without symbolic links.
        mountinfo: content of ``/proc/self/mountinfo``.
    """
    deepest, shared = -1, False
    for line in mountinfo.splitlines():
        fields, _, _ = line.partition(" - ")
        point, *optional = fields.split()[4:]
        if path.is_relative_to(point) and len(point) >= deepest:
            deepest, shared = len(point), any(word.startswith("shared:") for word in optional)
    return shared


def _mounts(
    mounts: list[dict[str, Any]], folder: Path, plan: DeploymentPlan, certs: Path | None
) -> Iterator[dict[str, Any]]:
    mountinfo = Path("/proc/self/mountinfo").read_text()
    for mount in mounts:
        private = not is_shared(Path(mount["hostPath"]), mountinfo)
        yield {key: value for key, value in mount.items() if not (private and key == "propagation")}
    if plan.keeps_etcd and not any(mount["containerPath"] == ETCD_FOLDER for mount in mounts):
        kept = folder / "data" / "cluster-backups" / plan.cluster
        yield {"hostPath": str(kept / "etcd"), "containerPath": ETCD_FOLDER}
        yield {"hostPath": str(kept / "pki"), "containerPath": PKI_FOLDER}
    if certs is not None:
        yield {"hostPath": str(certs), "containerPath": "/etc/containerd/certs.d", "readOnly": True}


def _map_to_loopback(mappings: list[dict[str, Any]]) -> dict[int, int]:
    """Change the mappings in place; returns the machine's port for each of the node's."""
    ports = _free_ports(len(mappings))
    for mapping, port in zip(mappings, ports, strict=True):
        mapping |= {"listenAddress": _LOOPBACK, "hostPort": port}
    return {int(mapping["containerPort"]): mapping["hostPort"] for mapping in mappings}


def _free_ports(count: int) -> list[int]:
    """Ports that nothing gets by chance while the cluster is stopped: below those of outgoing connections."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((_LOOPBACK, port))
            found.append(port)
    if len(found) < count:
        raise ClusterError(f"no {count} free ports between {_PORTS.start} and {_PORTS.stop}")
    return found


def _load(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"laconic-so left no readable {file.name}: {error}") from error
    if not isinstance(content, dict):
        raise ClusterError(f"laconic-so left a {file.name} that holds no mapping")
    return content


def _dump(file: Path, content: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False))
