"""The Kubernetes API, an object at a time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import urllib3.exceptions
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_kube_config_from_dict
from kubernetes.dynamic import DynamicClient

from harness.errors import WaitTimeout
from harness.tools.reference.deployer.errors import Failed
from harness.waiting import until

FIELD_MANAGER = "reference-deployer"
MANAGED = "app.kubernetes.io/managed-by"
_CALL_SECONDS = 30
_LOOK_SECONDS = 0.2
_VERSIONS = {
    "CronJob": "batch/v1", "DaemonSet": "apps/v1", "Deployment": "apps/v1", "Ingress": "networking.k8s.io/v1",
    "Job": "batch/v1", "StatefulSet": "apps/v1",
}  # fmt: skip
Object = dict[str, Any]


class Kube:
    """A cluster's API, as the admin.

    Args:
        kubeconfig: as read.
        context: of the cluster in it.
        scratch: folder for the library's own files.
        ready_seconds: how long a wait may last.

    Raises:
        Failed: the API was not ready in that time.
    """

    def __init__(self, kubeconfig: Object, context: str, scratch: Path, ready_seconds: float) -> None:
        self._ready_seconds = ready_seconds
        settings = Configuration()
        with _told(context):
            load_kube_config_from_dict(
                kubeconfig, context, client_configuration=settings, persist_config=False, temp_file_path=str(scratch)
            )
        self.client = ApiClient(settings)
        self._discovery = str(scratch / "discovery.json")
        self._dynamic: Any = None
        self.wait("the API to be ready", self._connect)

    def find(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """An object, or None when there is none."""
        with _told(f"{kind} {namespace}/{name}"):
            try:
                found = self._resource(kind).get(name=name, namespace=namespace or None, _request_timeout=_CALL_SECONDS)
            except ApiException as error:
                if error.status == 404:
                    return None
                raise
        return dict(found.to_dict())

    def every(self, kind: str, namespace: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or everywhere."""
        with _told(f"list {kind}"):
            rows = self._resource(kind).get(namespace=namespace or None, _request_timeout=_CALL_SECONDS)
        return [dict(row) for row in rows.to_dict()["items"]]

    def apply(self, manifest: Object) -> None:
        """Server-side apply, as the owner of every field in the manifest; prints what it applies.

        Raises:
            Failed: the API refused it.
        """
        title = title_of(manifest)
        print(f"apply: {title}", flush=True)
        with _told(title):
            self._resource(manifest["kind"], manifest["apiVersion"]).server_side_apply(
                body=manifest,
                namespace=manifest["metadata"].get("namespace"),
                field_manager=FIELD_MANAGER,
                force_conflicts=True,
                _request_timeout=_CALL_SECONDS,
            )

    def create(self, manifest: Object) -> bool:
        """Create; False when it is there already.

        Raises:
            Failed: the API refused it for another reason.
        """
        title = title_of(manifest)
        with _told(title):
            try:
                self._resource(manifest["kind"], manifest["apiVersion"]).create(
                    body=manifest,
                    namespace=manifest["metadata"].get("namespace"),
                    field_manager=FIELD_MANAGER,
                    _request_timeout=_CALL_SECONDS,
                )
            except ApiException as error:
                if error.status == 409:
                    print(f"there: {title}", flush=True)
                    return False
                raise
        print(f"create: {title}", flush=True)
        return True

    def delete(self, manifest: Object) -> None:
        """Delete what a manifest names, with all that hangs on it, and wait until it is gone.

        Raises:
            Failed: the API refused it, or it did not go.
        """
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        namespace = manifest["metadata"].get("namespace", "")
        title = title_of(manifest)
        with _told(title):
            try:
                self._resource(kind, manifest["apiVersion"]).delete(
                    name=name,
                    namespace=namespace or None,
                    body={"propagationPolicy": "Foreground"},
                    _request_timeout=_CALL_SECONDS,
                )
            except ApiException as error:
                if error.status != 404:
                    raise
                return
        print(f"delete: {title}", flush=True)
        self.wait(f"{title} to go", lambda: self.find(kind, name, namespace) is None)

    def wait(self, what: str, look: Callable[[], object]) -> None:
        """Look until it is true.

        Raises:
            Failed: it was not in the time there is.
        """
        try:
            until(look, what=what, deadline_seconds=self._ready_seconds, every_seconds=_LOOK_SECONDS)
        except WaitTimeout as error:
            raise Failed(f"waited {self._ready_seconds:.0f} s for {what}") from error

    def _connect(self) -> bool:
        try:
            self._dynamic = DynamicClient(self.client, cache_file=self._discovery)  # type: ignore[no-untyped-call]
            self._dynamic.request("GET", "/livez", _request_timeout=_CALL_SECONDS)
        except (ApiException, urllib3.exceptions.HTTPError):
            return False
        return True

    def _resource(self, kind: str, version: str = "") -> Any:
        version = version or _VERSIONS.get(kind, "v1")
        # without the prefix the library asks every group there is
        prefix = "apis" if "/" in version else "api"
        return self._dynamic.resources.get(prefix=prefix, api_version=version, kind=kind)


def title_of(manifest: Object) -> str:
    """How an object is called in what is printed."""
    namespace = manifest["metadata"].get("namespace")
    name = manifest["metadata"]["name"]
    return f"{manifest['kind']} {namespace}/{name}" if namespace else f"{manifest['kind']} {name}"


def one_line(error: ApiException) -> str:
    """What the API said, as a user reads it."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        raise Failed(f"{what}: {one_line(error)}") from error
    except (urllib3.exceptions.HTTPError, ConfigException) as error:
        raise Failed(f"{what}: {' '.join(str(error).split())}") from error
