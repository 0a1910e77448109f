"""A cluster that is not there, or was never made to the end, is what was seen: no trouble of the harness."""

import time

import pytest

from harness.clusters.kube_api import NoCluster
from harness.errors import UsageError
from harness.expectations import World
from harness.expectations.kubernetes import API_SERVICE_PRESENT, NODES_READY, RECOVERED_KUBERNETES
from harness.journal import Journal


class Absent:
    """As `ToolMadeCluster` is where the tool made no cluster, or only half of one."""

    @property
    def kubeconfig(self):
        raise NoCluster("there is no cluster: no control plane is on")

    @property
    def workers(self):
        return {}

    def running(self):
        return []


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.jsonl", time.monotonic)
    yield made
    made.seal()


@pytest.mark.parametrize("expectation", RECOVERED_KUBERNETES, ids=lambda one: one.guarantee)
def test_each_probe_tells_that_there_is_none(journal, expectation):
    expectation.probe(World(Absent(), journal, lambda: None))
    seen = journal.entries()[-1]
    assert seen.data["failure"]["sort"] == "unreachable"
    assert "there is no cluster" in seen.data["failure"]["text"]


def test_what_is_no_kubernetes_is_wrong_usage(journal):
    for expectation in (NODES_READY, API_SERVICE_PRESENT):
        with pytest.raises(UsageError, match="a list is none"):
            expectation.probe(World([], journal, lambda: None))
    assert not journal.entries()
