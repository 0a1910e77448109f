"""Each guarantee about Kubernetes: kept, broken in each way it can break, and not judged when nothing was seen."""

import pytest

from harness.judging import Verdict, judge
from tests.judging.kubernetes_story import SEEN, ClusterStory, pod
from tests.judging.story import Story

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE


def verdict(guarantee, spoil=None, story=None):
    story = story or ClusterStory()
    if guarantee == "system-workloads-stable":
        story.saw(20, guarantee, spoil)
    finding = judge(guarantee, story.saw(40, guarantee, spoil).close())
    return finding.verdict, finding.signature


def setting(*path, value):
    """Spoils an observation: sets what lies at the path."""

    def spoil(told):
        for step in path[:-1]:
            told = told[step]
        told[path[-1]] = value

    return spoil


def lacking(*path):
    def spoil(told):
        for step in path[:-1]:
            told = told[step]
        del told[path[-1]]

    return spoil


@pytest.mark.parametrize("guarantee", SEEN)
def test_where_all_is_well_it_is_kept(guarantee):
    assert verdict(guarantee) == (GREEN, "")


@pytest.mark.parametrize("guarantee", SEEN)
def test_an_observation_from_before_the_trouble_ended_does_not_count(guarantee):
    story = ClusterStory()
    story.entries = [entry for entry in story.entries if entry.kind != "tool.ended"]
    for at in (0.5, 11.5):
        story.saw(at, guarantee)
    finding = judge(guarantee, story.ended(12).close())
    assert finding.verdict is UNSEEN
    assert "nobody looked after 12.0 s" in finding.reason


@pytest.mark.parametrize("guarantee", SEEN)
@pytest.mark.parametrize(
    ("sort", "signature"),
    [("unreachable", "api-unreachable"), ("forbidden", "admin-forbidden"), ("error", "api-error")],
)
def test_an_api_that_does_not_answer_did_not_recover(guarantee, sort, signature):
    kind, _ = SEEN[guarantee]
    story = ClusterStory().say(40, kind, failure={"sort": sort, "status": 0, "text": "no"})
    finding = judge(guarantee, story.close())
    assert (finding.verdict, finding.signature) == (RED, signature)


@pytest.mark.parametrize("guarantee", SEEN)
def test_the_last_look_is_the_one_that_counts(guarantee):
    kind, _ = SEEN[guarantee]
    story = ClusterStory().say(15, kind, failure={"sort": "unreachable", "status": 0, "text": "no"})
    assert verdict(guarantee, story=story) == (GREEN, "")


@pytest.mark.parametrize(
    ("spoil", "signature"),
    [
        (lacking("nodes", "w1"), "node-missing"),
        (setting("nodes", "w1", "ready", value=False), "node-not-ready"),
        (
            setting("nodes", "gone", value={"ready": False, "reason": "NodeStatusUnknown", "schedulable": True}),
            "node-not-ready",
        ),
        (setting("nodes", "w1", "schedulable", value=False), "node-cordoned"),
    ],
)
def test_a_node_that_is_not_what_it_should_be_is_seen(spoil, signature):
    assert verdict("nodes-ready", spoil) == (RED, signature)


@pytest.mark.parametrize(
    ("spoil", "signature"),
    [
        (setting("service", value=None), "service-missing"),
        (setting("service", "cluster_ip", value="None"), "service-without-address"),
        (setting("endpoints", value=[]), "no-endpoints"),
        (setting("endpoints", value=["172.18.0.2", "172.18.0.9"]), "dead-endpoint"),
    ],
)
def test_an_api_service_that_leads_nowhere_is_seen(spoil, signature):
    assert verdict("api-service-present", spoil) == (RED, signature)


KINDNET = ("pods", "kube-system/kindnet-abc", "containers", "kindnet-cni")
COREDNS = ("workloads", "kube-system/deployment/coredns")


@pytest.mark.parametrize(
    ("spoil", "signature"),
    [
        (setting(*KINDNET, "waiting", value="CrashLoopBackOff"), "crash-looping"),
        (lacking("workloads", "kube-system/daemonset/kube-proxy"), "workload-missing"),
        (lacking("pods", "kube-system/etcd-cp"), "static-pod-missing"),
        (setting(*COREDNS, value={"observed": True, "desired": 0, "ready": 0, "available": 0}), "workload-scaled-down"),
        (setting("nodes", value=3), "workload-scaled-down"),
        (setting(*COREDNS, "available", value=1), "workload-unavailable"),
        (setting(*COREDNS, "ready", value=1), "workload-unavailable"),
        (setting(*COREDNS, "observed", value=False), "workload-not-reconciled"),
        (setting("pods", "kube-system/etcd-cp", "containers", "etcd", "ready", value=False), "static-pod-unready"),
    ],
)
def test_a_system_workload_that_is_not_whole_is_seen(spoil, signature):
    assert verdict("system-workloads-stable", spoil) == (RED, signature)


def test_a_crash_loop_is_told_with_its_last_words():
    def spoil(told):
        container = told["pods"]["kube-system/kindnet-abc"]["containers"]["kindnet-cni"]
        container |= {"waiting": "CrashLoopBackOff", "said": "panic: unable to load in-cluster configuration"}

    finding = judge("system-workloads-stable", ClusterStory().saw(14, "system-workloads-stable", spoil).close())
    assert (finding.verdict, finding.signature) == (RED, "crash-looping")
    assert "kindnet-abc/kindnet-cni: panic: unable to load in-cluster configuration" in finding.reason


@pytest.mark.parametrize(
    ("second_look", "spoil", "expected"),
    [
        (29.9, None, (UNSEEN, "")),
        (30.0, None, (GREEN, "")),
        (30.0, setting(*KINDNET, "restarts", value=1), (RED, "restarts-growing")),
        # a new pod in the place of the old one counts from zero
        (30.0, setting("pods", "kube-system/kindnet-abc", value=pod("kindnet-cni", 0, "2")), (GREEN, "")),
        (30.0, setting("pods", "kube-system/kindnet-abc", value=pod("kindnet-cni", 1, "2")), (RED, "restarts-growing")),
        # a crash loop is seen at once, whoever watches however briefly
        (16.0, setting(*KINDNET, "waiting", value="CrashLoopBackOff"), (RED, "crash-looping")),
    ],
)
def test_stability_takes_two_looks_fifteen_seconds_apart(second_look, spoil, expected):
    story = ClusterStory().saw(15, "system-workloads-stable").saw(second_look, "system-workloads-stable", spoil)
    finding = judge("system-workloads-stable", story.close())
    assert (finding.verdict, finding.signature) == expected


def test_restarts_of_the_first_seconds_are_forgiven():
    def restarts(count):
        return setting("pods", "local-path-storage/local-path-xyz", "containers", "local-path", "restarts", value=count)

    story = ClusterStory()
    for at, count in ((13, 0), (15, 1), (20, 2), (36, 2)):
        story.saw(at, "system-workloads-stable", restarts(count))
    finding = judge("system-workloads-stable", story.close())
    assert finding.verdict is GREEN
    assert finding.measures == {"restarts": 2, "watched_seconds": 16.0}


@pytest.mark.parametrize(
    ("spoil", "signature"),
    [
        (setting("admin", value={"may_everything": None, "status": 403, "text": "no"}), "admin-forbidden"),
        (setting("admin", value={"may_everything": False, "status": 200, "text": ""}), "admin-forbidden"),
        (lacking("roles", "cluster-admin"), "role-missing"),
        (lacking("roles", "system:controller:namespace-controller"), "role-missing"),
        (lacking("bindings", "system:node-proxier"), "binding-missing"),
        (lacking("bindings", "kubeadm:cluster-admins"), "binding-missing"),
        (setting("roles", "view", value=0), "role-empty"),
        (setting("bindings", "cluster-admin", "subjects", value=[]), "binding-changed"),
        (setting("bindings", "kubeadm:cluster-admins", "role", value="view"), "binding-changed"),
    ],
)
def test_rights_that_a_cluster_is_born_with_are_missed(spoil, signature):
    assert verdict("bootstrap-rbac-present", spoil) == (RED, signature)


def test_an_admin_nobody_could_try_is_no_verdict():
    unreachable = {"may_everything": None, "status": 0, "text": "timed out"}
    assert verdict("bootstrap-rbac-present", setting("admin", value=unreachable)) == (UNSEEN, "")


def refused(status, text):
    return {"secrets": {"status": status, "text": text}}


@pytest.mark.parametrize(
    ("spoil", "signature"),
    [
        (setting("failed", value=refused(500, "illegal base64 data at input byte 7")), "object-undecodable"),
        (setting("failed", value=refused(500, "etcdserver: leader changed")), "resource-unlistable"),
        (setting("failed", value=refused(504, "took too long")), "resource-unlistable"),
        (setting("failed", value=refused(403, "no")), "admin-forbidden"),
        (setting("unreadable_secrets", value=["a/b"]), "secret-unreadable"),
        (setting("groups_failed", value={"metrics.k8s.io/v1": {"status": 503, "text": "no"}}), "group-unavailable"),
    ],
)
def test_what_can_not_be_read_is_seen(spoil, signature):
    assert verdict("objects-decode", spoil) == (RED, signature)


def test_a_list_of_nothing_at_all_is_no_pass():
    assert verdict("objects-decode", setting("counts", value={})) == (UNSEEN, "")


def silent(question, *, ran=True, text="no such host"):
    return setting("answers", question, value={"ran": ran, "ok": False, "text": text})


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (silent("environment"), (RED, "no-service-variables")),
        (silent("dns"), (RED, "dns-failed")),
        (silent("api"), (RED, "api-unreachable")),
        (silent("storage"), (RED, "storage-failed")),
        (silent("storage", ran=False, text="unbound claim"), (RED, "storage-failed")),
        (silent("dns", ran=False, text="0/1 nodes are available"), (RED, "pod-not-started")),
        (lacking("answers", "api"), (RED, "api-unreachable")),
        (silent("dns", ran=False, text="ErrImageNeverPull Container image is not present"), (UNSEEN, "")),
    ],
)
def test_a_fresh_pod_that_lacks_something_is_seen(spoil, expected):
    assert verdict("fresh-pod-works", spoil) == expected


def test_of_several_flaws_the_one_that_explains_the_others_is_named():
    def spoil(told):
        for question in ("environment", "dns", "api"):
            silent(question)(told)

    assert verdict("fresh-pod-works", spoil) == (RED, "no-service-variables")


LOST = lacking("objects", "others/secrets/key")
REMADE = setting("objects", "others/secrets/key", value="u9")


@pytest.mark.parametrize(
    ("spoil", "announced", "expected"),
    [
        (LOST, [], (RED, "foreign-lost")),
        (REMADE, [], (RED, "foreign-remade")),
        (LOST, ["others/deployments.apps/web"], (RED, "foreign-lost")),
        (LOST, ["others/secrets/key"], (GREEN, "")),
        (LOST, ["others"], (GREEN, "")),
        (REMADE, ["*"], (GREEN, "")),
        (setting("objects", "others/configmaps/new", value="u4"), [], (GREEN, "")),
    ],
)
def test_what_others_lose_has_to_be_announced(spoil, announced, expected):
    story = ClusterStory().saw(40, "foreign-workloads-kept", spoil)
    next(entry for entry in story.entries if entry.kind == "tool.ended").data["announced"] = announced
    finding = judge("foreign-workloads-kept", story.close())
    assert (finding.verdict, finding.signature) == expected


def test_without_a_look_beforehand_nothing_can_be_missed():
    story = ClusterStory()
    story.entries = [entry for entry in story.entries if entry.kind != "probe.k8s.foreign"]
    assert verdict("foreign-workloads-kept", story=story) == (UNSEEN, "")
    nothing_there = Story().say(1, "probe.k8s.foreign", objects={}, namespaces=["others"]).fault(2)
    finding = judge(
        "foreign-workloads-kept", nothing_there.say(3, "probe.k8s.foreign", objects={}).say(4, "case.ended").entries
    )
    assert finding.verdict is UNSEEN


def asked_until(end, away=(0, 0), silent_between=(0, 0)):
    """The API asked five times a second from 8.8 s on; it fails, or nobody asks, between two moments."""
    story = ClusterStory()
    for tick in range(44, int(end * 5)):
        at = tick / 5
        if not silent_between[0] <= at < silent_between[1]:
            story.api(at, ok=not away[0] <= at < away[1])
    return judge("api-available", story.close())


def test_an_api_that_is_always_there_is_kept():
    finding = asked_until(30)
    assert finding.verdict is GREEN
    assert finding.measures["longest_gap_seconds"] == pytest.approx(0.2)
    assert finding.measures["requests_failed"] == 0


def test_a_gap_is_measured_from_success_to_success():
    finding = asked_until(40, away=(12, 22))
    assert (finding.verdict, finding.signature) == (RED, "api-gap")
    assert finding.measures["longest_gap_seconds"] == pytest.approx(10.2)
    assert finding.measures["gap_begins_seconds"] == pytest.approx(11.85)
    assert finding.measures["requests_failed"] == 50
    assert finding.evidence


def test_a_gap_within_the_bound_is_kept():
    assert asked_until(40, away=(12, 16)).verdict is GREEN


def test_an_api_that_never_comes_back_is_measured_to_the_end():
    finding = asked_until(30, away=(12, 99))
    assert (finding.verdict, finding.signature) == (RED, "api-gap")
    assert finding.measures["longest_gap_seconds"] == pytest.approx(18.0)


@pytest.mark.parametrize("silence", [(9, 99), (12, 20)])
def test_when_nobody_asks_nothing_is_said(silence):
    story = ClusterStory().fault(25)
    for tick in range(44, 200):
        if not silence[0] <= tick / 5 < silence[1]:
            story.api(tick / 5)
    finding = judge("api-available", story.close())
    assert finding.verdict is UNSEEN
    assert "nobody asked" in finding.reason


def test_an_api_that_never_answered_beforehand_is_no_verdict():
    story = Story().fault(1)
    story.say(2, "probe.api", ok=True, invoked=1.9, completed=2.0, status=200, error="")
    assert judge("api-available", story.say(3, "case.ended").entries).verdict is UNSEEN


def test_traffic_through_the_load_balancer_witnesses_it_too():
    story = Story().write(0.5, "a", node="api").fault(1)
    for at in range(1, 9):
        story.write(at, f"failed-{at}", node="api", outcome="unknown").write(at + 0.5, f"direct-{at}", node="n1")
    finding = judge("api-available", story.write(9, "b", node="api").end(10))
    assert (finding.verdict, finding.signature) == (RED, "api-gap")
    assert finding.measures["longest_gap_seconds"] == pytest.approx(8.5)
