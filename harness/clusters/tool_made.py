"""The kind cluster that a tool under test made, whatever it called it; found by the run's own network."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from docker.models.containers import Container

from harness.clusters.engine import made_on
from harness.clusters.kind_call import KIND_LABEL, ROLE_LABEL, KindSetup
from harness.clusters.kind_node import CONTROL_PLANE, KindNode
from harness.clusters.kube_api import NoCluster
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError
from harness.journal import Journal

INGRESS_NAMESPACE = "caddy-system"
_ADMIN = "/etc/kubernetes/admin.conf"
_API_PORT = "6443/tcp"
_OFF = ("exited", "dead")
_CONSOLE_LINES = 200
_DELETE_SECONDS = 120
_EXPORT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class App:
    """What is deployed there, as its users see it.

    Args:
        namespace: the app's.
        host: the name under which the ingress answers.
        http_port, https_port: of the ingress, on 127.0.0.1.
        certificate: ``(namespace, name)`` of the TLS secret that the ingress is to use for the host.
        ingress_namespace: the ingress controller's.
        config: name of a file in its configuration that holds the host, and that it shows under ``config/``; empty
            where it shows none.
    """

    namespace: str
    host: str
    http_port: int
    https_port: int
    certificate: tuple[str, str]
    ingress_namespace: str = INGRESS_NAMESPACE
    config: str = ""


class ToolMadeCluster:
    """What is there now of the cluster a tool makes, deletes and makes again.

    Args:
        setup: engine, image and binaries.
        work: folder for the harness's own kubeconfig and logs.
        journal: changes of nodes that the harness makes are written there.
        ownership: whose network it is.
        backup: where the tool keeps copies of secrets outside of any cluster, if it does.

    Leaves behind: nothing of its own; `remove` removes what the tool left.
    """

    def __init__(self, setup: KindSetup, work: Path, journal: Journal, ownership: Ownership) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.setup, self.work, self.journal, self.ownership = setup, work, journal, ownership
        self._nodes: dict[str, KindNode] = {}
        self._ids: tuple[str, ...] = ()
        self._app: App | None = None
        self.backup: Path | None = None

    @property
    def app(self) -> App:
        """What the tool deploys.

        Raises:
            ClusterError: nobody has said it yet.
        """
        if self._app is None:
            raise ClusterError("nothing is to be deployed yet")
        return self._app

    @app.setter
    def app(self, app: App) -> None:
        self._app = app

    @property
    def names(self) -> list[str]:
        """Names of the clusters the tool has on the engine now; more than one would be odd."""
        return sorted({node.labels[KIND_LABEL] for node in self._containers()})

    @property
    def kubeconfig(self) -> Path:
        """The admin's, as the node has it, around any tap.

        Raises:
            NoCluster: there is none.
            ClusterError: the node does not give it.
        """
        self._look()
        self.work.mkdir(parents=True, exist_ok=True)
        file = self.work / "admin.conf"
        if not file.exists():
            node = self._control_plane()
            try:
                text = node.read_file(_ADMIN).decode()
            except ClusterError as error:
                raise NoCluster(f"{node.name} was not made to the end: it has no admin.conf") from error
            server = f"https://{node.name}:6443"
            file.write_text(text.replace(server, f"https://127.0.0.1:{self._port_of(node)}"))
        return file

    @property
    def workers(self) -> Mapping[str, KindNode]:
        """Nodes without an API server, by name."""
        self._look()
        return {name: node for name, node in self._nodes.items() if node.role != CONTROL_PLANE}

    def machines(self) -> Sequence[KindNode]:
        """All there are, switched on or not."""
        self._look()
        return list(self._nodes.values())

    def running(self) -> Sequence[KindNode]:
        """Control planes that are switched on and not paused."""
        self._look()
        return [n for n in self._nodes.values() if n.role == CONTROL_PLANE and n.running and not n.paused]

    def consoles(self) -> Mapping[str, str]:
        """What each machine that is off said last, by name.

        Raises:
            docker.errors.DockerException: the engine does not tell.
        """
        ended = [one for one in self._containers() if one.status in _OFF]
        return {str(one.name): one.logs(tail=_CONSOLE_LINES).decode(errors="replace") for one in ended}

    def export_logs(self, folder: Path) -> None:
        """Logs of every node into a folder; what can't be had is left out."""
        for name in self.names:
            self._kind("export", "logs", str(folder / name), f"--name={name}", timeout_seconds=_EXPORT_SECONDS)

    def remove(self) -> list[str]:
        """Delete what the tool left there; returns a sentence for each thing that could not be removed."""
        self.ownership.note_volumes()
        for name in self.names:
            words = ("delete", "cluster", f"--name={name}", f"--kubeconfig={self.work / 'gone'}")
            self._kind(*words, timeout_seconds=_DELETE_SECONDS)
        shutil.rmtree(self.work, ignore_errors=True)
        return [f"container {node.name}" for node in self._containers()]

    def _kind(self, *words: str, timeout_seconds: float) -> None:
        """Whatever comes of it: a busy machine may take longer than that, and what is left is looked at by callers."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [str(self.setup.kind), *words],
                env=self.ownership.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=timeout_seconds,
                check=False,
            )

    def _look(self) -> None:
        """Know the nodes there are now; a cluster that was made anew has new ones under the same names."""
        nodes = self._containers()
        ids = tuple(sorted(str(node.id) for node in nodes))
        if ids == self._ids:
            return
        (self.work / "admin.conf").unlink(missing_ok=True)
        self._nodes = {
            str(node.name): KindNode(str(node.name), node.labels.get(ROLE_LABEL, ""), self.setup.engine, self.journal)
            for node in nodes
        }
        self._ids = ids

    def _containers(self) -> list[Container]:
        network = self.ownership.network()
        found = self.setup.engine.containers.list(all=True, filters={"network": network}, ignore_removed=True)
        mark = self.ownership.lease.mark
        return [one for one in found if KIND_LABEL in one.labels and mark.covers(one.labels, made_on(one.attrs))]

    def _control_plane(self) -> KindNode:
        nodes = self.running()
        if not nodes:
            raise NoCluster("there is no cluster: no control plane is on")
        return nodes[0]

    def _port_of(self, node: KindNode) -> int:
        ports = self.setup.engine.api.inspect_container(node.name)["NetworkSettings"]["Ports"]
        try:
            return int(ports[_API_PORT][0]["HostPort"])
        except (KeyError, IndexError, TypeError) as error:
            raise ClusterError(f"{node.name} has no port for its API") from error
