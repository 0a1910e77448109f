"""Months after the control files vanished, ``kops update cluster`` writes the spec again (incident 003).

"Trigger: a restart of the etcd-manager (issued via a kops update cluster command)"
(003_dc68aa53602124f8.txt); the dry run had said that a ManagedFile etcd-cluster-spec would be created.
"""

from __future__ import annotations

import pytest

from harness.faults import Fault
from harness.faults.control_files import ControlFilesGone, SpecWrittenAgain
from harness.faults.machines import ALL, FOLLOWER, LEADER, MachineRestarted
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.1)

UPDATE: dict[str, tuple[Fault, ...]] = {
    "written": (SpecWrittenAgain(),),
    "written-all-restarted": (SpecWrittenAgain(), MachineRestarted(ALL)),
    "written-rolling": (SpecWrittenAgain(), MachineRestarted(FOLLOWER), MachineRestarted(LEADER)),
    "restarted-first": (MachineRestarted(ALL), SpecWrittenAgain()),
}
CASES = (
    CaseMatrix(
        scenario="kops_update",
        incident=INCIDENT,
        guarantees=(
            "no-unasked-seed",
            "served-is-ours",
            "writes-accounted",
            "backups-fresh",
            "loss-alarmed",
            "archive-kept",
            "disk-bounded",
        ),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=("wishes", "etcd-manager", "seeds-silently"),
        shapes=(ManagedSpec(),),
        moments=tuple(UPDATE),
        telling={"seeds-silently": ("written-all-restarted",)},
        quick=("wishes-*-written-all-restarted", "etcd-manager-*-written-all-restarted", "seeds-silently-*"),
    ),
)


@pytest.fixture(scope="module")
def updated(lab: Lab, case: CaseSpec) -> Lab:
    """Given a cluster whose control files are gone, when kops writes the spec again and machines restart."""
    with lab.start(case):
        lab.inject_in_turn(ControlFilesGone())
        lab.inject_in_turn(*UPDATE[case.moment])
        lab.let_pass(loops=3, backups=3)
    return lab


def test_no_cluster_is_seeded_unasked(updated: Lab) -> None:
    """Writing a spec is no leave to found a cluster: it was taken for one in 003_dc68aa53602124f8.txt."""
    updated.judge("no-unasked-seed")


def test_what_is_served_is_ours(updated: Lab) -> None:
    """Users find their own state after an update, not an empty one as in 003_dc68aa53602124f8.txt."""
    updated.judge("served-is-ours")


def test_every_write_is_accounted_for(updated: Lab) -> None:
    """What was acknowledged before the update is there after it; not so in 003_dc68aa53602124f8.txt."""
    updated.judge("writes-accounted")


def test_backups_go_on(updated: Lab) -> None:
    """Backups are taken before and after: the last of 003_dc68aa53602124f8.txt was two months old."""
    updated.judge("backups-fresh")


def test_the_loss_is_alarmed(updated: Lab) -> None:
    """The alarm comes before the update, while there is time: nobody was warned in 003_dc68aa53602124f8.txt."""
    updated.judge("loss-alarmed")


def test_the_archive_is_kept(updated: Lab) -> None:
    """Old data that an update puts aside stays: "luckily etcd-manager archives" it (003_dc68aa53602124f8.txt)."""
    updated.judge("archive-kept")


def test_disks_stay_bounded(updated: Lab) -> None:
    """An update that goes wrong does not fill disks as well (003_dc68aa53602124f8.txt)."""
    updated.judge("disk-bounded")
