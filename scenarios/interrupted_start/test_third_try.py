"""A first start is cut while it installs the ingress, and then started again up to three times (incident 001)."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import APP_REACHABLE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start
from harness.tools.start_cuts import INGRESS_HALF_TIMEOUT

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="third_try",
        incident=INCIDENT,
        guarantees=("restart-succeeds", "app-reachable", "ready-when-done", "foreign-untouched"),
        task=DEPLOY,
        variants=("faithful", "ingress-create", "ingress-skip"),
        shapes=(DeploymentSpec(in_use=False, secrets="none"),),
        quick=(),
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def tried_thrice(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given nothing yet, when a start is cut, and three more follow whatever becomes of each."""
    with lab.start(case, tool):
        lab.run(tool, Start(cut=INGRESS_HALF_TIMEOUT))
        lab.run(tool, Start())
        lab.run(tool, Start())
        lab.run(tool, Start())
        lab.observe(APP_REACHABLE)
    return lab


def test_the_third_start_succeeds(tried_thrice: Lab) -> None:
    """Whoever only tries again gets there; "every attempt" is said to have failed in 001_398af5f43316f612.txt."""
    tried_thrice.judge("restart-succeeds")


def test_the_app_answers(tried_thrice: Lab) -> None:
    """The app is there for its users in the end (001_398af5f43316f612.txt)."""
    tried_thrice.judge("app-reachable")


def test_done_is_done(tried_thrice: Lab) -> None:
    """Each of the starts that says it is done has the app answering, right then (001_398af5f43316f612.txt)."""
    tried_thrice.judge("ready-when-done")


def test_others_are_untouched(tried_thrice: Lab) -> None:
    """Trying again does no harm to others on this engine (001_398af5f43316f612.txt)."""
    tried_thrice.judge("foreign-untouched")
