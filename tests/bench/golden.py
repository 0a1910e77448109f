"""How long a golden reset takes, against making the cluster anew; both in turn on the same machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from harness.clusters.golden import Golden
from harness.clusters.kind import KindCluster
from harness.clusters.kube_api import KubeApi, super_admin_of
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError
from harness.journal import Journal
from harness.spec import KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from harness.waiting import until
from tests.bench.telling import spread
from tests.kind import used_cluster as used

MOST_RATIO = 0.3
# What a case that went well leaves, and what one does that went as badly as can be.
DAYS: dict[str, Callable[[KubeApi], None]] = {"an app deployed": used.add_app, "a bad day": used.a_bad_day}


def bench_golden(rounds: int) -> bool:
    """A one-node cluster is used and reset, once each way, then removed and made anew; again and again.

    A recreation ends when the cluster is as ready as a reset leaves it: its system workloads are
    available, as they were in the first picture.
    """
    setup = kind_setup(KindWords(), KindSpec())
    resets: dict[str, list[float]] = {day: [] for day in DAYS}
    recreations: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        ownership = Ownership(f"bench-golden-{time.time_ns()}", Path(folder) / "owned")
        for number in range(rounds):
            work = ownership.lease.work / str(number)
            journal = Journal(work / "journal.jsonl", time.monotonic)
            cluster = KindCluster(KindSpec(), setup, work / "cluster", journal, ownership)
            cluster.create()
            golden = Golden.take(cluster)
            for day, use in DAYS.items():
                resets[day].append(_time_reset(cluster, golden, use))
            recreations.append(_time_recreation(cluster, golden))
            journal.seal()
        ownership.release()
    return _told(resets, recreations)


def _time_reset(cluster: KindCluster, golden: Golden, use: Callable[[KubeApi], None]) -> float:
    credentials = super_admin_of(cluster)
    if credentials is None:
        raise ClusterError("the node has no super-admin.conf")
    with KubeApi(credentials, 10) as api:
        use(api)
        # what was made has to have come to be, or there is less to undo
        until(lambda: _runs(api), what="the app to run", deadline_seconds=120, every_seconds=0.5)
    done = golden.reset(cluster, deadline_seconds=180)
    if done.fingerprint != golden.fingerprint:
        raise ClusterError("the fingerprint differs")
    return done.seconds


def _runs(api: KubeApi) -> bool:
    """Whether the pods of the app have been put somewhere; without a network they never run."""
    pods = api.get("/api/v1/namespaces/app/pods").body.get("items", [])
    return len(pods) == 2 and all(pod["spec"].get("nodeName") for pod in pods)


def _time_recreation(cluster: KindCluster, golden: Golden) -> float:
    """From a used cluster to a new one of its kind whose system workloads are available."""
    started = time.monotonic()
    left = cluster.remove()
    if left:
        raise ClusterError("; ".join(left))
    anew = KindCluster(cluster.spec, cluster.setup, cluster.work.parent / "anew", cluster.journal, cluster.ownership)
    anew.create()
    until(
        lambda: _is_settled(anew, golden), what="the new cluster to be ready", deadline_seconds=180, every_seconds=0.25
    )
    seconds = time.monotonic() - started
    anew.remove()
    return seconds


def _is_settled(cluster: KindCluster, golden: Golden) -> bool:
    """Whether its workloads are those of the first picture, and as available; machines have other names."""
    difference = golden.difference(cluster)
    pending = [stored for stored in difference.missing if stored.state] + [old for old, _ in difference.unsettled]
    return not [stored for stored in pending if stored.resource.kind != "Node"]


def _told(resets: dict[str, list[float]], recreations: list[float]) -> bool:
    anew = median(recreations)
    print(f"cluster made anew: {spread(recreations)}")
    for day, seconds in resets.items():
        print(f"golden reset after {day}: {spread(seconds)}, {median(seconds) / anew:.2f} of a recreation")
    ratio = median([second for seconds in resets.values() for second in seconds]) / anew
    print(f"ratio of medians over both: {ratio:.2f} (at most {MOST_RATIO})")
    return ratio <= MOST_RATIO
