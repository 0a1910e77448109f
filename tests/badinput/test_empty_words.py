"""Options a CI job fills from a variable that is not set: never a green run of something else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--replace-command", ""], "--replace-command is empty"),
        (["--replace-command="], "--replace-command is empty"),
        (["--replace-command", "   "], "--replace-command is empty"),
        (["--replace-command", "''"], "--replace-command"),
        (["--replace-command", "true", "--replace-timeout", "0"], "--replace-timeout 0.0 is not above 0"),
        (["--replace-command", "true", "--replace-timeout", "-5"], "--replace-timeout -5.0 is not above 0"),
        (["--replace-command", "true", "--replace-timeout", "nan"], "--replace-timeout nan is not above 0"),
        (["--shard-count", "0"], "--shard-index 0 is not one of"),
        (["--etcd-dir", ""], "--etcd-dir"),
    ],
)
def test_an_empty_word_is_refused_before_anything_starts(tmp_path, words, sentence):
    """With the reference tools in its place, the run would be green and the tool never tested."""
    command = [sys.executable, "-m", "pytest", "scenarios", "--collect-only", "-q", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, "--run-dir", str(tmp_path / "run"), *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout[-500:]
    assert sentence in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()
