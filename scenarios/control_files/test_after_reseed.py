"""The way back after the live cluster was swapped for an empty one: twelve steps, and other ways (incident 003).

"Luckily etcd-manager archives the old etcd datadir to *-trashcan. The steps how it was recoverable are
done as follow" (003_dc68aa53602124f8.txt): the db file alone, of one machine. Beside it: an older backup,
every machine's db, whole directories with their write-ahead log, an operator who is cut off and begins again.

Clients hold still while the cluster is swapped. If they don't, the db file of an etcd that was killed
may lack the last write it acknowledged, which can be in its write-ahead log only: `trash-can.while-written`
is that case, and ends as chance has it.
"""

from __future__ import annotations

import pytest

from harness.expectations.managed import restored
from harness.faults.control_files import ControlFilesGone, SpecWrittenAgain
from harness.faults.machines import ALL, MachineKilled
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE, DeployTool
from harness.tools.manager_tasks import NEWEST, OLDEST, Recover

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.1)

# What is tried first and cut off; then the procedure is begun anew.
FIRST: dict[str, tuple[Recover, ...]] = {
    "trash-can.cut-before-upload": (Recover(stop_after="copy_db_of_one"),),
    "trash-can.cut-after-upload": (Recover(stop_after="upload_as_backup"),),
    "trash-can.cut-after-restore": (Recover(stop_after="restore"),),
}
WHILE_WRITTEN = "trash-can.while-written"
BACKUP = {"restore-backup.oldest": OLDEST, "restore-backup.newest": NEWEST}
WAYS = (
    *BACKUP,
    "trash-can",
    "trash-can-fullest",
    "whole-directory",
    "whole-directory-fullest",
    *FIRST,
    "empties-trash",
    "without-meta",
    WHILE_WRITTEN,
)
CASES = (
    CaseMatrix(
        scenario="after_reseed",
        incident=INCIDENT,
        guarantees=(
            "restore-complete",
            "restore-loss-told",
            "writes-accounted",
            "backups-fresh",
            "archive-kept",
            "queue-drained",
            "disk-bounded",
        ),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=("etcd-manager", "seeds-silently"),
        shapes=(ManagedSpec(),),
        moments=WAYS,
        telling={"seeds-silently": ("trash-can", "whole-directory-fullest")},
        quick=("etcd-manager-*-trash-can", "etcd-manager-*-whole-directory-fullest", "etcd-manager-*-empties-trash"),
    ),
)


@pytest.fixture(scope="module")
def recovered(lab: Lab, case: CaseSpec, repair: DeployTool) -> Lab:
    """Given the incident's empty cluster in place of the live one, when an operator goes this way."""
    with lab.start(case) as cluster:
        lab.let_traffic_write(20)
        lab.inject_in_turn(ControlFilesGone())
        with lab.hold_traffic(really=case.moment != WHILE_WRITTEN):
            lab.inject(MachineKilled(ALL), SpecWrittenAgain())
            lab.heal(MachineKilled(ALL))
            lab.let_pass(loops=6)
        lab.let_pass(loops=0, backups=1)
        lab.run_in_turn(repair, *FIRST.get(case.moment, ()))
        lab.run(repair, Recover(backup=BACKUP.get(case.moment, "")))
        lab.observe(*restored(cluster))
        lab.let_pass(loops=3, backups=3)
    return lab


def test_the_restore_is_complete(recovered: Lab) -> None:
    """All members serve what was saved, in one cluster: the end of the outage of 003_dc68aa53602124f8.txt."""
    recovered.judge("restore-complete")


def test_the_loss_is_told(recovered: Lab) -> None:
    """Revisions and leases that are gone are told; kubelets of 003_dc68aa53602124f8.txt had to be restarted."""
    recovered.judge("restore-loss-told")


def test_every_write_is_accounted_for(recovered: Lab) -> None:
    """What the old cluster acknowledged is there or counted, and the empty one's as well (003_dc68aa53602124f8.txt)."""
    recovered.judge("writes-accounted")


def test_backups_go_on(recovered: Lab) -> None:
    """The cluster that came back is backed up: that had ended in 003_dc68aa53602124f8.txt."""
    recovered.judge("backups-fresh")


def test_the_archive_is_kept(recovered: Lab) -> None:
    """The trash can is not emptied by the way back: it may be needed again (003_dc68aa53602124f8.txt)."""
    recovered.judge("archive-kept")


def test_the_queue_drains(recovered: Lab) -> None:
    """No restore waits for the next restart (003_dc68aa53602124f8.txt)."""
    recovered.judge("queue-drained")


def test_disks_stay_bounded(recovered: Lab) -> None:
    """Each restore puts data aside; whoever tries for ever fills disks (003_dc68aa53602124f8.txt)."""
    recovered.judge("disk-bounded")
