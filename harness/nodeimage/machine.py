"""Whether this machine can build node images; each lack with the command that mends it."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from harness.clusters.ownership import cache_folder
from harness.errors import MachineError
from harness.nodeimage.engine import engine_version
from harness.nodeimage.process import CommandError, run

TOOLS_MEND = "sudo scripts/image-tools"
# One pair from nothing: Go keeps 3.7 GB built and 2.2 GB fetched, the steps take 3 GB at work, the engine 1.1 GB.
LEAST_FREE_MIB = 12 * 1024
# The image of the harness: a Debian unpacked twice, its wheels, three layers, and as much in the engine.
LEAST_FREE_FOR_DEBIAN_MIB = 2 * 1024
# The language version that Kubernetes 1.34 is written in; with an older one Go fetches what it needs itself,
# if it is one that can (1.21) and nobody forbade it (GOTOOLCHAIN=local).
_GO_LANGUAGE = (1, 24)
_GO_THAT_FETCHES = (1, 21)
# A node takes 26 to 30 inotify instances (systemd 3, kubelet 7, kube-controller-manager 7, ...).
INOTIFY_OF_NODE = 30
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def check_machine() -> None:
    """Look at all that a build needs before anything is begun.

    Raises:
        MachineError: with every lack, and what mends the first of them.
    """
    engine_version()
    lacks = [lack for lack in (_processor(), _root(), _programs(), _go(), _disk()) if lack]
    if lacks:
        raise MachineError("; ".join(what for what, _ in lacks), mend=lacks[0][1])


def check_debootstrap() -> None:
    """Whether a Debian can be made here; no Go and no engine are asked for.

    Raises:
        MachineError: with every lack, and what mends the first of them.
    """
    if lacks := [lack for lack in (_processor(), _root(), _programs(), _room(LEAST_FREE_FOR_DEBIAN_MIB)) if lack]:
        raise MachineError("; ".join(what for what, _ in lacks), mend=lacks[0][1])


def check_go() -> None:
    """Look for a Go that builds what the pins name.

    Raises:
        MachineError: there is none, or it is too old.
    """
    if lack := _go():
        raise MachineError(lack[0], mend=lack[1])


def check_inotify(nodes: int) -> None:
    """Whether so many more nodes can watch files, as all of them are root's.

    Raises:
        MachineError: the limit of the kernel is too low; kube-proxy would die with "too many open files".
    """
    limit, used = int(_INOTIFY.read_text()), _inotify_used()
    if limit - used < nodes * INOTIFY_OF_NODE:
        raise MachineError(
            f"{nodes} nodes need {nodes * INOTIFY_OF_NODE} inotify instances; "
            f"fs.inotify.max_user_instances is {limit}, and {used} are in use",
            mend="sudo sysctl -w fs.inotify.max_user_instances=1024",
        )


def _processor() -> tuple[str, str] | None:
    if platform.machine() == "x86_64":
        return None
    return f"node images are built for x86_64 only, this is {platform.machine()}", "use an x86_64 machine"


def _root() -> tuple[str, str] | None:
    if os.geteuid() == 0:
        return None
    return "debootstrap needs root", "sudo afterfault images build"


def _programs() -> tuple[str, str] | None:
    missing = [name for name in ("debootstrap", "unshare", "apt-get", "tar") if not shutil.which(name)]
    if not missing:
        return None
    return f"{', '.join(missing)} missing", f"apt-get install -y {' '.join(missing)} (or {TOOLS_MEND})"


def _go() -> tuple[str, str] | None:
    if not shutil.which("go"):
        return "there is no Go on this machine", TOOLS_MEND
    try:
        said, policy = run(["go", "env", "GOVERSION", "GOTOOLCHAIN"], timeout_seconds=30).splitlines()
    except CommandError as error:
        return f"go does not work: {error}", TOOLS_MEND
    version = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
    least = _GO_LANGUAGE if policy.startswith("local") else _GO_THAT_FETCHES
    if version >= least:
        return None
    return f"Kubernetes needs Go {'.'.join(map(str, least))}, here is {said}", TOOLS_MEND


def _disk() -> tuple[str, str] | None:
    return _room(LEAST_FREE_MIB)


def _room(needed_mib: int) -> tuple[str, str] | None:
    cache_folder().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache_folder()).free // 2**20
    if free >= needed_mib:
        return None
    return f"a build from nothing takes {needed_mib} MiB, {free} MiB are free", "free space, or set XDG_CACHE_HOME"


def _inotify_used() -> int:
    used = 0
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            used += sum(1 for file in folder.iterdir() if _points_to_inotify(file))
        except OSError:
            continue  # ended meanwhile, or another user's: that one has a limit of its own
    return used


def _points_to_inotify(file: Path) -> bool:
    try:
        return os.readlink(file) == "anon_inode:inotify"  # noqa: PTH115 it names no path
    except OSError:
        return False
