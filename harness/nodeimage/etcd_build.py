"""Releases of etcd for clusters on loopback, built from the Go module proxy, without root or Docker.

The wheel brings 3.5 only; a night is played on two minors.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from harness.clusters.ownership import cache_folder
from harness.errors import UsageError
from harness.nodeimage import pins
from harness.nodeimage.machine import check_go
from harness.nodeimage.recipe import etcd_step
from harness.nodeimage.steps import building, make_all
from harness.nodeimage.tools import install

_PROGRAMS = ("etcdctl", "etcdutl", "etcd")


def built_releases() -> list[Path]:
    """Folders of the pinned releases that were built here, as ``--etcd-dir`` takes them; the newest first."""
    return [place for version in pins.ETCD if (place := _place(version)).joinpath(_PROGRAMS[-1]).exists()]


def build_release(version: str, out: TextIO) -> Path:
    """Build a release unless it is there; returns its folder.

    Args:
        version: one of the pinned ones.
        out: for a person.

    Raises:
        UsageError: it is not pinned; says which are.
        MachineError: there is no Go, or too old a one.
        CommandError: the proxy does not serve it, a sum differs, or it does not compile.
    """
    if version not in pins.ETCD:
        raise UsageError(f"etcd {version} is not pinned", mend=f"the pinned ones are {', '.join(pins.ETCD)}")
    place = _place(version)
    if place in built_releases():
        return place
    check_go()
    step = etcd_step(version)
    with building(out):
        make_all([step], out)
        for name in _PROGRAMS:  # the one that is looked for comes last
            install(step.folder / "bin" / name, place / name)
    return place


def _place(version: str) -> Path:
    return cache_folder() / "tools" / f"etcd-v{version}"
