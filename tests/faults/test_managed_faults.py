"""Faults of managed clusters bite, and what does not bite is refused or told."""

import time

import pytest

from harness.clusters.managed import ManagedCluster, ManagedSetup
from harness.clusters.managed_stores import open_stores
from harness.clusters.ownership import Ownership, owned_processes
from harness.control_files import MARKER, SPEC, backups_among
from harness.errors import FaultError
from harness.faults.control_files import (
    BackupPathGone,
    ControlFilesGone,
    MarkerEmpty,
    MarkerGone,
    MarkerWrittenAgain,
    SpecGone,
    SpecTruncated,
    SpecWrittenAgain,
)
from harness.faults.machines import ALL, FOLLOWER, LEADER, MachineKilled, MachineRestarted, ManagersKilled
from harness.faults.object_store import LifecycleApplied, StoreDenied, StoreUnreachable
from harness.journal import Journal
from harness.shapes import ManagedSpec
from harness.spec import REFERENCE, Target
from harness.tools.managers import manager_program
from harness.waiting import until

pytestmark = pytest.mark.etcd
REPAIRS = (SpecWrittenAgain(), MarkerWrittenAgain())


@pytest.fixture(scope="module")
def managed(tmp_path_factory, releases):
    """One cluster under a manager that founds none unasked, for all tests here."""
    work = tmp_path_factory.mktemp("managed")
    owner = Ownership(f"test-{time.time_ns()}", work / "owned")
    stores = open_stores(work / "owned" / "stores", owner)
    program = manager_program(Target(REFERENCE, "wishes"), releases)
    journal = Journal(work / "journal.jsonl", time.monotonic)
    setup = ManagedSetup(program, stores.backups, stores.apart, stores.environment)
    cluster = ManagedCluster(ManagedSpec(), setup, work / "owned" / "machines", journal, owner)
    cluster.start()
    await_backup(cluster)
    yield cluster
    assert cluster.remove() == []
    journal.seal()
    owner.release()
    assert not owned_processes(owner.lease.label)


@pytest.fixture
def whole(managed):
    """It is mended after each test."""
    yield managed
    for repair in REPAIRS:
        repair.inject(managed)
    for machine in managed.machines.values():
        if not machine.manager_running:
            machine.kill()
            machine.start()
    managed.await_serving(managed.program.restart_seconds)


def await_backup(cluster):
    until(lambda: backups_among(file.name for file in cluster.store.list()), what="a backup", deadline_seconds=30)


@pytest.mark.parametrize(
    "kind", [MarkerGone, SpecGone, ControlFilesGone, MarkerEmpty, SpecTruncated], ids=lambda kind: kind.__name__
)
def test_damaged_control_files_are_told_by_the_store_itself(whole, kind):
    fault = kind()
    fault.preflight(whole)
    fault.inject(whole)
    assert fault.evidence(whole).bit


def test_what_is_gone_cannot_be_taken_again(whole):
    ControlFilesGone().inject(whole)
    for fault in (MarkerGone(), SpecGone(), ControlFilesGone()):
        with pytest.raises(FaultError, match="is not there"):
            fault.preflight(whole)


def test_control_files_written_again_are_read_back(whole):
    ControlFilesGone().inject(whole)
    for event, name in zip(REPAIRS, (SPEC, MARKER), strict=True):
        event.inject(whole)
        assert event.evidence(whole).bit
        assert whole.control_store.read(name)
    told = [entry.data for entry in whole.journal.entries() if entry.kind == "control.written"][-2:]
    assert [(one["by"], one["name"]) for one in told] == [("kops-update", SPEC), ("operator", MARKER)]


@pytest.mark.parametrize("fault", [BackupPathGone(), LifecycleApplied()], ids=lambda fault: type(fault).__name__)
def test_what_is_aimed_at_backups_takes_them(whole, fault):
    await_backup(whole)
    before = {file.name for file in whole.store.list()}
    fault.preflight(whole)
    fault.inject(whole)
    assert fault.evidence(whole).bit
    assert not before & {file.name for file in whole.store.list()}


def test_an_unreachable_store_is_no_empty_one(whole):
    fault = StoreUnreachable()
    fault.preflight(whole)
    assert not fault.evidence(whole).bit
    before = whole.control_store.read(SPEC)
    fault.inject(whole)
    assert fault.evidence(whole).bit
    with pytest.raises(FaultError, match="already"):
        fault.preflight(whole)
    fault.heal(whole)
    assert not fault.evidence(whole).bit
    assert whole.control_store.read(SPEC) == before


def test_a_gate_is_needed_to_deny_anything(whole):
    with pytest.raises(FaultError, match="for S3 stores"):
        StoreDenied().preflight(whole)


@pytest.mark.parametrize("role", [LEADER, FOLLOWER, ALL])
@pytest.mark.parametrize("kind", [MachineRestarted, MachineKilled], ids=lambda kind: kind.__name__)
def test_machines_are_struck_by_the_part_they_play(whole, kind, role):
    fault = kind(role)
    fault.preflight(whole)
    leader, pids = whole.leader_machine().name, {machine.name: machine.pid for machine in whole.machines.values()}
    fault.inject(whole)
    assert fault.evidence(whole).bit
    struck = {name for name, pid in pids.items() if whole.node(name).pid != pid}
    others = set(pids) - {leader}
    assert struck == {LEADER: {leader}, FOLLOWER: {max(others)}, ALL: set(pids)}[role]
    fault.heal(whole)
    assert all(machine.running for machine in whole.machines.values())


def test_a_manager_alone_dies_and_its_etcd_serves_on(whole):
    fault = ManagersKilled(FOLLOWER)
    fault.inject(whole)
    assert fault.evidence(whole).bit
    assert all(whole.status(machine) is not None for machine in whole.machines.values())
