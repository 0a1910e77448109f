"""A kubeconfig read for where it leads, and led elsewhere: what a tap has to know, and to change, of one."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a kubeconfig's current context leads, and as whom.

    Args:
        server: the API server's URL.
        server_name: the name it is verified by, where that is not its address.
        insecure: whether it is not verified.
        authority: PEM; empty for the machine's own authorities.
        certificate, key: of the client, PEM; empty when it has none (it brings a token).
    """

    server: str
    server_name: str
    insecure: bool
    authority: str
    certificate: str
    key: str

    @classmethod
    def of(cls, text: str, folder: Path) -> Upstream:
        """That of a kubeconfig's text; files it names are relative to `folder`.

        Raises:
            ClusterError: it is no kubeconfig, or one of its files can't be read.
        """
        try:
            told = yaml.safe_load(text)
            context = _named(told["contexts"], told["current-context"])["context"]
            cluster = _named(told["clusters"], context["cluster"])["cluster"]
            user = _named(told.get("users") or [], context.get("user", "")).get("user") or {}
            return cls(
                cluster["server"],
                cluster.get("tls-server-name") or "",
                bool(cluster.get("insecure-skip-tls-verify")),
                _pem(cluster, "certificate-authority", folder),
                _pem(user, "client-certificate", folder),
                _pem(user, "client-key", folder),
            )
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
            # its text may hold keys: only the kind of the trouble is told
            raise ClusterError(f"not a kubeconfig that leads somewhere: {type(error).__name__}") from None


def led_to(text: str, server: str, authority: str) -> str:
    """The same kubeconfig with another server and authority in the current context's cluster.

    Args:
        text: that `Upstream.of` could read.
        server: URL.
        authority: PEM.
    """
    told = yaml.safe_load(text)
    context = _named(told["contexts"], told["current-context"])["context"]
    cluster = _named(told["clusters"], context["cluster"])["cluster"]
    cluster["server"] = server
    if not cluster.get("insecure-skip-tls-verify"):  # clients refuse to have both
        cluster["certificate-authority-data"] = base64.b64encode(authority.encode()).decode()
    return str(yaml.safe_dump(told, sort_keys=False))


def replace_file(path: Path, text: str) -> None:
    """Put a file in the place of another at once, with its mode and owner; a link stays one."""
    path = path.resolve()
    was = path.stat()
    handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), was.st_mode & 0o7777)
        Path(fresh).replace(path)
    except OSError:
        Path(fresh).unlink()
        raise


def _named(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((row for row in rows if row["name"] == name), {})


def _pem(row: dict[str, Any], what: str, folder: Path) -> str:
    """What stands in the kubeconfig goes before what it names, as in client-go."""
    if inside := row.get(f"{what}-data"):
        return base64.b64decode(inside, validate=True).decode()
    if not (name := row.get(what)):
        return ""
    try:
        return Path(folder, name).read_text(encoding="utf-8")
    except OSError as error:
        raise ClusterError(f"the kubeconfig's {what} can't be read: {error.strerror}") from error
