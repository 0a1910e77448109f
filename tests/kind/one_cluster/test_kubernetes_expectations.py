"""Each guarantee about Kubernetes is broken on a real cluster, is seen to be, and holds again after a golden reset."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from harness.clusters.kube_api import KubeApi
from harness.clusters.kube_store import KubeStore
from harness.expectations import Expectation, kubernetes
from harness.judging import Verdict
from harness.probes.kubernetes.availability import ApiWatch
from harness.waiting import until
from tests.kind import used_cluster as used

pytestmark = pytest.mark.kind
RED, GREEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED
QUOTA = {"metadata": {"name": "no-services"}, "spec": {"hard": {"services": "0"}}}
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
NODE = "/api/v1/nodes/{node}"
COREDNS = f"{used.APPS}/kube-system/deployments/coredns"
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


@dataclass(frozen=True)
class Broken:
    """A way to break a cluster, and what is to be seen of it."""

    how: Callable[[KubeApi, object], None]
    expectation: Expectation
    signature: str
    words: str = ""
    seconds: float = 30.0
    heal: Callable[[object], None] = field(default=lambda _: None)


def stop_kubelet(_api, node):
    node.execute("systemctl", "stop", "kubelet")


def start_kubelet(node):
    node.execute("systemctl", "start", "kubelet")


def cordon(api, node):
    used.demand(lambda: api.patch(NODE.format(node=node.name), {"spec": {"unschedulable": True}}))


def take_the_service_away(api, _node):
    """The API server makes it again within ten seconds, unless the namespace may hold no Service."""
    used.make(api, "/api/v1/namespaces/default/resourcequotas", QUOTA)
    used.remove(api, SERVICE)


def start_the_network_anew_without_it(api, node):
    take_the_service_away(api, node)
    used.demand(
        lambda: api._call("DELETE", "/api/v1/namespaces/kube-system/pods", query={"labelSelector": "app=kindnet"})
    )


def scale_dns_down(api, _node):
    used.demand(lambda: api.patch(COREDNS, {"spec": {"replicas": 0}}))


def delete(*paths):
    def how(api, _node):
        for path in paths:
            used.remove(api, path)

    return how


def store_what_does_not_decode(_api, node):
    KubeStore(node).put("/registry/secrets/default/broken", b"k8s\x00 cut off")


BROKEN = {
    "kubelet-stopped": Broken(
        stop_kubelet, kubernetes.NODES_READY, "node-not-ready", "NodeStatusUnknown", 90, start_kubelet
    ),
    "cordoned": Broken(cordon, kubernetes.NODES_READY, "node-cordoned"),
    "service-deleted": Broken(take_the_service_away, kubernetes.API_SERVICE_PRESENT, "service-missing"),
    "network-without-service": Broken(
        start_the_network_anew_without_it,
        kubernetes.SYSTEM_WORKLOADS_STABLE,
        "crash-looping",
        # incident 000, to the letter
        "panic: unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be",
        60,
    ),
    "dns-scaled-down": Broken(scale_dns_down, kubernetes.SYSTEM_WORKLOADS_STABLE, "workload-scaled-down", "coredns"),
    "proxy-deleted": Broken(
        delete(f"{used.APPS}/kube-system/daemonsets/kube-proxy"),
        kubernetes.SYSTEM_WORKLOADS_STABLE,
        "workload-missing",
        "kube-proxy",
    ),
    "role-deleted": Broken(
        delete(f"{used.RBAC}/clusterroles/system:kube-dns"), kubernetes.BOOTSTRAP_RBAC_PRESENT, "role-missing"
    ),
    "binding-deleted": Broken(
        delete(f"{used.RBAC}/clusterrolebindings/system:node-proxier"),
        kubernetes.BOOTSTRAP_RBAC_PRESENT,
        "binding-missing",
        "system:node-proxier",
    ),
    "admin-unbound": Broken(
        delete(f"{used.RBAC}/clusterrolebindings/kubeadm:cluster-admins"),
        kubernetes.BOOTSTRAP_RBAC_PRESENT,
        "admin-forbidden",
        "forbidden",
    ),
    "undecodable": Broken(store_what_does_not_decode, kubernetes.OBJECTS_DECODE, "object-undecodable", "secrets"),
    "pod-without-service": Broken(
        take_the_service_away, kubernetes.FRESH_POD_WORKS, "no-service-variables", "KUBERNETES_SERVICE", 90
    ),
    "pod-without-dns": Broken(scale_dns_down, kubernetes.FRESH_POD_WORKS, "dns-failed", "kubernetes.default", 90),
    "pod-without-storage": Broken(
        delete("/apis/storage.k8s.io/v1/storageclasses/standard"), kubernetes.FRESH_POD_WORKS, "storage-failed", "", 90
    ),
    "pod-without-node": Broken(cordon, kubernetes.FRESH_POD_WORKS, "pod-not-started", "unschedulable", 90),
}
# the default selection breaks each guarantee once; fresh-pod-works is broken by the stories of incident 000
SLOW = (
    "kubelet-stopped",
    "proxy-deleted",
    "dns-scaled-down",
    "pod-without-service",
    "pod-without-dns",
    "pod-without-storage",
    "pod-without-node",
)


@pytest.mark.parametrize(
    "broken", [pytest.param(b, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, b in BROKEN.items()]
)
def test_what_breaks_is_named_and_comes_back(story, golden, root, broken):
    node = story.cluster.running()[0]
    story.fault()
    broken.how(root, node)
    try:
        finding = seen(story, broken.expectation, RED, broken.seconds, broken.signature)
    finally:
        broken.heal(node)
        reset = golden.reset(story.cluster, deadline_seconds=120)
    assert (finding.verdict, finding.signature) == (RED, broken.signature), finding.reason
    assert broken.words in finding.reason
    assert reset.fingerprint == golden.fingerprint
    story.fault("Reset")
    kept = seen(story, broken.expectation, GREEN, broken.expectation.deadline_seconds)
    assert (kept.verdict, kept.signature) == (GREEN, ""), kept.reason


def test_others_work_is_missed_when_it_is_gone(story, golden, root):
    kept = kubernetes.foreign_workloads_kept("others")
    used.add_app(root, "others")
    kept.probe(story)
    story.fault()
    assert seen(story, kept, GREEN, 10).verdict is GREEN
    used.remove(root, "/api/v1/namespaces/others/secrets/token")
    finding = seen(story, kept, RED, 10)
    assert (finding.verdict, finding.signature) == (RED, "foreign-lost")
    assert "others/secrets/token" in finding.reason
    story.journal.append(
        "tool.ended", task="start", old="", new="", outcome="exited", exit_code=0, announced=["others"]
    )
    assert seen(story, kept, GREEN, 10).verdict is GREEN
    golden.reset(story.cluster)


@pytest.mark.slow
def test_an_api_server_that_is_away_is_measured(story, golden):
    node, watch = story.cluster.running()[0], ApiWatch(story.cluster, story.journal)
    watch.start()
    try:
        until(lambda: requests(story, ok=True) >= 5, what="a few requests", deadline_seconds=30)
        story.fault()
        node.execute("mv", MANIFEST, "/root/kept.yaml")
        # each fails within a second at the latest; the bound of the case is five seconds
        until(lambda: requests(story, ok=False) >= 20, what="requests to fail", deadline_seconds=60)
        gap_so_far = story.journal.now()
        node.execute("mv", "/root/kept.yaml", MANIFEST)
        before = requests(story, ok=True)
        until(lambda: requests(story, ok=True) > before + 5, what="the API to be back", deadline_seconds=120)
    finally:
        watch.stop()
    assert gap_so_far > 5
    finding = story.judged("api-available")
    assert (finding.verdict, finding.signature) == (RED, "api-gap")
    assert 5 < finding.measures["longest_gap_seconds"] < 120
    golden.reset(story.cluster)


def test_after_all_that_everything_holds(story, golden):
    """Run last, so that every reset before it has to have been a whole one."""
    # a control plane that lost its API server may lose its leaders once more, after the reset
    until(
        lambda: not golden.difference(story.cluster).sentences(),
        what="the golden state",
        deadline_seconds=90,
        every_seconds=1,
    )
    for expectation in kubernetes.RECOVERED_KUBERNETES:
        finding = seen(story, expectation, GREEN, expectation.deadline_seconds)
        assert finding.verdict is GREEN, f"{finding.guarantee}: {finding.reason}"


def requests(story, *, ok):
    return sum(entry.kind == "probe.api" and entry.data["ok"] is ok for entry in story.journal.entries())


def seen(story, expectation, verdict, seconds, signature=""):
    """Probe until the guarantee's finding is as wanted; the last finding when it never is."""
    findings = []

    def look():
        expectation.probe(story)
        findings.append(story.judged(expectation.guarantee))
        finding = findings[-1]
        return finding.verdict is verdict and signature in ("", finding.signature)

    try:
        until(look, what=expectation.guarantee, deadline_seconds=seconds, every_seconds=0.5)
    except Exception as error:  # noqa: BLE001 - the assertion that follows tells more
        print(error)
    return findings[-1]
