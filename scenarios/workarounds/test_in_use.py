"""What incident 001's workarounds cost, where the deployment they are done to has users and neighbours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.expectations.deployment import APP_DATA_KEPT, APP_REACHABLE, NEIGHBOURS_KEPT, SECRETS_KEPT
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

Way = Callable[[Lab, DeployTool], None]

CASES = (
    CaseMatrix(
        scenario="workaround_in_use",
        incident=INCIDENT,
        guarantees=(
            "restart-succeeds",
            "app-reachable",
            "app-data-kept",
            "secrets-kept",
            "foreign-workloads-kept",
            "foreign-untouched",
        ),
        task=DEPLOY,
        variants=("ingress-create",),
        shapes=(DeploymentSpec(secrets="binary"),),
        quick=(),
        moments=("ingress-deleted", "cluster-deleted", "stopped"),
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def worked_around(lab: Lab, case: CaseSpec, tool: DeployTool, way: Way) -> Lab:
    """Given a deployment in use, when the workaround is done to it, and it is started again."""
    with lab.start(case, tool):
        way(lab, tool)
        lab.run(tool, Start())
        lab.observe(APP_REACHABLE, APP_DATA_KEPT, SECRETS_KEPT, NEIGHBOURS_KEPT)
    return lab


def test_start_succeeds(worked_around: Lab) -> None:
    """The start comes back from it (001_398af5f43316f612.txt)."""
    worked_around.judge("restart-succeeds")


def test_the_app_answers(worked_around: Lab) -> None:
    """The app is there for its users, over TLS too; how long it was away is measured (001_398af5f43316f612.txt)."""
    worked_around.judge("app-reachable")


def test_app_data_is_kept(worked_around: Lab) -> None:
    """What the app was given to keep outlives the workaround (001_398af5f43316f612.txt)."""
    worked_around.judge("app-data-kept")


def test_secrets_are_kept(worked_around: Lab) -> None:
    """TLS secrets outlive the workaround, of which 001_398af5f43316f612.txt says nothing."""
    worked_around.judge("secrets-kept")


def test_neighbours_are_kept_or_told(worked_around: Lab) -> None:
    """What others run there outlives it, or its loss is told (001_398af5f43316f612.txt)."""
    worked_around.judge("foreign-workloads-kept")


def test_others_are_untouched(worked_around: Lab) -> None:
    """What is deleted by hand is nobody else's (001_398af5f43316f612.txt)."""
    worked_around.judge("foreign-untouched")
