"""A run that would not fit on this machine is refused before it starts, with the figure.

What the machine has is read by `read_machine`; whether a run fits is decided by functions of plain values.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from harness.clusters.docker_engine import EngineFacts, open_engine, read_engine
from harness.errors import MachineError

# Measured on 2 cores with kind 0.30 and Kubernetes 1.34: about 1 GiB for one control plane, 3.2 GiB for three,
# 0.7 GB of image store in each node's volume and 26 to 30 inotify instances of root in each control plane.
CONTROL_PLANE_MIB = 1024
WORKER_MIB = 512
SEVERAL_CONTROL_PLANES_MIB = 205
NODE_DISK_MIB = 1536
CONTROL_PLANE_INSTANCES = 30
WORKER_INSTANCES = 14
NODE_WATCHES = 400
# A judgement, not a limit of kind's: beyond that, elections are lost to the scheduler instead of to the fault.
NODES_A_CPU = 5
# kubeadm's own minimum, though kind skips that check.
LEAST_CORES = 2
# What the rest of the machine is left.
_SPARE_MEMORY_MIB = 384
_SPARE_DISK_MIB = 1024

# A watch is cheap; below that, even one node's kubelet and containerd have run out.
LEAST_WATCHES = 8192
_IN_MIB = ("memory", "disk")
INSTANCES_MEND = "sudo sysctl -w fs.inotify.max_user_instances=1024"
WATCHES_MEND = "sudo sysctl -w fs.inotify.max_user_watches=524288"

_USUAL_ENGINE_FOLDER = Path("/var/lib/docker")
_INOTIFY = Path("/proc/sys/fs/inotify")
# Limit, usage and the word for page cache that is not in use: of cgroups 2 and 1.
_CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
_NO_LIMIT = 2**60


class Shape(Protocol):
    """A kind cluster's size; `harness.spec.KindSpec` has it."""

    @property
    def control_planes(self) -> int:
        """How many nodes run etcd and an API server."""

    @property
    def workers(self) -> int:
        """How many nodes don't."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has left for clusters.

    Args:
        memory_mib: available without swapping.
        disk_mib: free where the engine keeps images and volumes.
        cpus: cores.
        inotify_instances: how many more root may have.
        inotify_watches: how many root may have.
    """

    memory_mib: int
    disk_mib: int
    cpus: int
    inotify_instances: int
    inotify_watches: int


@dataclass(frozen=True, slots=True)
class Need:
    """One resource: what clusters need of it, and what there is.

    Args:
        what: its name, plural.
        needed, available: how much; memory and disk in MiB.
        mend: how to get more of it.
    """

    what: str
    needed: int
    available: int
    mend: str

    @property
    def enough(self) -> bool:
        """Whether there is as much as is needed."""
        return self.needed <= self.available

    def amount(self, value: int) -> str:
        """Some of it, in figures."""
        return f"{value / 1024:.1f} GiB" if self.what in _IN_MIB else str(value)

    def __str__(self) -> str:
        of = " of" * (self.what in _IN_MIB)
        return f"{self.amount(self.needed)}{of} {self.what} at once (available: {self.amount(self.available)})"


def clusters_at_once(asked: int | None, shapes: Iterable[Shape]) -> int:
    """How many kind clusters of a run are up at the same time; to be called before anything is made.

    Args:
        asked: what the user asked for; None for one for every two cores, or as few as fit.
        shapes: the cluster of each kind case of the run, one entry a case; without any, nothing is looked at.

    Raises:
        MachineError: the biggest clusters that may be up at once don't fit; or no engine answers.
    """
    demand = list(shapes)
    if not demand:
        return asked or 1
    with contextlib.closing(open_engine()) as engine:
        machine = read_machine(read_engine(engine))
    if asked is None:
        usual = range(max(1, machine.cpus // 2), 1, -1)
        asked = next((count for count in usual if not _shortages(machine, _biggest(demand, count))), 1)
    check_fits(machine, asked, demand)
    return asked


def check_fits(machine: Machine, count: int, demand: Sequence[Shape]) -> None:
    """Raise when the biggest clusters of a run, as many as are up at once, are more than a machine has.

    Args:
        machine: what there is.
        count: clusters that are up at the same time.
        demand: one shape a case.

    Raises:
        MachineError: they don't fit; says what is short, by how much, and how many would.
    """
    at_once = _biggest(demand, count)
    short = _shortages(machine, at_once)
    if not short:
        return
    fitting = next((n for n in range(len(at_once), 0, -1) if not _shortages(machine, at_once[:n])), 0)
    fewer = f"use --kind-at-once {fitting}" if fitting else "leave kind out: -m 'not kind'"
    told = "; ".join(map(str, short))
    raise MachineError(f"{_in_words(at_once)} {told}", mend="; or ".join([fewer, *(need.mend for need in short)]))


def most_at_once(machine: Machine, shape: Shape) -> int:
    """How many clusters of one shape fit at the same time; 0 when not even one does."""
    count = 0
    while not _shortages(machine, [shape] * (count + 1)):
        count += 1
    return count


def read_machine(engine: EngineFacts | None) -> Machine:
    """What is left on this machine.

    Args:
        engine: its engine; None where none answers yet.
    """
    cores = len(os.sched_getaffinity(0))
    return Machine(
        min(psutil.virtual_memory().available // 2**20, *_cgroup_room_mib(), engine.memory_mib if engine else 2**40),
        _free_mib(engine.folder if engine else _USUAL_ENGINE_FOLDER),
        min(engine.cpus, cores) if engine else cores,
        max(0, _inotify_limit("max_user_instances") - _inotify_instances_of_root()),
        _inotify_limit("max_user_watches"),
    )


def needs(machine: Machine, clusters: Sequence[Shape]) -> list[Need]:
    """What clusters that are up at the same time need, resource by resource."""
    control_planes = sum(shape.control_planes for shape in clusters)
    workers = sum(shape.workers for shape in clusters)
    nodes = control_planes + workers
    memory_mib = sum(_weight(shape) for shape in clusters) + _SPARE_MEMORY_MIB
    instances = control_planes * CONTROL_PLANE_INSTANCES + workers * WORKER_INSTANCES
    disk_mib = nodes * NODE_DISK_MIB + _SPARE_DISK_MIB
    watches = max(LEAST_WATCHES, nodes * NODE_WATCHES)
    return [
        Need("memory", memory_mib, machine.memory_mib, "free some: `docker ps` tells what else runs"),
        Need("disk", disk_mib, machine.disk_mib, "free some: `docker system df` tells what takes it"),
        Need("cores", max(LEAST_CORES, -(-nodes // NODES_A_CPU)), machine.cpus, "take a bigger machine"),
        Need("inotify instances", instances, machine.inotify_instances, INSTANCES_MEND),
        Need("inotify watches", watches, machine.inotify_watches, WATCHES_MEND),
    ]


def _shortages(machine: Machine, clusters: Sequence[Shape]) -> list[Need]:
    return [need for need in needs(machine, clusters) if not need.enough]


def _biggest(demand: Sequence[Shape], count: int) -> list[Shape]:
    return sorted(demand, key=_weight, reverse=True)[: max(1, count)]


def _weight(shape: Shape) -> int:
    """Memory of a cluster, in MiB."""
    several = SEVERAL_CONTROL_PLANES_MIB * (shape.control_planes > 1)
    return shape.control_planes * CONTROL_PLANE_MIB + shape.workers * WORKER_MIB + several


def _in_words(clusters: Sequence[Shape]) -> str:
    """``4 clusters of 3 control planes need``; the biggest comes first."""
    parts = [(clusters[0].control_planes, "control plane"), (clusters[0].workers, "worker")]
    size = " and ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in parts if count)
    if len(clusters) == 1:
        return f"a cluster of {size} needs"
    up_to = "up to " if len({_weight(shape) for shape in clusters}) > 1 else ""
    return f"{len(clusters)} clusters of {up_to}{size} need"


def _free_mib(folder: Path) -> int:
    """Free room at a folder, or at the nearest one above it that can be seen."""
    seen = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    return shutil.disk_usage(seen).free // 2**20


def _cgroup_room_mib() -> list[int]:
    """What a container's own memory limit leaves; empty where there is none."""
    for folder, limit, usage, cache in _CGROUPS:
        try:
            most = (folder / limit).read_text().strip()
            used = int((folder / usage).read_text())
            told = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except OSError:
            continue  # the other version, or no cgroup of our own
        if most.isdigit() and int(most) < _NO_LIMIT:
            return [max(0, int(most) - used + int(told.get(cache, 0))) // 2**20]
    return []


def _inotify_limit(name: str) -> int:
    return int((_INOTIFY / name).read_text())


def _inotify_instances_of_root() -> int:
    """Instances that root's processes hold, in containers too; what can't be seen counts as none."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is not ours to look at
            if process.stat().st_uid == 0:
                count += sum(map(_is_inotify, list((process / "fd").iterdir())))
    return count


def _is_inotify(file: Path) -> bool:
    try:
        return str(file.readlink()) == "anon_inode:inotify"
    except OSError:
        return False  # closed meanwhile
