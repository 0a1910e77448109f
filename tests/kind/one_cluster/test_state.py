"""The state of a real cluster: the same for every uncut start; and each thing that is otherwise is found by name."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from harness.judging.after_cut import same_state_as_uncut
from harness.judging.case import Case
from harness.judging.state import compare, state_of
from harness.judging.state_told import told
from harness.judging.verdict import Verdict
from harness.probes.kubernetes.state import StateLook, observe_state
from harness.waiting import until
from tests.kind import deployed_app as app
from tests.kind.conftest import SPEC, living_cluster
from tests.kind.used_cluster import APPS, RBAC, make, remove

pytestmark = pytest.mark.kind
WEB = f"{APPS}/{app.SPACE}/deployments/web"
# A journal line a case: it has to be small beside the traffic of the same case.
MOST_BYTES = 150_000


def looked_at(story, role, cluster=None):
    story.cluster = cluster or story.cluster
    observe_state(story, role, StateLook({story.cluster.name: "<cluster>"}))
    return story.journal.entries()[-1].data


@pytest.fixture
def deployed(kind_cluster, golden, story):
    """An uncut start on a clean cluster, seen as the reference."""
    golden.reset(kind_cluster)
    with app.as_tool(kind_cluster) as api:
        app.deploy(api)
        looked_at(story, "reference")
        yield api
        app.undeploy(api)


def difference(story):
    reference = next(entry for entry in story.journal.entries() if entry.kind == "probe.k8s.state")
    return told(compare(state_of(reference.data), state_of(looked_at(story, "recovered"))))


def test_another_uncut_start_on_the_same_cluster_is_no_difference(deployed, story, kind_cluster, golden):
    app.undeploy(deployed)
    golden.reset(kind_cluster)
    app.deploy(deployed)
    assert difference(story) == []
    finding = same_state_as_uncut(Case.of(story.journal.entries()))
    assert finding.verdict is Verdict.RECOVERED, finding.reason
    assert len(story.journal.entries()[-1].data["packed"]) < MOST_BYTES


@pytest.mark.slow
@pytest.mark.usefixtures("deployed")
def test_an_uncut_start_on_another_cluster_is_no_difference(story, tmp_path, pytestconfig):
    with living_cluster(tmp_path / "another", SPEC, pytestconfig) as another:
        story.cluster = another
        with app.as_tool(another) as api:
            app.deploy(api)
            assert difference(story) == []


def patched(path, **body) -> Callable:
    return lambda api: app.until(lambda: api.patch(path, body).good, what=f"{path} to change", deadline_seconds=30)


def another_variable(api):
    body = api.get(WEB).body
    body["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "b"
    assert api.replace(WEB, body).good


def another_image(api):
    body = api.get(WEB).body
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "afterfault/none:1"
    assert api.replace(WEB, body).good


def another_byte(api):
    value = base64.b64encode(b"\x00\x01\x02\x03\xfe").decode()
    assert api.patch(f"{app.CORE}/secrets/tls", {"data": {"tls.key": value}}).good


def a_binding_more(api):
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web"}
    make(api, f"{RBAC}/namespaces/{app.SPACE}/rolebindings", app.named("left") | {"roleRef": role})


def a_stuck_namespace(api):
    path = "/api/v1/namespaces"
    make(api, path, {"metadata": {"name": "stuck"}})
    make(api, f"{path}/stuck/configmaps", {"metadata": {"name": "held", "finalizers": ["afterfault.dev/never"]}})
    remove(api, f"{path}/stuck")


def free_the_namespace(api):
    api.patch("/api/v1/namespaces/stuck/configmaps/held", {"metadata": {"finalizers": None}})
    until(lambda: api.get("/api/v1/namespaces/stuck").status == 404, what="it to go", deadline_seconds=30)


def an_orphaned_set(api):
    """As a deletion that was cut leaves one: the set and its pods live on without their Deployment."""
    assert api.delete(WEB, {"propagationPolicy": "Orphan"}).good
    sets = api.get(f"{APPS}/{app.SPACE}/replicasets").body["items"]
    until(
        lambda: (
            not api.get(f"{APPS}/{app.SPACE}/replicasets/{sets[0]['metadata']['name']}")
            .body["metadata"]
            .get("ownerReferences")
        ),
        what="the set to be orphaned",
        deadline_seconds=20,
    )


# What does not touch the same object is spoilt at once: a clean cluster with the app on it takes half a minute.
SEEDED = {
    "objects": (
        [
            lambda api: remove(api, f"{app.CORE}/configmaps/settings"),
            patched(f"{app.CORE}/services/web", metadata={"labels": {"a": "b"}}),
            patched(WEB, spec={"replicas": 3}),
            another_byte,
            a_binding_more,
        ],
        [
            "missing: configmaps shop/settings",
            "changed: services shop/web",
            'metadata.labels: nothing -> {a: "b"}',
            "spec.replicas: 2 -> 3",
            "extra: pods shop/web-*-* #3",
            "changed: secrets shop/tls",
            "data[tls.key]: ",
            "extra: rolebindings.rbac.authorization.k8s.io shop/left",
        ],
    ),
    "variable": (
        [another_variable],
        ['.spec.containers[web].env[MODE].value: "a" -> "b"', "extra: replicasets.apps shop/web-* #2"],
    ),
    "image": (
        [another_image],
        ['image: "afterfault/probe:1" -> "afterfault/none:1"', "state.waiting: nothing -> "],
    ),
    "orphan": (
        [an_orphaned_set],
        ["missing: deployments.apps shop/web", "extra: replicasets.apps shop/web-"],
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "image" else []) for name in SEEDED]
)
def test_seeded_differences_are_found_by_name(deployed, story, name):
    spoilers, words = SEEDED[name]
    for spoil in spoilers:
        spoil(deployed)
    text = "\n".join(difference(story))
    assert [word for word in words if word not in text] == [], text


@pytest.mark.slow
def test_what_a_cron_job_makes_by_the_clock_is_no_difference(deployed, story):
    """The same uncut start, looked at before the minute and after it: nobody has done anything in between."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "tick", "image": "afterfault/probe:1"}]}
    due = datetime.now(UTC) + timedelta(minutes=2)  # one whole minute from now at the least
    spec = {"schedule": f"{due.minute} * * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    body = app.named("ticks") | {"spec": spec}
    make(deployed, f"/apis/batch/v1/namespaces/{app.SPACE}/cronjobs", body)
    jobs = f"/apis/batch/v1/namespaces/{app.SPACE}/jobs"
    before = looked_at(story, "reference")
    assert deployed.get(jobs).body["items"] == [], "it was looked at too late"
    until(lambda: deployed.get(jobs).body["items"], what="its minute to come", deadline_seconds=150)
    assert told(compare(state_of(before), state_of(looked_at(story, "recovered")))) == []


@pytest.mark.slow
def test_a_namespace_that_never_goes_is_found(deployed, story):
    a_stuck_namespace(deployed)
    lines = difference(story)
    free_the_namespace(deployed)
    assert "extra: namespaces stuck (and 1 with it)" in lines
    assert story.journal.entries()[-1].data["moving"] == ["configmaps stuck/held", "namespaces stuck"]
