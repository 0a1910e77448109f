"""``nox -s bench``: how fast clusters start and how many cases an hour go through.

Each figure is a ratio to a baseline measured in the same run, or a rate with its conditions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import httpx

from harness.clusters.addresses import Subnet
from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_release import EtcdRelease, find_releases
from harness.clusters.ownership import Ownership
from harness.errors import HarnessError
from harness.journal import Journal
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from harness.spec import EtcdSpec, KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from harness.waiting import until
from reports.run import load_run
from tests.bench.calls import bench_calls
from tests.bench.golden import bench_golden
from tests.bench.kind_create import bench_create
from tests.bench.taps import bench_taps
from tests.bench.telling import spread

# Short elections: a lottery of half a second a draw would drown what is measured here.
SPEC = EtcdSpec(members=3, heartbeat_ms=10, election_ms=100)
MOST_RATIO = 1.15
LEAST_CASES_AN_HOUR = 600


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    words.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: what can run here)")
    words.add_argument("--pairs", type=int, default=40, help="pairs of starts (default: 40)")
    words.add_argument("--rounds", type=int, default=2, help="recreations, half the pairs on kind (default: 2)")
    asked = words.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        words.error(f"no part is called {', '.join(sorted(unknown))}")
    if asked.pairs < 1 or asked.rounds < 1:
        words.error("--pairs and --rounds are 1 or more")
    try:
        good = [PARTS[part](asked) for part in asked.parts or _possible_here()]
    except HarnessError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if all(good) else 1


def _possible_here() -> list[str]:
    """All parts; those on kind only where it is ready."""
    try:
        kind_setup(KindWords(), KindSpec()).engine.close()
    except HarnessError as error:
        print(f"not measured: {', '.join(ON_KIND)}: {error}")
        return [part for part in PARTS if part not in ON_KIND]
    return list(PARTS)


def bench_start(pairs: int) -> bool:
    """Our start against three bare processes, in turn: elections are a lottery, so pair by pair."""
    release = find_releases([])[0]
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        # one reaper for all of them, as a run has one: its start is no part of a cluster's
        ownership = Ownership(f"bench-{time.time_ns()}", Path(folder) / "owned")
        for number in range(pairs):
            order = (ours, bare) if number % 2 else (bare, ours)
            for times in order:
                times.append(_time_ours(release, ownership, number) if times is ours else _time_bare(release))
        ownership.release()
    ratio = median(a / b for a, b in zip(ours, bare, strict=True))
    print(f"3 members taking writes: ours {spread(ours, 2)}, bare processes {spread(bare, 2)}")
    print(f"ratio ours/bare, median of {pairs} pairs: {ratio:.2f} (at most {MOST_RATIO})")
    return ratio <= MOST_RATIO


def bench_rate() -> bool:
    """Whole etcd cases through pytest, clusters built and removed, journals judged, reports written."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        started = time.monotonic()
        command = [
            "pytest",
            "scenarios",
            "-q",
            "-n",
            "6",
            "-k",
            "3-relaxed",
            "-m",
            "not slow and not kind",
            "--run-dir",
            str(run),
            "-p",
            "no:cacheprovider",
        ]
        subprocess.run([sys.executable, "-m", *command], stdout=subprocess.DEVNULL, check=False)
        seconds = time.monotonic() - started
        cases = len(load_run(RunFolder(run), Ledger()).cases)
    rate = cases / seconds * 3600
    print(f"{cases} etcd cases in {seconds:.0f} s: {rate:.0f} an hour with 6 workers (at least {LEAST_CASES_AN_HOUR})")
    return rate >= LEAST_CASES_AN_HOUR


def _time_ours(release: EtcdRelease, ownership: Ownership, number: int) -> float:
    work = ownership.lease.work / str(number)
    journal = Journal(work / "journal.jsonl", time.monotonic)
    cluster = EtcdCluster(SPEC, release, work / "cluster", journal, ownership)
    started = time.monotonic()
    cluster.start()
    seconds = time.monotonic() - started
    cluster.remove()
    journal.seal()
    return seconds


def _time_bare(release: EtcdRelease) -> float:
    """Three processes with the same flags, and a plain loop that writes through each of them."""
    subnet = Subnet()
    urls = {f"n{host}": f"http://{subnet.address(host)}" for host in (1, 2, 3)}
    everybody = ",".join(f"{name}={url}:2380" for name, url in urls.items())
    with tempfile.TemporaryDirectory() as folder, httpx.Client(timeout=0.3, trust_env=False) as client:
        started = time.monotonic()
        processes = [_bare_process(release, Path(folder), name, url, everybody) for name, url in urls.items()]
        for url in urls.values():
            until(lambda url=url: _write(client, url), what=url, deadline_seconds=30, every_seconds=0.01)
        seconds = time.monotonic() - started
        for process in processes:
            process.kill()
            process.wait()
    subnet.release()
    return seconds


def _bare_process(release: EtcdRelease, folder: Path, name: str, url: str, everybody: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            str(release.etcd), f"--name={name}", f"--data-dir={folder / name}",
            f"--listen-peer-urls={url}:2380", f"--initial-advertise-peer-urls={url}:2380",
            f"--listen-client-urls={url}:2379", f"--advertise-client-urls={url}:2379",
            f"--initial-cluster={everybody}", "--initial-cluster-state=new", "--unsafe-no-fsync",
            f"--heartbeat-interval={SPEC.heartbeat_ms}", f"--election-timeout={SPEC.election_ms}", "--logger=zap",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _write(client: httpx.Client, url: str) -> bool:
    """Healthy first: the gateway, asked too early, backs off for a second."""
    try:
        if client.get(f"{url}:2379/health").status_code != httpx.codes.OK:
            return False
        return client.post(f"{url}:2379/v3/kv/put", json={"key": "YQ==", "value": "Yg=="}).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "start": lambda asked: bench_start(asked.pairs),
    "rate": lambda _: bench_rate(),
    "calls": lambda asked: bench_calls(asked.pairs),
    "kind-create": lambda asked: bench_create(2 * asked.rounds),
    "golden-reset": lambda asked: bench_golden(asked.rounds),
    "taps": lambda asked: bench_taps(2 * asked.rounds),
}
ON_KIND = ("kind-create", "golden-reset", "taps")


if __name__ == "__main__":
    raise SystemExit(main())
