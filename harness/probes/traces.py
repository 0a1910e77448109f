"""What a tool leaves besides the cluster: files, processes, and things in the Docker engine.

Files are told by path, mode and fingerprint: what is in them may be secret. So what differs from run
to run has to be masked here, before the fingerprint is made (`MASKS`), and a journal can't be judged
by newer masks. Names of files, which hold no secret, are left to judging.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import docker.errors
import psutil
import requests.exceptions
from docker import DockerClient

from harness.clusters.engine import CONTAINER, NETWORK, VOLUME, Thing
from harness.clusters.lease import Mark
from harness.clusters.ownership import owned_processes
from harness.errors import ClusterError, MachineError, WaitTimeout
from harness.journal import Journal
from harness.probes.secrecy import OF_THIS_PROCESS, Fingerprints
from harness.waiting import until

KIND = "probe.traces"
# Of each sort of text in a tool's files that differs from run to run: how it looks, what stands for it, and why.
MASKS: tuple[tuple[re.Pattern[bytes], bytes, str], ...] = (
    (
        re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"),
        b"<moment>",
        "a moment, as in logs and creationTimestamp",
    ),
    (
        re.compile(rb"(?m)^(\s*(?:certificate-authority|client-certificate|client-key)-data: ).*$"),
        rb"\1<...>",
        "in kubeconfigs: each cluster has its own authority, and signs the admin's key anew",
    ),
    (
        re.compile(rb"(?m)^(\s*server: https://(?:127\.0\.0\.1|localhost)):\d+$"),
        rb"\1:<port>",
        "in kubeconfigs: kind takes a free port",
    ),
    (
        re.compile(rb"(?m)^(\s*\"?(?:uid|resourceVersion)\"?: \"?)[0-9a-f-]+"),
        rb"\1<...>",
        "in dumps of objects: random, or a count of all the cluster's writes",
    ),
)
_LARGEST_MASKED_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**20
_MOST_FILES = 20_000
_PROCESS_SECONDS = 10.0
_COMMAND = 200
_TROUBLE = (docker.errors.DockerException, requests.exceptions.RequestException)


@dataclass(frozen=True, slots=True)
class Engine:
    """Where in a Docker engine to look.

    Args:
        client: of the engine.
        mark: of the run: what carries it, is the tool's or the cluster's.
        known_names: patterns of names that the tool gives without our labels.
    """

    client: DockerClient
    mark: Mark
    known_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TraceLook:
    """Where to look for traces.

    Args:
        folders: by the name they get in the journal: deployment, home, temporary files.
        label: of the run, as its processes carry it; empty to leave processes out.
        standing: the run's own processes, there before the tool was first called: taps and the like.
        engine: None where there is none.
        opaque: patterns over ``folder name/path``: files of databases and the like, of which only
            mode and presence are noted, and folders that are not entered.
        names: what this run calls things, and what stands for it, as for `StateLook`.
        fingerprints: the same for both looks that are to be compared.
    """

    folders: Mapping[str, Path]
    label: str = ""
    standing: frozenset[psutil.Process] = frozenset()
    engine: Engine | None = None
    opaque: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Fingerprints = OF_THIS_PROCESS


def observe_traces(journal: Journal, role: str, look: TraceLook) -> None:
    """Write down what is there besides the cluster (``probe.traces``).

    Args:
        journal: where it goes.
        role: ``reference`` or ``recovered``.
        look: where to look.

    The entry: ``role``; ``files``: by folder and path ``sort`` (``file``, ``folder``, ``link``,
    ``other``), ``mode``, ``content`` (a fingerprint after masking, or where a link leads);
    ``processes``: command lines; ``engine``: ``sort``, ``name`` and ``state``; ``key``: under which
    files were hashed. A process that is about to end gets ten seconds for it.

    Raises:
        ClusterError: more files than a journal should hold.
        MachineError: the engine does not answer.
    """
    journal.append(KIND, role=role, **seen_traces(look))


def seen_traces(look: TraceLook) -> dict[str, Any]:
    """The entry without its role: a reference is taken once, and written to the journal of each case it serves.

    Raises:
        ClusterError, MachineError: as `observe_traces`.
    """
    processes = _processes(look)
    return {
        "files": {name: dict(_files(name, folder, look)) for name, folder in look.folders.items()},
        "processes": processes,
        "engine": _things(look),
        "key": look.fingerprints.key_id,
    }


def _files(name: str, folder: Path, look: TraceLook) -> Iterator[tuple[str, dict[str, str]]]:
    waiting, seen = [folder], 0
    while waiting:
        for path in sorted(_below(waiting.pop())):
            seen += 1
            if seen > _MOST_FILES:
                raise ClusterError(f"more than {_MOST_FILES} files below {folder}: declare what is opaque")
            relative = str(path.relative_to(folder))
            is_opaque = any(fnmatchcase(f"{name}/{relative}", pattern) for pattern in look.opaque)
            with contextlib.suppress(FileNotFoundError):  # gone between two looks
                told = _file(path, look, is_opaque=is_opaque)
                if told["sort"] == "folder" and not is_opaque:
                    waiting.append(path)
                yield _unnamed(relative, look), told


def _below(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, PermissionError):
        return []  # its own mode tells why


def _file(path: Path, look: TraceLook, *, is_opaque: bool) -> dict[str, str]:
    status = path.lstat()
    told = {"sort": "other", "mode": f"{stat.S_IMODE(status.st_mode):04o}", "content": ""}
    if stat.S_ISDIR(status.st_mode):
        told["sort"] = "folder"
    elif stat.S_ISLNK(status.st_mode):
        told |= {"sort": "link", "content": _unnamed(str(path.readlink()), look)}
    elif stat.S_ISREG(status.st_mode):
        told |= {"sort": "file", "content": "" if is_opaque else _content(path, status.st_size, look)}
    return told


def _content(path: Path, size: int, look: TraceLook) -> str:
    try:
        if size <= _LARGEST_MASKED_BYTES:
            return look.fingerprints.of(_masked(path.read_bytes(), look))
        with path.open("rb") as file:
            return look.fingerprints.of_chunks(iter(partial(file.read, _CHUNK_BYTES), b""))
    except PermissionError:
        return "not readable"


def _masked(content: bytes, look: TraceLook) -> bytes:
    if b"\0" in content:
        return content  # no text
    for name, placeholder in _longest_first(look.names):
        content = content.replace(name.encode(), placeholder.encode())
    for pattern, mask, _ in MASKS:
        content = pattern.sub(mask, content)
    return content


def _processes(look: TraceLook) -> list[str]:
    """Command lines of what the tool started, once those that were about to end have ended."""
    if not look.label:
        return []
    try:
        until(lambda: not _left(look), what="processes to end", deadline_seconds=_PROCESS_SECONDS)
    except WaitTimeout:
        return sorted(filter(None, (_command(process, look) for process in _left(look))))
    return []


def _left(look: TraceLook) -> list[psutil.Process]:
    """Told apart by ID and time of start, so that another process with an ID of ours is another one."""
    return [process for process in owned_processes(look.label) if process not in look.standing]


def _command(process: psutil.Process, look: TraceLook) -> str:
    try:
        words = process.cmdline()
        return _unnamed(" ".join([Path(words[0]).name, *words[1:]]), look)[:_COMMAND] if words else ""
    except psutil.Error:
        return ""  # gone meanwhile


def _things(look: TraceLook) -> list[dict[str, str]]:
    engine = look.engine
    if engine is None:
        return []
    api = engine.client.api
    try:
        containers, networks = api.containers(all=True), api.networks()
        volumes = api.volumes()["Volumes"] or ()
    except _TROUBLE as error:
        raise MachineError(f"the Docker engine stopped answering: {error}") from error
    found = [
        (Thing(CONTAINER, raw["Id"], (raw["Names"] or ["/?"])[0][1:], raw["Labels"] or {}), raw["State"])
        for raw in containers
    ]
    found += [(Thing(NETWORK, raw["Id"], raw["Name"], raw["Labels"] or {}), "") for raw in networks]
    found += [(Thing(VOLUME, raw["Name"], raw["Name"], raw["Labels"] or {}), "") for raw in volumes]
    return [
        {"sort": thing.sort, "name": _unnamed(thing.name, look), "state": state}
        for thing, state in found
        if thing.belongs_to(engine.mark) or any(fnmatchcase(thing.name, name) for name in engine.known_names)
    ]


def _unnamed(text: str, look: TraceLook) -> str:
    for name, placeholder in _longest_first(look.names):
        text = text.replace(name, placeholder)
    return text


def _longest_first(names: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(names.items(), key=lambda pair: -len(pair[0]))
