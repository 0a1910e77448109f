"""An app as a deploy tool brings it: one of each sort of object that has something random about it."""

from harness.clusters.kube_api import KubeApi, admin_of
from harness.probes.kubernetes.pod_manifests import PROBE_IMAGE
from harness.waiting import until
from tests.kind.used_cluster import APPS, DEFINITIONS, GROUP, RBAC, add_custom_resource_that_holds_on, make

SPACE = "shop"
CORE = f"/api/v1/namespaces/{SPACE}"
BATCH = f"/apis/batch/v1/namespaces/{SPACE}"
NET = f"/apis/networking.k8s.io/v1/namespaces/{SPACE}"
LABELS = {"app": "web"}
TOLERATIONS = [{"operator": "Exists"}]


def as_tool(cluster):
    """The admin's API, with writes that are the tool's and not the harness's."""
    api = KubeApi(admin_of(cluster), 10)
    api._http.headers["User-Agent"] = "deployer/1"
    return api


def deploy(api):
    """All of it; returns before anything runs."""
    make(api, "/api/v1/namespaces", {"metadata": {"name": SPACE}})
    add_configuration(api)
    add_rights(api)
    make(api, f"{APPS}/{SPACE}/deployments", named("web", workload(2) | {"replicas": 2}))
    make(api, f"{APPS}/{SPACE}/daemonsets", named("agent", workload(0)))
    make(api, f"{APPS}/{SPACE}/statefulsets", named("db", workload(0) | {"serviceName": "db"}))
    add_services(api)
    job = {"template": {"spec": pod("env") | {"restartPolicy": "OnFailure"}}}
    make(api, f"{BATCH}/jobs", named("migrate", job))
    make(api, f"{BATCH}/cronjobs", named("backup", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}))
    add_custom_resource_that_holds_on(api)
    story = {"apiVersion": f"{GROUP}/v1", "kind": "Story", "metadata": {"name": "one"}}
    until(
        lambda: api.create(f"/apis/{GROUP}/v1/namespaces/{SPACE}/stories", story).good,
        what="the new resource to be served",
        deadline_seconds=30,
    )


def undeploy(api):
    """All of it is gone, but what the cluster does by itself."""
    for path in (
        f"/api/v1/namespaces/{SPACE}",
        f"{RBAC}/clusterroles/{SPACE}",
        f"{RBAC}/clusterrolebindings/{SPACE}",
        f"/apis/networking.k8s.io/v1/ingressclasses/{SPACE}",
        f"{DEFINITIONS}/stories.{GROUP}",
    ):
        api.delete(path)
    until(
        lambda: api.get(f"/api/v1/namespaces/{SPACE}").status == 404 and not volumes(api),
        what="the app to be gone",
        deadline_seconds=90,
        every_seconds=0.5,
    )


def volumes(api):
    return api.get("/api/v1/persistentvolumes").body["items"]


def add_configuration(api):
    make(api, f"{CORE}/configmaps", named("settings") | {"data": {"Caddyfile": "one {\n  two\n}\n"}})
    make(api, f"{CORE}/secrets", named("tls") | {"data": {"tls.key": "AAECA/8="}})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    make(api, f"{CORE}/persistentvolumeclaims", named("data", claim))


def add_rights(api):
    make(api, f"{CORE}/serviceaccounts", named("web"))
    subject = {"kind": "ServiceAccount", "name": "web", "namespace": SPACE}
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    make(api, f"{RBAC}/namespaces/{SPACE}/roles", named("web") | {"rules": [rule]})
    make(api, f"{RBAC}/clusterroles", named(SPACE) | {"rules": [rule]})
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "Role", "name": "web"}
    make(api, f"{RBAC}/namespaces/{SPACE}/rolebindings", named("web") | {"roleRef": role, "subjects": [subject]})
    role = {"apiGroup": group, "kind": "ClusterRole", "name": SPACE}
    make(api, f"{RBAC}/clusterrolebindings", named(SPACE) | {"roleRef": role, "subjects": [subject]})


def add_services(api):
    port = {"port": 80, "targetPort": 8080}
    make(api, f"{CORE}/services", named("web", {"type": "NodePort", "selector": LABELS, "ports": [port]}))
    # of the lowest 86, which no other Service is given by chance
    fixed = {"type": "NodePort", "selector": LABELS, "ports": [port | {"nodePort": 30023}]}
    make(api, f"{CORE}/services", named("fixed", fixed))
    make(api, f"{CORE}/services", named("db", {"clusterIP": "None", "selector": LABELS, "ports": [port]}))
    make(api, "/apis/networking.k8s.io/v1/ingressclasses", named(SPACE, {"controller": "a.b/c"}))
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": "x", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    make(api, f"{NET}/ingresses", named("web", {"ingressClassName": SPACE, "rules": [rule]}))
    make(api, f"{NET}/networkpolicies", named("web", {"podSelector": {}, "ingress": [{}]}))
    budget = {"minAvailable": 1, "selector": {"matchLabels": LABELS}}
    make(api, f"/apis/policy/v1/namespaces/{SPACE}/poddisruptionbudgets", named("web", budget))


def named(name, spec=None):
    return {"metadata": {"name": name}} | ({"spec": spec} if spec is not None else {})


def pod(*words):
    environment = [{"name": "MODE", "value": "a"}]
    container = {"name": "web", "image": PROBE_IMAGE, "imagePullPolicy": "Never", "args": list(words)}
    return {
        "containers": [container | {"env": environment}],
        "tolerations": TOLERATIONS,
        "terminationGracePeriodSeconds": 0,
    }


def workload(mounts):
    spec = pod("serve", "8080")
    if mounts:
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["serviceAccountName"] = "web"
    labels = LABELS if mounts else {"app": "other"}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
