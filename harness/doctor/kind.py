"""What the kind scenarios need: an engine for privileged containers, room, kind, kubectl and a node image."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.admission import Machine, Need, most_at_once, needs, read_machine
from harness.clusters.docker_engine import ENGINE_MEND, EngineFacts, open_engine, read_engine, takes_privileged
from harness.clusters.kind_binaries import kind_version, kubectl_version
from harness.doctor.examined import KIND, Examined, missing
from harness.errors import HarnessError, MachineError
from harness.nodeimage import NodeImage, ToolPaths, find_node_images, tool_paths
from harness.spec import KindSpec

IMAGE_MEND = "afterfault images build"
# kind's load balancer keeps a connection for each client; below that, its reload fails.
LEAST_OPEN_FILES = 4096
EASY_OPEN_FILES = 65536
# By default the kubelet refuses cgroup v1 from 1.35 on.
LAST_MINOR_ON_CGROUP_1 = (1, 34)
ONE, THREE = KindSpec(), KindSpec(control_planes=3)


def _engine_facts() -> EngineFacts:
    with contextlib.closing(open_engine(timeout_seconds=15)) as engine:
        return read_engine(engine)


@dataclass(frozen=True, slots=True)
class KindSources:
    """Where the facts come from; tests put others in their place.

    Args:
        engine: the engine's facts.
        machine: what the machine has left.
        images: node images that the engine has.
        tools: kind and kubectl.
    """

    engine: Callable[[], EngineFacts] = _engine_facts
    machine: Callable[[EngineFacts | None], Machine] = read_machine
    images: Callable[[], Sequence[NodeImage]] = find_node_images
    tools: Callable[[], ToolPaths] = tool_paths


def examine_kind(sources: KindSources | None = None) -> list[Examined]:
    """Look at everything the kind scenarios need.

    Args:
        sources: where the facts come from; the real ones by default.
    """
    sources = sources or KindSources()
    findings = [_client()]
    try:
        engine: EngineFacts | None = sources.engine()
    except MachineError as error:
        engine = None
        findings.append(missing(KIND, "Docker engine", error, ENGINE_MEND))
    if engine:
        findings.append(_engine(engine))
    findings += [*_room(sources.machine(engine)), _open_files(), _ports()]
    findings += _tools(sources)
    if engine:
        findings += [*_images(sources, engine), _foreign(engine)]
    else:
        mend = f"{ENGINE_MEND}, then {IMAGE_MEND}"
        findings.append(Examined(KIND, "node image", False, "not known while no engine answers", mend))
    return findings


def _client() -> Examined:
    found = shutil.which("docker")
    return Examined(KIND, "Docker client", bool(found), found or "none on PATH, and kind calls it", ENGINE_MEND)


def _engine(engine: EngineFacts) -> Examined:
    seen = f"{engine.version}, runc {engine.runc}, {engine.driver}, cgroup v{engine.cgroup_version}"
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    if takes_privileged(engine.version, Path("/proc/self/status").read_text(), last):
        return Examined(KIND, "Docker engine", True, seen)
    why = "; a capability is missing from the bounding set here, and before 23 privileged containers can't start then"
    return Examined(KIND, "Docker engine", False, seen + why, f"end that engine, then {ENGINE_MEND}")


def _room(machine: Machine) -> Iterator[Examined]:
    for need in needs(machine, [THREE]):
        yield Examined(KIND, need.what, need.enough, _in_words(need), need.mend)
    three, one = most_at_once(machine, THREE), most_at_once(machine, ONE)
    yield Examined(
        KIND,
        "room",
        three > 0,
        f"for {three} clusters of three control planes at once, or {one} of one",
        "as said above",
    )


def _in_words(need: Need) -> str:
    return (
        f"{need.amount(need.available)} available; a cluster of three control planes needs {need.amount(need.needed)}"
    )


def _open_files() -> Examined:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    endless = hard == resource.RLIM_INFINITY
    note = "" if endless or hard >= EASY_OPEN_FILES else "; low, and enough for a load balancer that is told so"
    good = endless or hard >= LEAST_OPEN_FILES
    seen = "no limit" if endless else f"{hard} a process{note if good else ''}"
    return Examined(KIND, "open files", good, seen, f"ulimit -Hn {EASY_OPEN_FILES}, for the engine too; needs root")


def _ports() -> Examined:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError as error:
        return Examined(
            KIND, "ports", False, f"no free one on loopback: {error.strerror}", "end what holds them: ss -tlnp"
        )
    return Examined(KIND, "ports", True, "kind picks a free one on loopback for each API server")


def _tools(sources: KindSources) -> Iterator[Examined]:
    try:
        tools = sources.tools()
    except HarnessError as error:
        yield missing(KIND, "kind and kubectl", error, IMAGE_MEND)
        return
    asked = (("kind", tools.kind, kind_version), ("kubectl", tools.kubectl, kubectl_version))
    for what, path, version in asked:
        try:
            yield Examined(KIND, what, True, f"{version(path)}, {path}")
        except MachineError as error:
            yield missing(KIND, what, error, f"rm {path}, then {IMAGE_MEND}")


def _images(sources: KindSources, engine: EngineFacts) -> Iterator[Examined]:
    try:
        images = sources.images()
    except HarnessError as error:
        yield missing(KIND, "node image", error, IMAGE_MEND)
        return
    seen = ", ".join(image.reference for image in images)
    yield Examined(KIND, "node image", bool(seen), seen or "none", IMAGE_MEND)
    yield _cgroups(engine, [image.kubernetes for image in images])


def _cgroups(engine: EngineFacts, versions: Sequence[str]) -> Examined:
    if engine.cgroup_version != 1:
        return Examined(KIND, "cgroups", True, f"version {engine.cgroup_version}: any Kubernetes")
    last = ".".join(map(str, LAST_MINOR_ON_CGROUP_1))
    fit = [version for version in versions if _minor(version) <= LAST_MINOR_ON_CGROUP_1]
    seen = f"version 1: Kubernetes up to {last}"
    if fit or not versions:
        return Examined(KIND, "cgroups", True, seen)
    return Examined(KIND, "cgroups", False, f"{seen}; here is {', '.join(versions)}", IMAGE_MEND)


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _foreign(engine: EngineFacts) -> Examined:
    """Never a reason not to run: said, so that nobody wonders whose they are afterwards."""
    told = ", ".join(f"{name} ({count} container{'s' * (count != 1)})" for name, count in engine.kind_nodes)
    return Examined(KIND, "other clusters", True, f"{told}; they are never touched" if told else "none")
