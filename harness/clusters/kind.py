"""Real Kubernetes clusters in containers: kind, driven through pytest-kind."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import ssl
import tempfile
from functools import partial
from pathlib import Path

import docker.errors
from docker.types import EndpointConfig

from harness.clusters.certificates import copy_pem
from harness.clusters.etcd_client import Header
from harness.clusters.etcd_release import EtcdRelease, load_release
from harness.clusters.kind_call import KIND_LABEL, NODE_CONTAINER, ROLE_LABEL, KindCall, KindSetup
from harness.clusters.kind_node import CONTROL_PLANE, KindNode
from harness.clusters.kube_ready import await_ready
from harness.clusters.kubeadm import (
    JOIN_CONFIG,
    KIND_CONFIG,
    UPLOAD_CERTS,
    certificate_key_of,
    join_configuration,
    join_words,
)
from harness.clusters.load_balancer import LoadBalancer
from harness.clusters.members import EtcdMembers
from harness.clusters.ownership import Ownership, cache_folder
from harness.errors import ClusterError
from harness.journal import Journal
from harness.spec import CONFIGMAP_LOG_KEYS, KindSpec
from harness.waiting import SYSTEM_CLOCK, Clock, until

_ETCD_PKI = "/etc/kubernetes/pki/etcd"
_ETCD_BINARIES = ("etcd", "etcdctl", "etcdutl")
_JOIN_SECONDS = 240
_API_VERSION = "1.41"
# Between addresses the engine chose and ours, so that neither meets the other.
_APART = 64


class KindCluster(EtcdMembers[KindNode]):
    """A kind cluster, from nothing to removed.

    Args:
        spec: the shape.
        setup: engine, image and binaries.
        work: folder for kubeconfig, certificates and logs; goes with the cluster.
        journal: every change of a node is written there.
        ownership: whose containers and processes these are.
        clock: where time comes from.

    Leaves behind: containers, until `remove`; the network is the run's and goes with the run.
    """

    spec: KindSpec
    log_prefix = CONFIGMAP_LOG_KEYS

    def __init__(
        self,
        spec: KindSpec,
        setup: KindSetup,
        work: Path,
        journal: Journal,
        ownership: Ownership,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.spec, self.setup, self.work, self.journal, self.ownership = spec, setup, work, journal, ownership
        self.name = ownership.lease.cluster_prefix + hashlib.sha256(str(work).encode()).hexdigest()[:6]
        self._call = KindCall(self.name, setup, work, ownership)
        self.workers: dict[str, KindNode] = {}
        self._nodes: dict[str, KindNode] = {}
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self.load_balancer: LoadBalancer | None = None

    @property
    def nodes(self) -> dict[str, KindNode]:
        """The control planes there ever were, by name; each has an etcd member or is to get one."""
        return self._nodes

    @property
    def kubeconfig(self) -> Path:
        """The admin's, as kind wrote it."""
        return self._call.kubeconfig

    @property
    def log(self) -> Path:
        """What kind said of its progress."""
        return self._call.log

    @property
    def client_context(self) -> ssl.SSLContext | None:
        """Etcd's own health-check client, as kubeadm made it."""
        return self._context

    def start(self) -> None:
        """Create the cluster and wait until it is really ready.

        Raises:
            ClusterError: kind failed, or the cluster did not become ready; carries the end of the log.
            WaitTimeout: one of the readiness checks did not come true.
        """
        started = self._clock.monotonic()
        self.create()
        created = self._clock.monotonic()
        await_ready(self.kubeconfig, len(self.nodes) + len(self.workers), self._clock)
        for node in self.nodes.values():
            self.await_member(node)
        self.journal.append(
            "cluster.started",
            cluster_id=self.cluster_id,
            release=self.release.version,
            release_note="",
            image=self.setup.image,
            seconds=round(created - started, 3),
            ready_seconds=round(self._clock.monotonic() - created, 3),
            members=[
                {"node": node.name, "address": node.address, "client_url": node.client_url, "peer_url": node.peer_url}
                for node in self.nodes.values()
            ],
        )

    def create(self) -> None:
        """What ``kind create cluster`` does, and to know the nodes it made; none of our readiness checks.

        Raises:
            ClusterError: kind failed; carries the end of its log.
        """
        self.journal.append("cluster.creating", name=self.name, image=self.setup.image)
        self._call.create(self.spec)
        self._find_nodes()
        self._learn_etcd()

    def create_node(self) -> KindNode:
        """A fresh machine, booted and known to the load balancer, with nothing of Kubernetes on it yet."""
        pattern = next(node for node in self.nodes.values() if not node.destroyed)
        name = f"{self.name}-{CONTROL_PLANE}{len(self.nodes) + 1}"
        network = self.ownership.network()
        place = EndpointConfig(_API_VERSION, ipv4_address=self._fresh_address())
        try:
            self.setup.engine.containers.run(
                self.setup.image,
                name=name,
                hostname=name,
                labels={KIND_LABEL: self.name, ROLE_LABEL: CONTROL_PLANE},
                network=network,
                networking_config={network: place},
                **NODE_CONTAINER,
            )
        except docker.errors.DockerException as error:
            raise ClusterError(f"cannot make a node beside {pattern.name}: {error}") from error
        node = self._adopt(name, CONTROL_PLANE)
        self.ownership.note_volumes()
        node.await_booted()
        if self.load_balancer is not None:
            self.load_balancer.add(name)
        return node

    def admit(self, name: str) -> None:
        """Join a fresh machine, whoever else is listed and dead.

        Raises:
            ClusterError, WaitTimeout: it did not become a serving member.
        """
        self.join(self.node(name), skip_etcd_check=True)
        self.await_member(self.node(name))

    def node(self, name: str) -> KindNode:
        """The control plane of that name, in full or without the cluster's, as ``control-plane2``."""
        full = f"{self.name}-{name}"
        return super().node(full if full in self.nodes else name)

    def join(self, node: KindNode, *, skip_etcd_check: bool = False) -> None:
        """Join a fresh machine as a control plane.

        Args:
            node: from `create_node`.
            skip_etcd_check: join although a listed member does not answer.

        Raises:
            ClusterError: kubeadm failed; carries its last words.
        """
        sponsor = next(other for other in self.running() if other is not node and other.has_data)
        uploaded = sponsor.execute(*UPLOAD_CERTS, timeout_seconds=60)
        if uploaded.exit_code != 0:
            raise ClusterError(f"kubeadm on {sponsor.name} could not upload certificates", log_tail=uploaded.said)
        key = certificate_key_of(uploaded.stdout.decode())
        example = sponsor.read_file(KIND_CONFIG).decode()
        node.write_file(JOIN_CONFIG, join_configuration(example, sponsor.name, node.name, node.address, key).encode())
        joined = node.execute(*join_words(skip_etcd_check=skip_etcd_check), timeout_seconds=_JOIN_SECONDS)
        if joined.exit_code != 0:
            raise ClusterError(f"kubeadm join failed on {node.name}", log_tail=joined.said)

    def await_member(self, node: KindNode, deadline_seconds: float = 60.0) -> Header:
        """Wait until a linearizable read comes through this node's etcd; returns whose member it says it is.

        Raises:
            WaitTimeout: it did not.
        """
        with self.client(node) as client:
            status = until(
                lambda: self.status(node) if client.healthy() else None,
                what=f"etcd on {node.name} to be healthy",
                deadline_seconds=deadline_seconds,
                every_seconds=0.2,
                clock=self._clock,
            )
        assert status is not None
        self.journal.append("node.ready", node=node.name, member_id=status.header.member_id)
        return status.header

    def etcdctl_credentials(self) -> dict[str, str]:
        """Etcd's own health-check client."""
        names = {"CACERT": "ca.crt", "CERT": "healthcheck-client.crt", "KEY": "healthcheck-client.key"}
        return {f"ETCDCTL_{variable}": str(self.work / "pki" / name) for variable, name in names.items()}

    def load_image(self, reference: str) -> None:
        """Load an image of the engine into every node.

        Raises:
            ClusterError: kind could not.
        """
        self._call.load_image(reference)

    def export_logs(self, folder: Path) -> None:
        """Logs of every node into a folder; what can't be had is left out."""
        self._call.export_logs(folder)

    def consoles(self) -> dict[str, str]:
        """What each machine that is off said last, by name."""
        off = [node for node in (*self.nodes.values(), *self.workers.values()) if not (node.running or node.destroyed)]
        return {node.name: node.console() for node in off}

    def remove(self) -> list[str]:
        """Delete the cluster; returns a sentence for each thing that could not be removed."""
        try:
            self._call.delete()
        except ClusterError as error:
            return [str(error)]
        left = self.setup.engine.containers.list(all=True, filters={"label": f"{KIND_LABEL}={self.name}"})
        return [f"container {container.name}" for container in left]

    def _fresh_address(self) -> str:
        """One that nobody in this cluster ever had: the engine itself gives away a gone machine's at once."""
        used = {node.address for node in (*self.nodes.values(), *self.workers.values())}
        highest = max(ipaddress.ip_address(address) for address in used)
        return str(highest + _APART + len(self.nodes))

    def _find_nodes(self) -> None:
        found = self.setup.engine.containers.list(filters={"label": f"{KIND_LABEL}={self.name}"})
        for container in sorted(found, key=lambda one: (len(one.name or ""), one.name or "")):
            role = container.labels.get(ROLE_LABEL, "")
            if role == "external-load-balancer":
                self.load_balancer = LoadBalancer(container)
            else:
                self._adopt(str(container.name), role)

    def _adopt(self, name: str, role: str) -> KindNode:
        node = KindNode(name, role, self.setup.engine, self.journal)
        (self._nodes if role == CONTROL_PLANE else self.workers)[name] = node
        if role == CONTROL_PLANE:
            self.journal.append(
                "node.created", node=name, address=node.address, client_url=node.client_url, peer_url=node.peer_url
            )
            self.journal.append("node.started", node=name, pid=node.pid, initial_cluster_state="existing")
        return node

    def _learn_etcd(self) -> None:
        """Certificates, binaries of the very version, and the cluster's ID."""
        first = next(iter(self.nodes.values()))
        pki = self.work / "pki"
        pki.mkdir(mode=0o700, exist_ok=True)
        for name in ("ca.crt", "healthcheck-client.crt", "healthcheck-client.key"):
            copy_pem(f"{_ETCD_PKI}/{name} of {first.name}", partial(first.read_file, f"{_ETCD_PKI}/{name}"), pki / name)
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        # kubeadm's certificates are no strict RFC 5280, which Python asks for by default from 3.13 on
        self._context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._context.load_cert_chain(str(pki / "healthcheck-client.crt"), str(pki / "healthcheck-client.key"))
        self.release = self._fetch_release(first)
        self.cluster_id = self.await_member(first).cluster_id

    def _fetch_release(self, node: KindNode) -> EtcdRelease:
        """Etcd as it runs in the cluster, for restoring its snapshots beside it; copied once for each node image."""
        image = self.setup.engine.images.get(self.setup.image)
        folder = cache_folder() / "etcd-of-image" / str(image.id).removeprefix("sha256:")[:16]
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(dir=self.work))
            for name in _ETCD_BINARIES:
                node.copy_out(f"/usr/local/bin/{name}", unfinished / name)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError, OSError):  # another worker was first
                unfinished.rename(folder)
        return load_release(folder, "node image")
