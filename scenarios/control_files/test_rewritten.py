"""Somebody writes the control files again by hand, in either order, before anything restarts (incident 003).

"I created these control files manually in the s3 bucket. However the etcd-manager did not pick up on these"
(003_dc68aa53602124f8.txt, on its other clusters).
"""

from __future__ import annotations

import pytest

from harness.faults.control_files import ControlFilesGone
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
        scenario="rewritten",
        incident=INCIDENT,
        guarantees=(
            "no-unasked-seed",
            "served-is-ours",
            "writes-accounted",
            "backups-fresh",
            "archive-kept",
            "disk-bounded",
        ),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=("wishes", "etcd-manager", "seeds-silently"),
        shapes=(ManagedSpec(),),
        moments=("marker-first", "spec-first", "marker-first-restarted", "spec-first-restarted", "half-written"),
        telling={"seeds-silently": ("spec-first", "half-written")},
        quick=("wishes-*-half-written", "etcd-manager-*-marker-first", "etcd-manager-*-spec-first"),
    ),
)


@pytest.fixture(scope="module")
def rewritten(lab: Lab, case: CaseSpec, repair: DeployTool) -> Lab:
    """Given a cluster whose control files are gone, when an operator writes them again this way."""
    with lab.start(case):
        lab.inject_in_turn(ControlFilesGone())
        lab.run(repair, Recover(restores=False))
        lab.let_pass(loops=3, backups=3)
    return lab


def test_no_cluster_is_seeded_unasked(rewritten: Lab) -> None:
    """A repair that is half done must not be worse than none: a spec alone was enough in 003_dc68aa53602124f8.txt."""
    rewritten.judge("no-unasked-seed")


def test_what_is_served_is_ours(rewritten: Lab) -> None:
    """Users notice nothing of the repair; they did of the outage of 003_dc68aa53602124f8.txt."""
    rewritten.judge("served-is-ours")


def test_every_write_is_accounted_for(rewritten: Lab) -> None:
    """The repair costs no data (003_dc68aa53602124f8.txt)."""
    rewritten.judge("writes-accounted")


def test_backups_go_on(rewritten: Lab) -> None:
    """With its control files back the cluster is backed up; it was not until a restart in 003_dc68aa53602124f8.txt."""
    rewritten.judge("backups-fresh")


def test_the_archive_is_kept(rewritten: Lab) -> None:
    """Whatever was put aside meanwhile stays (003_dc68aa53602124f8.txt)."""
    rewritten.judge("archive-kept")


def test_disks_stay_bounded(rewritten: Lab) -> None:
    """The repair fills no disk (003_dc68aa53602124f8.txt)."""
    rewritten.judge("disk-bounded")
