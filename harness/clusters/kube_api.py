"""The Kubernetes API as plain JSON: any path, any group, with or without an answer.

Probes have to see what typed clients hide: the status of a list that does not decode, resources
nobody has a model for, and whether a call that failed can have been carried out. It is the
counterpart of `etcd_client` and told apart alike (docs/decisions/0003).
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import httpx
import yaml

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.errors import ClusterError

# Members of the group system:masters pass without any RBAC; kubeadm writes this on the first control-plane node.
_SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"
_TOLD = 300
# The API server keeps it with each object that is written, as its manager: judging knows the harness by it.
_USER_AGENT = "afterfault"


class NoCluster(ClusterError):
    """There is nobody to ask: the cluster was never made, or is gone."""


class KubernetesNode(Protocol):
    """What probes ask of a node: who it is, and to run a command on it."""

    @property
    def name(self) -> str:
        """The Kubernetes node's name."""

    @property
    def role(self) -> str:
        """``control-plane`` or ``worker``."""

    @property
    def address(self) -> str:
        """Its IP address."""

    @property
    def running(self) -> bool:
        """Whether it is switched on (a paused one is)."""

    @property
    def paused(self) -> bool:
        """Whether its time stands still."""

    def execute(self, *words: str, stdin: bytes = b"", timeout_seconds: float = 30) -> Executed:
        """Run a command on it."""


class Executed(Protocol):
    """How a command on a node ended."""

    @property
    def exit_code(self) -> int:
        """0 for good."""

    @property
    def stdout(self) -> bytes:
        """What it wrote."""


@runtime_checkable
class KubernetesCluster(Protocol):
    """What probes ask of a cluster."""

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""

    @property
    def workers(self) -> Mapping[str, KubernetesNode]:
        """Nodes without an API server, by name."""

    def running(self) -> Sequence[KubernetesNode]:
        """Control planes that are switched on and not paused."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where an API server is, and who asks it.

    Args:
        server: its URL.
        authority, certificate, key: PEM texts.
    """

    server: str
    authority: str
    certificate: str
    key: str

    @classmethod
    def of(cls, kubeconfig: str) -> Credentials:
        """Those of the current context, with everything embedded as kind and kubeadm write it.

        Raises:
            ClusterError: the text is no such kubeconfig.
        """
        try:
            told = yaml.safe_load(kubeconfig)
            context = _named(told["contexts"], told["current-context"])["context"]
            cluster = _named(told["clusters"], context["cluster"])["cluster"]
            user = _named(told["users"], context["user"])["user"]
            return cls(
                cluster["server"],
                _decoded(cluster["certificate-authority-data"]),
                _decoded(user["client-certificate-data"]),
                _decoded(user["client-key-data"]),
            )
        except (yaml.YAMLError, KeyError, TypeError, ValueError, StopIteration) as error:
            raise ClusterError(f"not a kubeconfig with a client certificate in it: {error!r}") from error

    def at(self, server: str) -> Credentials:
        """The same person, asking another server."""
        return replace(self, server=server)

    def context(self) -> ssl.SSLContext:
        """For mutual TLS; the files it takes to load the key are gone afterwards."""
        context = ssl.create_default_context(cadata=self.authority)
        # kubeadm's certificates are no strict RFC 5280, which Python asks for by default from 3.13 on
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{self.certificate}\n{self.key}\n")
            file.flush()
            context.load_cert_chain(file.name)
        return context


def admin_of(cluster: KubernetesCluster) -> Credentials:
    """The admin's, as the kubeconfig has them.

    Raises:
        ClusterError: there is no kubeconfig, or it is another sort of file.
    """
    try:
        return Credentials.of(cluster.kubeconfig.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClusterError(f"cannot read {cluster.kubeconfig}: {error.strerror}") from error


def super_admin_of(cluster: KubernetesCluster) -> Credentials | None:
    """Those that need no RBAC, fetched from a running control plane; None where no node has them."""
    for node in cluster.running():
        # a machine that goes away just now has nothing to tell
        with contextlib.suppress(ClusterError):
            done = node.execute("cat", _SUPER_ADMIN, timeout_seconds=5)
            if done.exit_code == 0:
                return Credentials.of(done.stdout.decode()).at(admin_of(cluster).server)
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said.

    Args:
        status: of HTTP.
        raw: the body.
    """

    status: int
    raw: bytes

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300

    @property
    def body(self) -> dict[str, Any]:
        """The body as JSON; empty when it is none, as a log."""
        try:
            told = json.loads(self.raw)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    @property
    def text(self) -> str:
        """What went wrong, in the API's words."""
        return str(self.body.get("message") or self.raw.decode(errors="replace"))[:_TOLD].strip()


class KubeApi:
    """Talks to one server as one person; safe to use from many threads; never tries twice.

    Args:
        credentials: where, and as whom.
        timeout_seconds: for connecting, and for each wait for an answer.

    Raises (every call):
        CallFailed: surely not carried out: there was no connection.
        CallUnknown: may have been carried out: no answer came back.
    """

    def __init__(self, credentials: Credentials, timeout_seconds: float = 2.0) -> None:
        self.server = credentials.server
        self._http = httpx.Client(
            base_url=credentials.server,
            verify=credentials.context(),
            timeout=timeout_seconds,
            trust_env=False,
            headers={"Accept": "application/json", "User-Agent": _USER_AGENT},
        )

    def __enter__(self) -> Self:
        """The API itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; it can't be used afterwards."""
        self._http.close()

    def get(self, path: str, **query: str) -> Answer:
        """Read."""
        return self._call("GET", path, query=query)

    def create(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Make an object; `path` is that of its collection."""
        return self._call("POST", path, body)

    def replace(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Put an object in the place of the one that is there."""
        return self._call("PUT", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Change some fields (JSON merge patch: null takes one away)."""
        return self._call("PATCH", path, body, content_type="application/merge-patch+json")

    def delete(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Delete an object, or all of a collection; `body` are DeleteOptions."""
        return self._call("DELETE", path, body)

    def _call(
        self,
        verb: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        content = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": content_type}
        try:
            response = self._http.request(verb, path, content=content, headers=headers, params=query or None)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise CallFailed(f"{verb} {path}: {error}") from error
        except httpx.HTTPError as error:
            raise CallUnknown(f"{verb} {path}: {type(error).__name__} {error}") from error
        return Answer(response.status_code, response.content)


def _named(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["name"] == name)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
