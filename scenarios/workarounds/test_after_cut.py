"""Incident 001's workarounds, step by step, where the incident recommends them: after an interrupted first start."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.expectations.deployment import APP_REACHABLE
from harness.expectations.kubernetes import SYSTEM_WORKLOADS_STABLE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start
from harness.tools.start_cuts import INGRESS_HALF_TIMEOUT

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

Way = Callable[[Lab, DeployTool], None]

CASES = (
    CaseMatrix(
        scenario="workaround_after_cut",
        incident=INCIDENT,
        guarantees=(
            "restart-succeeds",
            "app-reachable",
            "ready-when-done",
            "system-workloads-stable",
            "foreign-untouched",
        ),
        task=DEPLOY,
        variants=("ingress-create",),
        shapes=(DeploymentSpec(in_use=False, secrets="none"),),
        quick=(),
        moments=("ingress-deleted", "cluster-deleted"),
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def worked_around(lab: Lab, case: CaseSpec, tool: DeployTool, way: Way) -> Lab:
    """Given a start that was cut and one that failed on it, when a person deletes what is in its way."""
    with lab.start(case, tool):
        lab.run(tool, Start(cut=INGRESS_HALF_TIMEOUT))
        lab.run(tool, Start())
        way(lab, tool)
        lab.run(tool, Start())
        lab.observe(APP_REACHABLE, SYSTEM_WORKLOADS_STABLE)
    return lab


def test_start_succeeds(worked_around: Lab) -> None:
    """The workaround of 001_398af5f43316f612.txt works."""
    worked_around.judge("restart-succeeds")


def test_the_app_answers(worked_around: Lab) -> None:
    """And the app is there for its users (001_398af5f43316f612.txt)."""
    worked_around.judge("app-reachable")


def test_done_is_done(worked_around: Lab) -> None:
    """A start that says it is done has the app answering, right then (001_398af5f43316f612.txt)."""
    worked_around.judge("ready-when-done")


def test_system_workloads_are_stable(worked_around: Lab) -> None:
    """What was deleted is not missed by the rest of the cluster (001_398af5f43316f612.txt)."""
    worked_around.judge("system-workloads-stable")


def test_others_are_untouched(worked_around: Lab) -> None:
    """What is deleted by hand is nobody else's (001_398af5f43316f612.txt)."""
    worked_around.judge("foreign-untouched")
