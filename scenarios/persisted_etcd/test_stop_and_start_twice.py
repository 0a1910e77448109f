"""A deployment in use is stopped and started, and then once more (incident 000): what survives once may not twice."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import RECOVERED_DEPLOYMENT
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start, Stop

INCIDENT = "000_ef3e953d37b9f50a.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="stop_and_start_twice",
        incident=INCIDENT,
        guarantees=(
            "restart-succeeds",
            "system-workloads-stable",
            "objects-decode",
            "app-reachable",
            "app-data-kept",
            "secrets-kept",
            "foreign-workloads-kept",
            "ready-when-done",
        ),
        task=DEPLOY,
        variants=("faithful", "keep-core", "restores-once"),
        shapes=(DeploymentSpec(),),
        quick=(),  # minutes each; the nightly plays them all
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def started_again(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a deployment in use, when it is stopped and started twice in a row."""
    with lab.start(case, tool):
        lab.run(tool, Stop())
        lab.run(tool, Start())
        lab.run(tool, Stop())
        lab.run(tool, Start())
        lab.observe(*RECOVERED_DEPLOYMENT)
    return lab


def test_start_succeeds(started_again: Lab) -> None:
    """Each start finds what the one before it left, and says in time that it is done (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("restart-succeeds")


def test_system_workloads_are_stable(started_again: Lab) -> None:
    """kindnet, DNS and storage run: what is carried on twice does not pile up (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("system-workloads-stable")


def test_every_object_decodes(started_again: Lab) -> None:
    """What was put back into etcd and taken out again can still be read (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("objects-decode")


def test_the_app_answers(started_again: Lab) -> None:
    """The app is there for its users, over HTTP and TLS (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("app-reachable")


def test_app_data_is_kept(started_again: Lab) -> None:
    """No number of stops loses what the app was given to keep (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("app-data-kept")


def test_secrets_are_kept(started_again: Lab) -> None:
    """TLS secrets are still there byte for byte: a backup is not used up by one start (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("secrets-kept")


def test_neighbours_are_kept_or_told(started_again: Lab) -> None:
    """What others run there survives, or its loss is told, at either stop (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("foreign-workloads-kept")


def test_done_is_done(started_again: Lab) -> None:
    """A start that says it is done has the app answering, right then, each time (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("ready-when-done")
