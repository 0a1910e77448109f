"""Bad input gets a clear sentence and a documented exit code, and nothing is left running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.clusters.ownership import LABEL_VARIABLE
from harness.waiting import until

ROOT = Path(__file__).parents[2]
ONE_CASE = ("-m", "", "-k", "rolling and (replace.sh-3-relaxed or documented-3-relaxed)")


def call(run_dir, *words):
    command = [sys.executable, "-m", "pytest", "scenarios", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["--run-dir", str(run_dir), *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    # where pytest itself broke off, the reaper is at work just now
    until(lambda: mentioning(run_dir), lambda left: not left, what="nothing to be left", deadline_seconds=60)
    return done.returncode, done.stdout + done.stderr


def mentioning(run_dir):
    """Owned processes of a run: etcd has its data below the run's folder, a tool has its snapshots there."""
    seen = [process.info for process in psutil.process_iter(["pid", "cmdline", "environ"])]
    return [told["pid"] for told in seen if LABEL_VARIABLE in (told["environ"] or ()) and str(run_dir) in str(told)]


def script(folder, body):
    path = folder / "replace.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--etcd-dir", "tests"], 2, "no executable etcd, etcdctl, etcdutl in tests"),
        (["--replace-command", "./nowhere.sh"], 2, "./nowhere.sh is not there"),
        (["--replace-command", "./README.md"], 2, "README.md is not executable"),
        (["--replace-command", "/"], 2, "/ is a folder"),
        (["--replace-command", "'unfinished"], 2, "No closing quotation"),
        (["--shard-index", "3", "--shard-count", "3"], 2, "--shard-index 3 is not one of 0 to 2"),
        (["--require", "moon"], 2, "known needs are etcd"),
        (["-k", "nothing_of_that_name"], 3, "nothing ran"),
    ],
)
def test_wrong_words_are_refused_at_once(tmp_path, words, code, sentence):
    returned, said = call(tmp_path / "run", *words)
    assert sentence in said
    assert returned == code
    assert not list(tmp_path.glob("run/cases/*"))


def test_a_run_folder_in_use_is_refused(tmp_path):
    (tmp_path / "precious").write_text("mine")
    returned, said = call(tmp_path)
    assert (returned, (tmp_path / "precious").read_text()) == (2, "mine")
    assert "is not an empty folder" in said


def test_another_etcd_that_is_too_old_is_refused(tmp_path):
    for name, word in (("etcd", "Version"), ("etcdctl", "version"), ("etcdutl", "version")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} {word}: 3.4.23'\n")
        (tmp_path / name).chmod(0o755)
    returned, said = call(tmp_path / "run", "--etcd-dir", str(tmp_path))
    assert returned == 2
    assert "3.4.23" in said
    assert "too old" in said


@pytest.mark.etcd
@pytest.mark.parametrize(
    ("body", "words", "broken"),
    [
        (
            "sleep 600",
            ["--replace-timeout", "2"],
            {"success-is-true": "timed-out", "replacement-complete": "not-replaced"},
        ),
        ("kill -SEGV $$", [], {"replacement-complete": "not-replaced"}),
        (
            "head -c 4000 /dev/urandom",
            [],
            {"replacement-complete": "not-replaced", "success-is-true": "success-too-early"},
        ),
        ("sleep 600 & exit 7", [], {"replacement-complete": "not-replaced"}),
    ],
    ids=["hangs", "crashes", "prints-binary", "leaves-a-child"],
)
def test_a_tool_that_misbehaves_is_judged_by_the_world(tmp_path, body, words, broken):
    tool = script(tmp_path, body)
    returned, said = call(tmp_path / "run", "--replace-command", str(tool), *ONE_CASE, *words)
    saved = json.loads((tmp_path / "run" / "verdicts.json").read_text())
    (case,) = saved["cases"]
    red = {f["guarantee"]: f["signature"] for f in case["findings"] if f["verdict"] == "NOT_RECOVERED"}
    assert red == broken
    assert returned == 1
    assert "replacement-complete is broken: n1 is still a member and n4 is not" in said
    assert "report.html" in said


def test_the_label_is_what_processes_are_found_by():
    assert LABEL_VARIABLE == "AFTERFAULT_RUN"
