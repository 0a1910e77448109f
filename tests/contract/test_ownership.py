"""Nothing is left behind, however a run ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.clusters.ownership import LABEL_VARIABLE, Ownership, cache_folder, collect_garbage, owned_processes
from harness.waiting import until

CHILD = """
import sys, time
from pathlib import Path
from harness.clusters.etcd import EtcdCluster
from harness.clusters.etcd_release import find_releases
from harness.clusters.ownership import Ownership
from harness.journal import Journal
from harness.spec import EtcdSpec

work = Path(sys.argv[2])
owner = Ownership(sys.argv[1], work / "owned")
journal = Journal(work / "journal.jsonl", time.monotonic)
EtcdCluster(EtcdSpec(), find_releases([])[0], work / "owned" / "c", journal, owner).start()
print("up", owner._reaper.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    """A run in a process of its own, with three members up; its label, its process, its reaper's pid."""
    label = f"test-{time.time_ns()}"
    command = [sys.executable, "-c", CHILD, label, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        word, reaper = process.stdout.readline().split()
        assert word == "up"
        assert len(owned_processes(label)) == 3
        yield label, process, int(reaper)
        process.kill()


@pytest.mark.etcd
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_within_a_minute_of_a_signal(run, tmp_path, number, capsys):
    label, process, reaper = run
    started = time.monotonic()
    process.send_signal(number)
    process.wait()
    until(lambda: not owned_processes(label) and not psutil.pid_exists(reaper), what="nothing", deadline_seconds=60)
    with capsys.disabled():
        print(f"\n{number.name}: nothing left after {time.monotonic() - started:.1f} s")
    assert not (tmp_path / "owned").exists()
    assert not (cache_folder() / "leases" / f"{label}.json").exists()


@pytest.mark.etcd
def test_garbage_of_a_run_whose_reaper_was_killed_too_is_collected(run, tmp_path):
    label, process, reaper = run
    assert not [line for line in collect_garbage(dry_run=False) if line.startswith(label)], "it lives"
    assert len(owned_processes(label)) == 3
    os.kill(reaper, signal.SIGKILL)
    process.kill()
    process.wait()
    told = [line for line in collect_garbage(dry_run=True) if line.startswith(label)]
    assert len(told) == 5, told  # three members, the folder, the lease
    assert len(owned_processes(label)) == 3, "a dry run only tells"
    collect_garbage(dry_run=False)
    assert not owned_processes(label)
    assert not (tmp_path / "owned").exists()


def test_another_runs_processes_are_never_touched(tmp_path):
    ours, theirs = (
        Ownership(f"test-a-{time.time_ns()}", tmp_path / "a"),
        Ownership(f"test-b-{time.time_ns()}", tmp_path / "b"),
    )
    with subprocess.Popen(["sleep", "60"], env=theirs.environment()) as process:
        assert ours.end_strays() == []
        ours.release()
        assert process.poll() is None
        assert theirs.end_strays() == [f"process {process.pid} (sleep) had to be killed"]
    theirs.release()


def test_a_tool_sees_nothing_that_steers_etcd(tmp_path, monkeypatch):
    monkeypatch.setenv("ETCD_NAME", "mine")
    monkeypatch.setenv("SECRET_TOKEN", "mine")
    owner = Ownership(f"test-{time.time_ns()}", tmp_path / "w")
    seen = owner.environment(MORE="yes")
    owner.release()
    assert not {"ETCD_NAME", "SECRET_TOKEN"} & set(seen)
    assert seen["MORE"] == "yes"
    assert seen[LABEL_VARIABLE] == owner.lease.label
    assert not Path(tmp_path / "w").exists()
