"""The reference manager's parts that need no etcd."""

import gzip
import hashlib
import json
import logging
import re
import threading
import time
from dataclasses import asdict, fields, replace
from datetime import date
from pathlib import Path

import pytest

from harness.clusters.backup_store import FileStore, StoreError
from harness.control_files import BACKUP, MARKER, META, SPEC, marker_content, meta_content, spec_content
from harness.judging.ledger import Ledger
from harness.spec import REFERENCE
from harness.tools.reference.manager import alarms, klog, options
from harness.tools.reference.manager.backups import BackupError, Backups
from harness.tools.reference.manager.control_store import ControlError, ControlStore, Seen, Spec
from harness.tools.reference.manager.control_view import ControlView
from harness.tools.reference.manager.folder import MachineFolder, State
from harness.tools.reference.manager.founding import Plan, create_cluster
from harness.tools.reference.manager.orders import Messenger, OrderFailed, OrderRefused, OrderServer
from harness.tools.reference.manager.peers import Leadership, Peer, Peers
from harness.tools.reference.manager.variants import DEFECTS, INCIDENT, STRATEGIES, SWITCHED_OFF, VARIANTS, WISHES
from harness.tools.reference.manager.world import Machine, World

THREE = Spec(3, "3.5.1")


class Unreachable(FileStore):
    def read(self, name):
        raise StoreError(f"{name}: denied", denied=True)

    list = write = delete = read


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store")


@pytest.fixture
def told(caplog, monkeypatch):
    monkeypatch.setattr(klog.LOG, "propagate", True)
    with caplog.at_level(logging.INFO, logger=klog.LOG.name):
        yield caplog


def peer(number, **other):
    return Peer(f"m{number}", "http://127.0.0.1:1", f"c{number}", f"q{number}", f"p{number}", **other)


def machine(number, state=None):
    return Machine(peer(number), has_data=state is not None, state=state)


def a_snapshot(body=b"\0" * 512):
    return body + hashlib.sha256(body).digest()


def put_backup(store, name, packed):
    store.write(f"{name}/{BACKUP}", packed)
    store.write(f"{name}/{META}", meta_content(3, "3.5.1", 0.0))


def test_a_switched_off_wish_is_one_wish():
    assert STRATEGIES == {"wishes": WISHES, "etcd-manager": INCIDENT}
    for variant in SWITCHED_OFF.values():
        off = [one.name for one in fields(WISHES) if getattr(variant, one.name) != getattr(WISHES, one.name)]
        assert len(off) == 1
    assert len({json.dumps(asdict(each)) for each in VARIANTS.values()}) == len(VARIANTS) == 13
    assert len(DEFECTS) == 7


def test_the_marker_is_there_gone_empty_or_unreadable(store, tmp_path):
    control = ControlStore(store)
    assert control.marker() == Seen("gone")
    control.mark()
    assert control.marker() == Seen("there")
    assert json.loads(store.read(MARKER)).keys() == json.loads(marker_content(0.0)).keys()
    store.write(MARKER, b"")
    assert control.marker() == Seen("empty")
    assert ControlStore(Unreachable(tmp_path)).marker() == Seen("unreadable", f"{MARKER}: denied")


@pytest.mark.parametrize("content", [b"", b'{"memberCo', b"[]", b"{}", b'{"memberCount": 0, "etcdVersion": "3.5.1"}'])
def test_a_spec_that_is_none_is_told_and_not_taken_for_gone(store, content):
    store.write(SPEC, content)
    wanted = ControlStore(store).wanted()
    assert wanted.spec is None
    assert [name for name, _ in wanted.troubles] == [SPEC]


def test_the_oldest_command_comes_first_and_a_broken_one_hides_no_other(store):
    control = ControlStore(store)
    control.write_spec(THREE)
    name = control.add_restore("b-1", THREE)
    early = {"timestamp": "1", "restoreBackup": {"backup": "b-0", "clusterSpec": THREE.to_json()}}
    store.write("control/2020-01-01T00:00:00Z-000000/_command.json", json.dumps(early).encode())
    store.write("control/broken/_command.json", b"{")
    wanted = control.wanted()
    assert [command.backup for command in wanted.commands] == ["b-0", "b-1"]
    assert [command.name for command in wanted.commands][1] == name
    assert [where for where, _ in wanted.troubles] == ["control/broken/_command.json"]
    control.remove(wanted.commands[0])
    assert [command.backup for command in control.wanted().commands] == ["b-1"]


def test_the_incident_stops_at_what_it_can_not_read_and_the_wishes_do_not(store, tmp_path):
    store.write(MARKER, b"")
    incident, wishes = ControlView(ControlStore(store), INCIDENT), ControlView(ControlStore(store), WISHES)
    with pytest.raises(ControlError, match="unexpectedly empty"):
        incident.marker()
    assert wishes.marker().state == "empty"
    store.write(SPEC, spec_content(3, "3.5.1"))
    incident.refresh()
    store.write(SPEC, b"{")
    with pytest.raises(ControlError, match="not JSON"):
        incident.refresh()
    wishes.refresh()
    assert (incident.spec, wishes.spec, wishes.spec_state) == (THREE, None, "unreadable")
    store.delete(SPEC)
    wishes.refresh()
    assert wishes.spec_state == "gone"
    cut_off = ControlView(ControlStore(Unreachable(tmp_path)), INCIDENT)
    with pytest.raises(ControlError, match="denied"):
        cut_off.marker()


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (gzip.compress(b""), "not a whole snapshot"),
        (gzip.compress(a_snapshot()[:-1]), "not a whole snapshot"),
        (gzip.compress(a_snapshot()[:-1] + b"x"), "not a whole snapshot"),
        (gzip.compress(a_snapshot())[:-9], "can't be unpacked"),
        (b"hello", "can't be unpacked"),
    ],
    ids=["nothing", "a byte short", "a byte more", "packed short", "not packed"],
)
def test_a_backup_that_is_not_what_etcd_wrote_is_refused(store, packed, why):
    put_backup(store, "b", packed)
    with pytest.raises(BackupError, match=why):
        Backups(store, None).fetch("b")


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "is not the name"), ("../b", "is not the name"), ("..", "is not the name"), ("c", "no backup c")],
)
def test_a_wrong_name_is_refused(store, name, why):
    put_backup(store, "b", gzip.compress(a_snapshot()))
    assert Backups(store, None).fetch("b") == a_snapshot()
    with pytest.raises(BackupError, match=why):
        Backups(store, None).fetch(name)


def test_the_newest_backups_stay(store):
    backups = Backups(store, None)
    names = [backups.new_name() for _ in range(4)]
    assert names == sorted(set(names))
    for name in names:
        put_backup(store, name, gzip.compress(a_snapshot()))
    assert backups.remove_oldest(2) == names[:2]
    assert backups.names() == names[2:]
    assert len(store.list()) == 4


def test_a_machine_remembers_who_it_is_and_what_it_has(tmp_path):
    folder = MachineFolder(tmp_path / "m")
    assert (folder.identity("m1"), folder.identity("m2")) == ("m1", "m1")
    assert not folder.has_data
    state = State("t", {"m2": "http://b", "m1": "http://a"}, origin="c")
    folder.save(state)
    assert MachineFolder(tmp_path / "m").load() == state
    assert state.initial_cluster == "m1=http://a,m2=http://b"
    folder.data_dir("t").mkdir(parents=True)
    folder.archive("t")
    folder.save(None)
    assert (folder.load(), folder.has_data) == (None, True)
    assert [entry.name for entry in (tmp_path / "m" / "data-trashcan").iterdir()] == ["t"]
    folder.purge("t")
    assert not folder.has_data


def test_the_lowest_fresh_manager_leads(tmp_path, monkeypatch):
    one, two = (Peers(tmp_path, peer(number), 0.2) for number in (1, 2))
    for each in (one, two):
        each.announce()
    assert [each.peer_id for each in two.fresh()] == ["m1", "m2"]
    assert not one.accept("m2", "t2")
    assert one.accept("m1", "t1")
    assert (one.follows("t1"), one.follows("t2"), two.follows(""), two.follows("t1")) == (True, False, False, False)
    later = time.time() + 3.5
    monkeypatch.setattr(time, "time", lambda: later)
    two.announce()
    assert [each.peer_id for each in two.fresh()] == ["m2"]
    assert one.accept("m2", "t2")


def test_a_manager_that_ends_asks_for_some_patience(tmp_path, monkeypatch):
    one, stopped = Peers(tmp_path, peer(1), 0.2), threading.Event()
    stopped.set()
    one.announce_until(stopped)
    now = time.time()
    for seconds, there in ((9.0, ["m1"]), (14.0, [])):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: now + seconds)
        assert [each.peer_id for each in one.fresh()] == there


def test_orders_reach_a_machine_and_refusals_come_back():
    def answer(order, words):
        if order == "stop":
            raise OrderRefused("no")
        return {"order": order, **words}

    from harness.clusters.addresses import Subnet

    subnet = Subnet()
    server = OrderServer(subnet.address(1), 8000, answer)
    there = replace(peer(1), orders_url=f"http://{subnet.address(1)}:8000")
    messenger = Messenger()
    assert messenger.ask(there, "lead", {"token": "t"}) == {"order": "lead", "token": "t"}
    with pytest.raises(OrderFailed, match="m1 refuses to stop: no"):
        messenger.ask(there, "stop", {})
    server.close()
    with pytest.raises(OrderFailed, match="m1 does not answer to lead"):
        messenger.ask(there, "lead", {})
    subnet.release()


class Noted:
    """An observer that notes the orders."""

    def __init__(self):
        self.orders = []

    def order(self, machine, order, _token, **words):
        self.orders.append((machine.peer.peer_id, order, words.get("backup", "")))


@pytest.mark.parametrize(
    ("have", "missing", "seconds", "complete", "founded"),
    [
        (3, (), 0.0, False, True),
        (3, ("m4",), 0.0, False, False),
        (2, (), 0.0, False, False),
        (2, (), 6.0, False, True),
        (2, (), 6.0, True, False),
        (1, (), 6.0, False, False),
    ],
)
def test_a_cluster_is_founded_on_enough_machines(have, missing, seconds, complete, founded):
    observer = Noted()
    world = World({f"m{number}": machine(number) for number in range(1, have + 1)}, missing)
    leading = Leadership("t", frozenset(), time.monotonic() - seconds)
    assert create_cluster(observer, world, leading, Plan(THREE, complete=complete)) == founded
    assert [order[0] for order in observer.orders] == (sorted(world.machines) if founded else [])


def test_all_old_members_are_stopped_before_the_first_new_one_starts():
    observer = Noted()
    world = World({f"m{number}": machine(number, State("old")) for number in (1, 2, 3)})
    plan = Plan(THREE, backup="b", backup_for_all=False)
    assert create_cluster(observer, world, Leadership("t", frozenset(), 0.0), plan)
    stops = [(f"m{number}", "stop", "") for number in (1, 2, 3)]
    assert observer.orders == [*stops, ("m1", "found", "b"), ("m2", "found", ""), ("m3", "found", "")]


def test_a_leaders_view_of_the_machines():
    ours, strays = State("ours", quarantined=False, origin="c"), State("old", quarantined=True)
    world = World({"m1": machine(1, ours), "m2": machine(2, strays), "m3": machine(3)}, healthy=("m1",))
    assert [each.peer.peer_id for each in world.founded] == ["m1", "m2"]
    assert [each.peer.peer_id for each in world.idle] == ["m3"]
    assert [each.peer.peer_id for each in world.quarantined] == ["m2"]
    assert (world.token, world.states, world.a_healthy_url()) == ("ours", [ours, strays], "c1")
    assert (world.machines["m2"].client_url, World({}).token, World({}).a_healthy_url()) == ("q2", "", None)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ([State("t", {"m1": "", "m2": ""}, origin="c")] * 2, True),
        ([State("t", {"m1": "", "m2": ""}, origin="c"), None], False),
        ([State("t", {"m1": "", "m2": ""}, origin="c"), State("old", {"m1": "", "m2": ""})], False),
        ([State("t", {"m1": "", "m2": ""}, origin="c"), State("u", {"m1": "", "m2": ""}, origin="c")], False),
        ([State("t", {"m1": "", "m2": ""}, quarantined=False, origin="c"), None], True),
        ([State("t", {"m1": "", "m2": ""}, origin="other")] * 2, False),
        ([None, None], False),
    ],
)
def test_a_restore_is_done_when_all_founders_are_there_or_clients_were_let_in(states, whole):
    world = World({f"m{number}": machine(number, state) for number, state in enumerate(states, 1)})
    assert world.is_whole("c") == whole


def test_an_alarm_is_told_when_it_begins_again_later_and_when_it_is_over(tmp_path, told, monkeypatch):
    file = tmp_path / "status.json"
    one = alarms.Alarms(file, 1.0)
    one.set("marker", "it is gone")
    one.note(cluster_id="c")
    one.tell()
    one.tell()
    assert [record.getMessage() for record in told.records] == ["alarm: it is gone"]
    assert told.records[0].levelname == "WARNING"
    assert json.loads(file.read_text()) == {"cluster_id": "c", "alarms": ["it is gone"]}
    later = time.monotonic() + 3.5
    monkeypatch.setattr(time, "monotonic", lambda: later)
    one.tell()
    one.set("marker", "")
    one.tell()
    said = [record.getMessage() for record in told.records]
    assert said == ["alarm: it is gone", "alarm: it is gone", "no longer alarmed about marker"]


def test_backups_that_vanish_are_an_alarm_even_after_a_restart(tmp_path, told):
    file = tmp_path / "status.json"
    one = alarms.Alarms(file, 1.0)
    one.note_backups(["a", "b"])
    one.note_backups(["b", "c"], removed=["a"])
    one.note(last_snapshot="c")
    one.tell()
    assert told.records == []
    again = alarms.Alarms(file, 1.0)
    again.note_backups([])
    again.tell()
    assert "1 of 1 backups vanished" in told.records[0].getMessage()


def test_a_log_line_is_one_of_klog():
    record = klog.LOG.makeRecord("x", logging.WARNING, "/a/loop.py", 7, "it is %s", ("gone",), None)
    line = klog._Klog().format(record)
    assert re.fullmatch(r"W\d{4} \d\d:\d\d:\d\d\.\d{6} \d+ loop\.py:7\] it is gone", line)


def test_control_files_lie_where_the_variant_wants_them():
    words = ["ctl", "--backup-store", "file:///b", "--control-store", "file:///c", "get"]
    where = {
        variant: options.store_options(options.parse([words[0], "--variant", variant, *words[1:]])).control_url
        for variant in VARIANTS
    }
    assert {variant for variant, url in where.items() if url == "file:///b"} == {"etcd-manager", "control-in-backups"}
    alone = options.parse(["ctl", "--backup-store", "file:///b", "get"])
    assert options.store_options(alone).control_url == "file:///b"


LEDGER = Ledger.load(Path(__file__).parents[2] / "scenarios" / "known_defects.yaml", date(2026, 11, 21))


@pytest.mark.parametrize("variant", [*SWITCHED_OFF, *DEFECTS])
def test_each_wish_switched_off_and_each_defect_has_a_guarantee_that_kills_it(variant):
    known = [defect.guarantee for defect in LEDGER.defects if (defect.tool, defect.variant) == (REFERENCE, variant)]
    assert known, "no story of scenarios/control_files is known to be red by it"
