"""An operator restores a backup of a cluster that is there, or asks for one that is none (incident 003).

``etcd-manager-ctl restore-backup`` is step 9 of the way back in 003_dc68aa53602124f8.txt, and the only
one that a manager itself carries out.
"""

from __future__ import annotations

import pytest

from harness.expectations.managed import restored
from harness.faults import Fault
from harness.faults.machines import ALL, MachineKilled
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE, DeployTool
from harness.tools.manager_tasks import NEWEST, OLDEST, Recover

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.1)

BACKUP = {
    "restore-backup.oldest": OLDEST,
    "restore-backup.newest": NEWEST,
    "restore-backup.power-cut": NEWEST,
    "tells-nothing": OLDEST,
    "forgets-restart": OLDEST,
}
# The first attempt is asked for, and the power fails while managers are at it; then it is asked for again.
FIRST = {"restore-backup.power-cut": (Recover(backup=NEWEST, stop_after="restore"),)}
CUT: dict[str, tuple[Fault, ...]] = {"restore-backup.power-cut": (MachineKilled(ALL),)}
CASES = (
    CaseMatrix(
        scenario="restore_backup",
        incident=INCIDENT,
        guarantees=(
            "restore-complete",
            "restore-loss-told",
            "served-is-ours",
            "writes-accounted",
            "no-unasked-seed",
            "backups-fresh",
            "archive-kept",
            "queue-drained",
            "disk-bounded",
        ),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=("wishes", "etcd-manager", "serves-before-restored", "restores-one-member", "purges-archive"),
        shapes=(ManagedSpec(),),
        moments=tuple(BACKUP),
        telling={
            "wishes": ("restore-backup.oldest", "restore-backup.newest", "restore-backup.power-cut"),
            "serves-before-restored": ("restore-backup.newest",),
            "restores-one-member": ("restore-backup.newest",),
            "purges-archive": ("restore-backup.newest",),
        },
        quick=(
            "wishes-*-restore-backup.newest",
            "wishes-*-oldest",
            "wishes-*-power-cut",
            "etcd-manager-*-tells-nothing",
            "etcd-manager-*-forgets-restart",
            "serves-*",
            "restores-*",
            "purges-*",
        ),
    ),
)


@pytest.fixture(scope="module")
def gone_back(lab: Lab, case: CaseSpec, repair: DeployTool) -> Lab:
    """Given a healthy cluster with backups, when one of them is restored."""
    with lab.start(case) as cluster:
        lab.let_traffic_write(20)
        lab.let_pass(loops=1, backups=2)
        lab.run_in_turn(repair, *FIRST.get(case.moment, ()))
        lab.inject(*CUT.get(case.moment, ()))
        lab.heal(*CUT.get(case.moment, ()))
        lab.run(repair, Recover(backup=BACKUP[case.moment]))
        lab.observe(*restored(cluster))
        lab.let_pass(loops=3, backups=3)
    return lab


def test_the_restore_is_complete(gone_back: Lab) -> None:
    """All members serve the backup's data in one cluster; half of it is a new 003_dc68aa53602124f8.txt."""
    gone_back.judge("restore-complete")


def test_the_loss_is_told(gone_back: Lab) -> None:
    """Revisions and leases a restore takes away are told, or watchers go on in a world that is gone.

    Kubelets and new pods of 003_dc68aa53602124f8.txt stood still after it, and nobody knew why.
    """
    gone_back.judge("restore-loss-told")


def test_what_is_served_is_ours(gone_back: Lab) -> None:
    """Nobody is served half of a restore, nor the old cluster after the new one (003_dc68aa53602124f8.txt)."""
    gone_back.judge("served-is-ours")


def test_every_write_is_accounted_for(gone_back: Lab) -> None:
    """What was acknowledged before the backup is there, what came after is counted (003_dc68aa53602124f8.txt)."""
    gone_back.judge("writes-accounted")


def test_no_cluster_is_seeded_unasked(gone_back: Lab) -> None:
    """One restore makes one cluster, and no other as in 003_dc68aa53602124f8.txt."""
    gone_back.judge("no-unasked-seed")


def test_backups_go_on(gone_back: Lab) -> None:
    """The restored cluster is backed up as well; the next 003_dc68aa53602124f8.txt comes."""
    gone_back.judge("backups-fresh")


def test_the_archive_is_kept(gone_back: Lab) -> None:
    """What the restore put aside stays, until somebody has looked (003_dc68aa53602124f8.txt)."""
    gone_back.judge("archive-kept")


def test_the_queue_drains(gone_back: Lab) -> None:
    """A command that stays in the queue is carried out again by the next leader (003_dc68aa53602124f8.txt)."""
    gone_back.judge("queue-drained")


def test_disks_stay_bounded(gone_back: Lab) -> None:
    """A restore that is tried again and again fills no disk (003_dc68aa53602124f8.txt)."""
    gone_back.judge("disk-bounded")
