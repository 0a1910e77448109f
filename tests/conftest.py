"""Real clusters for tests: each test gets a folder, a journal and an ownership of its own."""

import os
import time

import pytest

from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_release import find_releases
from harness.clusters.ownership import Ownership, owned_processes
from harness.clusters.s3_server import S3Server
from harness.errors import MachineError
from harness.journal import Journal
from harness.lab import LabSettings
from harness.nodeimage.s3_server import find_s3_server
from harness.plugin.options import required
from harness.spec import EtcdSpec


def pytest_collection_modifyitems(items):
    """What takes minutes begins first; the order of the rest stays."""
    items.sort(key=lambda item: "/tests/kind/" not in item.path.as_posix())


@pytest.fixture(scope="session")
def releases():
    return find_releases([])


@pytest.fixture
def ownership(tmp_path):
    owner = Ownership(f"test-{time.time_ns()}", tmp_path / "owned")
    yield owner
    owner.release()
    assert not owned_processes(owner.lease.label)
    assert not (tmp_path / "owned").exists()


@pytest.fixture
def build(tmp_path, ownership, releases):
    """Builds clusters that are gone when the test is."""
    built = []

    def one(spec=EtcdSpec(), *, start=True):  # noqa: B008 - a frozen value
        number = len(built)
        journal = Journal(tmp_path / f"journal-{number}.jsonl", time.monotonic)
        cluster = EtcdCluster(spec, releases[0], tmp_path / "owned" / f"cluster-{number}", journal, ownership)
        built.append(cluster)
        if start:
            cluster.start()
        return cluster

    yield one
    for cluster in built:
        assert cluster.remove() == []
        cluster.journal.seal()


@pytest.fixture
def settings(tmp_path, ownership, releases):
    return LabSettings("test", tmp_path / "cases", releases, ownership)


@pytest.fixture(scope="session")
def s3_program(pytestconfig):
    """The S3 server's program; without it a test is skipped, or in error under ``--require s3``."""
    try:
        return find_s3_server()
    except MachineError as error:
        if "s3" in required(pytestconfig):
            raise
        pytest.skip(f"no S3 server here: {error}")


@pytest.fixture(scope="module")
def s3_server(s3_program, tmp_path_factory):
    """One for all tests of a module; each makes a bucket of its own. It is not idle when nobody asks anything of it."""
    work = tmp_path_factory.mktemp("s3")
    owner = Ownership(f"test-s3-{os.getpid()}-{time.time_ns()}", work / "owned")
    server = S3Server(s3_program, work / "owned" / "server", owner)
    yield server
    server.stop()
    owner.release()


@pytest.fixture
def s3_server_of_its_own(s3_program, tmp_path, ownership):
    """One that a test may stop or kill."""
    server = S3Server(s3_program, tmp_path / "owned" / "server", ownership)
    yield server
    server.stop()
