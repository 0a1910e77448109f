"""The kind cluster: found, created, woken, loaded with images, deleted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.errors import Failed
from harness.tools.reference.deployer.programs import Programs

KIND_LABEL = "io.x-k8s.kind.cluster"


class Cluster:
    """A kind cluster, by name.

    Args:
        name: kind's.
        programs: kind and docker.
    """

    def __init__(self, name: str, programs: Programs) -> None:
        self.name, self._programs = name, programs

    @property
    def context(self) -> str:
        """Its context in the kubeconfig."""
        return f"kind-{self.name}"

    def create(self, config: Path) -> None:
        """Create it, as a configuration says.

        Raises:
            Failed: kind could not; it removes what it began.
        """
        self._programs.run("kind", "create", "cluster", f"--name={self.name}", f"--config={config}")

    def delete(self) -> None:
        """Delete it; nothing happens when it is not there.

        Raises:
            Failed: kind could not.
        """
        self._programs.run("kind", "delete", "cluster", f"--name={self.name}")

    def load(self, image: str) -> None:
        """Load an image of the engine into its node.

        Raises:
            Failed: kind could not, or the engine has no such image.
        """
        self._programs.run("kind", "load", "docker-image", f"--name={self.name}", image)

    def wake(self) -> None:
        """Start nodes that were stopped or killed.

        Raises:
            Failed: docker could not.
        """
        listed = self._programs.run(
            "docker", "ps", "--all", f"--filter=label={KIND_LABEL}={self.name}", "--format={{.Names}} {{.State}}"
        )
        for name, state in (line.split(maxsplit=1) for line in listed.splitlines()):
            if state != "running":
                print(f"note: starting {name}, which was {state}", flush=True)
                self._programs.run("docker", "start", name)

    def kubeconfig(self) -> dict[str, Any]:
        """The kubeconfig that has this cluster's context; kind is asked for it when there is none.

        Raises:
            Failed: KUBECONFIG is not set, or kind does not give it.
        """
        read = _read_kubeconfig()
        if not self._known_in(read):
            self._programs.run("kind", "export", "kubeconfig", f"--name={self.name}")
            read = _read_kubeconfig()
        if not self._known_in(read):
            raise Failed(f"there is no context {self.context} in the kubeconfig")
        return read

    def _known_in(self, kubeconfig: dict[str, Any]) -> bool:
        return any(row["name"] == self.context for row in kubeconfig.get("contexts") or ())


def listed(programs: Programs) -> list[str]:
    """Names of the kind clusters on this engine."""
    return programs.run("kind", "get", "clusters").split()


def write_config(deployment: Deployment, *, mounts: bool, leave_out_cni: bool) -> None:
    """Write kind's configuration, whatever an earlier version of this tool wrote there."""
    networking: dict[str, object] = {"apiServerAddress": "127.0.0.1"}
    if deployment.api_port:
        networking["apiServerPort"] = deployment.api_port
    if leave_out_cni:
        networking["disableDefaultCNI"] = True
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": networking,
        "nodes": [
            {
                "role": "control-plane",
                "extraPortMappings": [
                    {"listenAddress": "127.0.0.1", "hostPort": here, "containerPort": there}
                    for here, there in ((deployment.http_port, 80), (deployment.https_port, 443))
                ],
                "extraMounts": _mounts(deployment, persisted=mounts),
            }
        ],
    }
    deployment.kind_config.write_text(yaml.safe_dump(config, sort_keys=False))


def _mounts(deployment: Deployment, *, persisted: bool) -> list[dict[str, str]]:
    pairs = [(deployment.app_data, "/data/app")]
    if persisted:
        pairs.append((deployment.cluster_data / "etcd", "/var/lib/etcd"))
        pairs.append((deployment.cluster_data / "pki", "/etc/kubernetes/pki"))
    for here, _ in pairs:
        here.mkdir(parents=True, exist_ok=True)
    return [{"hostPath": str(here), "containerPath": there} for here, there in pairs]


def _read_kubeconfig() -> dict[str, Any]:
    path = os.environ.get("KUBECONFIG")
    if not path:
        raise Failed("KUBECONFIG is not set")
    try:
        read = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise Failed(f"{path}: {' '.join(str(error).split())}") from error
    return read if isinstance(read, dict) else {}
