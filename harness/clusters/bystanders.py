"""Containers of others on the engine: looked at before and after, so that nobody can have touched them unseen."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import docker.errors
import requests.exceptions
from docker import DockerClient

from harness.clusters.docker_engine import ENGINE_MEND
from harness.clusters.engine import made_on
from harness.clusters.lease import CLUSTER_LABEL, Mark, is_of_a_run
from harness.errors import MachineError
from harness.journal import Journal

SEEN = "bystanders.seen"
# Clusters of any run of ours and of `afterfault images check` come and go as they like.
_CHECKED = re.compile(r"afterfault-img-.*")


@dataclass(frozen=True, slots=True)
class Bystander:
    """A container that no run of ours owns.

    Args:
        id: the engine's.
        name: people's.
        cluster: the kind cluster it is a node of; empty for others.
        started_at: when it was started last, as the engine puts it.
        restart_count: how often the engine restarted it by itself.
        running: whether it runs; one that is paused does not.
    """

    id: str
    name: str
    cluster: str
    started_at: str
    restart_count: int
    running: bool


def look(client: DockerClient, mark: Mark, known: Container[str] = ()) -> tuple[Bystander, ...]:
    """All containers on the engine that are foreign to this run and to every other run of ours, by name.

    Args:
        client: of the engine.
        mark: of this run.
        known: IDs of containers that count as foreign, whosever they are.

    Raises:
        MachineError: the engine does not answer.
    """
    seen = []
    try:
        for raw in client.api.containers(all=True):
            if raw["Id"] in known or not _is_ours(raw["Labels"] or {}, made_on(raw), mark):
                with suppress(docker.errors.NotFound):  # its owner has just removed it
                    seen.append(_bystander(client.api.inspect_container(raw["Id"])))
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise MachineError(f"the Docker engine stopped answering: {error}", mend=ENGINE_MEND) from error
    return tuple(sorted(seen, key=lambda bystander: bystander.name))


def observe_bystanders(client: DockerClient, mark: Mark, journal: Journal, known: Container[str] = ()) -> None:
    """Write down who else is on the engine; once before anything is broken, and once when all is over.

    Raises:
        MachineError: the engine does not answer.
    """
    journal.append(SEEN, containers={bystander.id: asdict(bystander) for bystander in look(client, mark, known)})


def _is_ours(labels: Mapping[str, str], network: str, mark: Mark) -> bool:
    checked = _CHECKED.fullmatch(labels.get(CLUSTER_LABEL, ""))
    return mark.covers(labels, network) or is_of_a_run(labels, network) or checked is not None


def _bystander(raw: Mapping[str, Any]) -> Bystander:
    labels, state = raw["Config"]["Labels"] or {}, raw["State"]
    return Bystander(
        raw["Id"],
        raw["Name"].lstrip("/"),
        labels.get(CLUSTER_LABEL, ""),
        state["StartedAt"],
        raw["RestartCount"],
        state["Running"] and not state["Paused"],
    )
