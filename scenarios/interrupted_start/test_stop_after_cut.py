"""A first start is cut, then stopped, then started anew: the way out that needs no kubectl (incident 001)."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import APP_REACHABLE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start, Stop
from harness.tools.start_cuts import CUTS

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]


CASES = (
    CaseMatrix(
        scenario="stop_after_cut",
        incident=INCIDENT,
        guarantees=("stopped-is-gone", "restart-succeeds", "app-reachable", "ready-when-done", "foreign-untouched"),
        task=DEPLOY,
        variants=("faithful", "ingress-create", "stop-trusts-notes"),
        shapes=(DeploymentSpec(in_use=False, secrets="none"),),
        quick=("stop-trusts-notes-*",),
        moments=("creating-tool-killed", "created-killed", "ingress-half-timeout"),
        telling={"ingress-create": ("ingress-half-timeout",), "stop-trusts-notes": ("created-killed",)},
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def started_anew(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given nothing yet, when a start is cut, what it left is stopped, and it is started anew."""
    with lab.start(case, tool):
        lab.run(tool, Start(cut=CUTS[case.moment]))
        lab.run(tool, Stop())
        lab.run(tool, Start())
        lab.observe(APP_REACHABLE)
    return lab


def test_what_was_half_made_is_stopped(started_anew: Lab) -> None:
    """A stop takes what an interrupted start left: nobody else would (001_398af5f43316f612.txt)."""
    started_anew.judge("stopped-is-gone")


def test_start_succeeds(started_anew: Lab) -> None:
    """After a stop nothing of the interruption is left to stumble over (001_398af5f43316f612.txt)."""
    started_anew.judge("restart-succeeds")


def test_the_app_answers(started_anew: Lab) -> None:
    """The app is there for its users (001_398af5f43316f612.txt)."""
    started_anew.judge("app-reachable")


def test_done_is_done(started_anew: Lab) -> None:
    """A start that says it is done has the app answering, right then (001_398af5f43316f612.txt)."""
    started_anew.judge("ready-when-done")


def test_others_are_untouched(started_anew: Lab) -> None:
    """The stop takes its own cluster and no other (001_398af5f43316f612.txt)."""
    started_anew.judge("foreign-untouched")
