"""A sweep played twice with one seed chooses the same cut points, and judges each of them the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.spec import KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from tests.kind.needs import kind_needed

ROOT = Path(__file__).parents[2]
CASE = os.environ.get("AFTERFAULT_SWEEP_CASE", "every_cut/ingress-skip/kind-1-new")
CUTS = os.environ.get("AFTERFAULT_SWEEP_CUTS", "sample:3")
SEED = os.environ.get("AFTERFAULT_SWEEP_SEED", "11")
pytestmark = [pytest.mark.kind, pytest.mark.slow]


def swept(run):
    """By cut point, how it broke; and whether that is as the ledger says."""
    words = ["scenarios/interrupted_start", "-m", "", "--case", CASE, "--cuts", CUTS, "--seed", SEED]
    command = [sys.executable, "-m", "pytest", *words, "--run-dir", str(run), "--require", "docker,kind"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    [case] = json.loads((run / "verdicts.json").read_text())["cases"]
    [finding] = [one for one in case["findings"] if one["guarantee"] == "every-cut-recovers"]
    print(f"{run.name}: {done.returncode} {finding['verdict']} {json.dumps(finding['cuts'], indent=1)}")
    return done.returncode, finding["verdict"], finding["cuts"]


def test_the_same_seed_gives_the_same_points_and_the_same_verdicts(tmp_path, pytestconfig):
    with kind_needed(pytestconfig):
        kind_setup(KindWords(), KindSpec()).engine.close()
    first, second = swept(tmp_path / "first"), swept(tmp_path / "second")
    assert first == second
    assert first[0] == 0, "as the ledger says"
    assert len(first[2]) in (3, 4), "the sample, and the first cut that leaves a cluster where it is not in it"
