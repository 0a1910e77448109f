"""The Docker engine of this machine: reached, or told how it can be."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
from docker import DockerClient

from harness.errors import MachineError

ENGINE_MEND = "sudo scripts/docker-engine"
# moby 23 asks for no capability that the bounding set lacks; before, runc ends with `unable to apply caps`.
_LEAST_WITHOUT_ALL_CAPABILITIES = 23
_KIND_LABEL = "io.x-k8s.kind.cluster"
_USUAL_HOST, _USUAL_PORT = "unix:///var/run/docker.sock", 2375
_KNOCK_SECONDS = 10
_LOCAL = re.compile(r"unix://|tcp://(localhost|127\.[0-9.]+|\[::1\])(:|$)")


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine says of itself.

    Args:
        version, runc: as ``26.1.5`` and ``1.1.15``.
        driver: how it stores images, as ``overlay2``.
        cgroup_version: 1 or 2.
        cpus: cores its containers may use.
        memory_mib: memory of the machine it runs on, used or not.
        folder: where images and volumes lie.
        kind_nodes: kind clusters by name, with the number of their containers.
    """

    version: str
    runc: str
    driver: str
    cgroup_version: int
    cpus: int
    memory_mib: int
    folder: Path
    kind_nodes: tuple[tuple[str, int], ...] = ()


def open_engine(timeout_seconds: float = 60) -> DockerClient:
    """A client of the engine that ``DOCKER_HOST`` names, or of the usual one.

    Args:
        timeout_seconds: of a single call.

    Raises:
        MachineError: no engine answers, it is not for this user, or it is on another machine.
    """
    host = os.environ.get("DOCKER_HOST", "")
    if host and not _LOCAL.match(host):
        # kind publishes the API server on loopback, and etcd is reached at the containers' addresses
        raise MachineError(f"DOCKER_HOST={host} is not an engine on this machine", mend="unset DOCKER_HOST")
    try:
        _knock(host or _USUAL_HOST)
        return docker.from_env(timeout=round(timeout_seconds))
    except (docker.errors.DockerException, OSError, ValueError) as error:
        raise _no_engine(error) from error


def read_engine(client: DockerClient) -> EngineFacts:
    """Ask an engine what it is and what kind clusters it has.

    Raises:
        MachineError: it stopped answering.
    """
    try:
        version, info = client.version(), client.info()
        containers = client.api.containers(all=True, filters={"label": _KIND_LABEL})
    except (docker.errors.DockerException, OSError) as error:
        raise _no_engine(error) from error
    names = [container["Labels"][_KIND_LABEL] for container in containers]
    return EngineFacts(
        _number(version["Version"]),
        next((_number(part["Version"]) for part in version.get("Components", ()) if part["Name"] == "runc"), "unknown"),
        info["Driver"],
        # engines before 20.10 don't say, and know only the first
        int(info.get("CgroupVersion") or 1),
        info["NCPU"],
        info["MemTotal"] // 2**20,
        Path(info["DockerRootDir"]),
        tuple((name, names.count(name)) for name in sorted(set(names))),
    )


def takes_privileged(version: str, status: str, last_capability: int) -> bool:
    """Whether an engine can start privileged containers, as kind's nodes are.

    Args:
        version: of the engine.
        status: text of ``/proc/self/status``; its ``CapBnd`` is the engine's too on all but odd machines.
        last_capability: the kernel's highest, ``/proc/sys/kernel/cap_last_cap``.
    """
    if int(version.partition(".")[0]) >= _LEAST_WITHOUT_ALL_CAPABILITIES:
        return True
    bounding = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bounding is not None and int(bounding[1], 16) == 2 ** (last_capability + 1) - 1


def _number(version: Any) -> str:
    """``26.1.5`` of ``26.1.5+dfsg1``."""
    found = re.match(r"\d+(\.\d+)*", str(version))
    return found[0] if found else "0"


def _knock(host: str) -> None:
    """Connect once by ourselves: Docker's client leaves its socket open when nobody answers."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(host.removeprefix("unix://"))
    else:
        address = urlsplit(host)
        socket.create_connection((address.hostname, address.port or _USUAL_PORT), timeout=_KNOCK_SECONDS).close()


def _no_engine(error: Exception) -> MachineError:
    host = os.environ.get("DOCKER_HOST", "")
    where = f" at DOCKER_HOST={host}" if host else ""
    if isinstance(error, PermissionError):
        mend = "sudo usermod -aG docker $USER, and log in again"
        return MachineError(f"the Docker engine's socket{where} is not for this user", mend=mend)
    mend = "start that engine, or unset DOCKER_HOST" if host else ENGINE_MEND
    return MachineError(f"no Docker engine answers{where}", mend=mend)
