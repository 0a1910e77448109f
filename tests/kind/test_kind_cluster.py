"""What `KindCluster` promises: workers, mounts, ports on loopback, machines that stop, pause and come back."""

import contextlib
import socket
import time

import pytest

from harness.clusters.docker_engine import open_engine
from harness.clusters.kind import KindCluster
from harness.clusters.kube_ready import await_ready
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError
from harness.journal import Journal
from harness.spec import KindSpec
from harness.waiting import until
from tests.contract.small_image import SMALL, small_image
from tests.kind.conftest import living_cluster

pytestmark = pytest.mark.kind
NODE_PORT = 30080


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    (folder / "word").write_text("from outside")
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, pytestconfig, given):
    spec = KindSpec(workers=1, mounts=((str(given), "/given"),), ports=((0, NODE_PORT),))
    with living_cluster(tmp_path_factory.mktemp("pair"), spec, pytestconfig) as made:
        yield made


@pytest.fixture
def control_plane(cluster):
    return next(iter(cluster.nodes.values()))


@pytest.fixture
def worker(cluster):
    return next(iter(cluster.workers.values()))


def kinds(cluster):
    return [entry.kind for entry in cluster.journal.entries()]


def serves(cluster, node):
    with cluster.client(node) as client:
        return client.healthy()


def test_every_node_of_the_shape_is_there(cluster, control_plane, worker):
    assert (len(cluster.nodes), len(cluster.workers), cluster.load_balancer) == (1, 1, None)
    assert (control_plane.role, worker.role) == ("control-plane", "worker")
    started = next(entry for entry in cluster.journal.entries() if entry.kind == "cluster.started")
    assert [member["node"] for member in started.data["members"]] == [control_plane.name]
    assert started.data["cluster_id"] == cluster.cluster_id != ""


def test_folders_are_mounted_into_every_node(control_plane, worker):
    assert control_plane.read_file("/given/word") == worker.read_file("/given/word") == b"from outside"


def test_ports_are_on_loopback_alone(cluster, control_plane):
    container = cluster.setup.engine.containers.get(control_plane.name)
    published = container.attrs["NetworkSettings"]["Ports"]
    assert {row["HostIp"] for rows in published.values() for row in rows or ()} == {"127.0.0.1"}
    port = int(published[f"{NODE_PORT}/tcp"][0]["HostPort"])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_the_machine_s_own_kubeconfig_is_left_alone(cluster):
    assert str(cluster.kubeconfig).startswith(str(cluster.work))


def test_an_image_is_loaded_into_every_node(cluster, control_plane, worker):
    with small_image(cluster.setup.engine, disk_mib=1):
        cluster.load_image(SMALL)
    for node in (control_plane, worker):
        assert SMALL in node.execute("ctr", "-n", "k8s.io", "images", "ls", "-q").stdout.decode()


def test_an_image_that_is_not_there_is_not_loaded(cluster):
    with pytest.raises(ClusterError, match="could not load nosuch/image:1"):
        cluster.load_image("nosuch/image:1")


def test_a_paused_machine_answers_nothing_until_it_is_resumed(cluster, control_plane):
    assert serves(cluster, control_plane)
    control_plane.pause()
    try:
        assert control_plane.running
        assert not serves(cluster, control_plane)
    finally:
        control_plane.resume()
    until(lambda: serves(cluster, control_plane), what="etcd to answer again", deadline_seconds=30)
    assert kinds(cluster)[-2:] == ["node.paused", "node.resumed"]


def test_a_stopped_control_plane_comes_back_with_its_state(cluster, control_plane):
    """As after `docker stop` and `docker start`: the same cluster, everything ready again."""
    before = control_plane.pid
    control_plane.terminate()
    assert (control_plane.running, control_plane.pid) == (False, 0)
    control_plane.start()
    await_ready(cluster.kubeconfig, 2)
    assert control_plane.pid not in (0, before)
    status = cluster.status(control_plane)
    assert status is not None
    assert status.header.cluster_id == cluster.cluster_id


def test_logs_are_exported(cluster, control_plane, worker, tmp_path):
    cluster.export_logs(tmp_path)
    assert (tmp_path / "kind.log").read_text()
    for node in (control_plane, worker):
        assert (tmp_path / node.name / "kubelet.log").stat().st_size > 0


def test_what_kind_cannot_make_is_told_and_removed(tmp_path, cluster):
    """An image that boots nothing: kind's own last words come along, and nothing stays."""
    with contextlib.closing(open_engine()) as engine, small_image(engine, disk_mib=1):
        setup = type(cluster.setup)(engine, SMALL, cluster.setup.kind, cluster.setup.kubectl)
        ownership = Ownership(f"test-broken-{time.time_ns()}", tmp_path / "owned")
        journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
        broken = KindCluster(KindSpec(), setup, tmp_path / "owned" / "cluster", journal, ownership)
        with pytest.raises(ClusterError, match="kind create cluster failed") as caught:
            broken.start()
        assert "ERROR: failed to create cluster" in str(caught.value)
        assert broken.remove() == []
        journal.seal()
        ownership.release()
        assert engine.containers.list(all=True, filters={"label": f"io.x-k8s.kind.cluster={broken.name}"}) == []


def test_a_machine_that_ends_while_it_boots_shows_its_console(worker):
    """Its entrypoint can't say anything but why."""
    worker.execute("sh", "-c", "mv /usr/local/bin/entrypoint /root/kept; printf '#!/bin/sh\necho no disk; exit 7\n' "
                   "> /usr/local/bin/entrypoint; chmod +x /usr/local/bin/entrypoint")  # fmt: skip
    worker.kill()
    with pytest.raises(ClusterError, match=r"ended while it booted") as caught:
        worker.start()
    assert "no disk" in str(caught.value)
