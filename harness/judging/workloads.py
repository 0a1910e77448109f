"""The rule over the cluster's own workloads: complete, available, and not restarting.

A pod that restarts for ever looks well between two crashes, so stability takes two observations
that lie apart. The storage provisioner restarts once or twice in a cluster's first 20 s, until
kube-proxy has the API Service in place: only what happens between the two observations counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.observed import Flaws, Promise
from harness.judging.verdict import Finding

# The observations that are compared lie at least this far apart.
STABLE_SECONDS = 15.0
_PROMISE = Promise("system-workloads-stable", "probe.k8s.workloads")

# kubeadm's and kind's own: https://kind.sigs.k8s.io/docs/design/node-image (kindnet, the local-path
# provisioner) and kubeadm's add-on phase (kube-proxy, coredns).
_EVERYWHERE = ("kube-system/daemonset/kindnet", "kube-system/daemonset/kube-proxy")
_EXPECTED = (*_EVERYWHERE, "kube-system/deployment/coredns", "local-path-storage/deployment/local-path-provisioner")
# The static pods of each control-plane node with stacked etcd; a mirror pod's name ends with its node's.
_STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def system_workloads_stable(case: Case) -> Finding:
    """The cluster's own workloads are complete and available, and restart no more."""
    seen = _PROMISE.observations(case)
    if not seen:
        return _PROMISE.unseen(case)
    last = seen[-1]
    if blocked := _PROMISE.blocked(last):
        return blocked
    flaws = _flaws_of(last)
    restarts = sum(container["restarts"] for _, container in _containers(last))
    if flaws.first:
        return _PROMISE.broken(flaws.first, last, restarts=restarts)
    earlier = [entry for entry in seen if last.at - entry.at >= STABLE_SECONDS and not entry.data.get("failure")]
    if not earlier:
        watched = last.at - seen[0].at
        return _PROMISE.inconclusive(f"watched for {watched:.1f} s only, stability takes {STABLE_SECONDS:.0f} s", last)
    return _compared(earlier[-1], last, restarts)


def _compared(earlier: Entry, last: Entry, restarts: int) -> Finding:
    watched = round(last.at - earlier.at, 1)
    before = {(name, at): container["restarts"] for (name, at), container in _containers(earlier)}
    growing = Flaws()
    grown = [
        f"{name} ({container['restarts'] - before.get((name, uid), 0)} more)"
        for (name, uid), container in _containers(last)
        if container["restarts"] > before.get((name, uid), 0)
    ]
    growing.add("restarts-growing", grown, f"restarted within the last {watched:.0f} s: {{}}")
    if growing.first:
        return _PROMISE.broken(growing.first, earlier, last, restarts=restarts, watched_seconds=watched)
    pods = len(last.data["pods"])
    reason = f"all system workloads are available, none of {pods} pods restarted for {watched:.0f} s"
    return _PROMISE.kept(reason, earlier, last, restarts=restarts, watched_seconds=watched)


def _flaws_of(entry: Entry) -> Flaws:
    workloads: dict[str, dict[str, Any]] = entry.data["workloads"]
    flaws = Flaws()
    crashing = [
        f"{name}{': ' + container['said'] if container['said'] else ''}"
        for (name, _), container in _containers(entry)
        if container["waiting"] == "CrashLoopBackOff"
    ]
    flaws.add("crash-looping", crashing, "crash-looping: {}")
    flaws.add("workload-missing", [name for name in _EXPECTED if name not in workloads], "missing: {}")
    flaws.add("static-pod-missing", _static_pods_missing(entry), "missing: {}")
    known = [(name, workloads[name]) for name in _EXPECTED if name in workloads]
    few = [f"{name} ({told['desired']})" for name, told in known if told["desired"] < _least(name, entry)]
    flaws.add("workload-scaled-down", few, "too few wanted: {}")
    short = [
        f"{name} ({told['available']} of {told['desired']})"
        for name, told in known
        if told["available"] < told["desired"] or told["ready"] < told["desired"]
    ]
    flaws.add("workload-unavailable", short, "not available: {}")
    unread = [name for name, told in known if not told["observed"]]
    flaws.add("workload-not-reconciled", unread, "no controller has taken notice of the newest version of {}")
    unready = [name for (name, _), container in _containers(entry) if not container["ready"]]
    flaws.add("static-pod-unready", [name for name in unready if name.startswith(_static_names())], "not ready: {}")
    return flaws


def _least(name: str, entry: Entry) -> int:
    """How many pods a workload has to want: one, or one a node."""
    return int(entry.data["nodes"]) if name in _EVERYWHERE else 1


def _static_names() -> tuple[str, ...]:
    return tuple(f"kube-system/{component}-" for component in _STATIC)


def _static_pods_missing(entry: Entry) -> list[str]:
    wanted = [f"kube-system/{component}-{node}" for node in entry.data["control_planes"] for component in _STATIC]
    return [name for name in wanted if name not in entry.data["pods"]]


def _containers(entry: Entry) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Each container: what it is called, the UID of its pod, and what was seen of it."""
    for pod, told in entry.data["pods"].items():
        for name, container in told["containers"].items():
            yield (f"{pod}/{name}", told["uid"]), container
