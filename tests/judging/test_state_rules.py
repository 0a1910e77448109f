"""States: the same for clusters to which the same was done; each rule hides what it names, and nothing beside it."""

import base64
import copy
import json
import zlib

import pytest

from harness.errors import UsageError
from harness.judging.state import compare, normalize, state_of
from harness.judging.state_rules import ANYWHERE, DROP, EXPIRING, FIELDS, MANAGERS, PASSING, SORT, WORDS, Action
from harness.judging.state_told import flaws_of, told
from tests.judging.state_cluster import Cluster, condition, env


def state(cluster, key="k1", **more):
    return normalize(cluster.listing, cluster.names, key=key, **more)


def difference(spoil, seed=2):
    """What is told of a cluster that was spoilt, against one that was not."""
    other = Cluster(seed)
    spoil(other)
    return compare(state(Cluster(1)), state(other))


@pytest.mark.parametrize("seed", range(2, 12))
def test_two_starts_of_the_same_are_the_same(seed):
    assert told(compare(state(Cluster(1)), state(Cluster(seed)))) == []


def test_objects_are_named_without_random_parts():
    assert sorted(state(Cluster(1)).objects) == [
        "configmaps app/kube-root-ca.crt",
        "configmaps app/settings",
        "deployments.apps app/web",
        "endpointslices.discovery.k8s.io app/web-*",
        "ipaddresses.networking.k8s.io <address of services app/web>",
        "namespaces app",
        "nodes <cluster>-control-plane",
        "persistentvolumeclaims app/data",
        "persistentvolumes pvc-<uid of persistentvolumeclaims app/data>",
        "pods app/web-*-*",
        "pods app/web-*-* #2",
        "replicasets.apps app/web-*",
        "secrets app/key",
        "services app/web",
    ]


def an_orphan(cluster):
    labels = {"pod-template-hash": "5f6d7"}
    cluster.add("replicasets.apps", "web-5f6d7", "app", metadata={"labels": labels}, spec={"replicas": 0})


def an_older_revision(cluster):
    web = cluster.one("deployments.apps")
    metadata = {"annotations": {"deployment.kubernetes.io/revision": "0"}}
    cluster.add("replicasets.apps", "web-77f66", "app", owner=("Deployment", web), metadata=metadata, spec={})


def setting(resource, name, *path, value):
    """Spoils a cluster: sets what lies at the path in that object."""

    def spoil(cluster):
        inner = cluster.one(resource, name)
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return spoil


CONTAINER = ("spec", "template", "spec", "containers", 0)
SEEDED = {
    "object missing": (lambda c: c.without("configmaps", "settings"), ["missing: configmaps app/settings"]),
    "binding added": (
        lambda c: c.add("rolebindings.rbac.authorization.k8s.io", "left", "app"),
        ["extra: rolebindings.rbac.authorization.k8s.io app/left"],
    ),
    "variable": (
        setting("deployments.apps", "web", *CONTAINER, "env", value=[env("MODE", "b")]),
        ["changed: deployments.apps app/web", '    spec.template.spec.containers[web].env[MODE].value: "a" -> "b"'],
    ),
    "replicas": (
        setting("deployments.apps", "web", "spec", "replicas", value=3),
        ["changed: deployments.apps app/web", "    spec.replicas: 2 -> 3"],
    ),
    "label": (
        setting("services", "web", "metadata", "labels", value={"a": "b"}),
        ["changed: services app/web", '    metadata.labels: nothing -> {a: "b"}'],
    ),
    "secret": (
        setting("secrets", "key", "data", "tls.key", value="hmac-sha256 bb22, 12 bytes"),
        [
            "changed: secrets app/key",
            '    data[tls.key]: "hmac-sha256 aa11, 12 bytes" -> "hmac-sha256 bb22, 12 bytes"',
        ],
    ),
    "namespace stuck": (
        lambda c: (
            setting("namespaces", "app", "metadata", "deletionTimestamp", value=c.moment)(c),
            setting("namespaces", "app", "status", "phase", value="Terminating")(c),
        ),
        [
            "changed: namespaces app",
            '    metadata.deletionTimestamp: nothing -> "<moment>"',
            '    status.phase: "Active" -> "Terminating"',
        ],
    ),
    "image": (
        setting("deployments.apps", "web", *CONTAINER, "image", value="app:2"),
        ["changed: deployments.apps app/web", '    spec.template.spec.containers[web].image: "app:1" -> "app:2"'],
    ),
    "orphaned replica set": (an_orphan, ["extra: replicasets.apps app/web-5f6d7"]),
    "second revision": (an_older_revision, ["extra: replicasets.apps app/web-* #2"]),
    "line of a text": (
        setting("configmaps", "settings", "data", "Caddyfile", value="one\nzwei\nthree\n"),
        ["changed: configmaps app/settings", '    data.Caddyfile: line 2 "two" -> "zwei"'],
    ),
    "stale authority": (
        setting("configmaps", "kube-root-ca.crt", "data", "ca.crt", value="-----BEGIN of old-----\n"),
        [
            "changed: configmaps app/kube-root-ca.crt",
            '    data[ca.crt]: line 1 "<authority>" -> "-----BEGIN of old-----"',
        ],
    ),
    "written twice": (
        setting("configmaps", "settings", "metadata", "generation", value=2),
        ["changed: configmaps app/settings", "    metadata.generation: nothing -> 2"],
    ),
    "endpoint missing": (
        lambda c: c.one("endpointslices.discovery.k8s.io")["endpoints"].pop(),
        [
            "changed: endpointslices.discovery.k8s.io app/web-*",
            '    endpoints[1]: {addresses: ["<address of pods app/web-*-*>"], targetRef: {n... -> nothing',
        ],
    ),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_difference_is_found_by_name(name):
    spoil, expected = SEEDED[name]
    assert told(difference(spoil)) == expected


def test_what_goes_with_its_namespace_or_owner_is_counted():
    def spoil(cluster):
        for resource, found in cluster.listing.items():
            cluster.listing[resource] = [raw for raw in found if raw["metadata"].get("namespace") != "app"]
        cluster.without("namespaces")

    lines = told(difference(spoil))
    assert "missing: namespaces app (and 10 with it)" in lines
    assert not [line for line in lines if "app/" in line and "pvc" not in line and "address" not in line]


def test_the_history_of_what_the_harness_restored_is_its_own():
    def restored(cluster):
        raw = cluster.one("configmaps", "settings")
        raw["metadata"] |= {"generation": 4, "managedFields": [{"manager": "afterfault", "operation": "Update"}]}

    assert told(difference(restored)) == []

    def changed_too(cluster):
        restored(cluster)
        cluster.one("configmaps", "settings")["data"]["more"] = "x"

    assert told(difference(changed_too)) == ["changed: configmaps app/settings", '    data.more: nothing -> "x"']


def test_who_wrote_counts():
    def by_another(cluster):
        cluster.one("configmaps", "settings")["metadata"]["managedFields"][0]["operation"] = "Apply"

    assert told(difference(by_another)) == [
        "changed: configmaps app/settings",
        "    managers[kubeadm (Apply)]: nothing -> true",
        "    managers[kubeadm (Update)]: true -> nothing",
    ]


@pytest.mark.parametrize("rule", MANAGERS, ids=lambda rule: rule.manager)
def test_who_may_have_written_does_not_count_and_who_else_has_does(rule):
    part = rule.manager.partition(" of ")[2].rstrip(")")

    def written_by(name):
        def spoil(cluster):
            row = {"manager": name, "operation": "Update", "subresource": part}
            for raw in cluster.listing[rule.resource]:
                raw["metadata"]["managedFields"].append(row)
            return state(cluster)

        return compare(state(Cluster(1).with_backup()), spoil(Cluster(2).with_backup()))

    assert told(written_by(rule.manager.partition(" ")[0])) == []
    assert "(Update of status)" in told(written_by("somebody"))[1]


def test_what_a_cron_job_made_by_the_clock_does_not_count_and_what_others_made_does():
    before, after = Cluster(1).with_backup(), Cluster(2).with_backup()
    after.run_backup()
    assert told(compare(state(before), state(after))) == []

    def by_hand(cluster):
        job = cluster.add("jobs.batch", "once", "app", spec={}, status={})
        cluster.add("pods", "once-bcdfg", "app", owner=("Job", job), spec={}, status={"phase": "Succeeded"})

    assert told(difference(by_hand)) == ["extra: jobs.batch app/once (and 1 with it)"]


def test_a_random_name_counts_nowhere_also_where_it_begins_with_a_name_of_the_run():
    def with_deployment(seed):
        cluster = Cluster(seed)
        web = cluster.add("deployments.apps", f"{cluster.name}-web", "app", spec={})
        copies = cluster.add("replicasets.apps", f"{cluster.name}-web-{cluster.letters(9)}", "app", ("Deployment", web))
        name = f"{copies['metadata']['name']}-{cluster.letters()}"
        metadata = {"generateName": f"{copies['metadata']['name']}-"}
        status = {"message": f"pod {name} is well"}
        cluster.add("pods", name, "app", ("ReplicaSet", copies), metadata=metadata, spec={}, status=status)
        return state(cluster)

    assert told(compare(with_deployment(1), with_deployment(2))) == []


def test_an_annotation_that_does_not_count_leaves_no_empty_place():
    trigger = {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"}
    stamped = setting("endpointslices.discovery.k8s.io", "web", "metadata", "annotations", value=trigger)
    assert told(difference(stamped)) == []
    empty = setting("deployments.apps", "web", "spec", "strategy", value={})
    assert told(difference(empty)) == ["changed: deployments.apps app/web", "    spec.strategy: nothing -> {}"]


def test_under_another_key_only_the_size_of_secrets_is_compared():
    other = Cluster(2)
    other.one("secrets")["data"]["tls.key"] = "hmac-sha256 cc33, 12 bytes"
    assert told(compare(state(Cluster(1)), state(other, "k2"))) == [
        "not compared: the bytes of Secrets, which were hashed under different keys"
    ]
    other.one("secrets")["data"]["tls.key"] = "hmac-sha256 cc33, 11 bytes"
    assert compare(state(Cluster(1)), state(other, "k2")).changed[0].id == "secrets app/key"


def test_of_what_can_not_be_listed_nothing_else_is_said():
    def spoil(cluster):
        del cluster.listing["secrets"]

    other = Cluster(2)
    spoil(other)
    found = compare(state(Cluster(1)), state(other, unlisted={"secrets": "500: does not decode"}))
    assert told(found) == ["can't be listed: secrets (500: does not decode)"]
    assert not found.is_none


def test_a_reference_to_what_is_gone_is_found():
    def spoil(cluster):
        cluster.one("pods")["metadata"]["ownerReferences"][0]["uid"] = "0a000000-0000-0000-0000-000000000000"

    lines = told(difference(spoil))
    assert [line for line in lines if line.startswith("missing: pods app/web-*-*")]
    assert [line for line in lines if line.startswith("extra: pods app/web-")]


def test_flaws_are_ordered_by_gravity_and_name_objects_and_fields():
    def spoil(cluster):
        cluster.without("secrets")
        cluster.one("deployments.apps")["spec"]["replicas"] = 0
        cluster.add("configmaps", "left", "app")

    assert [(flaw.signature, flaw.reason) for flaw in flaws_of(difference(spoil))] == [
        ("object-missing", "missing: secrets app/key"),
        ("object-changed", "changed: deployments.apps app/web (spec.replicas)"),
        ("object-extra", "extra: configmaps app/left"),
    ]


def test_causes_are_told_before_their_effects():
    def spoil(cluster):
        cluster.one("endpointslices.discovery.k8s.io")["endpoints"].pop()
        cluster.one("nodes")["status"]["nodeInfo"]["bootID"] = "other"
        cluster.one("services")["spec"]["selector"] = {"app": "none"}

    assert [line.split()[1] for line in told(difference(spoil)) if line.startswith("changed")] == [
        "services",
        "endpointslices.discovery.k8s.io",
        "nodes",
    ]


# Each rule: an object, the field's value in two healthy clusters, and a change right beside it.
BESIDE = "what lies beside it"


def object_with(path, value, beside=None):
    """An object with that value at the path; places in lists are made."""
    raw = {"metadata": {"name": "one", "namespace": "app", "uid": "u", "managedFields": []}, "status": {}}
    inner = raw
    steps = [step for step in path.split() if step != ANYWHERE]
    steps = ["spec", *steps] if path.startswith(ANYWHERE) else steps
    steps = [step.replace("*ontainer", "container").replace("*", "0") if step != "*" else step for step in steps]
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if following is None:
            break
        if step == "*":
            inner.append({})
            inner = inner[0]
        else:
            inner[step] = inner.get(step) or ([] if following == "*" else {})
            inner = inner[step]
    if steps[-1] == "*":
        inner.append(value)
    else:
        inner[steps[-1]] = value
        if beside is not None:
            inner[BESIDE] = beside
    return raw


def seen(rule, raw):
    space, _, name = rule.name.rpartition("/")
    raw = copy.deepcopy(raw)
    if space:
        raw["metadata"] |= {"namespace": space, "name": name.replace("*", "x")}
    resource = "things" if rule.resource == "*" else rule.resource
    state = normalize({resource: [raw]}, {})
    return next(iter(state.objects.values()))


# What stands for a field's value in two healthy starts; else two words.
SETS = {"ownerReferences": "uid", "conditions": "type"}


def values(rule):
    last = rule.path.split()[-1]
    if rule.action is SORT:
        rows = [{SETS.get(last, "name"): word} for word in ("a", "b")]
        return rows, rows[::-1], rows[:1]
    if last == "podIPs":
        return [{"ip": "10.0.0.1"}], [{"ip": "10.0.0.2"}], None
    if last in ("name", "namespace", "managedFields"):
        return None
    return "one", "two", None


@pytest.mark.parametrize("rule", FIELDS, ids=lambda rule: f"{rule.resource} {rule.path}")
def test_each_rule_hides_its_field_and_nothing_beside_it(rule):
    pair = values(rule)
    if pair is None:
        pytest.skip("in the ID, or compared as managers: seen by the tests above")
    was, now, less = pair
    assert seen(rule, object_with(rule.path, was)) == seen(rule, object_with(rule.path, now))
    if rule.action is SORT:
        assert seen(rule, object_with(rule.path, was)) != seen(rule, object_with(rule.path, less))
    else:
        one, other = (seen(rule, object_with(rule.path, was, beside)) for beside in ("x", "y"))
        assert one != other
    if rule.action in (Action.MASK, Action.MASK_IF_CHOSEN):
        assert seen(rule, object_with(rule.path, was)) != seen(rule, object_with(rule.path, was) | {"spec": {}})


@pytest.mark.parametrize(
    "rule", [rule for rule in FIELDS if rule.resource != "*" or rule.name != "*"], ids=lambda rule: rule.path
)
def test_a_rule_for_one_resource_hides_nothing_in_another(rule):
    was, now, _ = values(rule)

    def elsewhere(value):
        return next(iter(normalize({"things": [object_with(rule.path, value)]}, {}).objects.values()))

    if any(other.resource == "*" and other.matches(tuple(rule.path.split())) for other in FIELDS):
        pytest.skip("a rule for every resource has it too")
    assert elsewhere(was) != elsewhere(now)


def test_a_port_that_somebody_asked_for_counts():
    asked = {"managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {"f:ports": {"f:nodePort": {}}}}}]}

    def spoil(cluster, port):
        raw = cluster.one("services")
        raw["metadata"] |= asked
        raw["spec"]["ports"][0]["nodePort"] = port
        return state(cluster)

    found = compare(spoil(Cluster(1), 30080), spoil(Cluster(2), 30081))
    assert told(found) == ["changed: services app/web", "    spec.ports[0].nodePort: 30080 -> 30081"]


def test_fixed_addresses_count():
    def with_dns(seed, address):
        cluster = Cluster(seed)
        cluster.add("services", "kube-dns", "kube-system", spec={"clusterIPs": [address]})
        return state(cluster)

    assert told(compare(with_dns(1, "10.96.0.10"), with_dns(2, "10.96.0.10"))) == []
    assert told(compare(with_dns(1, "10.96.0.10"), with_dns(2, "10.96.7.7"))) == [
        "changed: services kube-system/kube-dns",
        '    spec.clusterIPs[0]: "10.96.0.10" -> "10.96.7.7"',
    ]


@pytest.mark.parametrize("rule", PASSING, ids=lambda rule: rule.resource)
def test_passing_objects_are_no_difference(rule):
    assert told(difference(lambda cluster: cluster.add(rule.resource, "x", "app"))) == []


def test_tokens_that_expire_may_be_missing_and_none_may_be_added():
    old, new = Cluster(1), Cluster(2)
    old.add("secrets", "bootstrap-token-abcdef", "kube-system", data={"token-id": "x"})
    assert EXPIRING
    assert told(compare(state(old), state(new))) == []
    assert told(compare(state(new), state(old))) == ["extra: secrets kube-system/bootstrap-token-abcdef"]


def test_a_moment_counts_as_one_and_its_absence_too():
    stamped = setting("deployments.apps", "web", "metadata", "annotations", "restartedAt", value="2026-01-01T00:00:00Z")
    other = setting("deployments.apps", "web", "metadata", "annotations", "restartedAt", value="2027-01-01T00:00:00Z")
    one, two = Cluster(1), Cluster(2)
    stamped(one)
    other(two)
    assert told(compare(state(one), state(two))) == []
    assert told(difference(stamped))[1] == '    metadata.annotations.restartedAt: nothing -> "<moment>"'


def test_every_rule_says_why():
    assert all(len(rule.why) > 5 for rule in (*FIELDS, *PASSING, *MANAGERS))
    assert all(WORDS.values())
    assert {rule.action for rule in FIELDS} == set(Action)
    assert len({(rule.resource, rule.path) for rule in FIELDS}) == len(FIELDS)
    assert {rule.path for rule in FIELDS if rule.action is DROP and rule.path.startswith("spec")} == {
        "spec claimRef resourceVersion"
    }, "what somebody wanted is hardly ever dropped"


def test_conditions_are_told_by_their_type():
    def spoil(cluster):
        cluster.one("nodes")["status"]["conditions"] = [
            condition("DiskPressure", cluster.moment, "True"),
            condition("Ready", cluster.moment),
        ]

    assert told(difference(spoil)) == [
        "changed: nodes <cluster>-control-plane",
        '    status.conditions[DiskPressure].status: "False" -> "True"',
    ]


def test_a_packed_state_is_read_back():
    cluster = Cluster(1)
    body = json.dumps({"names": cluster.names, "objects": cluster.listing}).encode()
    entry = {"packed": base64.b64encode(zlib.compress(body)).decode(), "failed": {}, "groups_failed": {}, "key": "k1"}
    assert state_of(entry) == state(Cluster(1))
    for damage in ({"packed": "AAAA"}, {"packed": "?"}, {"packed": entry["packed"][:80]}):
        with pytest.raises(UsageError, match="not readable"):
            state_of(entry | damage)
