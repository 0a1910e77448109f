"""Two runs on one machine don't touch each other, not even when their folders have the same name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
CASE = ("-q", "-k", "ghost_removal and remove-ghost-3-relaxed", "-p", "no:cacheprovider", "-p", "no:xdist")


def test_folders_of_one_name_are_owned_apart(tmp_path):
    """Who shares a label is killed at the end of the other run's case, and its tool is blamed for it."""
    left, right = RunFolder(tmp_path / "left" / "run"), RunFolder(tmp_path / "right" / "run")
    assert left.run_id == right.run_id
    assert len({folder.label(worker) for folder in (left, right) for worker in ("gw0", "gw1")}) == 4


@pytest.mark.etcd
def test_runs_of_one_name_end_as_if_each_were_alone(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "scenarios", *CASE, "--run-dir", str(tmp_path / side / "run")],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for side in ("left", "right")
    ]  # fmt: skip
    told = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(told)
