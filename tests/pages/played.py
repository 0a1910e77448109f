"""A small run for the pages, played by pytest as any other, only that its journals were written beforehand.

One case of each sort: kept, red as known, broken, a known defect that does not show, and one that can't be judged.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEDGER = """\
- {id: incident-loses-quorum, tool: reference, variant: no-check, scenario: rolling_replacement, guarantee: quorum-kept,
   signature: quorum-lost, also: [write-gap-bounded, no-ghost-member, replacement-complete], why: it is never removed,
   link: 002_638ead7455fd6626.txt}
- {id: surge-leaves-ghosts, tool: reference, variant: surge, scenario: rolling_replacement,
   guarantee: no-ghost-member, signature: ghost-member, why: it was mended long ago, link: 002_638ead7455fd6626.txt}
"""
STORY = '''\
"""Five cases whose journals were written beforehand."""

import pytest

from harness.lab import Lab
from harness.pytest_plugin import RUN
from harness.shapes import EtcdSpec
from harness.spec import CaseMatrix
from harness.tools.deploy_tool import REPLACE_NODE
from tests.pages.played import GUARANTEES, journal_of

CASES = (
    CaseMatrix(
        "rolling_replacement", "002_638ead7455fd6626.txt", GUARANTEES, REPLACE_NODE,
        ("documented", "no-check", "incident", "surge", "learner"), (EtcdSpec(3, strict_reconfig_check=False),),
    ),
)


@pytest.fixture(scope="module")
def told(pytestconfig, case):
    lab = Lab.__new__(Lab)
    lab.spec, lab.findings = case, {}
    lab.entries = journal_of(case, pytestconfig.stash[RUN].cases)
    return lab


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_guarantee(told, guarantee):
    told.judge(guarantee)
'''
GUARANTEES = ("quorum-kept", "write-gap-bounded", "no-ghost-member", "replacement-complete")


def journal_of(case, folder):
    """Write the story of a case into a run, once for all its tests."""
    from harness.journal import Journal
    from tests.unit.test_reports_stories import documented, incident

    red = case.target.variant in ("incident", "no-check")
    entries = (incident if red else documented)(case.target.variant)
    if case.target.variant == "learner":
        entries = [entry for entry in entries if entry.kind != "case.ended"]
    moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
    journal = Journal(folder / case.play_id.replace("/", "__") / "journal.jsonl", lambda: next(moments))
    for number, entry in enumerate(entries):
        if number == 1:
            journal.append("case.step", text="cluster 3-relaxed")
        if entry.kind == "tool.started":
            journal.append("case.step", text=f"replace {entry.data['old']}")
        journal.append(entry.kind, **(entry.data | ({"spec": case.to_json()} if entry.kind == "case.opened" else {})))
    journal.seal()
    return journal.entries()


def play(project: Path, name: str, seed: int) -> Path:
    """Play it in a project of its own; the run's folder."""
    scenarios = project / "scenarios"
    scenarios.mkdir(parents=True, exist_ok=True)
    (scenarios / "known_defects.yaml").write_text(LEDGER)
    (scenarios / "test_story.py").write_text(STORY)
    # the very plugins of the project, in their order
    (project / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (project / "pytest.ini").write_text("[pytest]\nmarkers = slow: x\n etcd: x\n kind: x\n incident: x\n")
    run = project / "runs" / name
    words = ["-p", "no:cacheprovider", "-p", "no:pytest-kind", "--import-mode=importlib", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "scenarios", *words, "--run-dir", str(run), "--seed", str(seed)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 1, f"it has a red case, and ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return run
