"""Secrets that others put into the ingress's and the app's namespace, kept where the cluster can't lose them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from harness.tools.reference.deployer.errors import Failed
from harness.tools.reference.deployer.folder import replace
from harness.tools.reference.deployer.kube import Kube

_NOT_OURS = "kubernetes.io/service-account-token"


class SecretBackup:
    """The file ``data/secrets.yml``, and beside it a list of what has to be in it.

    Args:
        file: the first.
        namespaces: whose secrets are kept.
        as_text: write values as readable text, which is right for text only.
        listed: keep the list, and say what is lost by it.
    """

    def __init__(self, file: Path, namespaces: tuple[str, ...], *, as_text: bool = False, listed: bool = True) -> None:
        self._file, self.namespaces, self._as_text, self._listed = file, namespaces, as_text, listed

    @property
    def exists(self) -> bool:
        """Whether there is a copy."""
        return self._file.exists()

    def save(self, kube: Kube) -> None:
        """Write down all secrets there are.

        Raises:
            Failed: the API did not give them.
        """
        secrets = [
            self._kept(secret)
            for namespace in self.namespaces
            for secret in kube.every("Secret", namespace)
            if secret.get("type") != _NOT_OURS
        ]
        replace(self._file, yaml.safe_dump_all(secrets, sort_keys=True))
        if self._listed:
            replace(self._list, json.dumps([_place(secret) for secret in secrets]))
        print(f"saved: {len(secrets)} secrets", flush=True)

    def restore(self, kube: Kube) -> None:
        """Apply all secrets written down; their namespaces have to be there. Says which the file no longer has.

        Raises:
            Failed: the file or the list can't be read, or the API refused one.
        """
        secrets = self._read()
        for secret in secrets:
            kube.apply(secret)
        there = {_place(secret) for secret in secrets}
        for place in self._expected():
            if place not in there:
                print(f"lost: Secret {place}", flush=True)

    @property
    def _list(self) -> Path:
        return self._file.with_suffix(".json")

    def _expected(self) -> list[str]:
        if not self._listed or not self._list.exists():
            return []
        try:
            return [str(place) for place in json.loads(self._list.read_text())]
        except (OSError, ValueError, TypeError) as error:
            raise Failed(f"{self._list}: {error}") from error

    def _read(self) -> list[dict[str, Any]]:
        try:
            secrets = list(yaml.safe_load_all(self._file.read_text()))
        except FileNotFoundError:
            print(f"note: no secrets to restore, {self._file} is not there", flush=True)
            return []
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise Failed(f"{self._file}: {' '.join(str(error).split())}") from error
        if not all(_is_secret(secret) for secret in secrets):
            raise Failed(f"{self._file} holds something else than secrets")
        if not secrets:
            print(f"note: no secrets to restore, {self._file} is empty", flush=True)
        return secrets

    def _kept(self, secret: dict[str, Any]) -> dict[str, Any]:
        metadata = {key: secret["metadata"][key] for key in _METADATA if secret["metadata"].get(key)}
        kept = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": secret.get("type", "Opaque")}
        if secret.get("immutable"):
            kept["immutable"] = True
        data = secret.get("data") or {}
        if self._as_text:
            kept["stringData"] = {key: _text(value) for key, value in data.items()}
        else:
            kept["data"] = data
        return kept


_METADATA = ("name", "namespace", "labels", "annotations")


def _is_secret(read: object) -> bool:
    return isinstance(read, dict) and read.get("kind") == "Secret" and isinstance(read.get("metadata"), dict)


def _place(secret: dict[str, Any]) -> str:
    return f"{secret['metadata'].get('namespace')}/{secret['metadata'].get('name')}"


def _text(value: str) -> str:
    return base64.b64decode(value).decode("utf-8", errors="replace")
