"""A member that misses a short poll on a busy machine is asked again; silence is never taken for an empty answer."""

import contextlib
from types import SimpleNamespace

import pytest

from harness.clusters.etcd_client import Header, ListedMember, Status
from harness.clusters.kind import KindCluster
from harness.clusters.members import EtcdEndpoints

LISTED = [ListedMember("1f", "n1", ("http://127.0.0.1:2380",), learner=False)]
STATUS = Status(Header("c1", "1f", 7), "1f", 2, 9, learner=False, version="3.6.6")
NODE = SimpleNamespace(name="n1")


class Endpoints(EtcdEndpoints):
    """One node that answers from the n-th question on; None never answers."""

    nodes = client_context = None
    cluster_id = "c1"

    def __init__(self, answers_from):
        self.asked, self._answers_from = 0, answers_from

    def running(self):
        return [NODE]

    def _ask(self, _node, question):
        self.asked += 1
        if self._answers_from is None or self.asked < self._answers_from:
            return None
        client = SimpleNamespace(status=lambda: STATUS, members=lambda: (STATUS.header, LISTED))
        return question(client)

    def etcdctl_credentials(self):
        raise AssertionError


@pytest.mark.parametrize("answers_from", [1, 2, 5])
def test_the_member_list_is_asked_for_again(answers_from):
    assert Endpoints(answers_from).members() == LISTED


def test_where_nobody_runs_nobody_is_waited_for(monkeypatch):
    cluster = Endpoints(None)
    monkeypatch.setattr(cluster, "running", list)
    assert cluster.members() == []
    assert cluster.asked == 0


def test_where_nobody_answers_the_list_is_empty_after_a_while(monkeypatch):
    monkeypatch.setattr("harness.clusters.members._MEMBERS_SECONDS", 0.2)
    cluster = Endpoints(None)
    assert cluster.members() == []
    assert cluster.asked > 2


def test_a_kind_cluster_is_never_without_its_id(monkeypatch):
    """Red in CI as `the member list was never seen`: no list told by a cluster without a name was the cluster's."""
    cluster = object.__new__(KindCluster)
    statuses = iter([None, None, STATUS])
    noted = []
    cluster._clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _: None)
    cluster.journal = SimpleNamespace(append=lambda kind, **data: noted.append((kind, data)))
    monkeypatch.setattr(cluster, "client", lambda _: contextlib.nullcontext(SimpleNamespace(healthy=lambda: True)))
    monkeypatch.setattr(cluster, "status", lambda _: next(statuses))
    assert cluster.await_member(NODE).cluster_id == "c1"
    assert noted == [("node.ready", {"node": "n1", "member_id": "1f"})]
