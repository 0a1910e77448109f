"""What probes see of a Kubernetes cluster where all is well, to be spoilt one thing at a time."""

import copy

from harness.judging.rbac import BINDINGS, ROLES
from tests.judging.story import Story

NODES = ("cp", "w1")
STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def nodes():
    told = {"ready": True, "reason": "", "version": "v1.34.4", "control_plane": False, "schedulable": True}
    return {"nodes": {name: dict(told) for name in NODES}, "expected": list(NODES)}


def api_service():
    service = {"cluster_ip": "10.96.0.1", "ports": [443]}
    return {"service": service, "endpoints": ["172.18.0.2"], "api_servers": ["172.18.0.2"]}


def workloads():
    full = {"observed": True, "desired": 2, "ready": 2, "available": 2}
    names = ("kube-system/daemonset/kindnet", "kube-system/daemonset/kube-proxy", "kube-system/deployment/coredns")
    told = {name: dict(full) for name in names}
    one = {"observed": True, "desired": 1, "ready": 1, "available": 1}
    told["local-path-storage/deployment/local-path-provisioner"] = one
    pods = {f"kube-system/{name}-cp": pod(name) for name in STATIC}
    pods |= {"kube-system/kindnet-abc": pod("kindnet-cni"), "local-path-storage/local-path-xyz": pod("local-path", 2)}
    return {"workloads": told, "pods": pods, "nodes": 2, "control_planes": ["cp"]}


def pod(container, restarts=0, uid="1"):
    told = {"restarts": restarts, "ready": True, "waiting": "", "said": ""}
    return {"uid": uid, "node": "cp", "phase": "Running", "containers": {container: told}}


def rbac():
    bindings = {name: {"role": name, "subjects": ["ServiceAccount/x"]} for name in BINDINGS}
    bindings["cluster-admin"] = {"role": "cluster-admin", "subjects": ["Group/system:masters"]}
    bindings["kubeadm:cluster-admins"] = {"role": "cluster-admin", "subjects": ["Group/kubeadm:cluster-admins"]}
    admin = {"may_everything": True, "status": 200, "text": ""}
    return {"roles": dict.fromkeys(ROLES, 2), "bindings": bindings, "admin": admin}


def objects():
    counts = {"secrets": 3, "configmaps": 9}
    return {"counts": counts, "failed": {}, "groups_failed": {}, "secrets": {"a/b": "1f"}, "unreadable_secrets": []}


def fresh_pod():
    answers = {name: {"ran": True, "ok": True, "text": ""} for name in ("environment", "dns", "api", "storage")}
    return {"answers": answers, "seconds": 6.5, "removed": True}


def foreign():
    found = {"others/namespaces/others": "u1", "others/deployments.apps/web": "u2", "others/secrets/key": "u3"}
    return {"objects": found, "namespaces": ["others"]}


SEEN = {
    "nodes-ready": ("probe.k8s.nodes", nodes),
    "api-service-present": ("probe.k8s.api_service", api_service),
    "system-workloads-stable": ("probe.k8s.workloads", workloads),
    "bootstrap-rbac-present": ("probe.k8s.rbac", rbac),
    "objects-decode": ("probe.k8s.objects", objects),
    "fresh-pod-works": ("probe.k8s.fresh_pod", fresh_pod),
    "foreign-workloads-kept": ("probe.k8s.foreign", foreign),
}


class ClusterStory(Story):
    """A fault at 10, over at 12; the last look comes after it."""

    def __init__(self):
        super().__init__()
        for at in (8.0, 8.2, 8.4, 8.6):
            self.api(at)
        self.say(9, "probe.k8s.foreign", **foreign())
        self.fault(10)
        self.asked(11).ended(12)

    def api(self, at, ok=True, took=0.05):
        return self.say(
            at + took, "probe.api", ok=ok, invoked=at, completed=at + took, status=200 if ok else 0, error=""
        )

    def saw(self, at, guarantee, spoil=None):
        """An observation for that guarantee, spoilt by a function that changes it."""
        kind, make = SEEN[guarantee]
        told = copy.deepcopy(make())
        if spoil:
            spoil(told)
        return self.say(at, kind, **told)

    def close(self, at=99):
        return self.say(at, "case.ended").entries
