"""The calls of kind: through pytest-kind, with a configuration, a label, a network and a log of our own."""

from __future__ import annotations

import contextlib
import shutil
import stat
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docker import DockerClient

from harness.clusters.kind_node import CONTROL_PLANE
from harness.clusters.logged import last_lines
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError
from harness.spec import KindSpec

with warnings.catch_warnings():
    # pytest-kind 22.11 imports pykube, which is not free of deprecation warnings
    warnings.simplefilter("ignore")
    import pytest_kind.cluster

KIND_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
# How kind itself runs a control-plane container (kind v0.30).
NODE_CONTAINER: dict[str, Any] = {
    "ports": {"6443/tcp": ("127.0.0.1", None)},
    "environment": {"KUBECONFIG": "/etc/kubernetes/admin.conf"},
    "volumes": ["/var", "/lib/modules:/lib/modules:ro"],
    "tmpfs": {"/tmp": "", "/run": ""},
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "restart_policy": {"Name": "on-failure", "MaximumRetryCount": 1},
    "detach": True,
    "tty": True,
    "privileged": True,
    "init": False,
    "cgroupns": "private",
}
_EXPORT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class KindSetup:
    """What is needed to make kind clusters on this machine.

    Args:
        engine: the Docker engine.
        image: reference of the node image.
        kind, kubectl: the binaries.
    """

    engine: DockerClient
    image: str
    kind: Path
    kubectl: Path


class KindCall:
    """One cluster's kind: each call carries the run's label and goes to the run's own network.

    Args:
        name: of the cluster.
        setup: engine, image and binaries.
        work: folder for configuration, kubeconfig and log.
        ownership: whose processes and network these are.

    Leaves behind: what kind leaves; `delete` removes the cluster.
    """

    def __init__(self, name: str, setup: KindSetup, work: Path, ownership: Ownership) -> None:
        self._name, self._setup, self._work, self._ownership = name, setup, work, ownership
        self.kubeconfig, self.log = work / "kubeconfig", work / "kind.log"
        self._launcher = work / "kind"
        self._kind: pytest_kind.cluster.KindCluster | None = None

    def create(self, spec: KindSpec) -> None:
        """What ``kind create cluster`` does, and no more.

        Raises:
            ClusterError: kind failed; its nodes are kept for a look until `delete`.
        """
        config = self._work / "kind-config.yaml"
        config.write_text(yaml.safe_dump(configuration(spec)))
        self._write_launcher()
        # pytest-kind makes a folder below the working folder, whatever paths it is given
        with contextlib.chdir(self._work):
            self._kind = pytest_kind.cluster.KindCluster(
                self._name, self.kubeconfig, self._setup.image, self._launcher, self._setup.kubectl
            )
            try:
                self._kind.create(config)
            except (subprocess.CalledProcessError, OSError) as error:
                raise ClusterError(f"kind create cluster failed: {error}", log_tail=last_lines(self.log)) from error
        self._ownership.note_volumes()

    def load_image(self, reference: str) -> None:
        """Load an image of the engine into every node.

        Raises:
            ClusterError: kind could not, or nothing was created.
        """
        if self._kind is None:
            raise ClusterError(f"cluster {self._name} was not created")
        try:
            self._kind.load_docker_image(reference)
        except subprocess.CalledProcessError as error:
            raise ClusterError(f"kind could not load {reference}", log_tail=last_lines(self.log)) from error

    def export_logs(self, folder: Path) -> None:
        """Logs of every node into a folder, by ``kind export logs``; what can't be had is left out."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            shutil.copyfile(self.log, folder / "kind.log")
        if self._kind is not None:
            words = [str(self._launcher), "export", "logs", str(folder), f"--name={self._name}"]
            subprocess.run(words, stdout=subprocess.DEVNULL, timeout=_EXPORT_SECONDS, check=False)

    def delete(self) -> None:
        """Delete the cluster, if it was ever begun.

        Raises:
            ClusterError: kind could not.
        """
        if self._kind is None:
            return
        try:
            self._kind.delete()
        except subprocess.CalledProcessError as error:
            raise ClusterError(f"kind could not delete {self._name}", log_tail=last_lines(self.log)) from error

    def _write_launcher(self) -> None:
        """A kind with an environment of its own and its progress in a log."""
        environment = self._ownership.environment(
            KIND_EXPERIMENTAL_DOCKER_NETWORK=self._ownership.network(),
            KIND_EXPERIMENTAL_PROVIDER="docker",
            TMPDIR=str(self._work),  # where it unpacks images to load
        )
        words = " ".join(f"'{name}={value}'" for name, value in environment.items())
        # nodes of a failed create are kept until their logs are read
        self._launcher.write_text(
            "#!/bin/sh\n"
            '[ "$1 $2" = "create cluster" ] && set -- "$@" --retain\n'
            f"exec env -i {words} '{self._setup.kind}' \"$@\" 2>>'{self.log}'\n"
        )
        self._launcher.chmod(self._launcher.stat().st_mode | stat.S_IXUSR)


def configuration(spec: KindSpec) -> dict[str, object]:
    """Kind's configuration for a shape (``kind.x-k8s.io/v1alpha4``)."""
    mounts = [{"hostPath": here, "containerPath": there} for here, there in spec.mounts]
    ports = [{"listenAddress": "127.0.0.1", "hostPort": here, "containerPort": there} for here, there in spec.ports]
    roles = [CONTROL_PLANE] * spec.control_planes + ["worker"] * spec.workers
    nodes: list[dict[str, object]] = [{"role": role, "extraMounts": mounts} for role in roles]
    nodes[0]["extraPortMappings"] = ports
    etcd = {"strict-reconfig-check": str(spec.strict_reconfig_check).lower()}
    patch = {"kind": "ClusterConfiguration", "etcd": {"local": {"extraArgs": etcd}}}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": "127.0.0.1"},
        "nodes": nodes,
        "kubeadmConfigPatches": [yaml.safe_dump(patch)],
    }
