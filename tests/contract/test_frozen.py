"""A node that was killed while something in it was frozen ends after all; one that lives is left frozen."""

import contextlib
import os
import time
import uuid
from pathlib import Path

import docker.errors
import pytest

from harness.clusters.frozen import thaw_dying, thawing
from harness.clusters.lease import Mark
from harness.clusters.ownership import Ownership
from harness.errors import LeftoverError, WaitTimeout
from harness.journal import Journal
from harness.waiting import until
from tests.contract.small_image import SMALL, engine_with_small_image

FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.fixture(scope="module")
def client():
    if not os.access(FREEZER, os.W_OK):
        pytest.skip("no control groups of version 1 that this user may write")
    with engine_with_small_image(disk_mib=1) as opened:
        yield opened


@pytest.fixture
def owner(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    taken = Ownership(f"test-{uuid.uuid4().hex[:12]}", tmp_path / "owned")
    yield taken
    with contextlib.suppress(LeftoverError):
        taken.release()


@pytest.fixture
def node(client, owner):
    """A container of the run with a second process in a group of its own, which is frozen."""
    made = client.containers.run(SMALL, detach=True, labels=owner.labels())
    client.api.exec_start(client.api.exec_create(made.id, ["/wait"])["Id"], detach=True)
    second = until(lambda: other_than_first(client, made), what="the second process", deadline_seconds=20)
    group = group_of(second) / "pod"
    group.mkdir()
    (group / "cgroup.procs").write_text(str(second))
    (group / "freezer.state").write_text("FROZEN")
    yield made, group
    with contextlib.suppress(OSError):
        (group / "freezer.state").write_text("THAWED")
    with contextlib.suppress(docker.errors.NotFound):
        until(lambda: removed(made), what="the node to go", deadline_seconds=30)


def removed(node):
    try:
        node.remove(force=True, v=True)
    except docker.errors.NotFound:
        return True
    except docker.errors.APIError:
        return False
    return True


def group_of(pid):
    line = next(each for each in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if ":freezer:" in each)
    return FREEZER / line.split(":", 2)[2].lstrip("/")


def other_than_first(client, node):
    first = client.api.inspect_container(node.id)["State"]["Pid"]
    return next((int(row[1]) for row in node.top()["Processes"] if int(row[1]) != first), 0)


def running(client, node):
    try:
        return client.api.inspect_container(node.id)["State"]["Running"]
    except docker.errors.NotFound:
        return False


def test_it_ends_when_it_is_thawed(client, owner, node):
    made, group = node
    assert thaw_dying(client, owner.lease.mark) == []
    assert (group / "freezer.state").read_text() == "FROZEN\n", "it lives: frozen on purpose, maybe"
    os.kill(client.api.inspect_container(made.id)["State"]["Pid"], 9)
    with pytest.raises(WaitTimeout):  # what is frozen does not end, and with it neither does the container
        until(lambda: not running(client, made), what="the container to end", deadline_seconds=1)
    assert thaw_dying(client, Mark("somebody-else")) == []
    assert thaw_dying(client, owner.lease.mark) == [made.name]
    until(lambda: not running(client, made), what="the container to end", deadline_seconds=20)


def test_a_run_s_nodes_are_watched_and_it_is_told(client, owner, node, tmp_path):
    made, _ = node
    journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
    with thawing(client, owner.lease.mark, journal):
        removed(made)
        until(lambda: not running(client, made), what="the container to end", deadline_seconds=20)
    journal.seal()
    assert [entry.data["node"] for entry in journal.entries() if entry.kind == "node.thawed"] == [made.name]


def test_clean_up_ends_it(client, owner, node):
    made, _ = node
    os.kill(client.api.inspect_container(made.id)["State"]["Pid"], 9)
    with pytest.raises(LeftoverError, match="had to be removed"):
        owner.release()
    assert not running(client, made)
