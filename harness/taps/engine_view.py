"""The Docker engine as the command tap's rules ask of it: whose is what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker.errors
import requests.exceptions
from docker import DockerClient

from harness.clusters.docker_engine import ENGINE_MEND
from harness.clusters.engine import made_on
from harness.clusters.lease import CLUSTER_LABEL
from harness.clusters.ownership import Ownership
from harness.errors import MachineError
from harness.taps.command_rules import CONTAINER, IMAGE, NETWORK, VOLUME


class EngineView:
    """What a run owns on an engine, and what others do.

    Args:
        client: of the engine; stays the caller's.
        ownership: of the run.

    Raises:
        MachineError: by each method, when the engine does not answer.
    """

    def __init__(self, client: DockerClient, ownership: Ownership) -> None:
        self._client, self._ownership = client, ownership

    def clusters(self) -> dict[str, bool]:
        """The kind clusters there are, by name; one that has a node of another owner is not this run's."""
        found: dict[str, bool] = {}
        for name, _, ours in self._nodes():
            found[name] = found.get(name, True) and ours
        return found

    def own_nodes(self) -> set[str]:
        """Names of the nodes of the run's kind clusters."""
        return {node for _, node, ours in self._nodes() if ours}

    def whose(self, sort: str, reference: str) -> bool | None:
        """Whether a thing is the run's; None when there is none of that name or id."""
        api = self._client.api
        looks: Mapping[str, Callable[[str], Any]] = {
            CONTAINER: api.inspect_container,
            NETWORK: api.inspect_network,
            VOLUME: api.inspect_volume,
            IMAGE: api.inspect_image,
        }
        mark = self._ownership.lease.mark
        with _answering():
            try:
                seen = looks[sort](reference)
            except (docker.errors.NotFound, docker.errors.NullResource):
                return None
            except docker.errors.APIError as error:
                if error.is_client_error():  # no name at all, or an id that several have
                    return None
                raise
        if sort == VOLUME and reference in mark.volumes:
            return True
        labels = (seen["Config"] if sort in (CONTAINER, IMAGE) else seen)["Labels"] or {}
        return mark.covers(labels, made_on(seen) if sort == CONTAINER else "")

    def claim_volume(self, name: str) -> None:
        """Make a volume with the run's labels; one that is there stays as it is."""
        with _answering():
            self._client.api.create_volume(name, labels=self._ownership.labels())

    def _nodes(self) -> list[tuple[str, str, bool]]:
        """Cluster, node, and whether it is the run's."""
        with _answering():
            found = self._client.api.containers(all=True, filters={"label": CLUSTER_LABEL})
        mark = self._ownership.lease.mark
        names = [(raw["Names"] or ["/"])[0].lstrip("/") for raw in found]
        return [
            (raw["Labels"][CLUSTER_LABEL], name, mark.covers(raw["Labels"], made_on(raw)))
            for raw, name in zip(found, names, strict=True)
        ]


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise MachineError(f"the Docker engine stopped answering: {error}", mend=ENGINE_MEND) from error
