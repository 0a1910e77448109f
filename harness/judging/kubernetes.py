"""Rules over a Kubernetes cluster as its probes saw it: nodes, API Service, objects, a fresh pod, foreign things.

Each judges the last observation made after the trouble ended. An API that gives no answer is a
world that did not come back; a probe that never looked, or only too early, is INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.judging.case import Case
from harness.judging.observed import Flaws, Promise, failures_told
from harness.judging.verdict import Finding

# Words of the API server's own trouble with its store, as opposed to one with a stored object.
_STORE_TROUBLE = ("etcdserver:", "rpc error:", "deadline exceeded", "timed out", "timeout", "reinitializ", "connection")
# Container states that say that the probe's own image is not on the node: nobody else's fault.
_NO_IMAGE = ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName")
# What a fresh pod asks, in the order in which a failure explains the later ones.
_POD_QUESTIONS = (
    ("environment", "no-service-variables", "a fresh pod gets no KUBERNETES_SERVICE_HOST: {}"),
    ("dns", "dns-failed", "a fresh pod cannot resolve kubernetes.default: {}"),
    ("api", "api-unreachable", "a fresh pod cannot reach the API: {}"),
    ("storage", "storage-failed", "a fresh pod gets no storage: {}"),
)


def nodes_ready(case: Case) -> Finding:
    """Every machine that is on is a Ready node, and no node is listed that is not."""
    promise = Promise("nodes-ready", "probe.k8s.nodes")
    seen = promise.observations(case)
    if not seen:
        return promise.unseen(case)
    last = seen[-1]
    if blocked := promise.blocked(last):
        return blocked
    nodes, expected = last.data["nodes"], last.data["expected"]
    flaws = Flaws()
    flaws.add("node-missing", [name for name in expected if name not in nodes], "not registered as nodes: {}")
    unready = [f"{name} ({told['reason'] or 'unknown'})" for name, told in nodes.items() if not told["ready"]]
    flaws.add("node-not-ready", unready, "listed and not Ready: {}")
    cordoned = [name for name, told in nodes.items() if not told["schedulable"]]
    flaws.add("node-cordoned", cordoned, "take no pods: {}")
    ready = sum(told["ready"] for told in nodes.values())
    if flaws.first:
        return promise.broken(flaws.first, last, nodes_ready=ready, nodes_listed=len(nodes))
    return promise.kept(f"all {ready} nodes are Ready", last, nodes_ready=ready, nodes_listed=len(nodes))


def api_service_present(case: Case) -> Finding:
    """The Service default/kubernetes is there, and leads to API servers that are on."""
    promise = Promise("api-service-present", "probe.k8s.api_service")
    seen = promise.observations(case)
    if not seen:
        return promise.unseen(case)
    last = seen[-1]
    if blocked := promise.blocked(last):
        return blocked
    service, endpoints, servers = last.data["service"], last.data["endpoints"], last.data["api_servers"]
    flaws = Flaws()
    flaws.add("service-missing", [] if service else ["default/kubernetes"], "the Service {} does not exist")
    addressless = service is not None and service["cluster_ip"] in ("", "None")
    flaws.add("service-without-address", ["default/kubernetes"] * addressless, "the Service {} has no cluster IP")
    flaws.add("no-endpoints", [] if endpoints else ["default/kubernetes"], "the Service {} leads nowhere")
    strays = [address for address in endpoints if servers and address not in servers]
    flaws.add("dead-endpoint", strays, "the Service default/kubernetes leads to machines that are not on: {}")
    if flaws.first:
        return promise.broken(flaws.first, last, endpoints=len(endpoints))
    reason = f"default/kubernetes is {service['cluster_ip']} and leads to {len(endpoints)} API servers"
    return promise.kept(reason, last, endpoints=len(endpoints))


def objects_decode(case: Case) -> Finding:
    """Every object of every resource can be listed, and every Secret's bytes be read."""
    promise = Promise("objects-decode", "probe.k8s.objects")
    seen = promise.observations(case)
    if not seen:
        return promise.unseen(case)
    last = seen[-1]
    if blocked := promise.blocked(last):
        return blocked
    failed, counts = last.data["failed"], last.data["counts"]
    undecodable = {name: what for name, what in failed.items() if what["status"] == 500 and not _is_store(what)}
    forbidden = {name: what for name, what in failed.items() if what["status"] in (401, 403)}
    others = {name: what for name, what in failed.items() if name not in undecodable and name not in forbidden}
    flaws = Flaws()
    flaws.add("object-undecodable", failures_told(undecodable), "something stored there does not decode: {}")
    flaws.add("secret-unreadable", last.data["unreadable_secrets"], "Secrets whose data are not bytes: {}")
    flaws.add("admin-forbidden", failures_told(forbidden), "the admin may not list: {}")
    flaws.add("resource-unlistable", failures_told(others), "could not be listed: {}")
    flaws.add("group-unavailable", failures_told(last.data["groups_failed"]), "API groups that do not answer: {}")
    measures = {
        "resources_listed": len(counts),
        "objects_listed": sum(counts.values()),
        "resources_failed": len(failed),
    }
    if flaws.first:
        return promise.broken(flaws.first, last, **measures)
    if not counts:
        return promise.inconclusive("nothing was listed", last)
    objects = measures["objects_listed"]
    return promise.kept(f"all {objects} objects of {len(counts)} resources decode", last, **measures)


def fresh_pod_works(case: Case) -> Finding:
    """A pod made afterwards gets service variables, DNS, the API and storage."""
    promise = Promise("fresh-pod-works", "probe.k8s.fresh_pod")
    seen = promise.observations(case)
    if not seen:
        return promise.unseen(case)
    last = seen[-1]
    if blocked := promise.blocked(last):
        return blocked
    answers = last.data["answers"]
    absent = [text for text in _texts(answers) if any(word in text for word in _NO_IMAGE)]
    if absent:
        return promise.inconclusive(f"the image that fresh pods run is not on the node: {absent[0]}", last)
    flaws = Flaws()
    # storage may keep a pod of its own from starting, and then it is storage that is broken
    idle = [f"{name}: {told['text']}" for name, told in answers.items() if not told["ran"] and name != "storage"]
    flaws.add("pod-not-started", idle, "a fresh pod does not start: {}")
    for name, signature, sentence in _POD_QUESTIONS:
        told = answers.get(name, {"ok": False, "text": "was not asked"})
        flaws.add(signature, [] if told["ok"] else [told["text"]], sentence)
    seconds = round(last.data["seconds"], 2)
    if flaws.first:
        return promise.broken(flaws.first, last, fresh_pod_seconds=seconds)
    reason = f"a fresh pod got service variables, DNS, the API and storage within {seconds:.1f} s"
    return promise.kept(reason, last, fresh_pod_seconds=seconds)


def foreign_workloads_kept(case: Case) -> Finding:
    """What others run on the cluster is still there, the same objects; or the tool said that it is lost."""
    promise = Promise("foreign-workloads-kept", "probe.k8s.foreign")
    before = [entry for entry in case.of_kind(promise.kind) if entry.at <= case.trouble_begins]
    after = promise.observations(case)
    if not before or not after or before[0] is after[-1]:
        return promise.unseen(case)
    first, last = before[0], after[-1]
    if first.data.get("failure"):
        return promise.inconclusive("what was there before could not be seen", first)
    if blocked := promise.blocked(last):
        return blocked
    there, now = first.data["objects"], last.data["objects"]
    if not there:
        return promise.inconclusive("there was nothing foreign to lose", first)
    gone = [name for name in there if name not in now]
    remade = [name for name, uid in there.items() if name in now and now[name] != uid]
    announced = _announced(case)
    silent = Flaws()
    silent.add("foreign-lost", [name for name in gone if not _is_told(name, announced)], "gone without a word: {}")
    sentence = "replaced by new objects without a word: {}"
    silent.add("foreign-remade", [name for name in remade if not _is_told(name, announced)], sentence)
    measures = {"foreign_objects": len(there), "foreign_lost": len(gone) + len(remade)}
    if silent.first:
        return promise.broken(silent.first, first, last, **measures)
    if gone or remade:
        return promise.kept(
            f"{len(gone) + len(remade)} of {len(there)} foreign objects lost, as the tool said", last, **measures
        )
    return promise.kept(f"all {len(there)} foreign objects are the same", first, last, **measures)


def _is_store(what: dict[str, object]) -> bool:
    return any(words in str(what["text"]) for words in _STORE_TROUBLE)


def _texts(answers: dict[str, dict[str, object]]) -> Iterable[str]:
    return (str(told["text"]) for told in answers.values())


def _announced(case: Case) -> set[str]:
    """What the tool said is lost: ``*``, a namespace, ``namespace/name``, or an object as the probe names it."""
    told: set[str] = set()
    for entry in case.entries:
        if entry.kind in ("tool.ended", "probe.k8s.foreign"):
            told.update(entry.data.get("announced", ()))
    return told


def _is_told(name: str, announced: set[str]) -> bool:
    namespace, _, rest = name.partition("/")
    return bool(announced & {"*", name, namespace, f"{namespace}/{rest.rpartition('/')[2]}"})
