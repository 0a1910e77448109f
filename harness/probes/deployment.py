"""A deployment as its users see it: the app through the ingress, their data, their secrets."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Protocol

from harness.clusters.app_client import CANARY, AppClient, Reply, digest
from harness.clusters.kube_resources import list_objects
from harness.clusters.tool_made import App, ToolMadeCluster
from harness.journal import Journal
from harness.probes.kubernetes.eyes import Eyes, note


class DeploymentWorld(Protocol):
    """What these probes look at."""

    @property
    def cluster(self) -> ToolMadeCluster:
        """What the tool made."""

    @property
    def journal(self) -> Journal:
        """Where observations go."""


def observe_app(world: DeploymentWorld) -> None:
    """The app through the ingress (``probe.app``).

    ``http``, ``https``: ``status`` (0 for no answer) and the ``text`` of what went wrong; ``certificate``:
    SHA-256 of the one shown for the host; ``config``: ``status``, ``text`` and whether it is ``right``, empty where
    the app shows none; ``data``: hash of what it kept for its users, empty when
    it gives nothing back, and ``data_status``.
    """
    client = AppClient(world.cluster.app)
    kept = client.get(f"data/{CANARY}")
    world.journal.append(
        "probe.app",
        http=_told(client.get()),
        https=_told(client.get(tls=True)),
        certificate=client.certificate(),
        config=_configuration(client, world.cluster.app),
        data=digest(kept.content) if kept.good else "",
        data_status=kept.status,
    )


def observe_secrets(world: DeploymentWorld) -> None:
    """Secrets of the app and of its ingress (``probe.k8s.secrets``).

    ``secrets``: by ``namespace/name`` and key, a hash of the bytes.
    """
    app = world.cluster.app

    def look(eyes: Eyes) -> dict[str, Any]:
        spaces = sorted({app.namespace, app.certificate[0], app.ingress_namespace})
        found = [one for space in spaces for one in list_objects(eyes.api, f"/api/v1/namespaces/{space}/secrets")]
        return {"secrets": {_name(secret): _digests(secret) for secret in found}}

    note(world, "probe.k8s.secrets", look)


def _configuration(client: AppClient, app: App) -> dict[str, Any]:
    if not app.config:
        return {}
    reply = client.get(f"config/{app.config}")
    return {**_told(reply), "right": reply.good and reply.content.decode(errors="replace").strip() == app.host}


def _told(reply: Reply) -> dict[str, Any]:
    return {"status": reply.status, "text": reply.text}


def _name(secret: dict[str, Any]) -> str:
    return f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"


def _digests(secret: dict[str, Any]) -> dict[str, str]:
    """What is not base64 is told so: nobody could read it."""
    return {key: _digest(value) for key, value in (secret.get("data") or {}).items()}


def _digest(value: str) -> str:
    try:
        return digest(base64.b64decode(value, validate=True))
    except (binascii.Error, TypeError):
        return "unreadable"
