"""Real clusters for tests: each test gets a folder, a journal and an ownership of its own."""

import time

import pytest

from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_release import find_releases
from harness.clusters.ownership import Ownership, owned_processes
from harness.journal import Journal
from harness.lab import LabSettings
from harness.spec import EtcdSpec


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
