"""Control files vanish or break beneath the backup path, and machines restart, die or are left alone (incident 003).

In 003_dc68aa53602124f8.txt both were deleted in January; backups stopped without a word, and a restart
three months later swapped the live cluster for an empty one.
"""

from __future__ import annotations

import pytest

from harness.faults import Fault
from harness.faults.control_files import (
    BackupPathGone,
    ControlFilesGone,
    MarkerEmpty,
    MarkerGone,
    SpecGone,
    SpecTruncated,
)
from harness.faults.machines import ALL, FOLLOWER, LEADER, MachineKilled, MachineRestarted
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.1)

DAMAGE: dict[str, Fault] = {
    "marker-gone": MarkerGone(),
    "spec-gone": SpecGone(),
    "both-gone": ControlFilesGone(),
    "marker-empty": MarkerEmpty(),
    "spec-truncated": SpecTruncated(),
    "path-gone": BackupPathGone(),
}
THEN: dict[str, tuple[Fault, ...]] = {
    "left-alone": (),
    "leader-restarted": (MachineRestarted(LEADER),),
    "follower-restarted": (MachineRestarted(FOLLOWER),),
    "all-restarted": (MachineRestarted(ALL),),
    "leader-killed": (MachineKilled(LEADER),),
    "follower-killed": (MachineKilled(FOLLOWER),),
    "all-killed": (MachineKilled(ALL),),
}
MOMENTS = tuple(f"{damage}.{then}" for damage in DAMAGE for then in THEN)

CASES = (
    CaseMatrix(
        scenario="control_files_gone",
        incident=INCIDENT,
        guarantees=(
            "no-unasked-seed",
            "served-is-ours",
            "writes-accounted",
            "backups-fresh",
            "backups-restorable",
            "loss-alarmed",
            "archive-kept",
            "disk-bounded",
        ),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=(
            "wishes",
            "etcd-manager",
            "seeds-silently",
            "caches-spec",
            "backs-up-with-spec-only",
            "seeds-on-unreadable-marker",
            "reports-untaken-backup",
            "empty-snapshots",
        ),
        shapes=(ManagedSpec(),),
        moments=MOMENTS,
        telling={
            "seeds-silently": ("marker-gone.left-alone",),
            "caches-spec": ("spec-gone.left-alone",),
            "backs-up-with-spec-only": ("spec-gone.left-alone",),
            "seeds-on-unreadable-marker": ("marker-empty.left-alone",),
            "reports-untaken-backup": ("both-gone.left-alone",),
            "empty-snapshots": ("both-gone.left-alone",),
        },
        quick=(
            "wishes-*-both-gone.all-restarted",
            "wishes-*-marker-gone.leader-killed",
            "etcd-manager-*-both-gone.left-alone",
            "etcd-manager-*-marker-gone.leader-restarted",
            "seeds-*",
            "caches-*",
            "backs-*",
            "reports-*",
            "empty-*",
        ),
    ),
)


@pytest.fixture(scope="module")
def damaged(lab: Lab, case: CaseSpec) -> Lab:
    """Given a healthy cluster that is backed up, when control files are damaged, and then that befalls machines."""
    damage, then = case.moment.split(".")
    with lab.start(case):
        lab.inject_in_turn(DAMAGE[damage])
        lab.inject_in_turn(*THEN[then])
        lab.heal(*THEN[then])
        lab.let_pass(loops=3, backups=3)
    return lab


def test_no_cluster_is_seeded_unasked(damaged: Lab) -> None:
    """A cluster that is there is never swapped for an empty one: that was the outage of 003_dc68aa53602124f8.txt."""
    damaged.judge("no-unasked-seed")


def test_what_is_served_is_ours(damaged: Lab) -> None:
    """Who answers is the cluster there was; clients of 003_dc68aa53602124f8.txt were served an empty one."""
    damaged.judge("served-is-ours")


def test_every_write_is_accounted_for(damaged: Lab) -> None:
    """What was acknowledged is there at the end; in 003_dc68aa53602124f8.txt all of it was gone."""
    damaged.judge("writes-accounted")


def test_backups_go_on(damaged: Lab) -> None:
    """A damaged control file is no reason to back nothing up: in 003_dc68aa53602124f8.txt that went on for months."""
    damaged.judge("backups-fresh")


def test_backups_restore(damaged: Lab) -> None:
    """Each backup that was reported restores with all of its time: who reads 003_dc68aa53602124f8.txt needs one."""
    damaged.judge("backups-restorable")


def test_the_loss_is_alarmed(damaged: Lab) -> None:
    """Somebody is told while the cluster still runs; in 003_dc68aa53602124f8.txt one line of info was all."""
    damaged.judge("loss-alarmed")


def test_the_archive_is_kept(damaged: Lab) -> None:
    """Old data that was put aside stays: it was the only way back in 003_dc68aa53602124f8.txt."""
    damaged.judge("archive-kept")


def test_disks_stay_bounded(damaged: Lab) -> None:
    """Whoever tries again and again fills no disk, which would end the way back of 003_dc68aa53602124f8.txt."""
    damaged.judge("disk-bounded")
