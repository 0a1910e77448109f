"""A first start is interrupted, at named moments and by each means, and then simply started again (incident 001)."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import APP_CONFIGURED, APP_REACHABLE
from harness.expectations.kubernetes import API_SERVICE_PRESENT, NODES_READY, SYSTEM_WORKLOADS_STABLE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start
from harness.tools.start_cuts import CUTS

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

_HALF = ("ingress-begun-killed", "ingress-half-timeout")

CASES = (
    CaseMatrix(
        scenario="interrupted_start",
        incident=INCIDENT,
        guarantees=(
            "restart-succeeds",
            "app-reachable",
            "app-configured",
            "ready-when-done",
            "api-service-present",
            "system-workloads-stable",
            "nodes-ready",
            "foreign-untouched",
        ),
        task=DEPLOY,
        variants=(
            "faithful",
            "ingress-create",
            "ingress-skip",
            "ingress-conflict-ok",
            "forgets-after-interruption",
            "says-ready-too-early",
            "never-returns",
            "deletes-foreign",
        ),
        shapes=(DeploymentSpec(in_use=False, secrets="none"),),
        # a minute or two each: both sides of the incident, and defects that nothing else in the selection has;
        # the night plays them all
        quick=(
            "faithful-*-ingress-half-timeout",
            "ingress-create-*",
            "says-ready-too-early-*",
            "deletes-foreign-*",
        ),
        moments=tuple(CUTS),
        telling={
            "ingress-create": _HALF,
            "ingress-skip": _HALF,
            "ingress-conflict-ok": _HALF,
            "forgets-after-interruption": ("ingress-half-timeout",),
            "says-ready-too-early": ("created-killed",),
            "never-returns": ("creating-ctrl-c",),
            "deletes-foreign": ("ingress-installed-terminated",),
        },
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def started_again(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given nothing yet, when a start is interrupted and then started again."""
    with lab.start(case, tool):
        lab.run(tool, Start(cut=CUTS[case.moment]))
        lab.run(tool, Start())
        lab.observe(APP_REACHABLE, APP_CONFIGURED, API_SERVICE_PRESENT, SYSTEM_WORKLOADS_STABLE, NODES_READY)
    return lab


def test_start_succeeds_again(started_again: Lab) -> None:
    """Starting again is the whole of the recovery; every retry failed in 001_398af5f43316f612.txt."""
    started_again.judge("restart-succeeds")


def test_the_app_answers(started_again: Lab) -> None:
    """The app is there for its users; it was never reached in 001_398af5f43316f612.txt."""
    started_again.judge("app-reachable")


def test_the_app_is_configured(started_again: Lab) -> None:
    """No object was forgotten that only a start which was never cut would make (001_398af5f43316f612.txt)."""
    started_again.judge("app-configured")


def test_done_is_done(started_again: Lab) -> None:
    """A start that says it is done has the app answering, right then (001_398af5f43316f612.txt)."""
    started_again.judge("ready-when-done")


def test_the_api_service_is_there(started_again: Lab) -> None:
    """Pods find the API: the cluster itself came through the interruption (001_398af5f43316f612.txt)."""
    started_again.judge("api-service-present")


def test_system_workloads_are_stable(started_again: Lab) -> None:
    """kindnet, DNS and storage run, and go on running (001_398af5f43316f612.txt)."""
    started_again.judge("system-workloads-stable")


def test_nodes_are_ready(started_again: Lab) -> None:
    """The node takes pods, also where its creation was cut (001_398af5f43316f612.txt)."""
    started_again.judge("nodes-ready")


def test_others_are_untouched(started_again: Lab) -> None:
    """Whatever else runs on this engine is what it was: the workaround of 001_398af5f43316f612.txt deletes clusters."""
    started_again.judge("foreign-untouched")
