"""Through whose eyes a cluster is seen: the admin's, or where it is refused, the super-admin's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from harness.clusters.kube_api import KubeApi, KubernetesCluster, KubernetesNode, NoCluster, admin_of, super_admin_of
from harness.clusters.kube_resources import Refusal, ask
from harness.journal import Journal

TIMEOUT_SECONDS = 3.0
_REFUSED = (401, 403)
# Nobody but an admin may list everybody's Secrets.
_TOUCHSTONE = "/api/v1/secrets"


class KubernetesWorld(Protocol):
    """What a probe may look at."""

    @property
    def cluster(self) -> KubernetesCluster:
        """Whom to ask."""

    @property
    def journal(self) -> Journal:
        """Where observations go."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Somebody who looks.

    Args:
        api: as whom the cluster is asked.
        seen_as: ``admin`` or ``super-admin``, for the journal.
    """

    api: KubeApi
    seen_as: str


@contextlib.contextmanager
def eyes_on(cluster: KubernetesCluster, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[Eyes]:
    """Look as the admin; an admin that lost its rights must not hide what else is broken.

    Raises:
        ClusterError: the harness's own kubeconfig is gone.
    """
    with KubeApi(admin_of(cluster), timeout_seconds) as admin:
        mighty = super_admin_of(cluster) if _is_refused(admin) else None
        if mighty is None:
            yield Eyes(admin, "admin")
            return
        with KubeApi(mighty, timeout_seconds) as api:
            yield Eyes(api, "super-admin")


def note(
    world: KubernetesWorld,
    kind: str,
    look: Callable[[Eyes], dict[str, Any]],
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Look, and write what was seen to the journal; an API that refuses is what was seen.

    Args:
        world: where.
        kind: of the entry. A refusal becomes its ``failure``: ``sort`` (``unreachable``,
            ``forbidden`` or ``error``), ``status`` and ``text``.
        look: the entry's data; raises `Refusal` when the API does not tell.
        timeout_seconds: for each call.
    """
    try:
        with eyes_on(world.cluster, timeout_seconds) as eyes:
            try:
                seen = look(eyes)
            except Refusal as refusal:
                seen = {"failure": failure_of(refusal)}
        world.journal.append(kind, **seen, seen_as=eyes.seen_as)
    except NoCluster as absence:
        world.journal.append(kind, failure=failure_of(Refusal(0, str(absence))), seen_as="nobody")


def failure_of(refusal: Refusal) -> dict[str, Any]:
    """What the journal keeps of a refusal."""
    sort = "unreachable" if not refusal.status else "forbidden" if refusal.status in _REFUSED else "error"
    return {"sort": sort} | refusal.to_json()


def machines(cluster: KubernetesCluster) -> list[KubernetesNode]:
    """Machines with a kubelet that are switched on and not paused; the load balancer is none."""
    workers = [node for node in cluster.workers.values() if node.running and not node.paused]
    return [*cluster.running(), *workers]


def _is_refused(api: KubeApi) -> bool:
    try:
        ask(api, _TOUCHSTONE, limit="1")
    except Refusal as refusal:
        return refusal.status in _REFUSED
    return False
