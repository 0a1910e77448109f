"""Secrets are kept in a file beside the cluster (incident 000, fix option 3): the file is there, empty, or gone."""

from __future__ import annotations

import pytest

from harness.expectations.deployment import APP_DATA_KEPT, RECOVERED_CLUSTER, SECRETS_KEPT
from harness.faults import Fault
from harness.faults.deployment import BackupEmptied, BackupMissing
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, DeploymentSpec
from harness.tools.deploy_tool import DEPLOY, DeployTool
from harness.tools.deployments import Start, Stop

INCIDENT = "000_ef3e953d37b9f50a.txt"
pytestmark = [pytest.mark.kind, pytest.mark.incident(INCIDENT)]

BACKUP: dict[str, tuple[Fault, ...]] = {"present": (), "empty": (BackupEmptied(),), "missing": (BackupMissing(),)}


CASES = (
    CaseMatrix(
        scenario="secret_backup",
        incident=INCIDENT,
        guarantees=(
            "secret-loss-told",
            "app-data-kept",
            "system-workloads-stable",
        ),
        task=DEPLOY,
        variants=("backup-secrets", "trusts-backup"),
        shapes=(DeploymentSpec(),),
        quick=(),  # minutes each; the nightly plays them all
        moments=tuple(BACKUP),
        traffic=None,
    ),
)


@pytest.fixture(scope="module")
def started_again(lab: Lab, case: CaseSpec, tool: DeployTool) -> Lab:
    """Given a deployment in use, when something becomes of its secrets' backup between a stop and a start."""
    with lab.start(case, tool):
        lab.run(tool, Stop())
        lab.inject(*BACKUP[case.moment])
        lab.run(tool, Start())
        lab.observe(*RECOVERED_CLUSTER, APP_DATA_KEPT, SECRETS_KEPT)
    return lab


def test_loss_is_told(started_again: Lab) -> None:
    """A secret that can't be brought back is named, or the start refuses (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("secret-loss-told")


def test_app_data_is_kept(started_again: Lab) -> None:
    """What the app was given to keep has nothing to do with the secrets' backup (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("app-data-kept")


def test_system_workloads_are_stable(started_again: Lab) -> None:
    """kindnet, DNS and storage run, whatever became of the backup (000_ef3e953d37b9f50a.txt)."""
    started_again.judge("system-workloads-stable")
