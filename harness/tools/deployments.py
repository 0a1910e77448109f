"""What deploy tools are asked to do with a deployment, and what one has to know to be asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.clusters.tool_made import App
from harness.cuts import Cut
from harness.tools.deploy_tool import DeployTool

START, STOP = "start", "stop"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a deployment is to be made.

    Args:
        folder: for everything the tool keeps; empty.
        cluster: name of the kind cluster it is to make.
        path: folders of programs, ours in front, as a PATH.
        network: of the engine, that nodes are to be put on.
        images: references the engine has, by what they are for: ``app``, ``ingress``, ``etcd_tools``, and where
            a tool wants them ``other_etcd_tools``.
        node_image: what nodes are made of.
        certs: containerd's ``certs.d`` that leads nodes to a mirror of images; None where they pull nothing.
    """

    folder: Path
    cluster: str
    path: str
    network: str
    images: Mapping[str, str]
    node_image: str
    certs: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """A home, a kubeconfig and a folder for temporary files of its own."""
        return {
            "HOME": str(self._made("home")),
            "TMPDIR": str(self._made("tmp")),
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{self.path}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def kubeconfig(self) -> Path:
        """The tool's own."""
        return self.folder / "kubeconfig"

    def _made(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        return place


class Deployer(Protocol):
    """What differs from tool to tool."""

    @property
    def asks_for_images(self) -> bool:
        """Whether it or its nodes ask for images by names of its own."""

    @property
    def is_exclusive(self) -> bool:
        """Whether two calls of it on one engine would disturb each other."""

    @property
    def wants_other_etcd(self) -> bool:
        """Whether it is to have etcd's tools of another minor than the nodes' at hand."""

    def make(self, site: Site) -> Made:
        """Describe a deployment the way this tool wants it; starts nothing.

        Raises:
            HarnessError: the tool would not take it.
        """

    def stand_in(self, reference: str, *, jq: bool) -> str | None:
        """Name of the deployment image that takes an image's place; None when there is none."""

    def command(self, made: Made, action: str) -> tuple[str, ...]:
        """The call for ``start`` or ``stop``."""


@dataclass(frozen=True, slots=True)
class Made:
    """A deployment that can be started.

    Args:
        folder: as the tool is told of it.
        app: what is deployed, as its users see it.
        environment: of each call.
        kept: files and folders that the tool may leave in its folders, as patterns.
        backup: the file in which it keeps copies of secrets, if it does.
    """

    folder: Path
    app: App
    environment: Mapping[str, str]
    kept: tuple[str, ...] = ()
    backup: Path | None = None


@dataclass(frozen=True, slots=True)
class DeploymentTool(DeployTool):
    """A deploy tool under test, and how it is told what to deploy.

    Args:
        deployer: knows its words.
        claims_readiness: whether exit 0 of a start says that the app answers.
    """

    deployer: Deployer = field(kw_only=True)
    claims_readiness: bool = True


@dataclass(frozen=True, slots=True)
class Start:
    """Bring the deployment up, the cluster included.

    Args:
        cut: where this call is cut; None lets it end.
    """

    cut: Cut | None = None
    action: str = START

    @property
    def sentence(self) -> str:
        """What is asked, for people."""
        return f"start, cut at {self.cut.id}" if self.cut else "start"


@dataclass(frozen=True, slots=True)
class Stop:
    """Take the deployment down, the cluster included; what it keeps is to survive."""

    cut: Cut | None = None
    action: str = STOP

    @property
    def sentence(self) -> str:
        """What is asked, for people."""
        return f"stop, cut at {self.cut.id}" if self.cut else "stop"
