"""The machine of a deployment in use is killed, with nobody there to stop it first, and started (incident 000)."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import RECOVERED_DEPLOYMENT
from harness.faults.deployment import MachineKilled
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start

INCIDENT = "000_ef3e953d37b9f50a.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="machine_killed",
        incident=INCIDENT,
        guarantees=(
            "restart-succeeds",
            "system-workloads-stable",
            "nodes-ready",
            "app-reachable",
            "app-data-kept",
            "secrets-kept",
            "foreign-workloads-kept",
            "ready-when-done",
        ),
        task=DEPLOY,
        variants=("faithful", "keep-core", "deletes-dead"),
        shapes=(DeploymentSpec(),),
        quick=(),  # minutes each; the nightly plays them all
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def started_again(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a deployment in use, when its machine is killed and the deployment is started."""
    with lab.start(case, tool):
        lab.inject(MachineKilled())
        lab.run(tool, Start())
        lab.observe(*RECOVERED_DEPLOYMENT)
    return lab


def test_start_succeeds(started_again: Lab) -> None:
    """The start brings the machine back and says in time that it is done (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("restart-succeeds")


def test_system_workloads_are_stable(started_again: Lab) -> None:
    """kindnet, DNS and storage come back with the machine, and go on running (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("system-workloads-stable")


def test_nodes_are_ready(started_again: Lab) -> None:
    """The node takes pods again (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("nodes-ready")


def test_the_app_answers(started_again: Lab) -> None:
    """The app is there for its users, over HTTP and TLS (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("app-reachable")


def test_app_data_is_kept(started_again: Lab) -> None:
    """What the app was given to keep was on a disk, and still is (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("app-data-kept")


def test_secrets_are_kept(started_again: Lab) -> None:
    """Nobody could save them in time, so the machine has to come back with them (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("secrets-kept")


def test_neighbours_are_kept_or_told(started_again: Lab) -> None:
    """What others run there comes back too, or its loss is told (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("foreign-workloads-kept")


def test_done_is_done(started_again: Lab) -> None:
    """A start that says it is done has the app answering, right then (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("ready-when-done")
