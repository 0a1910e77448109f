"""What a bad day leaves on a cluster: things added, changed and taken away, each in another way hard to undo."""

from harness.clusters.kube_api import KubeApi
from harness.clusters.kube_resources import demand
from harness.probes.kubernetes.pod_manifests import PROBE_IMAGE
from harness.waiting import until

GROUP = "stories.afterfault.dev"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
APPS = "/apis/apps/v1/namespaces"
GRACE_SECONDS = 120


def a_bad_day(api: KubeApi) -> None:
    """All of it."""
    add_app(api, "app")
    add_app(api, "others")
    add_custom_resource_that_holds_on(api)
    until(lambda: add_story(api), what="the new resource to be served", deadline_seconds=30)
    add_volume(api)
    take_away(api)
    change(api)
    add_webhook_that_refuses(api)


def add_app(api: KubeApi, namespace: str = "app") -> None:
    """As a deploy tool leaves it: a namespace with a workload, its configuration, a volume claimed."""
    make(api, "/api/v1/namespaces", {"metadata": {"name": namespace}})
    core = f"/api/v1/namespaces/{namespace}"
    make(api, f"{core}/configmaps", {"metadata": {"name": "settings"}, "data": {"a": "b"}})
    make(api, f"{core}/secrets", {"metadata": {"name": "token"}, "stringData": {"a": "b"}})
    make(
        api,
        f"{core}/services",
        {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}},
    )
    make(api, f"{APPS}/{namespace}/deployments", deployment("web"))
    make(api, f"{RBAC}/clusterroles", {"metadata": {"name": f"{namespace}-role"}, "rules": []})
    make(
        api,
        "/apis/networking.k8s.io/v1/ingressclasses",
        {"metadata": {"name": namespace}, "spec": {"controller": "a.b/c"}},
    )


def deployment(name: str, replicas: int = 2) -> dict[str, object]:
    labels = {"app": name}
    # it ignores being told to end, as a badly behaved server does: all of its grace
    container = {"name": "web", "image": PROBE_IMAGE, "imagePullPolicy": "Never", "args": ["serve", "8080"]}
    tolerations = [{"operator": "Exists"}]
    pod = {"containers": [container], "tolerations": tolerations, "terminationGracePeriodSeconds": GRACE_SECONDS}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def add_custom_resource_that_holds_on(api: KubeApi) -> None:
    """A definition, and an object of it whose finalizer nobody will ever take away."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "stories", "singular": "story", "kind": "Story"}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
    make(api, DEFINITIONS, {"metadata": {"name": f"stories.{GROUP}"}, "spec": spec})


def add_story(api: KubeApi) -> bool:
    """The object; False while its definition is not served yet."""
    body = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Story",
        "metadata": {"name": "endless", "finalizers": ["afterfault.dev/never"]},
    }
    return api.create(f"/apis/{GROUP}/v1/namespaces/default/stories", body).good


def add_webhook_that_refuses(api: KubeApi) -> None:
    """Nothing of a ConfigMap may change any more: the hook leads nowhere."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
    hook = {
        "name": "no.afterfault.dev",
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": "default", "name": "nobody"}},
        "timeoutSeconds": 1,
    }
    make(api, HOOKS, {"metadata": {"name": "nobody"}, "webhooks": [hook]})


def take_away(api: KubeApi) -> None:
    """What the cluster itself needs."""
    remove(api, "/api/v1/namespaces/default/services/kubernetes")
    remove(api, f"{RBAC}/clusterroles/system:node-proxier")
    remove(api, f"{RBAC}/clusterrolebindings/system:kube-dns")
    remove(api, f"{APPS}/kube-system/daemonsets/kindnet")
    remove(api, "/apis/storage.k8s.io/v1/storageclasses/standard")
    remove(api, "/api/v1/namespaces/kube-system/serviceaccounts/coredns")


def change(api: KubeApi) -> None:
    """What is still there, but not as it was."""
    corefile = {"data": {"Corefile": ".:53 {\n    errors\n    no_such_plugin\n}\n"}}
    demand(lambda: api.patch("/api/v1/namespaces/kube-system/configmaps/coredns", corefile))
    local = f"{APPS}/local-path-storage/deployments/local-path-provisioner"
    demand(lambda: api.patch(local, {"spec": {"replicas": 0}}))


def add_volume(api: KubeApi) -> None:
    """A volume of nobody's, kept by its protection."""
    spec = {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/var/local-path-provisioner/left"},
    }
    make(api, "/api/v1/persistentvolumes", {"metadata": {"name": "left"}, "spec": spec})


def make(api: KubeApi, path: str, body: dict[str, object]) -> None:
    demand(lambda: api.create(path, body))


def remove(api: KubeApi, path: str) -> None:
    demand(lambda: api.delete(path))
