"""The two guarantees over what a cut leaves: kept, broken in each way, and not judged when nothing was seen."""

import base64
import copy
import json
import zlib

import pytest

from harness.judging import Verdict
from harness.judging.after_cut import no_traces_left, same_state_as_uncut
from harness.judging.case import Case
from harness.judging.traces import RANDOM_NAMES, told_traces
from tests.judging.kubernetes_story import ClusterStory
from tests.judging.state_cluster import Cluster

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE


def state_entry(cluster, **more):
    body = json.dumps({"names": cluster.names, "objects": cluster.listing}).encode()
    packed = base64.b64encode(zlib.compress(body)).decode()
    return {"at_rest": True, "moving": [], "packed": packed, "failed": {}, "groups_failed": {}, "key": "k"} | more


FILE = {"sort": "file", "mode": "0600", "content": "hmac-sha256 aa, 9 bytes"}
FOLDER = {"sort": "folder", "mode": "0755", "content": ""}
NODE = {"sort": "container", "name": "<cluster>-control-plane", "state": "running"}


def traces_entry():
    files = {"home": {".kube": FOLDER, ".kube/config": FILE}, "temporary": {"tmpab_d1234": FOLDER}}
    return {"files": files, "processes": [], "engine": [NODE], "key": "k"}


def judged(rule, kind, reference, recovered, at=40):
    story = ClusterStory()
    if reference is not None:
        story.say(5, kind, role="reference", **reference)
    if recovered is not None:
        story.say(at, kind, role="recovered", **recovered)
    return rule(Case.of(story.close()))


def of_states(reference, recovered, **more):
    return judged(same_state_as_uncut, "probe.k8s.state", reference, recovered, **more)


def of_traces(reference, recovered, **more):
    return judged(no_traces_left, "probe.traces", reference, recovered, **more)


def test_equal_states_keep_it():
    finding = of_states(state_entry(Cluster(1)), state_entry(Cluster(2)))
    assert (finding.verdict, finding.reason) == (GREEN, "all 14 objects are as an uncut start leaves them")
    assert finding.measures["objects_compared"] == 14


def without_secret(cluster):
    cluster.without("secrets")


def with_more(cluster):
    cluster.add("configmaps", "left", "app")


def with_other_image(cluster):
    cluster.one("pods")["spec"]["containers"][0]["image"] = "app:2"


@pytest.mark.parametrize(
    ("spoil", "signature", "words"),
    [
        (without_secret, "object-missing", "missing: secrets app/key"),
        (with_more, "object-extra", "extra: configmaps app/left"),
        (with_other_image, "object-changed", "spec.containers[web].image"),
    ],
)
def test_each_sort_of_difference_breaks_it(spoil, signature, words):
    other = Cluster(2)
    spoil(other)
    finding = of_states(state_entry(Cluster(1)), state_entry(other))
    assert (finding.verdict, finding.signature) == (RED, signature)
    assert words in finding.reason
    assert len(finding.evidence) == 2


def test_a_resource_that_can_not_be_listed_breaks_it():
    refused = {"secrets": {"status": 500, "text": "does not decode"}}
    finding = of_states(state_entry(Cluster(1)), state_entry(Cluster(2), failed=refused))
    assert (finding.verdict, finding.signature) == (RED, "resource-unlisted")


def test_at_most_four_objects_are_named():
    other = Cluster(2)
    for name in "abcdef":
        other.add("configmaps", name, "app")
    finding = of_states(state_entry(Cluster(1)), state_entry(other))
    assert finding.reason.endswith("configmaps app/d and 2 more")


@pytest.mark.parametrize(
    ("reference", "recovered", "words"),
    [
        (None, state_entry(Cluster(2)), "nobody looked at an uncut start"),
        (state_entry(Cluster(1)), None, "nobody looked after 12.0 s"),
        (state_entry(Cluster(1), at_rest=False), state_entry(Cluster(2)), "uncut start never came to rest"),
        (state_entry(Cluster(1)), state_entry(Cluster(2), at_rest=False), "cluster never came to rest"),
        (state_entry(Cluster(1)), state_entry(Cluster(2), key="other"), "different keys"),
        ({"failure": {"sort": "error", "text": "no"}}, state_entry(Cluster(2)), "could not be seen: no"),
    ],
)
def test_what_was_not_seen_is_not_judged(reference, recovered, words):
    finding = of_states(reference, recovered)
    assert finding.verdict is UNSEEN
    assert words in finding.reason


def test_a_look_from_before_the_trouble_ended_does_not_count():
    assert of_states(state_entry(Cluster(1)), state_entry(Cluster(2)), at=12).verdict is GREEN
    assert of_traces(traces_entry(), traces_entry(), at=12).verdict is GREEN
    story = ClusterStory().say(5, "probe.k8s.state", role="reference", **state_entry(Cluster(1)))
    story.say(12, "probe.k8s.state", role="recovered", **state_entry(Cluster(2)))
    finding = same_state_as_uncut(Case.of(story.asked(13).ended(14).close()))
    assert "nobody looked after 14.0 s" in finding.reason


def test_a_restless_cluster_that_differs_is_broken():
    other = Cluster(2)
    without_secret(other)
    assert of_states(state_entry(Cluster(1)), state_entry(other, at_rest=False)).verdict is RED


def test_an_api_that_does_not_answer_did_not_recover():
    finding = of_states(state_entry(Cluster(1)), {"failure": {"sort": "unreachable", "text": "no"}})
    assert (finding.verdict, finding.signature) == (RED, "api-unreachable")


def test_equal_traces_keep_it_whatever_random_names_they_have():
    other = traces_entry()
    other["files"]["temporary"] = {"tmpzz_z9999": FOLDER}
    finding = of_traces(traces_entry(), other)
    assert (finding.verdict, finding.reason) == (
        GREEN,
        "3 files are as an uncut start leaves them, and nothing else is left",
    )


def change(path, value):
    def spoil(told):
        inner = told
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return spoil


STRAY = {"sort": "container", "name": "laconic-etcd-cleanup", "state": "exited"}
VOLUME = {"sort": "volume", "name": "a" * 64, "state": ""}
NETWORK = {"sort": "network", "name": "mine", "state": ""}
CONFIG = ("files", "home", ".kube/config")


@pytest.mark.parametrize(
    ("spoil", "signature", "line"),
    [
        (change(("processes",), ["kind create cluster"]), "process-left", "left: process kind create cluster"),
        (change(("engine",), [NODE, STRAY]), "container-left", "left: container laconic-etcd-cleanup (exited)"),
        (change(("engine",), [NODE, VOLUME]), "volume-left", "left: volume *"),
        (change(("engine",), [NODE, NETWORK]), "network-left", "left: network mine"),
        (change(("engine",), []), "container-missing", "missing: container <cluster>-control-plane (running)"),
        (change(("files", "home"), {".kube": FOLDER}), "file-missing", "missing: file home/.kube/config"),
        (change(("files", "home", "x"), FILE), "file-left", "left: file home/x"),
        (change(("files", "temporary", "tmpef_h5678"), FOLDER), "file-left", "left: folder temporary/* #2"),
        (change((*CONFIG, "mode"), "0644"), "file-changed", "changed: home/.kube/config: mode 0600 -> 0644"),
        (
            change((*CONFIG, "content"), "hmac-sha256 bb, 7 bytes"),
            "file-changed",
            "changed: home/.kube/config: content (9 bytes -> 7 bytes)",
        ),
    ],
)
def test_each_sort_of_trace_breaks_it(spoil, signature, line):
    other = copy.deepcopy(traces_entry())
    spoil(other)
    finding = of_traces(traces_entry(), other)
    assert (finding.verdict, finding.signature) == (RED, signature)
    assert told_traces(traces_entry(), other) == [line]


def test_a_folder_that_is_left_is_named_and_not_each_file_in_it():
    other = traces_entry()
    other["files"]["home"] = other["files"]["home"] | {"x": FOLDER, "x/y": FILE}
    assert of_traces(traces_entry(), other).reason == "files left: home/x"


def test_files_hashed_under_different_keys_are_not_judged():
    assert of_traces(traces_entry(), traces_entry() | {"key": "other"}).verdict is UNSEEN


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tmpab_d1234", "tmpzz_z9999", True),
        ("tmp.ABCdef1234", "tmp.0000000000", True),
        ("kind-kubeconfig-123456789", "kind-kubeconfig-987654321", True),
        ("a" * 64, "0" * 64, True),
        ("tmpab", "tmpzz", False),
        ("backup-1", "backup-2", False),
        ("template1234x", "template5678x", False),
    ],
)
def test_random_names_are_masked_and_names_are_not(one, other, same):
    was, now = ({"files": {}, "processes": [name], "engine": []} for name in (one, other))
    assert (told_traces(was, now) == []) is same


def test_each_mask_says_who_chooses_so():
    assert all(who for _, who in RANDOM_NAMES)
