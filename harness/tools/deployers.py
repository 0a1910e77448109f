"""The deploy tools there are: our own reference deployer, and the real laconic-so."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from harness.clusters.tool_made import INGRESS_NAMESPACE, App
from harness.spec import REFERENCE, Target
from harness.tools.deployments import START, DeploymentTool, Made, Site
from harness.tools.laconic_images import stand_in
from harness.tools.laconic_so import NAME as LACONIC
from harness.tools.laconic_so import START_SECONDS, LaconicSo
from harness.tools.laconic_stack import MINI, Deployment, DeploymentPlan

HOST = "app.afterfault.test"
_MODULE = "harness.tools.reference.deployer"
_NAME = "shop"
_CERTIFICATE = "caddy.ingress--host"
_OTHER_ETCD = "other-etcd"
# What a start of the reference deployer takes on two busy cores, several times over.
_REFERENCE_SECONDS = 300.0
# One that never ends is not waited for that long; its own waits, each for what takes seconds, are shorter anyway.
_SHORT_SECONDS = {"never-returns": 150.0}
# Twice what a pod takes on two cores that four other clusters keep busy (60 s were once too short there).
_READY_SECONDS = 120


def reference_deployer(variant: str) -> DeploymentTool:
    """Our own small deploy tool, with the strategy or defect of that name."""
    return DeploymentTool(
        Target(REFERENCE, variant),
        (sys.executable, "-m", _MODULE, variant),
        _SHORT_SECONDS.get(variant, _REFERENCE_SECONDS),
        loss=r"^lost: \w+ (\S+)$",
        deployer=ReferenceDeployer(variant),
    )


def laconic_so(build: LaconicSo, stack: str = MINI) -> DeploymentTool:
    """A build of laconic-so with one of its stacks; its exit code says nothing about readiness."""
    return DeploymentTool(
        Target(LACONIC, LACONIC if stack == MINI else f"{LACONIC}-{stack}", build.version),
        (str(build.program),),
        START_SECONDS,
        deployer=LaconicDeployer(build, stack),
        claims_readiness=False,
    )


@dataclass(frozen=True, slots=True)
class ReferenceDeployer:
    """Writes a ``deployment.yml``.

    Args:
        variant: strategy or defect.
    """

    variant: str
    asks_for_images: bool = False
    is_exclusive: bool = False

    @property
    def wants_other_etcd(self) -> bool:
        """That is one of its defects."""
        return self.variant == _OTHER_ETCD

    def stand_in(self, reference: str, *, jq: bool) -> str | None:  # noqa: ARG002 - it names what is there
        """Nothing: it is told which images there are."""
        return None

    def make(self, site: Site) -> Made:
        """One app called shop."""
        folder = site.folder / "deployment"
        folder.mkdir(parents=True)
        http, https = free_port(), free_port()
        described = {
            "name": _NAME,
            "cluster": site.cluster,
            "host": HOST,
            "http_port": http,
            "https_port": https,
            "images": dict(site.images),
            "ready_seconds": _READY_SECONDS,
        }
        (folder / "deployment.yml").write_text(yaml.safe_dump(described))
        namespace = f"app-{_NAME}"
        app = App(namespace, HOST, http, https, (namespace, f"{_NAME}-tls"), config="host")
        return Made(folder, app, site.environment, backup=folder / "data" / "secrets.yml")

    def command(self, made: Made, action: str) -> tuple[str, ...]:
        """The module, called with our own Python."""
        return (sys.executable, "-m", _MODULE, self.variant, action, "--dir", str(made.folder))


@dataclass(slots=True)
class LaconicDeployer:
    """Has the build itself make stack, spec and deployment.

    Args:
        build: under test.
        stack: what is deployed; ``mini`` or ``test``.
    """

    build: LaconicSo
    stack: str = MINI
    asks_for_images: bool = True
    is_exclusive: bool = True
    wants_other_etcd: bool = False
    _deployment: Deployment | None = None

    def stand_in(self, reference: str, *, jq: bool) -> str | None:
        """By the last part of its name."""
        return stand_in(reference, jq=jq)

    def make(self, site: Site) -> Made:
        """The smallest stack of ours, or the one the build ships."""
        plan = DeploymentPlan(site.cluster, self.stack, site.images["app"], HOST, site.node_image)
        environment: Mapping[str, str] = self.build.environment(site.folder, site.network, path=site.path)
        made = self._deployment = self.build.deploy(plan, site.folder / "made", environment, site.certs)
        # no release writes a tls section for kind: the ingress controller finds the host's certificate among its own
        app = App(made.namespace, made.host, made.http_port, made.https_port, (INGRESS_NAMESPACE, _CERTIFICATE))
        return Made(made.folder, app, environment, backup=made.certificate_backup)

    def command(self, made: Made, action: str) -> tuple[str, ...]:  # noqa: ARG002 - it knows the one it made
        """With cluster management, which is no build's business to guess."""
        assert self._deployment is not None
        return (self.build.start_command if action == START else self.build.stop_command)(self._deployment)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
