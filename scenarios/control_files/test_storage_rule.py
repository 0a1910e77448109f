"""A rule of the storage deletes what is old beneath the backup path, control files and backups alike (incident 003).

"What this pr did was adding an S3 lifecycle rule targeting <cluster-name>/backups/etcd/main to delete
snapshots older than 90days. [...] The lifecycle rule deleted these files alongside the snapshots"
(003_dc68aa53602124f8.txt).
"""

from __future__ import annotations

import pytest

from harness.faults import Fault
from harness.faults.control_files import SpecWrittenAgain
from harness.faults.machines import ALL, LEADER, MachineRestarted
from harness.faults.object_store import LifecycleApplied
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.1)

THEN: dict[str, tuple[Fault, ...]] = {
    "left-alone": (),
    "leader-restarted": (MachineRestarted(LEADER),),
    "kops-update": (SpecWrittenAgain(), MachineRestarted(ALL)),
}
CASES = (
    CaseMatrix(
        scenario="storage_rule",
        incident=INCIDENT,
        guarantees=(
            "rule-spares-control",
            "no-unasked-seed",
            "served-is-ours",
            "writes-accounted",
            "backups-fresh",
            "loss-alarmed",
            "disk-bounded",
        ),
        task=MANAGE,
        traffic=TRAFFIC,
        variants=("wishes", "etcd-manager", "control-in-backups"),
        shapes=(ManagedSpec(store="s3"), ManagedSpec(store="file")),
        moments=tuple(THEN),
        telling={"control-in-backups": ("left-alone",)},
        quick=("*-s3-left-alone", "etcd-manager-*-s3-kops-update", "wishes-*-file-kops-update"),
    ),
)


@pytest.fixture(scope="module")
def tidied(lab: Lab, case: CaseSpec) -> Lab:
    """Given a healthy cluster that is backed up, when the rule goes over its backup path, and then that happens."""
    with lab.start(case):
        lab.inject_in_turn(LifecycleApplied(prefix="", days=90))
        lab.inject_in_turn(*THEN[case.moment])
        lab.let_pass(loops=3, backups=3)
    return lab


def test_the_rule_spares_control_files(tidied: Lab) -> None:
    """What is no backup is not kept where only backups should be: the first wish of 003_dc68aa53602124f8.txt."""
    tidied.judge("rule-spares-control")


def test_no_cluster_is_seeded_unasked(tidied: Lab) -> None:
    """A rule about old files is no leave to found a cluster; it came to that in 003_dc68aa53602124f8.txt."""
    tidied.judge("no-unasked-seed")


def test_what_is_served_is_ours(tidied: Lab) -> None:
    """Users go on finding their own state; not so in 003_dc68aa53602124f8.txt."""
    tidied.judge("served-is-ours")


def test_every_write_is_accounted_for(tidied: Lab) -> None:
    """What was acknowledged is there; all of it was gone in 003_dc68aa53602124f8.txt."""
    tidied.judge("writes-accounted")


def test_backups_go_on(tidied: Lab) -> None:
    """New backups take the place of those that were tidied away; none came any more in 003_dc68aa53602124f8.txt."""
    tidied.judge("backups-fresh")


def test_the_loss_is_alarmed(tidied: Lab) -> None:
    """Somebody is told that every backup is gone; one line of info was all in 003_dc68aa53602124f8.txt."""
    tidied.judge("loss-alarmed")


def test_disks_stay_bounded(tidied: Lab) -> None:
    """Whatever follows fills no disk (003_dc68aa53602124f8.txt)."""
    tidied.judge("disk-bounded")
