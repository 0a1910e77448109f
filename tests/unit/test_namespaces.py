"""Boxes: another view of fixed paths, nothing left outside, all gone at once; and what is said where there are none."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from harness.clusters import namespaces
from harness.clusters.launch import Launch
from harness.clusters.living import pid_lives
from harness.clusters.namespaces import Box, make_box, require_namespaces
from harness.errors import MachineError
from harness.waiting import until

TMP, HOSTS = Path("/tmp"), Path("/etc/hosts")


@pytest.fixture(scope="module")
def can_box():
    try:
        require_namespaces()
    except MachineError as error:
        pytest.skip(f"no namespaces here: {error}")


@pytest.fixture
def start(tmp_path):
    """Starts shell lines, boxed or not."""
    launches = []

    def one(line, box=None, ended=lambda _: None):
        launch = Launch(("/bin/sh", "-c", line), box, {**os.environ, "MARK": "x"}, tmp_path / "log", ended)
        launches.append(launch)
        return launch

    yield one
    for launch in launches:
        launch.kill()
        assert not launch.alive


@pytest.fixture
def box(tmp_path, can_box):  # noqa: ARG001 - skips where there are none
    hosts, view = tmp_path / "hosts", tmp_path / "view"
    hosts.write_text("127.0.0.1 a\n")
    view.mkdir()
    return make_box({TMP: view, HOSTS: hosts}, [tmp_path])


def ended(path):
    return path.exists() and path.read_text().endswith("done\n")


def test_a_box_has_its_own_files_where_it_was_said_and_all_else_as_it_is(start, box, tmp_path):
    before, mounts = HOSTS.read_bytes(), Path("/proc/mounts").read_text()
    name = f"afterfault-{tmp_path.name}"
    start(f"echo mine > /tmp/{name}; echo 127.0.0.2 b >> /etc/hosts; ls {tmp_path}/view; id -u; echo done", box)
    until(lambda: ended(tmp_path / "log"), what="its end", deadline_seconds=20)
    assert (tmp_path / "view" / name).read_text() == "mine\n"
    assert (tmp_path / "hosts").read_text().endswith("127.0.0.2 b\n")
    assert name in (tmp_path / "log").read_text(), "what is kept is where it was"
    assert not (TMP / name).exists()
    assert HOSTS.read_bytes() == before
    assert Path("/proc/mounts").read_text() == mounts


@pytest.mark.parametrize("boxed", [True, False])
def test_all_of_a_launch_ends_at_once(start, request, boxed):
    launch = start("sleep 301 & sleep 302 & wait", request.getfixturevalue("box") if boxed else None)
    assert launch.await_program()
    until(lambda: len(launch.processes()) == 3, what="its children", deadline_seconds=20)
    started = launch.processes()
    launch.kill()
    assert not launch.alive
    assert not [process for process in started if pid_lives(process.pid)]


@pytest.mark.parametrize("boxed", [True, False])
def test_a_program_that_ends_leaves_its_children_running(start, request, boxed):
    launch = start("env -i sleep 301 & wait", request.getfixturevalue("box") if boxed else None)
    assert launch.await_program()
    until(lambda: len(launch.processes()) == 2, what="its child", deadline_seconds=20)
    launch.kill_program()
    assert launch.pid == 0
    assert launch.alive
    assert "sleep" in [process.name() for process in launch.processes()]


@pytest.mark.parametrize("boxed", [True, False])
def test_an_orderly_end_asks_everybody(start, request, tmp_path, boxed):
    line = f"trap 'echo done >> {tmp_path}/said; exit 0' TERM; echo up > {tmp_path}/said; while :; do sleep 0.05; done"
    launch = start(line, request.getfixturevalue("box") if boxed else None)
    until((tmp_path / "said").exists, what="it to be up", deadline_seconds=20)
    assert launch.terminate(20)
    assert (tmp_path / "said").read_text() == "up\ndone\n"


def test_the_end_of_a_box_is_told_with_its_programs_exit_code(start, box):
    codes = []
    start("exit 7", box, codes.append)
    until(lambda: codes == [7], what="the exit code", deadline_seconds=20)


@pytest.mark.usefixtures("can_box")
def test_a_view_that_can_not_be_made_starts_nothing(start, tmp_path):
    codes = []
    launch = start("echo never", Box(((tmp_path / "nowhere", TMP),)), codes.append)
    assert not launch.await_program()
    until(lambda: codes == [namespaces.NO_VIEW], what="the exit code", deadline_seconds=20)
    assert "never" not in (tmp_path / "log").read_text()


def test_nothing_in_a_box_outlives_who_started_it(box, tmp_path):
    """Its processes may have thrown away the environment that says whose they are."""
    words = box.command(("/bin/sh", "-c", f"env -i sleep 303 & echo $! > {tmp_path}/up; wait"))
    with subprocess.Popen(words, start_new_session=True) as process:
        until((tmp_path / "up").exists, what="the box", deadline_seconds=20)
        inside = psutil.Process(process.pid).children(recursive=True)
        assert len(inside) >= 3
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: not [p for p in inside if p.is_running() and p.status() != "zombie"], what="end", deadline_seconds=20)


def test_only_the_outermost_of_what_is_kept_is_bound(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    made = make_box({tmp_path: tmp_path / "view"}, [tmp_path / "a", inner, Path("/usr")])
    assert made.binds == ((tmp_path / "a", tmp_path / "view/a"), (tmp_path / "view", tmp_path))


def test_where_there_are_none_the_setting_that_mends_it_is_named(monkeypatch, tmp_path):
    broken = tmp_path / "unshare"
    broken.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    namespaces._unshare.cache_clear()
    try:
        with pytest.raises(MachineError, match="Operation not permitted") as refused:
            require_namespaces()
    finally:
        namespaces._unshare.cache_clear()
    assert refused.value.mend
    assert refused.value.exit_code == 4


def test_without_util_linux_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    namespaces._unshare.cache_clear()
    try:
        with pytest.raises(MachineError, match="not on PATH"):
            require_namespaces()
    finally:
        namespaces._unshare.cache_clear()


def test_a_process_lives_until_it_has_ended_not_until_somebody_reaps_it():
    with subprocess.Popen(["sleep", "300"]) as process:
        assert pid_lives(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: not pid_lives(process.pid), what="its end", deadline_seconds=30)
        assert psutil.pid_exists(process.pid), "nobody reaped it"
    assert not pid_lives(process.pid)
