"""The manifests of expected cases are what pytest collects."""

import subprocess
import sys
from pathlib import Path

from reports.expected import Expected

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "expected"


def test_the_manifests_name_every_case_there_is():
    command = [sys.executable, ROOT / "scripts" / "expected-cases"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nmend: scripts/expected-cases --write"


def test_the_default_cases_are_among_the_nightly_ones():
    default, nightly = (Expected.load(FOLDER / name) for name in ("default.txt", "nightly.txt"))
    assert set(default.case_ids) <= set(nightly.case_ids)
    assert len(nightly.case_ids) > len(default.case_ids) > 90
