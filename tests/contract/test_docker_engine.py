"""scripts/docker-engine: does nothing where an engine answers, says what mends it, ends only what it started."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from harness.waiting import until

SCRIPT = Path(__file__).parents[2] / "scripts" / "docker-engine"
ENGINE = '#!/bin/sh\n[ "$1" = version ] && {answer}\n'
SILENT = "echo 'Cannot connect to the Docker daemon' >&2; exit 1"
DENIED = "echo 'permission denied while trying to connect' >&2; exit 1"


@pytest.fixture
def stubs(tmp_path):
    """A PATH where every program that could change the machine only tells that it was called."""
    folder = tmp_path / "stubs"
    folder.mkdir()
    for name in ("apt-get", "dockerd", "systemctl", "setsid", "kill", "mkdir"):
        stub(folder, name, f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/called\n')
    return folder


def stub(folder, name, text):
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def call(stubs, *words, **environment):
    plain = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    done = subprocess.run(
        [str(SCRIPT), *words],
        env=plain | {"PATH": f"{stubs}:{os.environ['PATH']}"} | environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("answer", "words", "code", "said"),
    [
        ("echo 26.1.5", [], 0, "26.1.5 answers already"),
        ("echo 26.1.5", ["--check"], 0, "26.1.5 answers"),
        (SILENT, ["--check"], 4, "no Docker engine answers (Cannot connect to the Docker daemon); mend: sudo "),
        (DENIED, [], 4, "mend: sudo usermod -aG docker"),
        ("echo 26", ["--nonsense"], 2, "--check"),
        ("echo 26", ["--apart"], 2, "--check"),
        ("echo 26", ["--help"], 0, "--check"),
    ],
)
def test_nothing_is_changed(stubs, tmp_path, answer, words, code, said):
    stub(stubs, "docker", ENGINE.format(answer=answer))
    returned, told = call(stubs, *words)
    assert said in told
    assert returned == code
    assert not (tmp_path / "called").exists()


def test_root_is_asked_for(stubs, tmp_path):
    stub(stubs, "docker", ENGINE.format(answer=SILENT))
    stub(stubs, "id", '#!/bin/sh\n[ "$1" = -u ] && echo 1000 || echo jo\n')
    assert call(stubs)[0] == 4
    assert "takes root; mend: sudo " in call(stubs)[1]
    assert not (tmp_path / "called").exists()


def test_an_engine_of_one_s_own_is_not_doubled(stubs, tmp_path):
    stub(stubs, "docker", ENGINE.format(answer=SILENT))
    returned, told = call(stubs, DOCKER_HOST="unix:///nonexistent.sock")
    assert (returned, "mend: start that engine, or unset DOCKER_HOST" in told) == (4, True)
    assert not (tmp_path / "called").exists()


def test_an_old_engine_is_told_and_left_alone(stubs, tmp_path):
    stub(stubs, "docker", ENGINE.format(answer="echo 20.10.24"))
    stub(stubs, "sed", "#!/bin/sh\necho 000001fffeffffff\n")  # the bounding set lacks one
    returned, told = call(stubs)
    assert (returned, "mend: stop that engine, then sudo" in told) == (4, True)
    assert not (tmp_path / "called").exists()


# --- a real engine, apart from the machine's own ----------------------------------------------------


@pytest.fixture
def apart():
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("an engine of our own needs root and dockerd")
    folder = Path(tempfile.mkdtemp(prefix="af", dir="/tmp"))  # the path of a socket has to be short
    yield folder
    engine("--stop", folder)
    assert not engines(folder)
    # a dockerd that was killed leaves its own mount behind
    while subprocess.run(["umount", folder / "data"], capture_output=True, check=False).returncode == 0:
        pass
    shutil.rmtree(folder)


def engine(*words):
    *options, folder = words
    done = subprocess.run(
        [str(SCRIPT), "--apart", str(folder), *options],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def engines(folder):
    seen = psutil.process_iter(["pid", "name", "cmdline", "status"])
    return [
        process.info["pid"] for process in seen
        if str(folder) in str(process.info["cmdline"]) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]  # fmt: skip


def test_the_bridge_of_the_machine_s_own_engine_stays(apart):
    before = sorted(Path("/sys/class/net").iterdir())
    assert engine(apart)[0] == 0
    assert engine("--stop", apart)[0] == 0
    assert [name for name in before if name.name == "docker0" and not name.exists()] == []


def test_it_starts_one_finds_it_again_and_ends_it(apart):
    code, told = engine(apart)
    assert (code, "its log: " in told) == (0, True), told
    started = engines(apart)
    assert engine(apart) == (0, told.splitlines()[-1] + " already\n")
    assert engines(apart) == started
    assert engine("--check", apart)[0] == 0
    assert engine("--stop", apart) == (0, "docker-engine: ended\n")
    assert engine("--check", apart)[0] == 4
    code, told = engine("--stop", apart)
    assert (code, "started no engine" in told) == (4, True)


def test_a_pid_that_is_somebody_else_s_now_is_not_ended(apart):
    """After a crash: the files name a process that lives, and is none of ours."""
    assert engine(apart)[0] == 0
    dockerd = int((apart / "pid").read_text().split()[0])
    os.kill(dockerd, signal.SIGKILL)
    until(
        lambda: engines(apart), lambda left: not left, what="dockerd and its containerd to be gone", deadline_seconds=30
    )
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        for file in (apart / "docker.pid", apart / "run" / "containerd" / "containerd.pid"):
            file.write_text(str(bystander.pid))
        (apart / "pid").write_text((apart / "pid").read_text().replace(str(dockerd), str(bystander.pid)))
        code, told = engine("--stop", apart)
        assert (code, "is gone already" in told) == (4, True), told
        assert bystander.poll() is None
        assert engine(apart)[0] == 0  # stale files don't keep it from starting
        assert engine("--stop", apart)[0] == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_start_that_fails_tells_why(apart):
    (apart / "data").write_text("in the way")
    code, told = engine(apart)
    assert code == 4
    assert "dockerd ended at once; its log: " in told
    assert "in the way" not in told
    assert "data" in told.partition("last words:")[2]
    assert not (apart / "pid").exists()
