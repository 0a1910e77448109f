"""The app: applied, awaited, deleted."""

from __future__ import annotations

import http.client
from functools import partial
from typing import Any

from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.kube import Kube
from harness.tools.reference.deployer.manifest import read_manifests

_ANSWER_SECONDS = 5


class App:
    """One deployment's app in one cluster.

    Args:
        deployment: whose.
        kube: the cluster's API.
    """

    def __init__(self, deployment: Deployment, kube: Kube) -> None:
        self._deployment, self._kube = deployment, kube
        self._namespace, *self._objects = read_manifests(
            "app",
            name=deployment.name,
            namespace=deployment.namespace,
            host=deployment.host,
            image=deployment.images["app"],
        )

    def apply_namespace(self) -> None:
        """The namespace, which outlives the app: users keep their TLS secrets in it."""
        self._kube.apply(self._namespace)

    def apply(self, leave_out: tuple[str, ...] = ()) -> None:
        """Apply every object, but of the kinds left out.

        Raises:
            Failed: the API refused one.
        """
        if self._is_going():
            self.delete()
        self.apply_namespace()
        for manifest in self._objects:
            if manifest["kind"] not in leave_out:
                self._kube.apply(manifest)
            if manifest["kind"] == "PersistentVolume":
                self._kube.wait("the volume to be taken up", partial(self._is_taken_up, manifest))

    def delete(self) -> None:
        """Delete every object but the namespace, each after what uses it, and wait until all are gone.

        Raises:
            Failed: one did not go.
        """
        for manifest in reversed(self._objects):
            self._kube.delete(manifest)

    def await_answer(self) -> None:
        """Wait until the Deployment is available, and the app answers through the ingress.

        Raises:
            Failed: not in the time there is.
        """
        self._kube.wait(f"Deployment {self._deployment.name} to be available", self._is_available)
        self._kube.wait(f"{self._deployment.host} to answer through the ingress", self._answers)

    def _is_going(self) -> bool:
        """Whether a stop was cut half-way: what is applied onto a dying object dies with it."""
        found = [self._find(manifest) for manifest in self._objects]
        if any(each and each["metadata"].get("deletionTimestamp") for each in found):
            return True
        # a volume whose claim is gone never binds again
        return any(each and each["kind"] == "PersistentVolume" and _is_released(each) for each in found)

    def _is_taken_up(self, volume: dict[str, Any]) -> bool:
        """A claim that comes while a volume is first looked at conflicts with that, and is bound 15 s later."""
        found = self._find(volume)
        return bool(found and found.get("status", {}).get("phase", "Pending") != "Pending")

    def _find(self, manifest: dict[str, Any]) -> dict[str, Any] | None:
        metadata = manifest["metadata"]
        return self._kube.find(manifest["kind"], metadata["name"], metadata.get("namespace", ""))

    def _is_available(self) -> bool:
        found = self._kube.find("Deployment", self._deployment.name, self._deployment.namespace)
        if found is None:
            return False
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        return bool(seen and status.get("updatedReplicas", 0) == wanted == status.get("availableReplicas", 0))

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._deployment.http_port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/healthz", headers={"Host": self._deployment.host})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _is_released(volume: dict[str, Any]) -> bool:
    return volume.get("status", {}).get("phase") in ("Released", "Failed")
