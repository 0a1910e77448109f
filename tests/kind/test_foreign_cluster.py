"""The foreign cluster beside a case: to kind a cluster like any other, to the run's taps somebody else's."""

import contextlib
import subprocess
import uuid

import pytest

from harness.clusters.bystanders import look
from harness.clusters.docker_engine import open_engine
from harness.clusters.foreign_cluster import ForeignCluster
from harness.clusters.ownership import Ownership
from harness.nodeimage import deployment_images, tool_paths
from harness.taps.engine_view import EngineView
from tests.kind.needs import kind_needed

pytestmark = pytest.mark.kind


@pytest.fixture(scope="module")
def client(pytestconfig):
    with kind_needed(pytestconfig):
        opened = open_engine()
    with contextlib.closing(opened):
        yield opened


@pytest.fixture
def owner(tmp_path):
    taken = Ownership(f"test-{uuid.uuid4().hex[:12]}", tmp_path / "owned")
    yield taken
    taken.release()


@pytest.fixture
def foreign(client, owner, tmp_path, pytestconfig):
    with kind_needed(pytestconfig):
        image = deployment_images.find("etcd-tools")
    made = ForeignCluster(client, image, f"{owner.lease.label}-foreign", tmp_path / "theirs")
    yield made
    made.remove()


def kind(config, *words):
    with kind_needed(config):
        program = tool_paths().kind
    return subprocess.run([str(program), *words], capture_output=True, text=True, check=True, timeout=60).stdout.split()


def seen(client, owner, foreign):
    return [one for one in look(client, owner.lease.mark, known={foreign.id}) if one.id == foreign.id]


def test_to_kind_it_is_a_cluster(foreign, pytestconfig):
    assert foreign.name in kind(pytestconfig, "get", "clusters")
    assert kind(pytestconfig, "get", "nodes", "--name", foreign.name) == [f"{foreign.name}-control-plane"]


def test_to_the_run_it_is_somebody_elses(client, owner, foreign):
    assert EngineView(client, owner).clusters()[foreign.name] is False
    [bystander] = seen(client, owner, foreign)
    assert (bystander.cluster, bystander.running) == (foreign.name, True)


def test_whoever_deletes_it_is_seen_to(client, owner, foreign, pytestconfig):
    kind(pytestconfig, "delete", "cluster", "--name", foreign.name)
    assert seen(client, owner, foreign) == []


def test_it_goes_when_it_is_removed(client, foreign):
    foreign.remove()
    assert foreign.id not in [one.id for one in client.containers.list(all=True, ignore_removed=True)]
