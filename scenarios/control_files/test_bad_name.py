"""A restore is asked for by a name that no backup has, by none, or of an upload that broke off (incident 003).

The author of 003_dc68aa53602124f8.txt made the backup's folder and its description by hand: names get
mistyped there, and uploads break off.
"""

from __future__ import annotations

import pytest

from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE, DeployTool
from harness.tools.manager_tasks import Recover

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.1)

CASES = (
    CaseMatrix(
        scenario="bad_name",
        incident=INCIDENT,
        guarantees=(
            "bad-name-harmless",
            "no-unasked-seed",
            "writes-accounted",
            "archive-kept",
            "queue-drained",
            "disk-bounded",
        ),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=("wishes", "etcd-manager", "restores-before-check"),
        shapes=(ManagedSpec(),),
        moments=("wrong-name", "no-name", "cut-upload"),
        telling={"restores-before-check": ("wrong-name",)},
        quick=("wishes-*-wrong-name", "wishes-*-cut-upload", "restores-before-check-*"),
        write_gap_seconds=15.0,
    ),
)


@pytest.fixture(scope="module")
def mistyped(lab: Lab, case: CaseSpec, repair: DeployTool) -> Lab:
    """Given a healthy cluster with backups, when a restore of what is no backup is asked for."""
    with lab.start(case):
        lab.run(repair, Recover(backup=case.moment, restores=False))
        lab.let_pass(loops=6, backups=3)
    return lab


def test_it_is_harmless(mistyped: Lab) -> None:
    """A name is looked up before anything is stopped: the way back is no second 003_dc68aa53602124f8.txt."""
    mistyped.judge("bad-name-harmless")


def test_no_cluster_is_seeded_unasked(mistyped: Lab) -> None:
    """What can't be restored founds no cluster, empty as that of 003_dc68aa53602124f8.txt."""
    mistyped.judge("no-unasked-seed")


def test_every_write_is_accounted_for(mistyped: Lab) -> None:
    """A slip of the hand costs no data; all of it was gone in 003_dc68aa53602124f8.txt."""
    mistyped.judge("writes-accounted")


def test_the_archive_is_kept(mistyped: Lab) -> None:
    """Whatever was put aside meanwhile stays (003_dc68aa53602124f8.txt)."""
    mistyped.judge("archive-kept")


def test_the_queue_drains(mistyped: Lab) -> None:
    """A command nobody can carry out does not stay: it waits for the next restart (003_dc68aa53602124f8.txt)."""
    mistyped.judge("queue-drained")


def test_disks_stay_bounded(mistyped: Lab) -> None:
    """A restore that fails for ever fills no disk (003_dc68aa53602124f8.txt)."""
    mistyped.judge("disk-bounded")
