"""What users of a deployment have on it: secrets, data, and work of their own in a namespace nobody manages.

Put there before the trouble, and told with hashes, so that it can be recognized afterwards. The secrets
are made up for the case.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import trustme

from harness.clusters.app_client import CANARY, AppClient, digest
from harness.clusters.kube_api import KubeApi, admin_of
from harness.clusters.tool_made import App, ToolMadeCluster
from harness.errors import ClusterError, WaitTimeout
from harness.journal import Journal
from harness.shapes import DeploymentSpec
from harness.waiting import SYSTEM_CLOCK, Clock, until

NEIGHBOURS = "neighbours"
_IMAGE = "afterfault/probe:1"
_SECONDS = 60.0
_CALL_SECONDS = 5.0

_Place = tuple[str, str]
_Content = tuple[str, Mapping[str, bytes]]


def put_to_use(cluster: ToolMadeCluster, spec: DeploymentSpec, journal: Journal, clock: Clock = SYSTEM_CLOCK) -> None:
    """Give a deployment users, and wait until they are served (``users.came``).

    ``secrets``: by ``namespace/name`` and key, a hash of the bytes; ``certificate``: that of the one the
    ingress shows, empty without secrets; ``data``: that of what the app was given to keep.

    Raises:
        ClusterError: the deployment does not serve them.
    """
    users = AppClient(cluster.app)
    chain, key, shown = _certificate(cluster.app.host)
    given = dict(_secrets(cluster.app, spec, chain, key))
    canary = secrets.token_bytes(4096)
    with KubeApi(admin_of(cluster), _CALL_SECONDS) as api:
        for (namespace, name), (kind, data) in given.items():
            _demand(api, f"/api/v1/namespaces/{namespace}/secrets", _secret(name, kind, data))
        _move_in(api)
        _await(lambda: _settled(api), "the neighbours to run", clock)
    _await(lambda: users.keep(CANARY, canary).good, "the app to keep what it is given", clock)
    if given:
        _await(lambda: users.certificate() == shown, "the ingress to show the certificate", clock)
    journal.append(
        "users.came",
        secrets={"/".join(place): {k: digest(v) for k, v in data.items()} for place, (_, data) in given.items()},
        certificate=shown if given else "",
        data=digest(canary),
        namespace=NEIGHBOURS,
    )


def _certificate(host: str) -> tuple[bytes, bytes, str]:
    """A certificate for a host: the chain and the key as PEM, and its SHA-256."""
    issued = trustme.CA(organization_name="afterfault users").issue_cert(host)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    return chain, issued.private_key_pem.bytes(), hashlib.sha256(der).hexdigest()


def _secrets(app: App, spec: DeploymentSpec, chain: bytes, key: bytes) -> Iterator[tuple[_Place, _Content]]:
    """The host's certificate, and beside it secrets as an ingress controller keeps its own."""
    if spec.secrets == "none":
        return
    pair = {"tls.crt": chain, "tls.key": key}
    yield app.certificate, ("kubernetes.io/tls", pair)
    yield (app.ingress_namespace, "caddy.ingress--certificates"), ("Opaque", pair)
    if spec.secrets == "binary":
        value = bytes(range(256)) + secrets.token_bytes(64)
        yield (app.ingress_namespace, "caddy.ingress--binary"), ("Opaque", {"value": value})


def _secret(name: str, kind: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "type": kind,
        "metadata": {"name": name, "labels": {"manager": "caddy"}},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def _move_in(api: KubeApi) -> None:
    """A Deployment, a DaemonSet and a ConfigMap that no tool manages."""
    _demand(api, "/api/v1/namespaces", {"metadata": {"name": NEIGHBOURS}})
    notes = {"metadata": {"name": "notes"}, "data": {"note": secrets.token_hex(8)}}
    _demand(api, f"/api/v1/namespaces/{NEIGHBOURS}/configmaps", notes)
    for plural in ("deployments", "daemonsets"):
        _demand(api, f"/apis/apps/v1/namespaces/{NEIGHBOURS}/{plural}", _workload(plural[:-1]))


def _workload(name: str) -> dict[str, Any]:
    labels = {"app": f"neighbour-{name}"}
    container = {"name": "rest", "image": _IMAGE, "imagePullPolicy": "Never", "args": ["pause-forever"]}
    pod = {"containers": [container], "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def _settled(api: KubeApi) -> bool:
    root = f"/apis/apps/v1/namespaces/{NEIGHBOURS}"
    deployment = api.get(f"{root}/deployments/deployment").body.get("status", {})
    daemons = api.get(f"{root}/daemonsets/daemonset").body.get("status", {})
    return bool(deployment.get("availableReplicas") and daemons.get("numberAvailable"))


def _demand(api: KubeApi, path: str, body: Mapping[str, Any]) -> None:
    answer = api.create(path, body)
    if not answer.good:
        raise ClusterError(f"users cannot have {path.rpartition('/')[2]} {body['metadata']['name']}: {answer.text}")


def _await(look: Callable[[], object], what: str, clock: Clock) -> None:
    try:
        until(look, what=what, deadline_seconds=_SECONDS, every_seconds=0.3, clock=clock)
    except WaitTimeout as error:
        raise ClusterError(f"the deployment does not serve its users: {error}") from error
