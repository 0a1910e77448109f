"""Traffic through the API: which answers count as done, refused, or open."""

import json

import pytest

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.kube_api import Answer, Credentials
from harness.errors import ClusterError
from harness.traffic.configmaps import ConfigMapConnection
from harness.traffic.store import Reply


class FakeApi:
    """Answers in turn; keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def answer(self, *asked):
        self.asked.append(asked)
        status, body = self.answers.pop(0)
        if isinstance(body, Exception):
            raise body
        return Answer(status, json.dumps(body).encode())

    def create(self, path, body):
        return self.answer("create", path, body["metadata"]["name"])

    def replace(self, path, body):
        return self.answer("replace", path, body["data"])

    def get(self, path, **query):
        return self.answer("get", path, query)


def version(number):
    return 200, {"metadata": {"resourceVersion": str(number)}}


def test_a_write_is_two_objects_and_has_the_registers_revision():
    api = FakeApi(version(7), version(8))
    assert ConfigMapConnection(api, "c1").write("2", "w1-5") == Reply(8, "c1")
    maps = "/api/v1/namespaces/afterfault-traffic/configmaps"
    assert api.asked == [("create", maps, "log-w1-5"), ("replace", f"{maps}/register-2", {"value": "w1-5"})]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([(409, {})], CallFailed),
        ([(403, {}), version(2)], CallFailed),
        ([(429, {})], CallFailed),
        ([(500, {})], CallUnknown),
        ([(504, {})], CallUnknown),
        ([(0, CallFailed("refused"))], CallFailed),
        ([(0, CallUnknown("no answer"))], CallUnknown),
        ([version(1), (404, {})], CallFailed),
        ([version(1), (503, {})], CallUnknown),
        ([version(1), (0, CallUnknown("no answer"))], CallUnknown),
    ],
)
def test_a_write_that_is_not_acknowledged_says_what_is_known(answers, error):
    with pytest.raises(error):
        ConfigMapConnection(FakeApi(*answers), "c1").write("0", "w1-1")


@pytest.mark.parametrize(
    ("items", "reply"),
    [
        ([], Reply(9, "c1")),
        ([{"metadata": {"resourceVersion": "4"}}], Reply(9, "c1", None, 4)),
        ([{"metadata": {"resourceVersion": "5"}, "data": {"value": "w1-1"}}], Reply(9, "c1", "w1-1", 5)),
    ],
)
def test_a_read_tells_the_stores_revision_and_the_writes(items, reply):
    api = FakeApi((200, {"metadata": {"resourceVersion": "9"}, "items": items}))
    assert ConfigMapConnection(api, "c1").read("1") == reply
    assert api.asked[0][2] == {"fieldSelector": "metadata.name=register-1"}


def test_what_is_no_kubeconfig_is_refused():
    for text in ("", "a: [", "contexts: []", "just words"):
        with pytest.raises(ClusterError, match="not a kubeconfig"):
            Credentials.of(text)
