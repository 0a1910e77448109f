"""Somebody else's kind cluster on the engine, for as long as a case lasts: what no tool may lay hands on.

A node is to kind a container with two labels, so one that sleeps is a cluster that can be listed and deleted. It is
owned apart from the run, with a reaper of its own: to the run's taps it is as foreign as any other.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import docker.errors
from docker import DockerClient

from harness.clusters.kind_call import KIND_LABEL, ROLE_LABEL
from harness.clusters.kind_node import CONTROL_PLANE
from harness.clusters.ownership import Ownership
from harness.errors import MachineError


class ForeignCluster:
    """A cluster of one sleeping node, called ``foreign-..``.

    Args:
        client: of the engine.
        image: what the node is made of; it has ``sleep``.
        label: unique on this machine.
        work: folder that may be made and goes with it.

    Raises:
        MachineError: the engine could not.

    Leaves behind: a container, until `remove` or the end of this process.
    """

    def __init__(self, client: DockerClient, image: str, label: str, work: Path) -> None:
        self._client, self._ownership = client, Ownership(label, work)
        self.name = f"foreign-{self._ownership.lease.cluster_prefix.strip('-').removeprefix('af-')}"
        try:
            container = client.containers.run(
                image,
                ["infinity"],
                entrypoint="sleep",
                detach=True,
                name=f"{self.name}-control-plane",
                labels={KIND_LABEL: self.name, ROLE_LABEL: CONTROL_PLANE, **self._ownership.labels()},
                network_mode="none",
            )
        except docker.errors.DockerException as error:
            self._ownership.release()
            raise MachineError(f"cannot put a foreign cluster beside the case: {error}") from error
        self.id = str(container.id)

    def remove(self) -> None:
        """Remove it; a tool may have done that already.

        Raises:
            LeftoverError: it does not go.
        """
        with suppress(docker.errors.NotFound):
            self._client.api.remove_container(self.id, force=True, v=True)
        self._ownership.release()
