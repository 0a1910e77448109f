"""Golden reset: a used cluster is brought back to its just-created state without making it anew.

Everything stored is compared with a picture taken when the cluster was new (`golden_picture` says
what that leaves out): what was added is deleted, what is missing is made again, what was changed is
put back, until both are equal. What that can't bring back: machines that came or went, files and
images on nodes (volumes below ``/var/local-path-provisioner`` are removed), what no API tells, as
iptables rules or etcd's own membership. A case that touched those, or a reset that does not
converge, takes a new cluster.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from harness.clusters.golden_picture import Difference, Picture, take_picture
from harness.clusters.golden_restorer import Reset, Restorer
from harness.clusters.kube_api import KubeApi, KubernetesCluster, KubernetesNode, admin_of, super_admin_of
from harness.clusters.kube_resources import Refusal
from harness.clusters.kube_store import KubeStore
from harness.errors import ClusterError, WaitTimeout
from harness.waiting import SYSTEM_CLOCK, Clock, until

TAKE_SECONDS = 120.0
RESET_SECONDS = 60.0
_CALL_SECONDS = 5.0
_EVERY_SECONDS = 0.25
# A picture is golden when nothing changed for so long.
_STILL_SECONDS = 2.0
_VOLUMES = "/var/local-path-provisioner"
_TOLD = 12


class ResetFailed(ClusterError):
    """The cluster did not come back; take a new one.

    Args:
        differences: one sentence for each thing that still differs.
    """

    def __init__(self, differences: list[str]) -> None:
        self.differences = differences
        more = f" and {len(differences) - _TOLD} more" if len(differences) > _TOLD else ""
        super().__init__(f"the cluster differs from its golden state: {'; '.join(differences[:_TOLD])}{more}")


@dataclass(frozen=True, slots=True)
class Golden:
    """A cluster as it was when it was new.

    Args:
        picture: everything that was stored.
        machines: names of the machines it ran on.
    """

    picture: Picture
    machines: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """64 hex digits over everything stored."""
        return self.picture.fingerprint

    @classmethod
    def take(cls, cluster: KubernetesCluster, clock: Clock = SYSTEM_CLOCK) -> Golden:
        """Keep a just-created cluster's state, once everything works and it stands still.

        Raises:
            ClusterError: it does not come to rest within 120 s, or does not let itself be looked at.
        """
        still: list[tuple[float, Picture]] = []

        def look() -> bool:
            picture = take_picture(api)
            usable = not picture.refusals and not picture.unsettled
            if not usable or not still or still[-1][1].fingerprint != picture.fingerprint:
                still.clear()
            still.append((clock.monotonic(), picture))
            return usable and still[-1][0] - still[0][0] >= _STILL_SECONDS

        with _mighty(cluster) as api:
            try:
                until(
                    look,
                    what="the cluster to stand still",
                    deadline_seconds=TAKE_SECONDS,
                    every_seconds=0.5,
                    clock=clock,
                )
            except (WaitTimeout, Refusal) as error:
                pending = [f"{stored.id} ({stored.state})" for _, picture in still[-1:] for stored in picture.unsettled]
                raise ClusterError(f"no golden state: {error}; not settled: {', '.join(pending)}") from error
        return cls(still[-1][1], _machines_of(cluster))

    def difference(self, cluster: KubernetesCluster) -> Difference:
        """How the cluster differs now; changes nothing.

        Raises:
            Refusal: the API does not answer.
        """
        with _mighty(cluster) as api:
            return Difference.between(self.picture, take_picture(api, self.picture.objects))

    def reset(
        self, cluster: KubernetesCluster, deadline_seconds: float = RESET_SECONDS, clock: Clock = SYSTEM_CLOCK
    ) -> Reset:
        """Bring the cluster back, and wait until nothing differs.

        Raises:
            ResetFailed: it still differs at the deadline, or runs on other machines.
        """
        if _machines_of(cluster) != self.machines:
            raise ResetFailed([f"it runs on {', '.join(_machines_of(cluster))}, not on {', '.join(self.machines)}"])
        started = clock.monotonic()
        with _mighty(cluster) as api:
            restorer = Restorer(self.picture, api, KubeStore(cluster.running()[0]))
            try:
                until(
                    restorer.go_round,
                    what="golden",
                    deadline_seconds=deadline_seconds,
                    every_seconds=_EVERY_SECONDS,
                    clock=clock,
                )
            except WaitTimeout as error:
                raise ResetFailed(restorer.remaining + restorer.refused) from error
        self._remove_volumes(cluster)
        done = restorer.done
        done.seconds = round(clock.monotonic() - started, 3)
        return done

    def _remove_volumes(self, cluster: KubernetesCluster) -> None:
        """What volumes held; those of the golden state stay."""
        kept = json.dumps([s.raw for s in self.picture.objects.values() if s.resource.kind == "PersistentVolume"])
        for node in _all_machines(cluster):
            listed = node.execute("ls", "-A", _VOLUMES, timeout_seconds=10)
            folders = listed.stdout.decode().split() if listed.exit_code == 0 else []
            strays = [f"{_VOLUMES}/{name}" for name in folders if f"{_VOLUMES}/{name}" not in kept]
            if strays:
                node.execute("rm", "-rf", *strays, timeout_seconds=30)


@contextlib.contextmanager
def _mighty(cluster: KubernetesCluster) -> Iterator[KubeApi]:
    """As somebody whose rights nobody can take away, where there is one."""
    with KubeApi(super_admin_of(cluster) or admin_of(cluster), _CALL_SECONDS) as api:
        yield api


def _all_machines(cluster: KubernetesCluster) -> list[KubernetesNode]:
    return [*cluster.running(), *(node for node in cluster.workers.values() if node.running and not node.paused)]


def _machines_of(cluster: KubernetesCluster) -> tuple[str, ...]:
    return tuple(sorted(node.name for node in _all_machines(cluster)))
