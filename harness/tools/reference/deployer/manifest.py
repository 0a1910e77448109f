"""The manifests beside this module, filled in."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

import yaml

_FOLDER = Path(__file__).parent / "manifests"
MANAGED_BY = {"app.kubernetes.io/managed-by": "reference-deployer"}


def read_manifests(file: str, **values: str) -> list[dict[str, Any]]:
    """The objects of a file, in its order, each labelled as this tool's."""
    text = Template((_FOLDER / f"{file}.yaml").read_text()).substitute(values)
    manifests: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    for manifest in manifests:
        manifest["metadata"]["labels"] = dict(MANAGED_BY)
    return manifests


def is_managed(found: dict[str, Any]) -> bool:
    """Whether an object carries this tool's label."""
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in MANAGED_BY.items())
