"""A deployment in use is stopped, which deletes its cluster, and started again over what it kept (incident 000)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.expectations.deployment import RECOVERED_DEPLOYMENT
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start, Stop

INCIDENT = "000_ef3e953d37b9f50a.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

BINARY, TEXT, NONE = (DeploymentSpec(secrets=secrets) for secrets in ("binary", "text", "none"))
WITHOUT_JQ = DeploymentSpec(jq=False)
UPGRADED = DeploymentSpec(kubernetes="1.33.13", etcd="3.5.21", then_kubernetes="1.34.4", then_etcd="3.6.6")
DOWNGRADED = DeploymentSpec(kubernetes="1.34.4", etcd="3.6.6", then_kubernetes="1.33.13", then_etcd="3.5.21")

EVERY_VARIANT = CaseMatrix(
    scenario="stop_and_start",
    incident=INCIDENT,
    guarantees=(
        "restart-succeeds",
        "api-service-present",
        "system-workloads-stable",
        "nodes-ready",
        "bootstrap-rbac-present",
        "objects-decode",
        "fresh-pod-works",
        "app-reachable",
        "app-data-kept",
        "secrets-kept",
        "foreign-workloads-kept",
        "ready-when-done",
        "foreign-untouched",
    ),
    task=DEPLOY,
    variants=(
        "faithful",
        "keep-caddy",
        "keep-caddy-exact",
        "keep-core",
        "wipe",
        "corrupts-binary",
        "drops-rbac",
        "drops-cni",
        "other-etcd",
    ),
    shapes=(BINARY, TEXT, NONE),
    quick=("faithful-kind-1-binary", "keep-caddy-kind-1-binary"),
    traffic=None,
)
CASES = (
    EVERY_VARIANT,
    replace(EVERY_VARIANT, variants=("faithful", "keep-caddy"), shapes=(WITHOUT_JQ,)),
    replace(EVERY_VARIANT, variants=("faithful", "keep-core"), shapes=(UPGRADED, DOWNGRADED)),
)


@pytest.fixture(scope="module")
def started_again(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a deployment in use, when it is stopped and started again."""
    with lab.start(case, tool):
        lab.run(tool, Stop())
        lab.run(tool, Start())
        lab.observe(*RECOVERED_DEPLOYMENT)
    return lab


def test_start_succeeds(started_again: Lab) -> None:
    """The start says in time that it is done: nobody can go on from one that does not (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("restart-succeeds")


def test_the_api_service_is_there(started_again: Lab) -> None:
    """Pods find the API by the Service default/kubernetes; its key was wiped in 000_ef3e953d37b9f50a.txt."""
    started_again.judge("api-service-present")


def test_system_workloads_are_stable(started_again: Lab) -> None:
    """kindnet, DNS and storage run, and go on running; kindnet panicked for ever in 000_ef3e953d37b9f50a.txt."""
    started_again.judge("system-workloads-stable")


def test_nodes_are_ready(started_again: Lab) -> None:
    """The node takes pods; without its network it never became Ready (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("nodes-ready")


def test_bootstrap_rights_are_there(started_again: Lab) -> None:
    """Whoever cleans up etcd keeps the roles kubeadm made, or the admin is locked out (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("bootstrap-rbac-present")


def test_every_object_decodes(started_again: Lab) -> None:
    """What was put back into etcd can be read again, binary values included (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("objects-decode")


def test_a_fresh_pod_works(started_again: Lab) -> None:
    """New pods are scheduled and find DNS, the API and storage; none could be in 000_ef3e953d37b9f50a.txt."""
    started_again.judge("fresh-pod-works")


def test_the_app_answers(started_again: Lab) -> None:
    """The app is there for its users, over HTTP and TLS: that is what a start is for (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("app-reachable")


def test_app_data_is_kept(started_again: Lab) -> None:
    """A stop deletes the cluster, never what the app was given to keep (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("app-data-kept")


def test_secrets_are_kept(started_again: Lab) -> None:
    """TLS secrets are there byte for byte: keeping them is why etcd was persisted (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("secrets-kept")


def test_neighbours_are_kept_or_told(started_again: Lab) -> None:
    """What others run there survives, or its loss is told; it was lost without a word in 000_ef3e953d37b9f50a.txt."""
    started_again.judge("foreign-workloads-kept")


def test_done_is_done(started_again: Lab) -> None:
    """A start that says it is done has the app answering, right then (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("ready-when-done")


def test_others_are_untouched(started_again: Lab) -> None:
    """Whatever else runs on this engine is what it was: the workaround deletes clusters (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("foreign-untouched")
