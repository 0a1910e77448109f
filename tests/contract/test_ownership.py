"""Nothing is left behind, however a run ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.clusters.garbage import collect_garbage
from harness.clusters.lease import Mark, is_orphaned, read_lease
from harness.clusters.living import pid_lives
from harness.clusters.ownership import LABEL_VARIABLE, Lease, Ownership, cache_folder, owned_processes
from harness.errors import LeftoverError
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


@pytest.fixture(autouse=True)
def own_leases(tmp_path, monkeypatch):
    """Leases of these tests lie apart: what other runs on this machine left is not collected by a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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
    until(lambda: not owned_processes(label) and not pid_lives(reaper), what="nothing", deadline_seconds=60)
    with capsys.disabled():
        print(f"\n{number.name}: nothing left after {time.monotonic() - started:.1f} s")
    assert not (tmp_path / "owned").exists()
    assert not (cache_folder() / "leases" / f"{label}.json").exists()


def collected(label, *, dry_run):
    """What `afterfault gc` says about a run."""
    told = []
    collect_garbage(dry_run=dry_run, tell=told.append)
    return [line for line in told if line.startswith(label)]


@pytest.mark.etcd
def test_garbage_of_a_run_whose_reaper_was_killed_too_is_collected(run, tmp_path):
    label, process, reaper = run
    assert not collected(label, dry_run=False), "it lives"
    assert len(owned_processes(label)) == 3
    os.kill(reaper, signal.SIGKILL)
    process.kill()
    process.wait()
    told = collected(label, dry_run=True)
    assert len(told) == 5, told  # three members, the folder, the lease
    assert len(owned_processes(label)) == 3, "a dry run only tells"
    collected(label, dry_run=False)
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


def test_what_was_killed_has_ended(tmp_path):
    """Much memory takes time to give back; meanwhile a process shows no label and is no zombie either."""
    owner = Ownership(f"test-{time.time_ns()}", tmp_path / "owned")
    program = f"import sys; held = b'x' * {600 << 20}; print('up', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=owner.environment()
    ) as process:
        assert process.stdout.readline() == "up\n"
        assert len(owner.end_strays()) == 1
        assert process.poll() is not None
    owner.release()


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


def test_a_run_killed_before_its_reaper_is_awake_is_swept_all_the_same(tmp_path):
    """The reaper is started before there is anything to own, and needs no lease file to know whose it is."""
    label = f"test-{time.time_ns()}"
    script = (
        "import os, sys; from pathlib import Path; from harness.clusters.ownership import Ownership;"
        "owner = Ownership(sys.argv[1], Path(sys.argv[2]));"
        "print(owner._reaper.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", script, label, str(tmp_path / "owned")]
    reaper = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout)
    until(lambda: not pid_lives(reaper), what="the reaper to end", deadline_seconds=60)
    assert not (tmp_path / "owned").exists()
    assert list((cache_folder() / "leases").iterdir()) == []


def test_a_run_whose_reaper_was_killed_gives_everything_back_itself_and_says_so(tmp_path):
    owner = Ownership(f"test-{time.time_ns()}", tmp_path / "owned")
    owner._reaper.kill()
    owner._reaper.wait()
    with pytest.raises(LeftoverError, match="its reaper was killed"):
        owner.release()
    owner.release()  # does nothing
    assert not (tmp_path / "owned").exists()
    assert not owner.lease.file.exists()


def test_a_lease_is_read_back_as_it_was_written(tmp_path):
    lease = Lease("a-run", tmp_path, 7, 0.1 + 0.2, "unix:///x", ("v1", "v2"))
    lease.write()
    assert read_lease(lease.file) == lease
    lease.forget()
    assert read_lease(lease.file) is None
    assert list(lease.file.parent.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"label": "x"}'])
def test_what_is_no_lease_is_not_taken_for_one(tmp_path, text):
    file = tmp_path / "lease.json"
    file.write_text(text)
    assert read_lease(file) is None


def test_marks_cover_what_is_theirs_and_nothing_else():
    ours, theirs = Mark("a-run"), Mark("another-run")
    cluster = "io.x-k8s.kind.cluster"
    assert ours.cluster_prefix != theirs.cluster_prefix
    assert ours.covers({"afterfault.run": "a-run"})
    assert ours.covers({cluster: f"{ours.cluster_prefix}c"})
    for labels in (
        {}, {"afterfault.run": ""}, {"afterfault.run": "another-run"}, {cluster: ""}, {cluster: "kind"},
        {cluster: f"{theirs.cluster_prefix}c"}, {cluster: f"x-{ours.cluster_prefix}c"}, {"x": "a-run"},
    ):  # fmt: skip
        assert not ours.covers(labels), labels


def test_a_longest_name_fits_a_host_name():
    name = f"{Mark('a' * 200).cluster_prefix}123456-external-load-balancer"
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9.-]+", name)


def test_an_orphan_is_one_whose_process_and_lease_are_surely_gone(tmp_path):
    dead = Lease("a-run", tmp_path, os.getpid(), 1.0)
    assert is_orphaned(dead.owner)
    dead.write()
    assert not is_orphaned(dead.owner), "gc finds it by its lease"
    dead.forget()
    alive = Lease("a-run", tmp_path, os.getpid(), psutil.Process().create_time())
    assert not is_orphaned(alive.owner)
    elsewhere = json.loads(dead.owner)
    assert not is_orphaned(json.dumps(["another machine", *elsewhere[1:]]))
    for damaged in ("", "x", "[]", "{}", "null", "[1, 2, 3, 4]", '["a", "b", "c", "d"]'):
        assert not is_orphaned(damaged), damaged


def test_a_dead_run_whose_parent_never_asked_is_dead(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as process:
        lease = Lease("a-run", tmp_path, process.pid, psutil.Process(process.pid).create_time())
        assert lease.owner_lives()
        process.kill()
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, what="its end", deadline_seconds=30)
        assert not lease.owner_lives()
