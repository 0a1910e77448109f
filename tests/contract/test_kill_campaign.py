"""Whole runs of a story killed with SIGKILL at moments drawn from a seed: a minute later nothing of them is left.

A story each of the families that need no Docker; and of the real etcd-manager, with its namespaces and mounts,
where AFTERFAULT_CAMPAIGN_ETCD_MANAGER tells a build. tests/kind/test_kill_campaign.py is the same for what lives
in an engine, beside things of somebody else's.
"""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import MachineError, WaitTimeout
from harness.nodeimage.s3_server import find_s3_server
from harness.waiting import until
from tests.contract.leftovers import left_of

pytestmark = [pytest.mark.etcd, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
RUNS = int(os.environ.get("AFTERFAULT_CAMPAIGN_RUNS", "20"))
SEED = int(os.environ.get("AFTERFAULT_CAMPAIGN_SEED", "20261121"))
BUILD = os.environ.get("AFTERFAULT_CAMPAIGN_ETCD_MANAGER", "")
GONE_SECONDS = 60
# Journals and logs; etcd's data would be a hundred times that.
MOST_KEPT_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Family:
    """What is killed.

    Args:
        module: of the story.
        case: its ID.
        over_s3: whether it needs the S3 server.
        words: more of them for pytest.
    """

    module: str
    case: str
    over_s3: bool = False
    words: tuple[str, ...] = ()


FAMILIES = {
    "etcd": Family("node_replacement/test_rolling_replacement.py", "rolling_replacement/documented/5-strict"),
    # on the S3 server, with every kind of trouble in it
    "managed": Family("control_files", "storage_rule/etcd-manager/managed-3-s3/kops-update", over_s3=True),
}

if BUILD:
    FAMILIES["etcd-manager"] = Family(
        "control_files", "store_trouble/build/managed-3-file/unreachable.left-alone", words=("--etcd-manager", BUILD)
    )


def begin(family, run):
    words = [f"scenarios/{family.module}", "-m", "", "--case", family.case, f"--run-dir={run}", *family.words]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider"], cwd=ROOT, **quiet)


def length_of(family, run):
    """How long a whole run takes here, seconds: from before pytest has read its options."""
    began = time.monotonic()
    with begin(family, run) as process:
        assert process.wait(600) == 0, "as the ledger says"
    return time.monotonic() - began


def kill_one(family, run, seconds):
    """What lived when it was killed, how long that took to go, what is left, and the bytes the run keeps."""
    with begin(family, run) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        died = [] if process.poll() is None else ["ended before it was killed"]
        things = [thing.split(" ", 1) for thing in left_of(run)]
        lived = Counter(name if sort == "process" else sort for sort, name in things)
        process.kill()
    ended = time.monotonic()
    with contextlib.suppress(WaitTimeout):
        until(lambda: not left_of(run), what="it all to go", deadline_seconds=GONE_SECONDS, every_seconds=0.5)
    gone_after = time.monotonic() - ended
    kept = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    return lived, gone_after, left_of(run) + died, kept


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_runs_killed_at_any_moment_leave_nothing(tmp_path, capsys, family):
    try:
        _ = find_s3_server() if family.over_s3 else None
    except MachineError as error:
        pytest.skip(f"the story is played on S3: {error}")
    draw = random.Random(SEED)
    # not in its last part: where one is quicker than that, nothing would be killed
    longest = 0.8 * length_of(family, tmp_path / "whole")
    moments = [draw.uniform(0, longest) for _ in range(RUNS)]
    campaign = []
    for number, moment in enumerate(moments, start=1):
        run = tmp_path / f"killed-{number}-{time.time_ns()}"
        campaign.append((run, *kill_one(family, run, moment)))
        _, lived, gone_after, leaks, kept = campaign[-1]
        with capsys.disabled():
            told = ", ".join(f"{count} {name}" for name, count in lived.items()) or "nothing yet"
            ended = f"gone {gone_after:>5.1f} s  {leaks or 0} left  {kept / 2**10:>5.0f} KiB kept"
            print(f"{number:>3}  {moment:>6.2f} s  {told:<44} {ended}", flush=True)
    assert [leaks for _, _, _, leaks, _ in campaign] == [[]] * RUNS
    assert [left_of(run) for run, *_ in campaign] == [[]] * RUNS, "latecomers"
    assert sum(lived["etcd"] > 0 for _, lived, *_ in campaign) >= RUNS // 3, "most died before there was anything"
    assert max(kept for *_, kept in campaign) < MOST_KEPT_BYTES
