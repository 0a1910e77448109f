"""Which of our images stands in for one that a tool asks for, where no image registry is reachable.

Chosen by the *short name* of a reference, its last path part without tag and digest: registries and
their folders differ from release to release, and are not written down here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import docker.errors
import requests.exceptions
from docker import DockerClient

from harness.errors import MachineError

# Names of the images that `afterfault images build` makes for deployments.
APP, INGRESS, KUBECTL, TEST_CONTAINER = "app", "caddy-stand-in", "kubectl", "test-container"
TOOLS, TOOLS_WITHOUT_JQ = "etcd-tools", "etcd-tools-nojq"
_OURS = "afterfault/"
_STAND_INS = {
    "etcd": TOOLS,
    "alpine": TOOLS,
    "ingress": INGRESS,
    "caddy-ingress": INGRESS,
    "kubectl": KUBECTL,
    "test-container": TEST_CONTAINER,
}
# In these a release runs jq, or goes on without when there is none.
_SHELLS = frozenset({"alpine"})


def short_name(reference: str) -> str:
    """``ingress`` of ``some.registry:5000/caddy/ingress:latest@sha256:...``."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def stand_in(reference: str, *, jq: bool = True) -> str | None:
    """The deployment image that takes the place of one; None when there is none for it.

    Args:
        reference: as the tool or a manifest has it; our own images stand in for nothing.
        jq: whether jq is found in images that serve as a shell.
    """
    if reference.startswith(_OURS):
        return None
    name = short_name(reference)
    return TOOLS_WITHOUT_JQ if name in _SHELLS and not jq else _STAND_INS.get(name)


def provide(client: DockerClient, reference: str, image: str, labels: Mapping[str, str]) -> None:
    """Put one of our images into the engine under another name, unless somebody's has that name.

    Args:
        client: of the engine.
        reference: the name that a tool is going to ask for.
        image: what it gets; one the engine has.
        labels: the run's: the copy is the run's own, and is removed with it.

    Raises:
        MachineError: the engine has no such image, or could not copy it.

    Leaves behind: an image without a layer of its own.
    """
    try:
        if client.images.list(name=reference):
            return
        client.images.build(
            fileobj=io.BytesIO(f"FROM {image}\n".encode()), tag=reference, labels=dict(labels), rm=True, forcerm=True
        )
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise MachineError(
            f"{image} can't stand in for {reference}: {error}", mend="afterfault images build"
        ) from error
