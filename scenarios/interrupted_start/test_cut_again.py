"""A start is cut, the next one is cut too, and the third is let be (incident 001)."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import APP_REACHABLE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start
from harness.tools.start_cuts import CREATED_KILLED, INGRESS_BEGUN_KILLED, INGRESS_HALF_TIMEOUT

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CUTS = {
    "created-twice": (CREATED_KILLED, CREATED_KILLED),
    "ingress-twice": (INGRESS_BEGUN_KILLED, INGRESS_HALF_TIMEOUT),
}


CASES = (
    CaseMatrix(
        scenario="cut_again",
        incident=INCIDENT,
        guarantees=("restart-succeeds", "app-reachable", "ready-when-done", "foreign-untouched"),
        task=DEPLOY,
        variants=("faithful", "ingress-create"),
        shapes=(DeploymentSpec(in_use=False, secrets="none"),),
        quick=(),
        moments=tuple(CUTS),
        telling={"ingress-create": ("ingress-twice",)},
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def let_be(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given nothing yet, when a start is cut, and the next, and nobody cuts the third."""
    with lab.start(case, tool):
        lab.run(tool, Start(cut=CUTS[case.moment][0]))
        lab.run(tool, Start(cut=CUTS[case.moment][1]))
        lab.run(tool, Start())
        lab.observe(APP_REACHABLE)
    return lab


def test_the_third_start_succeeds(let_be: Lab) -> None:
    """Mending is cut as anything else is: the playbook's time was up each time in 001_398af5f43316f612.txt."""
    let_be.judge("restart-succeeds")


def test_the_app_answers(let_be: Lab) -> None:
    """The app is there for its users (001_398af5f43316f612.txt)."""
    let_be.judge("app-reachable")


def test_done_is_done(let_be: Lab) -> None:
    """A start that says it is done has the app answering, right then (001_398af5f43316f612.txt)."""
    let_be.judge("ready-when-done")


def test_others_are_untouched(let_be: Lab) -> None:
    """Mending takes what is its own, and nothing of others (001_398af5f43316f612.txt)."""
    let_be.judge("foreign-untouched")
