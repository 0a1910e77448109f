"""The deployment folder: ``deployment.yml`` as the user wrote it, and where the tool keeps what is its own.

::

    name: shop                      # of the app; its namespace is app-shop
    cluster: shop                   # of the kind cluster
    host: shop.test                 # the ingress's host
    http_port: 8080                 # ports of 127.0.0.1 for the node's 80 and 443
    https_port: 8443
    images: {app: .., ingress: .., etcd_tools: ..}     # references the engine has; other_etcd_tools at will
    persist: true                   # whether a strategy may keep etcd and PKI in D/data/cluster
    api_port: 6443                  # of 127.0.0.1, optional
    ready_seconds: 180              # how long each wait may last
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.tools.reference.deployer.errors import WrongUsage

_IMAGES = ("app", "ingress", "etcd_tools")
_OTHER_IMAGE = "other_etcd_tools"
_NEEDED = ("name", "cluster", "host", "http_port", "https_port", "images")
_OPTIONAL = ("persist", "api_port", "ready_seconds")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment.

    Args:
        folder: where it lies.
        name, cluster, host, http_port, https_port, images, persist, api_port, ready_seconds: as in the
            module's docstring; `api_port` is 0 when kind is to pick one.
    """

    folder: Path
    name: str
    cluster: str
    host: str
    http_port: int
    https_port: int
    images: Mapping[str, str]
    persist: bool
    api_port: int
    ready_seconds: float

    @property
    def namespace(self) -> str:
        """The app's."""
        return f"app-{self.name}"

    @property
    def kind_config(self) -> Path:
        """Kind's configuration, written before each create."""
        return self.folder / "kind-config.yml"

    @property
    def data(self) -> Path:
        """What has to outlive the cluster."""
        return self.folder / "data"

    @property
    def app_data(self) -> Path:
        """The app's volume."""
        return self.data / "app"

    @property
    def cluster_data(self) -> Path:
        """Etcd's data and the PKI, where they are persisted."""
        return self.data / "cluster"


def read_deployment(folder: Path) -> Deployment:
    """Read and check ``deployment.yml``.

    Raises:
        WrongUsage: it is not there, or something in it is off; says what and where.
    """
    path = folder / "deployment.yml"
    try:
        read = yaml.safe_load(path.read_text())
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(read, dict):
        raise WrongUsage(f"{path} is not a mapping")
    wrong = [*_unknown_and_missing(read), *_wrong_values(read)]
    if wrong:
        raise WrongUsage(f"{path}: {'; '.join(wrong)}")
    return Deployment(
        folder.resolve(), read["name"], read["cluster"], read["host"], read["http_port"], read["https_port"],
        read["images"], read.get("persist", True), read.get("api_port", 0), float(read.get("ready_seconds", 180)),
    )  # fmt: skip


def _unknown_and_missing(read: dict[str, Any]) -> list[str]:
    missing = [f"{key} is missing" for key in _NEEDED if key not in read]
    return missing + [f"{key} is unknown" for key in read if key not in (*_NEEDED, *_OPTIONAL)]


def _wrong_values(read: dict[str, Any]) -> list[str]:
    checks: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "name": ("is not a DNS label", lambda value: _matches(_LABEL, value)),
        "cluster": ("is not a DNS label", lambda value: _matches(_LABEL, value)),
        "host": ("is not a host name", lambda value: _matches(_HOST, value)),
        "http_port": ("is not a port", _is_port),
        "https_port": ("is not a port", _is_port),
        "api_port": ("is not a port", _is_port),
        "persist": ("is not true or false", lambda value: isinstance(value, bool)),
        "ready_seconds": ("is not above 0", lambda value: _is_number(value) and value > 0),
        "images": (f"needs {', '.join(_IMAGES)}, each a reference", _are_images),
    }
    return [f"{key} {why}" for key, (why, fits) in checks.items() if key in read and not fits(read[key])]


def _matches(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _are_images(value: object) -> bool:
    if not isinstance(value, dict) or not set(_IMAGES) <= set(value) <= {*_IMAGES, _OTHER_IMAGE}:
        return False
    return all(isinstance(reference, str) and reference for reference in value.values())
