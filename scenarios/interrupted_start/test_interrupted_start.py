"""A first start is interrupted, at named moments and by each means, and then simply started again (incident 001)."""

from __future__ import annotations

import pytest

from harness.cuts import Cut, CutPoint, Means, Moment
from harness.expectations.deployment import APP_REACHABLE
from harness.expectations.kubernetes import API_SERVICE_PRESENT, NODES_READY, SYSTEM_WORKLOADS_STABLE
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools import DEPLOY, DeployTool
from harness.tools.deployments import Start

INCIDENT = "001_398af5f43316f612.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

CREATING = CutPoint("kind create cluster", Moment.BEFORE)
CREATED = CutPoint("kind create cluster", Moment.AFTER)
INGRESS_BEGUN = CutPoint("api * namespaces caddy-system", Moment.AFTER)
# Its pod never comes, so nobody takes it for ready: the window of the incident, however fast the machine is.
INGRESS_HALF = CutPoint("api * deployments.apps caddy-system/*", Moment.BEFORE)
INGRESS_INSTALLED = CutPoint("api * deployments.apps caddy-system/*", Moment.AFTER)
# Tools name the app's namespace as they like; it is not the ingress's.
APP_HALF = CutPoint("api * deployments.apps [!c]*/*", Moment.BEFORE)

CUTS = {
    "creating-ctrl-c": Cut(Means.SIGINT_GROUP, CREATING, after_seconds=6),
    "creating-tool-killed": Cut(Means.SIGKILL_TOOL, CREATING, after_seconds=6),
    "created-killed": Cut(Means.SIGKILL_GROUP, CREATED),
    "ingress-begun-killed": Cut(Means.SIGKILL_GROUP, INGRESS_BEGUN),
    "ingress-half-timeout": Cut(Means.TIMEOUT, INGRESS_HALF),
    "ingress-installed-terminated": Cut(Means.SIGTERM, INGRESS_INSTALLED),
    "app-half-ctrl-c": Cut(Means.SIGINT_GROUP, APP_HALF),
}

CASES = (
    CaseMatrix(
        scenario="interrupted_start",
        incident=INCIDENT,
        guarantees=(
            "restart-succeeds",
            "app-reachable",
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
        quick=(),  # minutes each; the nightly plays them all
        moments=tuple(CUTS),
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def started_again(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given nothing yet, when a start is interrupted and then started again."""
    with lab.start(case, tool):
        lab.run(tool, Start(cut=CUTS[case.moment]))
        lab.run(tool, Start())
        lab.observe(APP_REACHABLE, API_SERVICE_PRESENT, SYSTEM_WORKLOADS_STABLE, NODES_READY)
    return lab


def test_start_succeeds_again(started_again: Lab) -> None:
    """Starting again is the whole of the recovery; every retry failed in 001_398af5f43316f612.txt."""
    started_again.judge("restart-succeeds")


def test_the_app_answers(started_again: Lab) -> None:
    """The app is there for its users; it was never reached in 001_398af5f43316f612.txt."""
    started_again.judge("app-reachable")


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
