"""The rule over what a cluster's authorization starts with.

Source of the names: Kubernetes documentation, "Using RBAC Authorization", default roles and role
bindings (those that every supported minor has), and kubeadm (``kubeadm:cluster-admins``, from 1.29).
The API server makes its own again only when it starts, so what a tool deletes stays away; kubeadm makes
its own with each cluster. Names of kind's add-ons: its node image, ``/kind/manifests``.
"""

from __future__ import annotations

from harness.judging.case import Case
from harness.judging.observed import Flaws, Promise
from harness.judging.verdict import Finding

_PROMISE = Promise("bootstrap-rbac-present", "probe.k8s.rbac")

_USER_FACING = ("cluster-admin", "admin", "edit", "view")
_DISCOVERY = ("system:basic-user", "system:discovery", "system:public-info-viewer", "system:monitoring")
_COMPONENTS = (
    "system:kube-scheduler",
    "system:volume-scheduler",
    "system:kube-controller-manager",
    "system:node",
    "system:node-proxier",
    "system:kube-dns",
    "system:service-account-issuer-discovery",
)
# Roles that are there for others to bind.
_UNBOUND = (
    "system:aggregate-to-admin",
    "system:aggregate-to-edit",
    "system:aggregate-to-view",
    "system:auth-delegator",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    "system:kube-aggregator",
    "system:kubelet-api-admin",
    "system:node-bootstrapper",
    "system:node-problem-detector",
    "system:persistent-volume-provisioner",
)
_CONTROLLERS = tuple(
    f"system:controller:{name}"
    for name in (
        "attachdetach-controller", "certificate-controller", "clusterrole-aggregation-controller",
        "cronjob-controller", "daemon-set-controller", "deployment-controller", "disruption-controller",
        "endpoint-controller", "endpointslice-controller", "ephemeral-volume-controller", "expand-controller",
        "generic-garbage-collector", "horizontal-pod-autoscaler", "job-controller", "namespace-controller",
        "node-controller", "persistent-volume-binder", "pod-garbage-collector", "pv-protection-controller",
        "pvc-protection-controller", "replicaset-controller", "replication-controller",
        "resourcequota-controller", "root-ca-cert-publisher", "route-controller", "service-account-controller",
        "service-controller", "statefulset-controller", "ttl-after-finished-controller", "ttl-controller",
    )
)  # fmt: skip
# kind's own add-ons bring theirs once, at creation: nobody makes these again.
_ADD_ONS = {"kindnet": "kindnet", "local-path-provisioner-role": "local-path-provisioner-bind"}
ROLES = (*_USER_FACING, *_DISCOVERY, *_COMPONENTS, *_UNBOUND, *_CONTROLLERS, *_ADD_ONS)
# kubeadm binds kubeadm:cluster-admins, the group of the admin's certificate.
_ADMINS = {"cluster-admin": "Group/system:masters", "kubeadm:cluster-admins": "Group/kubeadm:cluster-admins"}
BINDINGS = (*_ADMINS, *_DISCOVERY, *_COMPONENTS, *_CONTROLLERS, *_ADD_ONS.values())


def bootstrap_rbac_present(case: Case) -> Finding:
    """The roles and bindings a cluster is born with are there, and the admin is the admin."""
    seen = _PROMISE.observations(case)
    if not seen:
        return _PROMISE.unseen(case)
    last = seen[-1]
    if blocked := _PROMISE.blocked(last):
        return blocked
    roles, bindings, admin = last.data["roles"], last.data["bindings"], last.data["admin"]
    flaws = Flaws()
    refused = admin["status"] in (401, 403) or admin["may_everything"] is False
    flaws.add("admin-forbidden", [admin["text"] or "not allowed everything"] * refused, "the admin is refused: {}")
    flaws.add("role-missing", [name for name in ROLES if name not in roles], "ClusterRoles missing: {}")
    flaws.add("binding-missing", [name for name in BINDINGS if name not in bindings], "ClusterRoleBindings missing: {}")
    flaws.add("role-empty", [name for name in ROLES if roles.get(name) == 0], "ClusterRoles without a rule: {}")
    astray = [name for name, group in _ADMINS.items() if not _binds(bindings.get(name), group)]
    flaws.add("binding-changed", astray, "no longer binds the admins to cluster-admin: {}")
    measures = {"roles": len(roles), "bindings": len(bindings)}
    if flaws.first:
        return _PROMISE.broken(flaws.first, last, **measures)
    if admin["status"] != 200:
        return _PROMISE.inconclusive(f"the admin's rights could not be tried: {admin['text']}", last)
    reason = f"all {len(ROLES)} bootstrap roles and {len(BINDINGS)} bindings are there, and the admin is let in"
    return _PROMISE.kept(reason, last, **measures)


def _binds(binding: dict[str, object] | None, group: str) -> bool:
    if binding is None:
        return False
    subjects = binding["subjects"]
    return binding["role"] == "cluster-admin" and isinstance(subjects, list) and group in subjects
