"""A used cluster is brought back to its just-created state, or said not to be."""

from dataclasses import replace

import pytest

from harness.clusters.golden import Golden, ResetFailed
from harness.clusters.golden_picture import Picture, Stored
from harness.clusters.kube_store import KubeStore
from harness.expectations import kubernetes
from harness.judging import Verdict
from harness.waiting import until
from tests.kind import used_cluster as used

pytestmark = pytest.mark.kind


def test_the_picture_of_a_cluster_nobody_uses_stays_the_same(kind_cluster, golden):
    again = Golden.take(kind_cluster)
    assert again.fingerprint == golden.fingerprint
    assert golden.difference(kind_cluster).sentences() == []
    assert len(golden.picture.objects) > 200


def test_after_a_bad_day_everything_is_as_it_was(kind_cluster, golden, root, story):
    used.a_bad_day(root)
    KubeStore(kind_cluster.running()[0]).put("/registry/leases/default/broken", b"k8s\x00 cut off")
    told = golden.difference(kind_cluster).sentences()
    for words in (
        "added: namespaces others",
        "added: stories.stories.afterfault.dev default/endless",
        "added: validatingwebhookconfigurations.admissionregistration.k8s.io nobody",
        "added: persistentvolumes left",
        "missing: clusterroles.rbac.authorization.k8s.io system:node-proxier",
        "missing: daemonsets.apps kube-system/kindnet",
        "missing: storageclasses.storage.k8s.io standard",
        "changed: configmaps kube-system/coredns",
    ):
        assert words in told
    assert any(sentence.startswith("can't be listed: leases.coordination.k8s.io (500") for sentence in told)
    done = golden.reset(kind_cluster, deadline_seconds=120)
    assert done.fingerprint == golden.fingerprint
    assert golden.difference(kind_cluster).sentences() == []
    assert "/registry/leases/default/broken" in done.deleted
    assert "daemonsets.apps kube-system/kindnet" in done.restored
    assert Golden.take(kind_cluster).fingerprint == golden.fingerprint
    kubernetes.FRESH_POD_WORKS.probe(story)
    finding = story.judged("fresh-pod-works")
    assert finding.verdict is Verdict.RECOVERED, finding.reason


def test_a_cluster_nobody_used_is_left_alone(kind_cluster, golden):
    done = golden.reset(kind_cluster)
    assert (done.deleted, done.restored, done.fingerprint) == (set(), set(), golden.fingerprint)


def test_what_volumes_held_is_gone(kind_cluster, golden):
    node = kind_cluster.running()[0]
    node.execute("sh", "-c", "mkdir -p /var/local-path-provisioner/left && echo x > /var/local-path-provisioner/left/x")
    golden.reset(kind_cluster)
    assert node.execute("ls", "-A", "/var/local-path-provisioner").stdout.split() == []


def test_the_admin_may_have_lost_its_rights(kind_cluster, golden, root):
    used.remove(root, f"{used.RBAC}/clusterrolebindings/kubeadm:cluster-admins")
    done = golden.reset(kind_cluster)
    assert done.restored == {"clusterrolebindings.rbac.authorization.k8s.io kubeadm:cluster-admins"}


def test_other_machines_are_no_golden_state(kind_cluster, golden):
    with pytest.raises(ResetFailed, match=r"not on .*another-machine"):
        replace(golden, machines=("another-machine",)).reset(kind_cluster)


def test_what_does_not_converge_says_what_differs(kind_cluster, golden):
    """As when the golden state held an object that the API refuses by now."""
    pattern = golden.picture.objects["configmaps kube-system/coredns"]
    raw = pattern.raw | {"metadata": pattern.metadata | {"name": "Not-A-Name", "uid": "none"}}
    impossible = Stored(pattern.resource, raw)
    picture = Picture(golden.picture.objects | {impossible.id: impossible})
    with pytest.raises(ResetFailed, match="missing: configmaps kube-system/Not-A-Name") as caught:
        replace(golden, picture=picture).reset(kind_cluster, deadline_seconds=2)
    assert any("could not make configmaps kube-system/Not-A-Name: 422" in told for told in caught.value.differences)


def test_a_reset_hardly_waits_for_pods_that_do_not_want_to_end(kind_cluster, golden, root):
    used.add_app(root)
    pods = "/api/v1/namespaces/app/pods"
    until(
        lambda: [p["status"]["phase"] for p in root.get(pods).body["items"]] == ["Running"] * 2,
        what="the app to run",
        deadline_seconds=60,
    )
    assert golden.reset(kind_cluster).seconds < used.GRACE_SECONDS / 2
