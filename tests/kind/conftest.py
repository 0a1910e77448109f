"""One kind cluster for all tests of a worker; every test brings it back to its golden state."""

import contextlib
import os
import time
from dataclasses import dataclass

import pytest

from harness.clusters import kind
from harness.clusters.golden import Golden
from harness.clusters.kube_api import KubeApi, super_admin_of
from harness.clusters.ownership import Ownership
from harness.journal import Journal
from harness.judging import judge_so_far
from harness.judging.guarantees import GUARANTEES
from harness.spec import CaseSpec, KindSpec, Target
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from tests.kind.needs import kind_needed

SPEC = KindSpec()
CASE = CaseSpec("proof", "000_ef3e953d37b9f50a.txt", Target("reference", "none"), SPEC, tuple(GUARANTEES))


@contextlib.contextmanager
def living_cluster(work, spec, config):
    """A real cluster, ready, gone at the end with everything that came with it."""
    with kind_needed(config):
        setup = kind_setup(KindWords(), spec)
    ownership = Ownership(f"test-{os.getpid()}-{time.time_ns()}", work / "owned")
    journal = Journal(work / "journal.jsonl", time.monotonic)
    cluster = kind.KindCluster(spec, setup, work / "owned" / "cluster", journal, ownership)
    try:
        cluster.start()
        yield cluster
    finally:
        left = cluster.remove()
        journal.seal()
        ownership.release()
    assert left == []


@pytest.fixture(scope="session")
def kind_cluster(tmp_path_factory, pytestconfig):
    with living_cluster(tmp_path_factory.mktemp("kind"), SPEC, pytestconfig) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def golden(kind_cluster):
    return Golden.take(kind_cluster)


@pytest.fixture(scope="session")
def root(kind_cluster):
    """The API as somebody whose rights nobody can take away."""
    with KubeApi(super_admin_of(kind_cluster), 10) as api:
        yield api


@dataclass
class Story:
    """A case's journal, played on the shared cluster."""

    cluster: kind.KindCluster
    journal: Journal

    def fault(self, name="Broken"):
        self.journal.append("fault.injected", fault=name, node="")
        self.journal.append("fault.evidence", fault=name, node="", bit=True, facts={})

    def judged(self, guarantee):
        return judge_so_far(guarantee, self.journal.entries())


@pytest.fixture
def story(kind_cluster, tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
    journal.append("case.opened", spec=CASE.to_json())
    journal.append("cluster.started", cluster_id="c1")
    yield Story(kind_cluster, journal)
    journal.seal()
