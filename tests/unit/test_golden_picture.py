"""What a picture of a cluster holds, and how a restorer goes round; without a cluster."""

import copy
import json

import pytest

from harness.clusters.etcd_client import CallUnknown
from harness.clusters.golden_picture import Difference, Stored, take_picture
from harness.clusters.golden_restorer import Restorer
from harness.clusters.kube_api import Answer
from harness.clusters.kube_resources import Refusal, Resource
from harness.errors import ClusterError

VERBS = ["list", "get", "create", "delete"]
SORTS = {
    "": [("configmaps", "ConfigMap", True), ("pods", "Pod", True), ("secrets", "Secret", True),
         ("namespaces", "Namespace", False), ("events", "Event", True), ("nodes", "Node", False)],
    "apps": [("deployments", "Deployment", True), ("replicasets", "ReplicaSet", True)],
    "admissionregistration.k8s.io": [("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False)],
}  # fmt: skip


class FakeApi:
    """An API server in memory, as far as pictures and restorers know one."""

    def __init__(self, *objects):
        self.objects = dict(objects)
        self.calls = []
        self.refuses = {}
        self.uids = 100

    def get(self, path, **_query):
        if path == "/apis":
            groups = [{"preferredVersion": {"groupVersion": f"{group}/v1"}} for group in SORTS if group]
            return good({"groups": groups})
        if path in self.refuses:
            return Answer(self.refuses[path], b'{"message": "does not decode"}')
        parts = path.split("/")
        if len(parts) in (3, 4) and parts[-1] == "v1":
            group = parts[2] if parts[1] == "apis" else ""
            rows = [{"name": n, "kind": k, "namespaced": spaced, "verbs": VERBS} for n, k, spaced in SORTS[group]]
            return good({"groupVersion": f"{group}/v1" if group else "v1", "resources": rows})
        if path in self.objects:
            return good(self.objects[path])
        found = [body for at, body in self.objects.items() if is_of(at, path)]
        return good({"items": found, "metadata": {}})

    def create(self, path, body):
        self.calls.append(("create", path, body["metadata"]["name"]))
        self.uids += 1
        made = copy.deepcopy(body)
        made["metadata"] |= {"uid": f"u{self.uids}", "resourceVersion": "1"}
        self.objects[f"{path}/{body['metadata']['name']}"] = made
        return good(made)

    def replace(self, path, body):
        self.calls.append(("replace", path))
        if path in self.refuses:
            return Answer(422, b'{"message": "field is immutable"}')
        if path.endswith("/finalize"):
            del self.objects[path.removesuffix("/finalize")]
        else:
            self.objects[path] = body
        return good(body)

    def patch(self, path, body):
        self.calls.append(("patch", path))
        self.objects.pop(path, None)
        return good(body)

    def delete(self, path, _body=None):
        self.calls.append(("delete", path))
        if path not in self.objects:
            return Answer(404, b"{}")
        if self.objects[path]["metadata"].get("finalizers") or ("/namespaces/" in path and path.count("/") == 4):
            self.objects[path]["metadata"]["deletionTimestamp"] = "now"
        else:
            del self.objects[path]
        return good({})


class NoStore:
    def keys_of(self, plural):
        raise ClusterError(f"no etcdctl to look for {plural}")


def is_of(at, collection):
    """Whether an object's path belongs to a list of all namespaces."""
    root, _, plural = collection.rpartition("/")
    return at.startswith(root) and at.split("/")[-2] == plural


def good(body):
    return Answer(200, json.dumps(body).encode())


def stored(path, uid, **more):
    metadata = {"name": path.rsplit("/", 1)[1], "uid": uid, "resourceVersion": "7"} | more.pop("metadata", {})
    if path.count("/") > 4 and "/namespaces/" in path:
        metadata["namespace"] = path.split("/namespaces/")[1].split("/")[0]
    return path, {"metadata": metadata} | more


def owned_by(uid):
    return {"ownerReferences": [{"uid": uid, "kind": "X", "controller": True}]}


CM = "/api/v1/namespaces/a/configmaps/one"
WEB = "/apis/apps/v1/namespaces/a/deployments/web"
SET = "/apis/apps/v1/namespaces/a/replicasets/web-1"
POD = "/api/v1/namespaces/a/pods/web-1-x"


def world(*more):
    return FakeApi(
        stored("/api/v1/namespaces/a", "n1"),
        stored(CM, "c1", data={"k": "v"}),
        stored(WEB, "d1", spec={"replicas": 1}),
        stored(SET, "r1", metadata=owned_by("d1")),
        stored(POD, "p1", metadata=owned_by("r1"), spec={}, status={}),
        *more,
    )


def test_what_controllers_keep_is_not_compared_and_strangers_are():
    picture = take_picture(world(stored("/api/v1/namespaces/a/events/e", "e1")))
    assert sorted(picture.objects) == ["configmaps a/one", "deployments.apps a/web", "namespaces a"]
    assert sorted(s.id for s in picture.owned) == ["pods a/web-1-x", "replicasets.apps a/web-1"]
    orphan = world(stored("/api/v1/namespaces/a/pods/orphan", "p2", metadata=owned_by("gone"), status={}))
    assert "pods a/orphan" in take_picture(orphan).objects


def test_what_a_strangers_deployment_brought_is_strange_too():
    golden = take_picture(world())
    used = world(
        stored("/apis/apps/v1/namespaces/a/deployments/new", "d2"),
        stored("/apis/apps/v1/namespaces/a/replicasets/new-1", "r2", metadata=owned_by("d2")),
        stored("/api/v1/namespaces/a/pods/new-1-x", "p2", metadata=owned_by("r2"), status={}),
    )
    difference = Difference.between(golden, take_picture(used, golden.objects))
    assert [s.id for s in difference.added] == ["pods a/new-1-x", "deployments.apps a/new", "replicasets.apps a/new-1"]


RESOURCE = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True, verbs=frozenset())


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"metadata": {"uid": "other", "resourceVersion": "99", "generation": 4, "managedFields": [1]}}, True),
        ({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "3"}}}, True),
        ({"status": {"anything": 1}}, True),
        ({"metadata": {"annotations": {"mine": "3"}}}, False),
        ({"metadata": {"labels": {"a": "b"}}}, False),
        ({"metadata": {"finalizers": ["x"]}}, False),
        ({"metadata": {"deletionTimestamp": "now"}}, False),
        ({"data": {"k": "w"}}, False),
    ],
)
def test_only_what_somebody_declared_tells_objects_apart(change, same):
    raw = {"metadata": {"name": "one", "namespace": "a", "uid": "1"}, "data": {"k": "v"}}
    other = raw | {name: raw.get(name, {}) | value for name, value in change.items()}
    assert (Stored(RESOURCE, raw).form == Stored(RESOURCE, other).form) is same


def test_tokens_that_expire_are_not_missed_and_new_ones_are_noticed():
    token = stored("/api/v1/namespaces/a/secrets/t", "s1", type="bootstrap.kubernetes.io/token")
    with_token, without = take_picture(world(token)), take_picture(world())
    assert Difference.between(with_token, without).sentences() == []
    assert with_token.fingerprint == without.fingerprint
    assert Difference.between(without, with_token).sentences() == ["added: secrets a/t"]


def test_what_can_not_be_listed_is_neither_missing_nor_equal():
    golden = take_picture(world())
    blind = world()
    blind.refuses["/api/v1/configmaps"] = 500
    difference = Difference.between(golden, take_picture(blind, golden.objects))
    assert difference.missing == []
    assert difference.sentences() == ["can't be listed: configmaps (500: does not decode)"]


def test_an_owner_that_can_not_be_listed_still_owns():
    golden = take_picture(world())
    blind = world()
    blind.refuses["/apis/apps/v1/replicasets"] = 500
    assert Difference.between(golden, take_picture(blind, golden.objects)).added == []


def test_a_workload_that_is_not_up_yet_is_not_settled():
    def running(count):
        status = {"observedGeneration": 1, "availableReplicas": count, "updatedReplicas": 1}
        return world(
            stored("/apis/apps/v1/namespaces/a/deployments/up", "d9", metadata={"generation": 1}, status=status)
        )

    golden = take_picture(running(1))
    difference = Difference.between(golden, take_picture(running(0), golden.objects))
    assert difference.changed == []
    assert len(difference.unsettled) == 1
    assert "(0 of 1 available, 1 updated, not settled)" in difference.sentences()[0]
    unsettled = [[stored.name for stored in take_picture(running(count)).unsettled] for count in (1, 0)]
    assert unsettled == [["web"], ["web", "up"]]


def go_until_done(api, golden, rounds=6):
    restorer = Restorer(golden, api, NoStore())
    for _ in range(rounds):
        if restorer.go_round():
            return restorer
    return restorer


def test_rounds_bring_everything_back():
    golden = take_picture(world())
    used = world(
        stored("/api/v1/namespaces/new", "n2"),
        stored("/api/v1/namespaces/new/configmaps/held", "c2", metadata={"finalizers": ["never"]}),
        stored("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/no", "w1"),
    )
    del used.objects[WEB]
    used.objects[CM] = stored(CM, "c1", data={"k": "changed"})[1]
    restorer = go_until_done(used, golden)
    assert restorer.remaining == []
    assert restorer.done.fingerprint == golden.fingerprint
    assert restorer.done.restored == {"configmaps a/one", "deployments.apps a/web"}
    deleted = [path for verb, path, *_ in used.calls if verb == "delete"]
    assert "validatingwebhook" in deleted[0], "what could refuse the rest goes first"
    assert "/api/v1/namespaces/new/endpoints" in deleted, "nobody would ever see these again"


def test_what_never_changes_is_made_anew():
    golden = take_picture(world())
    used = world()
    used.objects[CM] = stored(CM, "c1", data={"k": "changed"})[1]
    used.refuses[f"{CM}"] = 422
    go_until_done(used, golden)
    assert [call[0] for call in used.calls] == ["replace", "delete", "create"]


def test_pods_that_read_what_was_restored_start_again():
    golden = take_picture(world())
    used = world()
    used.objects[POD]["spec"] = {"volumes": [{"configMap": {"name": "one"}}]}
    del used.objects[CM]
    go_until_done(used, golden)
    assert ("delete", POD) in used.calls


def test_a_pod_that_is_left_alone_for_crashing_is_started_anew():
    status = {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1}
    up = world()
    up.objects[WEB] |= {"status": status}
    up.objects[WEB]["metadata"]["generation"] = 1
    golden = take_picture(up)
    up.objects[WEB]["status"] = status | {"availableReplicas": 0}
    up.objects[POD]["status"] = {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
    Restorer(golden, up, NoStore()).go_round()
    assert up.calls == [("delete", POD)]


def test_what_the_api_refuses_is_told():
    golden = take_picture(world())
    used = world()
    used.refuses["/api/v1/secrets"] = 500
    restorer = go_until_done(used, golden, rounds=2)
    assert restorer.remaining == ["can't be listed: secrets (500: does not decode)"]
    assert restorer.refused == ["could not look behind the API: no etcdctl to look for secrets"]


def test_an_api_that_is_away_is_one_more_round():
    class Away(FakeApi):
        def get(self, path, **_query):
            raise CallUnknown(f"{path}: timed out")

    restorer = Restorer(take_picture(world()), Away(), NoStore())
    assert not restorer.go_round()
    assert "timed out" in restorer.remaining[0]
    with pytest.raises(Refusal, match="timed out"):
        take_picture(Away())
