"""How long the harness takes to create a kind cluster, against a bare ``kind create cluster --wait``."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from harness.clusters.kind import KindCluster
from harness.clusters.kind_call import KindSetup
from harness.clusters.kube_api import KubeApi, admin_of
from harness.clusters.kube_ready import await_ready
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError
from harness.journal import Journal
from harness.spec import KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from harness.waiting import until
from tests.bench.telling import spread

MOST_RATIO = 1.05
SPEC = KindSpec()


def bench_create(pairs: int) -> bool:
    """One node each, in turn; both end when the node is Ready. What we check beyond that is timed apart.

    A machine's mood is as large as the margin: a ratio above the limit is believed only when as many
    pairs again, counted together with the first, say so too.
    """
    setup = kind_setup(KindWords(), SPEC)
    times = Times()
    with tempfile.TemporaryDirectory() as folder:
        ownership = Ownership(f"bench-create-{time.time_ns()}", Path(folder) / "owned")
        # the first creation on a machine copies etcd out of the image and warms the engine: no part of either
        _time_ours(setup, ownership, "warm")
        for number in range(2 * pairs):
            if number == pairs and times.ratio <= MOST_RATIO:
                break
            for arm in ("ours", "bare") if number % 2 else ("bare", "ours"):
                if arm == "ours":
                    seconds, more = _time_ours(setup, ownership, str(number))
                    times.ours.append(seconds)
                    times.checks.append(more)
                else:
                    times.bare.append(_time_bare(setup, ownership, number))
        ownership.release()
    told = f"ours {spread(times.ours)}, bare kind create cluster --wait {spread(times.bare)}"
    print(f"kind, one node Ready: {told}; our checks beyond: {spread(times.checks)}")
    print(f"ratio of medians of {len(times.ours)} pairs: {times.ratio:.2f} (at most {MOST_RATIO})")
    return times.ratio <= MOST_RATIO


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of creations, ours and bare, and of our checks after ours."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Of the medians, ours to bare."""
        return median(self.ours) / median(self.bare)


def _time_ours(setup: KindSetup, ownership: Ownership, number: str) -> tuple[float, float]:
    """Seconds until the node is Ready, and seconds of our own checks after that."""
    work = ownership.lease.work / number
    journal = Journal(work / "journal.jsonl", time.monotonic)
    cluster = KindCluster(SPEC, setup, work / "cluster", journal, ownership)
    started = time.monotonic()
    cluster.create()
    with KubeApi(admin_of(cluster), 5) as api:
        until(lambda: _is_ready(api), what="the node to be Ready", deadline_seconds=120, every_seconds=0.25)
    ready = time.monotonic()
    await_ready(cluster.kubeconfig, 1)
    checked = time.monotonic()
    left = cluster.remove()
    if left:
        raise ClusterError("; ".join(left))
    journal.seal()
    return ready - started, checked - ready


def _is_ready(api: KubeApi) -> bool:
    nodes = api.get("/api/v1/nodes").body.get("items", [])
    conditions = [row for node in nodes for row in node["status"].get("conditions", ())]
    return any((row["type"], row["status"]) == ("Ready", "True") for row in conditions)


def _time_bare(setup: KindSetup, ownership: Ownership, number: int) -> float:
    """As a user types it, on the same network and in the same environment."""
    name = f"{ownership.lease.cluster_prefix}bare{number}"
    kubeconfig = ownership.lease.work / f"{name}.kubeconfig"
    environment = ownership.environment(KIND_EXPERIMENTAL_DOCKER_NETWORK=ownership.network())
    words = [
        str(setup.kind), "create", "cluster", f"--name={name}", f"--image={setup.image}",
        f"--kubeconfig={kubeconfig}", "--wait=120s",
    ]  # fmt: skip
    started = time.monotonic()
    subprocess.run(words, env=environment, capture_output=True, check=True)
    seconds = time.monotonic() - started
    words = [str(setup.kind), "delete", "cluster", f"--name={name}", f"--kubeconfig={kubeconfig}"]
    subprocess.run(words, env=environment, capture_output=True, check=True)
    ownership.note_volumes()
    return seconds
