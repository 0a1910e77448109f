"""Nodes that can't be killed because something in them is frozen; control groups of version 1 only.

The container runtime in a node freezes a pod for a moment while it sets the pod's limits. A node that is killed in that
moment leaves the pod frozen. What is frozen does not end, so neither does the node, and the engine gives up: "tried to
kill container, but did not receive an exit event", to ``docker rm -f`` and ``kind delete cluster`` as well. That is the
machine's trouble and no tool's. Seen once, on kind nodes of Kubernetes 1.34. Version 2 kills what is frozen.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import docker.errors
import requests.exceptions
from docker import DockerClient

from harness.clusters.engine import Thing, owned_containers
from harness.clusters.lease import Mark
from harness.errors import JournalWriteError, MachineError
from harness.journal import Journal
from harness.waiting import rest_unless

_FREEZER, _PROC = Path("/sys/fs/cgroup/freezer"), Path("/proc")
_EVERY_SECONDS = 2.0
_SILENCE = (MachineError, docker.errors.DockerException, requests.exceptions.RequestException)
_FLAGS, _EXITING = 6, 0x4  # of /proc/PID/stat, counted after the name; PF_EXITING


@contextlib.contextmanager
def thawing(client: DockerClient, mark: Mark, journal: Journal) -> Iterator[None]:
    """Meanwhile, no node of the run stays undead.

    Args:
        client: of the engine.
        mark: of the run; nobody else's containers are touched.
        journal: gets ``node.thawed`` for each node that was helped to its end.
    """
    stopped = threading.Event()

    def watch() -> None:
        # a journal that takes no more fails the story's own next entry
        with contextlib.suppress(JournalWriteError):
            while not rest_unless(stopped, _EVERY_SECONDS):
                for node in thaw_dying(client, mark):
                    journal.append("node.thawed", node=node)

    thread = threading.Thread(target=watch, name="thawing", daemon=True)
    if _FREEZER.is_dir():
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        if thread.ident is not None:
            thread.join(10)


def thaw_dying(client: DockerClient, mark: Mark) -> list[str]:
    """Thaw what is frozen in containers of the run that are ending; names of those where something was.

    An engine that does not answer, and groups that may not be written, are left to whoever needs them.
    """
    if not _FREEZER.is_dir():
        return []
    with contextlib.suppress(*_SILENCE):
        return [node.name for node in owned_containers(client, mark) if _helped(client, node)]
    return []


def _helped(client: DockerClient, node: Thing) -> bool:
    pid = int(client.api.inspect_container(node.id)["State"]["Pid"])
    return _is_ending(pid) and _thaw_below(node.id)


def _is_ending(pid: int) -> bool:
    try:
        words = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return bool(int(words[_FLAGS]) & _EXITING)


def _thaw_below(container_id: str) -> bool:
    """A process that ends has left its groups, so they are found by the container's name."""
    thawed = False
    with contextlib.suppress(OSError):
        for top in _FREEZER.rglob(f"*{container_id}*"):
            for state in top.rglob("freezer.state"):
                if state.with_name("freezer.self_freezing").read_text().strip() == "1":
                    state.write_text("THAWED")
                    thawed = True
    return thawed
