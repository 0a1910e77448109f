"""Wrong words about kind: refused before anything is made, with a sentence that says what to do."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.clusters.docker_engine import open_engine
from harness.clusters.lease import Mark
from harness.errors import MachineError
from harness.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}


def call(*command, **environment):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT, env=plain | environment, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def scenarios(run, *words, **environment):
    """A refusal comes before cases are collected; without one, nothing more than collecting may happen."""
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "--run-dir", str(run)]
    return call("-m", "pytest", "scenarios", *options, *words, **environment)


def afterfault(*words, **environment):
    return call("-c", "from harness.cli import main; main()", *words, **environment)


def made_by(run):
    """Containers and networks of a run in the engine."""
    mark = Mark(RunFolder(run).label("main"))
    try:
        client = open_engine()
    except MachineError:
        return []
    with contextlib.closing(client) as engine:
        found = engine.api.containers(all=True) + engine.api.networks()
    return [one["Id"] for one in found if mark.covers(one["Labels"] or {})]


def nothing_was_made(run):
    assert not run.exists()
    assert made_by(run) == []


@pytest.fixture
def program(tmp_path):
    """Programs that are something else than they should be."""

    def one(says, mode=0o755):
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{says}\n")
        path.chmod(mode)
        return str(path)

    return one


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--require", "kind,moon"], "--require moon: known needs are etcd, docker, kind"),
        (["--require", "Kind"], "--require Kind: known needs are etcd, docker, kind"),
        (["--node-image", ""], "--node-image is empty"),
        (["--node-image="], "--node-image is empty"),
        (["--node-image", "  "], "--node-image is empty"),
        (["--kind-at-once", "0"], "--kind-at-once 0 is not a number of clusters"),
        (["--replace-control-plane-command", ""], "--replace-control-plane-command is empty"),
        (["--replace-control-plane-command", "./nowhere.sh"], "./nowhere.sh is not there"),
    ],
)
def test_wrong_words_are_refused(tmp_path, words, sentence):
    code, said = scenarios(tmp_path / "run", *words)
    assert sentence in said
    assert code == 2
    nothing_was_made(tmp_path / "run")


@pytest.mark.parametrize("option", ["--kind", "--kubectl"])
@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("./nowhere", "./nowhere is not there"),
        ("./README.md", "./README.md is not executable"),
        ("tests", "tests is a folder"),
        ("/bin/true", "does not say a version (exit 0"),
        ("/bin/false", "does not say a version (exit 1"),
    ],
)
def test_a_binary_that_is_none_is_refused(tmp_path, option, word, sentence):
    code, said = scenarios(tmp_path / "run", option, word)
    assert f"{option} " in said
    assert sentence in said
    assert code == 2
    nothing_was_made(tmp_path / "run")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--kind", """echo '{"clientVersion": {"gitVersion": "v1.34.4"}}'"""),
        ("--kubectl", "echo kind v0.30.0 go1.25 linux/amd64"),
        ("--kind", "head -c 4000 /dev/urandom"),
        ("--kubectl", "kill -SEGV $$"),
    ],
    ids=["kubectl-as-kind", "kind-as-kubectl", "binary", "crashes"],
)
def test_a_binary_that_is_another_is_refused(tmp_path, program, option, says):
    code, said = scenarios(tmp_path / "run", option, program(says))
    assert f"{option} {tmp_path}/program: " in said
    assert f"is not {option.removeprefix('--')}: it does not say a version" in said
    assert code == 2
    nothing_was_made(tmp_path / "run")


@pytest.mark.parametrize("need", ["kind", "docker", "etcd,docker,kind"])
def test_a_need_without_an_engine_is_an_error(tmp_path, need):
    code, said = scenarios(tmp_path / "run", "--require", need, **NO_ENGINE)
    assert "no Docker engine answers at DOCKER_HOST=unix:///nonexistent.sock" in said
    assert "mend: start that engine, or unset DOCKER_HOST" in said
    assert code == 4
    nothing_was_made(tmp_path / "run")


def test_the_harness_s_own_tests_need_it_too():
    code, said = call("-m", "pytest", "tests/kind", "--require", "kind", "-p", "no:cacheprovider", **NO_ENGINE)
    assert "no Docker engine answers" in said
    assert code == 4


def test_an_engine_elsewhere_is_refused(tmp_path):
    code, said = scenarios(tmp_path / "run", "--require", "kind", DOCKER_HOST="tcp://192.0.2.1:2375")
    assert "is not an engine on this machine" in said
    assert "mend: unset DOCKER_HOST" in said
    assert code == 4
    nothing_was_made(tmp_path / "run")


@pytest.mark.kind
@pytest.mark.parametrize("reference", ["nosuch/image:v9", "No Such Image", "-", "afterfault/node"])
@pytest.mark.parametrize("require", [["--require", "kind"], []], ids=["required", "named"])
def test_a_node_image_that_is_not_there_is_an_error(tmp_path, reference, require):
    """Who names an image wants it; a skip would leave the run green."""
    code, said = scenarios(tmp_path / "run", *require, f"--node-image={reference}")
    assert f"the engine has no node image {reference}" in said
    assert "mend: afterfault images build" in said
    assert code == 4
    nothing_was_made(tmp_path / "run")


@pytest.mark.kind
@pytest.mark.parametrize("spread", [[], ["-n", "2"]], ids=["alone", "spread"])
def test_a_run_that_does_not_fit_is_refused(tmp_path, spread):
    run = tmp_path / "run"
    words = ["-k", "control_plane", "-m", "kind", "--kind-at-once", "34", "--run-dir", str(run), *spread]
    code, said = call("-m", "pytest", "scenarios", "-p", "no:cacheprovider", *words)
    assert re.search(r"\d+ clusters of 3 control planes need [0-9.]+ GiB of memory at once \(available: ", said)
    assert "mend: use --kind-at-once " in said
    assert code == 4
    nothing_was_made(run)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["images", "build", "--kubernetes", "9.9"], 2, "Kubernetes 9.9 is not pinned; these are:"),
        (["images", "build", "--etcd", "moon"], 2, "etcd moon is not pinned; these are:"),
        (["images", "build", "--nonsense"], 2, "No such option"),
        (["images", "nonsense"], 2, "No such command"),
        (["images", "check", "--control-planes", "9"], 2, "is not in the range"),
        (["doctor", "--only", "nonsense"], 2, "'nonsense' is not one of 'etcd', 'kind'"),
        (["doctor", "--only", ""], 2, "'' is not one of 'etcd', 'kind'"),
        (["doctor", "nonsense"], 2, "unexpected extra argument"),
        (["gc", "--nonsense"], 2, "No such option"),
        (["gc", "nonsense"], 2, "unexpected extra argument"),
    ],
)
def test_wrong_words_of_the_command_line(words, code, sentence):
    returned, said = afterfault(*words)
    assert sentence in said
    assert returned == code


@pytest.mark.parametrize("words", [["images", "build"], ["images", "check"], ["images", "list"]])
def test_images_without_an_engine(words):
    code, said = afterfault(*words, **NO_ENGINE)
    assert "no Docker engine answers" in said
    assert "mend: " in said
    assert code == 4


@pytest.mark.kind
def test_an_image_that_is_not_there_is_not_checked():
    code, said = afterfault("images", "check", "nosuch")
    assert "the engine has no node image nosuch; it has" in said
    assert "mend: afterfault images build" in said
    assert code == 4
