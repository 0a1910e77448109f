"""A first start is cut at each of its calls, before and after, and then simply started again (incident 001)."""

from __future__ import annotations

import pytest

from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.sweep import Choice
from harness.tools.deploy_tool import DEPLOY, DeployTool

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="every_cut",
        incident=INCIDENT,
        guarantees=("every-cut-recovers", "foreign-untouched"),
        task=DEPLOY,
        variants=("faithful", "ingress-create", "ingress-skip", "ingress-conflict-ok", "forgets-after-interruption"),
        shapes=(DeploymentSpec(in_use=False, secrets="none"),),
        quick=("ingress-skip-*",),  # both sides in one case, five minutes; the nightly plays all variants and all cuts
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def choice(pytestconfig: pytest.Config, case: CaseSpec) -> Choice:
    """Which cut points: ``--cuts``; a sample is drawn by the run's seed."""
    return Choice(str(pytestconfig.getoption("--cuts")), case.seed)


@pytest.fixture(scope="module")
def swept(lab: Lab, case: CaseSpec, tool: DeployTool, choice: Choice) -> Lab:
    """Given what an uncut start leaves, when starts are cut and started again."""
    with lab.start(case, tool):
        lab.sweep(choice)
    return lab


def test_every_cut_recovers(swept: Lab) -> None:
    """No place is special: whatever a start was cut at, the next one mends it (001_398af5f43316f612.txt)."""
    swept.judge("every-cut-recovers")


def test_others_are_untouched(swept: Lab) -> None:
    """Whatever else runs on this engine is what it was, through all cuts (001_398af5f43316f612.txt)."""
    swept.judge("foreign-untouched")
