"""What is read of managers' logs, stores and disks, without any cluster."""

import time
from types import SimpleNamespace

import pytest

from harness.clusters.backup_store import FileStore
from harness.control_files import (
    BACKUP,
    MARKER,
    META,
    SPEC,
    backups_among,
    commands_among,
    marker_content,
    meta_content,
    spec_content,
)
from harness.journal import Journal
from harness.probes.managed import bytes_below, store_files
from harness.probes.manager_logs import ManagerLogs
from harness.tools.operators import operator

KLOG = "{severity}1121 13:02:04.989764    5119 controller.go:388] {text}\n"


@pytest.fixture
def world(tmp_path):
    program = SimpleNamespace(
        alarm="^alarm: ", notable="^archiving", took='^took backup: name:"(.*)"', loss="leases lost"
    )
    machine = SimpleNamespace(name="m1", log=tmp_path / "manager.log")
    stores = FileStore(tmp_path / "backups"), FileStore(tmp_path / "apart")
    cluster = SimpleNamespace(program=program, machines={"m1": machine}, store=stores[0], control_store=stores[1])
    journal = Journal(tmp_path / "j.jsonl", time.monotonic)
    yield SimpleNamespace(cluster=cluster, log=machine.log, journal=journal)
    journal.seal()


def say(world, severity, text, whole=True):
    line = KLOG.format(severity=severity, text=text)
    with world.log.open("a") as log:
        log.write(line if whole else line.rstrip("\n"))


def kinds(world):
    return [entry.kind for entry in world.journal.entries()]


def test_a_log_that_is_not_there_yet_says_nothing(world):
    ManagerLogs(world.cluster, world.journal).look()
    assert kinds(world) == []


@pytest.mark.parametrize(
    ("severity", "text", "kind"),
    [
        ("W", "alarm: the spec is gone", "alarm.seen"),
        ("I", "alarm: a line of info alarms nobody", None),
        ("I", 'took backup: name:"2026-11-21T10:00:00Z-000001"', "backup.reported"),
        ("I", "archiving etcd data directory a -> b", "manager.said"),
        ("I", "restored x: revision 9 -> 3, leases lost 1", "restore.told"),
        ("I", "nothing to see", None),
    ],
)
def test_lines_are_told_by_what_they_mean(world, severity, text, kind):
    say(world, severity, text)
    ManagerLogs(world.cluster, world.journal).look()
    assert kinds(world) == ([kind] if kind else [])


def test_half_a_line_waits_for_its_end_and_none_is_read_twice(world):
    logs = ManagerLogs(world.cluster, world.journal)
    say(world, "E", "alarm: one", whole=False)
    logs.look()
    assert kinds(world) == []
    with world.log.open("a") as log:
        log.write("\nno klog line\n")
    logs.look()
    logs.look()
    assert kinds(world) == ["alarm.seen"]


def test_a_manager_that_alarms_for_ever_fills_no_journal(world):
    for number in range(80):
        say(world, "W", f"alarm: {number}")
    ManagerLogs(world.cluster, world.journal).look()
    assert kinds(world) == ["alarm.seen"] * 50


def test_control_files_kept_apart_are_told_as_such(world):
    world.cluster.store.write(f"a/{BACKUP}", b"x")
    world.cluster.control_store.write(MARKER, marker_content(1.0))
    assert set(store_files(world.cluster)) == {f"a/{BACKUP}", f"@{MARKER}"}
    world.cluster.control_store = world.cluster.store
    world.cluster.store.write(SPEC, spec_content(3, "3.5.1"))
    assert set(store_files(world.cluster)) == {f"a/{BACKUP}", SPEC}


def test_a_backup_is_whole_with_data_and_description():
    names = [f"b/{BACKUP}", f"b/{META}", f"a/{BACKUP}", f"a/{META}", f"c/{BACKUP}", f"d/{META}", SPEC]
    assert backups_among(names) == ["a", "b"]
    assert commands_among([SPEC, "control/x/_command.json", "a/_command.json"]) == ["control/x/_command.json"]
    assert b'"memberCount": 3' in meta_content(3, "3.5.1", 1.0)


def test_a_folder_takes_what_is_below_it(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"x" * 100_000)
    assert 100_000 <= bytes_below(tmp_path) <= 200_000
    assert bytes_below(tmp_path / "none") == 0


def test_an_operator_follows_the_procedure_before_the_mark():
    tool = operator("trash-can.cut-after-upload")
    assert (tool.target.variant, tool.command[-1]) == ("trash-can", "trash-can")
