"""Things that happen to the harness itself while it plays a case that nothing is wrong with.

Each ends INCONCLUSIVE or as a clear error: never green, never red (which would blame the tool), and nothing is
left behind. The table at the end, ``-m "" -s`` for all of it, is the one in docs/reliability.md.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from harness.clusters.etcd_release import find_releases
from harness.run_folder import RunFolder
from harness.waiting import until
from tests.selffaults.victim import Victim

pytestmark = pytest.mark.etcd
PLUGINS = {
    "a test fails by something else than its verdict": """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    told = yield
    if "quorum" in item.name:
        raise RuntimeError("an error of a story's own")
    return told
""",
    "a socket and a reference cycle are left at the end": """
import pytest
import socket

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    left = [socket.socket()]
    left.append(left)
""",
}
OWN_MOUNTS = ("unshare", "-m", "--propagation", "private")
REPLACING, REPLACED = "replace n1", "while n1 is replaced"
ALONE = ("-p", "no:xdist")
CGROUPS = Path("/sys/fs/cgroup")
SET_CLOCK = """
import time

def shifted(true=time.time):
    with open({offset!r}) as offset:
        return true() + float(offset.read() or 0)

time.time = shifted
"""


def signal_all(processes, number):
    """A signal to each; those that are gone need none."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def pause(processes, seconds):
    """All of them stand still for that long."""
    signal_all(processes, signal.SIGSTOP)
    began = time.monotonic()
    until(lambda: time.monotonic() - began > seconds, what="the pause to be over", deadline_seconds=seconds + 60)
    signal_all(processes, signal.SIGCONT)


def allowed(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def on_its_own_disk(folder, size, then="true"):
    """A prefix that mounts a small disk there, and does something beside the run."""
    shell = f'mount -t tmpfs -o size={size} none {folder} && {{ {then} & }} && exec "$@"'
    return (*OWN_MOUNTS, "sh", "-c", shell, "sh")


needs_mounts = pytest.mark.skipif(not allowed(*OWN_MOUNTS, "true"), reason="a mount of our own is not permitted here")


@needs_mounts
def test_a_disk_too_small_to_begin(tmp_path, judge):
    (tmp_path / "disk").mkdir()
    with Victim(tmp_path / "disk" / "run", prefix=on_its_own_disk(tmp_path / "disk", "100m")) as victim:
        ended = victim.end()
    judge("the disk is full", "at the start", ended, {4}, r"\d+ MiB are free for the run folder; a run needs 512 MiB")


@needs_mounts
@pytest.mark.slow
def test_a_disk_that_fills_up(tmp_path, judge):
    disk = tmp_path / "disk"
    disk.mkdir()
    begun = f"timeout 400 sh -c 'until ls {disk}/run/cases/*/journal.jsonl; do sleep 0.05; done' >/dev/null 2>&1"
    fill = f"({begun}; exec head -c 2G /dev/zero > {disk}/ballast 2>/dev/null)"
    with Victim(disk / "run", prefix=on_its_own_disk(disk, "600m", fill)) as victim:
        ended = victim.end()
    judge("the disk is full", "in the middle of a case", ended, {4}, r"[Nn]o space left on device")


@needs_mounts
@pytest.mark.slow
def test_a_folder_that_becomes_read_only(tmp_path, judge):
    with Victim(tmp_path / "run", prefix=OWN_MOUNTS) as victim:
        victim.await_step(REPLACING)
        cases = tmp_path / "run" / "cases"
        read_only = f"mount --bind {cases} {cases} && mount -o remount,ro,bind {cases}"
        subprocess.run(["nsenter", "-t", str(victim.process.pid), "-m", "sh", "-c", read_only], check=True)
        ended = victim.end()
    judge("the journals' folder becomes read-only", REPLACED, ended, {4}, r"[Rr]ead-only file system")


@pytest.mark.slow
def test_a_journal_that_can_not_grow(tmp_path, judge):
    with Victim(tmp_path / "run", words=ALONE) as victim:
        victim.await_step(REPLACING)
        # etcd runs on, with the limits it was started with
        subprocess.run(["prlimit", "--pid", str(victim.process.pid), "--fsize=20000"], check=True)
        ended = victim.end()
    judge("no file may grow beyond 20 kB", REPLACED, ended, {4}, r"[Ff]ile too large")


@pytest.mark.parametrize("seconds", [9, pytest.param(75, marks=pytest.mark.slow)])
@pytest.mark.parametrize("whole", [True, False], ids=["the-machine", "the-harness"])
def test_a_pause(tmp_path, judge, seconds, whole):
    """Five seconds without a write are too many, the world has four to settle; the tool has sixty."""
    with Victim(tmp_path / "run", words=ALONE) as victim:
        victim.await_step(REPLACING)
        pause(victim.tree() if whole else victim.tree()[:1], seconds)
        ended = victim.end()
    who = "the whole run stands still" if whole else "the harness stands still, etcd and the tool go on,"
    judge(f"{who} for {seconds} s", REPLACED, ended, {3}, r"the harness stood still for \d+\.\d s")


@pytest.mark.parametrize("jump", ["+3600", pytest.param("-7200", marks=pytest.mark.slow)])
def test_a_wall_clock_that_jumps(tmp_path, judge, jump):
    """As the harness reads it: this machine's clock is nobody's to set."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(SET_CLOCK.format(offset=str(offset)))
    with Victim(tmp_path / "run", words=ALONE, more={"PYTHONPATH": str(tmp_path)}) as victim:
        victim.await_step(REPLACING)
        offset.write_text(jump)
        ended = victim.end()
    judge(f"the wall clock is set by {jump} s", REPLACED, ended, {3}, r"the wall clock went (forward|back)")


def test_a_worker_that_is_killed(tmp_path, judge):
    with Victim(tmp_path / "run", words=("-n", "2")) as victim:
        victim.await_step(REPLACING)
        victim.named("--initial-cluster=")[0].parent().kill()
        ended = victim.end()
    judge("xdist's worker is killed", REPLACED, ended, {3}, r"worker 'gw\d+' crashed")


@pytest.mark.parametrize("workers", [ALONE, ("-n", "2")], ids=["alone", "workers"])
def test_an_error_of_a_story(tmp_path, judge, workers):
    """No journal has it: all guarantees are kept, and the run is not as it should be."""
    what = "a test fails by something else than its verdict"
    ended = end_with_plugin(tmp_path, what, workers)
    judge(what, "where it judges", ended, {3}, r"an error of a story's own")


def test_what_is_left_open(tmp_path, judge):
    """pytest ends with 1 for it, and that says that a guarantee is broken."""
    what = "a socket and a reference cycle are left at the end"
    ended = end_with_plugin(tmp_path, what, ALONE)
    judge(what, "when all is played", ended, {3}, r"when the run ended there was left: unclosed <socket")


def end_with_plugin(tmp_path, what, workers):
    (tmp_path / "breaking.py").write_text(PLUGINS[what])
    words, more = ("-p", "breaking", *workers), {"PYTHONPATH": str(tmp_path)}
    with Victim(tmp_path / "run", words=words, more=more) as victim:
        return victim.end()


def test_a_reaper_that_is_killed(tmp_path, judge):
    with Victim(tmp_path / "run", words=ALONE) as victim:
        victim.await_step(REPLACING)
        (reaper,) = victim.named("harness.clusters.ownership")
        reaper.kill()
        ended = victim.end()
    judge("the reaper is killed", REPLACED, ended, {3}, r"its reaper was killed")


@pytest.mark.slow
def test_a_run_that_is_killed(tmp_path, judge):
    with Victim(tmp_path / "run", words=ALONE) as victim:
        victim.await_step(REPLACING)
        victim.process.kill()
        ended = victim.end()
    # its last words may not have reached the screen yet; they are in progress.log
    assert REPLACING in RunFolder(victim.run).progress.read_text()
    judge("the run is killed (SIGKILL)", REPLACED, ended, {-9}, "afterfault: run run, seed")


def test_etcd_that_is_removed(tmp_path, judge):
    binaries = tmp_path / "etcd"
    binaries.mkdir()
    release = find_releases([])[0]
    for binary in (release.etcd, release.etcdctl, release.etcdutl):
        shutil.copy(binary, binaries / binary.name)
    with Victim(tmp_path / "run", words=(*ALONE, "--etcd-dir", str(binaries))) as victim:
        victim.await_step(REPLACING)
        shutil.rmtree(binaries)
        ended = victim.end()
    judge("etcd's binaries are removed", REPLACED, ended, {3, 4}, r"can't be started|is gone: somebody removed")


@pytest.mark.slow
def test_an_etcd_that_is_killed_from_outside(tmp_path, judge):
    with Victim(tmp_path / "run", words=ALONE) as victim:
        victim.await_step(REPLACING)
        victim.named("--name=n3")[0].kill()
        ended = victim.end()
    judge("an etcd is killed from outside", REPLACED, ended, {3}, r"killed from outside")


@pytest.mark.slow  # not held yet: docs/reliability.md
def test_no_more_open_files(tmp_path, judge):
    with Victim(tmp_path / "run", words=ALONE) as victim:
        victim.await_step(REPLACING)
        pid = victim.process.pid
        subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={psutil.Process(pid).num_fds()}:"], check=True)
        ended = victim.end()
    judge("no file may be opened any more", REPLACED, ended, {3, 4}, r"[Tt]oo many open files")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("controller", "limit", "current", "what"),
    [
        ("pids", "pids.max", "pids.current", "no process may be started any more"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "the memory is used up"),
    ],
)
def test_no_more_of(tmp_path, judge, controller, limit, current, what):
    """A control group of our own; where memory is short the kernel kills whom it likes."""
    group = CGROUPS / controller / f"afterfault-selffault-{os.getpid()}"
    if not os.access(CGROUPS / controller, os.W_OK) or not (CGROUPS / controller / "cgroup.procs").exists():
        pytest.skip("no control group can be made here")
    group.mkdir()
    try:
        into = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
        with Victim(tmp_path / "run", words=ALONE, prefix=into) as victim:
            victim.await_step(REPLACING)
            used = int((group / current).read_text())
            (group / limit).write_text(str(used + 2**20 * (controller == "memory")))
            ended = victim.end()
    finally:
        members = (group / "cgroup.procs").read_text
        until(members, lambda left: not left, what="the group to be empty", deadline_seconds=60)
        group.rmdir()
    # a run that is killed may not have come to say anything but that it began
    said = (
        "afterfault: run run, seed" if ended.code == -9 else r"no thread can be|start new thread|unavailable|[Kk]illed"
    )
    judge(what, REPLACED, ended, {3, 4, -9}, said)
