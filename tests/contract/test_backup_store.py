"""Every backup store answers alike, a folder or a prefix in a bucket, also through the gate; what only S3 does."""

import ipaddress
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness.clusters.backup_store import FileStore, S3Login, S3Store, StoreError, open_store
from harness.clusters.ownership import owned_processes
from harness.clusters.s3_gate import GateMode, S3Gate
from harness.errors import UsageError
from harness.waiting import until

MARKER, SPEC = "control/etcd-cluster-created", "control/etcd-cluster-spec"
BACKUP = "2026-01-02T03:04:05Z-000001/etcd.backup.gz"
ODD = "odd +&?=%25 'ä'/x~y.z"


@pytest.fixture(params=["file", "s3", "s3 through the gate"])
def store(request, tmp_path):
    if request.param == "file":
        yield FileStore(tmp_path / "backups")
        return
    server = request.getfixturevalue("s3_server")
    with server.store(f"bucket-{time.time_ns()}", "cluster/backups/etcd/main") as direct:
        if request.param == "s3":
            yield direct
            return
        gate = S3Gate(server.endpoint)
        with open_store(direct.url, gate.environment(direct.environment)) as behind:
            yield behind
        gate.close()


def names(store, prefix=""):
    return [file.name for file in store.list(prefix)]


def test_nothing_is_there_at_first(store):
    assert store.list() == []
    assert store.read(MARKER) is None
    store.delete(MARKER, SPEC)


def test_what_is_written_is_read(store):
    for name, content in ((MARKER, b"1"), (SPEC, b""), (BACKUP, bytes(range(256)) * 5000), (ODD, b"odd")):
        store.write(name, content)
        assert store.read(name) == content
    assert names(store) == sorted([MARKER, SPEC, BACKUP, ODD])
    assert {file.name: file.bytes for file in store.list()} == {MARKER: 1, SPEC: 0, BACKUP: 1280000, ODD: 3}


def test_it_is_told_when(store):
    before = time.time()
    store.write(MARKER, b"1")
    assert before - 2 < store.list()[0].modified < time.time() + 2


def test_a_prefix_is_of_the_name_not_of_folders(store):
    for name in (MARKER, SPEC, "control-files", "other/control"):
        store.write(name, b"1")
    assert names(store, "control/") == [MARKER, SPEC]
    assert names(store, "control") == ["control-files", MARKER, SPEC]
    assert names(store, "control/etcd-cluster-c") == [MARKER]
    assert names(store, "nothing") == []


def test_a_folder_is_no_file(store):
    store.write(MARKER, b"1")
    assert store.read("control") is None
    assert store.read(f"{MARKER}/deeper") is None


def test_it_is_overwritten_and_removed(store):
    store.write(MARKER, b"1")
    store.write(MARKER, b"two")
    assert store.read(MARKER) == b"two"
    store.write(SPEC, b"spec")
    store.delete(MARKER, "never/there")
    assert store.read(MARKER) is None
    assert names(store) == [SPEC]


def test_below(store):
    store.write(MARKER, b"1")
    below = store.below("control")
    assert names(below) == ["etcd-cluster-created"]
    below.write("etcd-cluster-spec", b"spec")
    assert store.read(SPEC) == b"spec"
    assert below.url == f"{store.url}/control"
    below.close()


def test_another_process_finds_it_by_its_address(store):
    store.write(MARKER, b"1")
    with open_store(store.url, store.environment) as again:
        assert again.url == store.url
        assert again.read(MARKER) == b"1"


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "control/../../x", "control//x", "."])
def test_a_name_does_not_lead_out(store, name):
    with pytest.raises(UsageError, match="is no name of a file"):
        store.read(name)
    with pytest.raises(UsageError):
        store.write(name, b"")
    with pytest.raises(UsageError):
        store.delete(name)


def test_more_files_than_a_page(store, monkeypatch):
    monkeypatch.setattr("harness.clusters.s3_client.PAGE_KEYS", 7)
    for number in range(21):
        store.write(f"control/{number:04}", b"")
    assert names(store) == [f"control/{number:04}" for number in range(21)]
    if isinstance(store, S3Store):
        store.delete("control/0003")
        assert len(store.versions()) == 22


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "is no store"),
        ("gs://bucket/path", "is no store"),
        ("s3://", "names no bucket"),
        ("file://host/path", "of another machine"),
    ],
)
def test_what_is_no_store(url, told):
    with pytest.raises(UsageError, match=told):
        open_store(url, {})


@pytest.mark.parametrize("name", ["a b", "a+b", "a%20b", "a?b#c"])
def test_a_folder_by_its_path_is_taken_as_it_stands(tmp_path, name):
    """As kops does: a manager is told the address, and has to write where the harness looks."""
    store = FileStore(tmp_path / name)
    store.write(MARKER, b"1")
    assert store.url == f"file://{tmp_path}/{name}"
    assert open_store(store.url, {}).read(MARKER) == open_store(str(tmp_path / name), {}).read(MARKER) == b"1"


@pytest.mark.parametrize(
    "environment", [{}, {"S3_ENDPOINT": "http://127.0.0.1:1"}, {"S3_ENDPOINT": "x", "S3_ACCESS_KEY_ID": "a"}]
)
def test_credentials_are_asked_for(environment):
    with pytest.raises(UsageError, match="_SECRET_ACCESS_KEY are not both set"):
        open_store("s3://bucket/path", environment)


def test_a_login_hides_its_secret():
    assert "geheim" not in repr(S3Login("http://127.0.0.1:1", "id", "geheim"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_is_shut(tmp_path):
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(StoreError) as told:
        FileStore(tmp_path / "shut").list()
    assert told.value.denied


def test_nobody_answers():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        login = S3Login(f"http://127.0.0.1:{taken.getsockname()[1]}", "a", "b")
        with S3Store("bucket", "path", login) as store, pytest.raises(StoreError, match="does not answer") as told:
            store.read(MARKER)
    assert not told.value.denied


def test_what_s3_refuses_is_never_taken_for_absence(s3_server):
    with S3Store(f"never-made-{time.time_ns()}", "path", s3_server.login) as store:
        for ask in (lambda: store.read(MARKER), store.list, lambda: store.write(MARKER, b"")):
            with pytest.raises(StoreError, match="NoSuchBucket"):
                ask()
    wrong = S3Login(s3_server.endpoint, s3_server.login.key_id, "wrong")
    with S3Store("bucket", "path", wrong) as store, pytest.raises(StoreError) as told:
        store.read(MARKER)
    assert told.value.denied


def test_versions_stay(s3_server):
    with s3_server.store(f"bucket-{time.time_ns()}", "main") as store:
        store.write(MARKER, b"1")
        store.write(MARKER, b"two")
        store.delete(MARKER)
        seen = store.versions(MARKER)
        assert [(version.key, version.bytes, version.latest, version.deleted) for version in seen] == [
            (MARKER, 0, True, True),
            (MARKER, 3, False, False),
            (MARKER, 1, False, False),
        ]
        assert len({version.version for version in seen}) == 3


def test_the_server_carries_out_a_lifecycle_rule_by_itself(s3_server):
    """The incident's rule: a prefix and an age, aimed at snapshots; nobody asked it to spare control files."""
    with s3_server.store(f"bucket-{time.time_ns()}", "main") as store:
        for name in (MARKER, SPEC, BACKUP):
            store.write(name, name.encode())
        before = {version.key: version.version for version in store.versions()}
        assert store.age("", 100) == sorted([MARKER, SPEC, BACKUP])
        assert {version.key: version.version for version in store.versions()} == before
        assert all(file.modified < time.time() - 99 * 86400 for file in store.list())
        assert store.read(SPEC) == SPEC.encode()
        store.write("2026-12-31T00:00:00Z-000002/etcd.backup.gz", b"young")
        store.set_lifecycle("", 90)
        until(lambda: len(store.list()) == 1, what="the rule to be carried out", deadline_seconds=60)
        assert names(store) == ["2026-12-31T00:00:00Z-000002/etcd.backup.gz"]
        assert store.read(MARKER) is None
        assert [version.deleted for version in store.versions(MARKER)] == [True, False]


def test_age_keeps_the_order_of_versions(s3_server):
    with s3_server.store(f"bucket-{time.time_ns()}", "main") as store:
        store.write(MARKER, b"1")
        store.delete(MARKER)
        store.write(MARKER, b"two")
        store.write(MARKER, b"three")
        store.write(SPEC, b"gone")
        store.delete(SPEC)
        before = store.versions()
        assert store.age("", 100) == [MARKER]
        after = store.versions()
        assert [(one.key, one.version, one.latest, one.deleted) for one in after] == [
            (one.key, one.version, one.latest, one.deleted) for one in before
        ]
        for was, one in zip(before, after, strict=True):
            assert was.modified - one.modified == pytest.approx(100 * 86400 if one.key == MARKER else 0, abs=0.01)
        assert store.read(MARKER) == b"three"
        assert store.read(SPEC) is None


def test_a_rule_spares_what_lies_elsewhere(s3_server):
    with s3_server.store(f"bucket-{time.time_ns()}", "cluster") as store:
        for name in ("backups/old", "control/spec"):
            store.write(name, b"1")
        store.age("", 100)
        store.set_lifecycle("backups/", 90)
        until(lambda: names(store) == ["control/spec"], what="the rule to be carried out", deadline_seconds=60)
        store.clear_lifecycle()


def test_a_gate_that_denies(s3_server):
    with s3_server.store(f"bucket-{time.time_ns()}", "main") as direct:
        direct.write(MARKER, b"1")
        gate = S3Gate(s3_server.endpoint)
        with open_store(direct.url, gate.environment(direct.environment)) as store:
            assert store.read(MARKER) == b"1"
            gate.set(GateMode.READ_ONLY)
            assert store.read(MARKER) == b"1"
            for refused in (lambda: store.write(SPEC, b""), lambda: store.delete(MARKER)):
                with pytest.raises(StoreError) as told:
                    refused()
                assert told.value.denied
            assert dict(gate.struck) == {"PUT": 1, "DELETE": 1}
            gate.set(GateMode.DENY)
            with pytest.raises(StoreError):
                store.read(MARKER)
            assert dict(gate.struck) == {"GET": 1}
            gate.set(GateMode.PASS)
            store.write(SPEC, b"spec")
        gate.close()
        assert direct.read(SPEC) == b"spec"


def test_a_gate_that_is_not_there_and_comes_back(s3_server):
    with s3_server.store(f"bucket-{time.time_ns()}", "main") as direct:
        gate = S3Gate(s3_server.endpoint)
        with open_store(direct.url, gate.environment(direct.environment)) as store:
            store.write(MARKER, b"1")
            endpoint = gate.endpoint
            gate.set(GateMode.REFUSE)
            gate.set(GateMode.REFUSE)
            with pytest.raises(StoreError, match="does not answer"):
                store.read(MARKER)
            gate.set(GateMode.PASS)
            assert gate.endpoint == endpoint
            assert store.read(MARKER) == b"1"
        gate.close()
        gate.close()


def test_a_slow_gate_lets_go_when_it_is_mended(s3_server):
    with s3_server.store(f"bucket-{time.time_ns()}", "main") as direct:
        gate = S3Gate(s3_server.endpoint)
        with open_store(direct.url, gate.environment(direct.environment)) as store:
            gate.set(GateMode.SLOW, 0.3)
            began = time.monotonic()
            assert store.read(MARKER) is None
            assert time.monotonic() - began >= 0.3
            gate.set(GateMode.SLOW, 60.0)
            answers = []
            reader = threading.Thread(target=lambda: answers.append(store.read(MARKER)))
            reader.start()
            until(lambda: gate.struck["GET"], what="the call to be held", deadline_seconds=30)
            assert not answers
            gate.set(GateMode.PASS)
            reader.join(30)
            assert answers == [None]
        gate.close()


def test_a_server_behind_the_gate_that_is_gone(s3_server_of_its_own):
    server = s3_server_of_its_own
    with server.store("bucket", "main") as direct:
        direct.write(MARKER, b"1")
        gate = S3Gate(server.endpoint)
        with open_store(direct.url, gate.environment(direct.environment)) as store:
            server.stop()
            assert not server.running
            with pytest.raises(StoreError, match="does not answer"):
                store.read(MARKER)
            server.start()
            assert store.read(MARKER) == direct.read(MARKER) == b"1"
        gate.close()


KILLED = """
import sys
from pathlib import Path
from harness.clusters.ownership import Ownership
from harness.clusters.s3_server import S3Server
owner = Ownership(sys.argv[1], Path(sys.argv[2]))
server = S3Server(Path(sys.argv[3]), Path(sys.argv[2]) / "server", owner)
server.store("bucket", "main").write("a", b"1")
print("up", flush=True)
sys.stdin.read()
"""


def test_the_server_does_not_outlive_a_killed_run(s3_program, tmp_path):
    label, work = f"test-killed-{time.time_ns()}", tmp_path / "owned"
    command = [sys.executable, "-c", KILLED, label, str(work), str(s3_program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "up\n"
        assert "minio" in {process.name() for process in owned_processes(label)}
        run.kill()
    until(lambda: not owned_processes(label) and not work.exists(), what="the reaper", deadline_seconds=60)


def test_the_server_is_owned_and_small(s3_server_of_its_own, ownership):
    server = s3_server_of_its_own
    assert server.running
    assert 0 < server.memory_mib < 200
    assert [process.name() for process in owned_processes(ownership.lease.label)] == ["minio"]
    listening = {entry.laddr.ip for entry in owned_processes(ownership.lease.label)[0].net_connections("inet")}
    assert all(ipaddress.ip_address(address).is_loopback for address in listening)
    assert ownership.end_strays()
    assert not server.running
