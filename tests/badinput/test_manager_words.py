"""Wrong words about etcd-manager: refused before anything is made, with a sentence that says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELP = {"etcd-manager": "-quarantine-client-urls", "etcd-manager-ctl": "-member-count"}


@pytest.fixture
def folder(tmp_path):
    """Two programs that say what etcd-manager's say, and name no etcd."""
    place = tmp_path / "programs"
    place.mkdir()
    for name, text in HELP.items():
        write(place / name, f"echo '  {text}'")
    return place


def write(program, line, mode=0o755):
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(mode)


def scenarios(run, word):
    """A refusal comes before cases are collected."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "--run-dir", str(run), "--etcd-manager", str(word)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "scenarios", *options],
        cwd=ROOT, env=plain, capture_output=True, text=True, timeout=180, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_an_empty_word_is_wrong_usage(tmp_path):
    code, said = scenarios(tmp_path / "run", "")
    assert (code, "--etcd-manager is empty" in said) == (2, True), said
    assert not (tmp_path / "run").exists()


def test_another_program_is_wrong_usage(tmp_path, folder):
    write(folder / "etcd-manager", "echo I am kubectl")
    code, said = scenarios(tmp_path / "run", folder)
    assert (code, "said 'I am kubectl'" in said) == (2, True), said
    assert "mend: " in said
    assert not (tmp_path / "run").exists()


def test_without_the_etcd_it_wants_this_machine_can_not_run_it(tmp_path, folder):
    code, said = scenarios(tmp_path / "run", folder)
    assert (code, "knows other versions of etcd" in said) == (4, True), said
    assert not (tmp_path / "run").exists()
