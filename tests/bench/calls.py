"""What asking a member for its status costs the machine that plays cases."""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import httpx

from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_client import EtcdClient
from harness.clusters.etcd_release import find_releases
from harness.clusters.ownership import Ownership
from harness.journal import Journal
from harness.spec import EtcdSpec

_MOST_RATIO = 0.8
_CALLS = 300


def bench_calls(pairs: int) -> bool:
    """Our client's status call against the same question over httpx, one member, CPU time of this process."""
    ours: list[float] = []
    other: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ownership = Ownership(f"bench-{time.time_ns()}", work / "owned")
        journal = Journal(work / "journal.jsonl", time.monotonic)
        cluster = EtcdCluster(EtcdSpec(members=1), find_releases([])[0], work / "owned" / "cluster", journal, ownership)
        cluster.start()
        url = cluster.running()[0].client_url
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for none of its calls, and made once
        with EtcdClient(url) as client, httpx.Client(base_url=url, verify=context, trust_env=False) as baseline:
            for _ in range(pairs):
                ours.append(_milliseconds(client.status))
                other.append(_milliseconds(lambda: baseline.post("/v3/maintenance/status", json={}).json()))
        cluster.remove()
        journal.seal()
        ownership.release()
    ratio = median(a / b for a, b in zip(ours, other, strict=True))
    print(f"a status call, CPU time: ours {median(ours):.2f} ms, over httpx {median(other):.2f} ms")
    print(f"ratio ours/httpx, median of {pairs} times {_CALLS} calls each: {ratio:.2f} (at most {_MOST_RATIO})")
    return ratio <= _MOST_RATIO


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(_CALLS):
        call()
    return (time.process_time() - began) / _CALLS * 1000
