"""The store is out of reach, slow, denied or read-only for a while, and machines restart meanwhile (incident 003).

In 003_dc68aa53602124f8.txt a file that was not there meant a new cluster. A store that does not say
whether it is there must never mean that.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.faults import Fault
from harness.faults.machines import ALL, LEADER, MachineKilled, MachineRestarted
from harness.faults.object_store import StoreDenied, StoreReadOnly, StoreSlow, StoreUnreachable
from harness.lab import Lab
from harness.spec import CaseMatrix, CaseSpec, ManagedSpec, TrafficSpec
from harness.tools.deploy_tool import MANAGE

INCIDENT = "003_dc68aa53602124f8.txt"
pytestmark = [pytest.mark.etcd, pytest.mark.incident(INCIDENT)]
# Enough to tell whose answers they are; backups stay small.
TRAFFIC = TrafficSpec(writers=1, readers=1, pause_seconds=0.1)

TROUBLE: dict[str, Fault] = {
    "unreachable": StoreUnreachable(),
    "slow": StoreSlow(),
    "denied": StoreDenied(),
    "read-only": StoreReadOnly(),
}
THEN: dict[str, tuple[Fault, ...]] = {
    "left-alone": (),
    "leader-restarted": (MachineRestarted(LEADER),),
    "all-restarted": (MachineRestarted(ALL),),
    "leader-killed": (MachineKilled(LEADER),),
}
GUARANTEES = (
    "no-unasked-seed",
    "served-is-ours",
    "writes-accounted",
    "backups-fresh",
    "backups-restorable",
    "archive-kept",
    "disk-bounded",
)
OVER_S3 = CaseMatrix(
    scenario="store_trouble",
    incident=INCIDENT,
    guarantees=GUARANTEES,
    task=MANAGE,
    traffic=TRAFFIC,
    variants=("wishes", "etcd-manager", "seeds-on-unreadable-marker"),
    shapes=(ManagedSpec(store="s3"),),
    moments=tuple(f"{trouble}.{then}" for trouble in TROUBLE for then in THEN),
    telling={"seeds-on-unreadable-marker": ("denied.all-restarted",)},
    quick=("wishes-*-slow.left-alone", "wishes-*-denied.all-restarted", "etcd-manager-*-read-only.leader-restarted"),
)
OVER_FILES = replace(
    OVER_S3,
    shapes=(ManagedSpec(store="file"),),
    moments=tuple(f"unreachable.{then}" for then in THEN),
    telling={"seeds-on-unreadable-marker": ("unreachable.all-restarted",)},
    quick=("wishes-*-unreachable.all-restarted", "etcd-manager-*-unreachable.leader-restarted", "seeds-*"),
)
CASES = (OVER_FILES, OVER_S3)


@pytest.fixture(scope="module")
def endured(lab: Lab, case: CaseSpec) -> Lab:
    """Given a healthy cluster that is backed up, when its store is in trouble, that happens, and the trouble ends."""
    trouble, then = case.moment.split(".")
    with lab.start(case):
        lab.inject_in_turn(TROUBLE[trouble])
        lab.inject_in_turn(*THEN[then])
        lab.heal(*THEN[then])
        lab.let_pass(loops=3, backups=1)
        lab.heal(TROUBLE[trouble])
        lab.let_pass(loops=3, backups=3)
    return lab


def test_no_cluster_is_seeded_unasked(endured: Lab) -> None:
    """No answer is not the answer "there is none", which led to a new cluster in 003_dc68aa53602124f8.txt."""
    endured.judge("no-unasked-seed")


def test_what_is_served_is_ours(endured: Lab) -> None:
    """A cluster does not need its backup store to serve what it has (003_dc68aa53602124f8.txt)."""
    endured.judge("served-is-ours")


def test_every_write_is_accounted_for(endured: Lab) -> None:
    """Trouble with a store costs no data, as vanished files did in 003_dc68aa53602124f8.txt."""
    endured.judge("writes-accounted")


def test_backups_go_on(endured: Lab) -> None:
    """Once the store is back so are the backups; in 003_dc68aa53602124f8.txt they never came again."""
    endured.judge("backups-fresh")


def test_backups_restore(endured: Lab) -> None:
    """No half-written backup passes for one: it would be all there is after 003_dc68aa53602124f8.txt."""
    endured.judge("backups-restorable")


def test_the_archive_is_kept(endured: Lab) -> None:
    """Old data that was put aside stays: it was the only way back in 003_dc68aa53602124f8.txt."""
    endured.judge("archive-kept")


def test_disks_stay_bounded(endured: Lab) -> None:
    """Whoever tries again and again fills no disk (003_dc68aa53602124f8.txt)."""
    endured.judge("disk-bounded")
