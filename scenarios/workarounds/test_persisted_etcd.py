"""Incident 000's workaround: where a start broke the persisted etcd, the cluster is deleted before the next one."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import APP_DATA_KEPT, APP_REACHABLE, SECRETS_KEPT
from harness.expectations.kubernetes import API_SERVICE_PRESENT, NODES_READY, SYSTEM_WORKLOADS_STABLE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.by_hand import DELETE_CLUSTER, OPERATOR
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start, Stop

INCIDENT = "000_ef3e953d37b9f50a.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CASES = (
    CaseMatrix(
        scenario="workaround_persisted",
        incident=INCIDENT,
        guarantees=(
            "restart-succeeds",
            "api-service-present",
            "system-workloads-stable",
            "nodes-ready",
            "app-reachable",
            "app-data-kept",
            "secrets-kept",
            "foreign-untouched",
        ),
        task=DEPLOY,
        variants=("faithful", "keep-caddy"),
        shapes=(DeploymentSpec(secrets="text"),),
        quick=(),
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def worked_around(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a deployment that was stopped and started, when the cluster is deleted by hand and started once more."""
    with lab.start(case, tool):
        lab.run(tool, Stop())
        lab.run(tool, Start())
        lab.run(OPERATOR, DELETE_CLUSTER)
        lab.run(tool, Start())
        lab.observe(
            API_SERVICE_PRESENT, SYSTEM_WORKLOADS_STABLE, NODES_READY, APP_REACHABLE, APP_DATA_KEPT, SECRETS_KEPT
        )
    return lab


def test_start_succeeds(worked_around: Lab) -> None:
    """The workaround of 000_ef3e953d37b9f50a.txt works."""
    worked_around.judge("restart-succeeds")


def test_the_api_service_is_there(worked_around: Lab) -> None:
    """The fresh bootstrap it forces brings the Service back (000_ef3e953d37b9f50a.txt)."""
    worked_around.judge("api-service-present")


def test_system_workloads_are_stable(worked_around: Lab) -> None:
    """And kindnet runs (000_ef3e953d37b9f50a.txt)."""
    worked_around.judge("system-workloads-stable")


def test_nodes_are_ready(worked_around: Lab) -> None:
    """And the node takes pods (000_ef3e953d37b9f50a.txt)."""
    worked_around.judge("nodes-ready")


def test_the_app_answers(worked_around: Lab) -> None:
    """The app is there for its users (000_ef3e953d37b9f50a.txt)."""
    worked_around.judge("app-reachable")


def test_app_data_is_kept(worked_around: Lab) -> None:
    """What the app was given to keep outlives the workaround (000_ef3e953d37b9f50a.txt)."""
    worked_around.judge("app-data-kept")


def test_secrets_are_kept(worked_around: Lab) -> None:
    """TLS secrets outlive it: keeping them is why etcd was persisted (000_ef3e953d37b9f50a.txt)."""
    worked_around.judge("secrets-kept")


def test_others_are_untouched(worked_around: Lab) -> None:
    """What is deleted by hand is nobody else's (000_ef3e953d37b9f50a.txt)."""
    worked_around.judge("foreign-untouched")
