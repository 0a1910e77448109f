"""`afterfault etcd-store check` on stores good and bad, in a folder and in S3: right answers, nothing written."""

import gzip
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.clusters.backup_store import BackupStore, FileStore, S3Store, StoreError
from harness.clusters.etcd import EtcdCluster
from harness.clusters.ownership import Ownership
from harness.clusters.s3_gate import GateMode, S3Gate
from harness.journal import Journal
from harness.nodeimage.process import run
from harness.spec import EtcdSpec
from harness.store_check import Limits, check_store
from harness.store_check.findings import DANGERS, BackupState, FileState

MARKER, SPEC = "control/etcd-cluster-created", "control/etcd-cluster-spec"
GOOD_SPEC = b'{"memberCount": 1, "etcdVersion": "3.5.1"}'
MINUTES = 60.0
# What does not depend on where the store is.
IN_A_FOLDER = pytest.mark.parametrize("store", ["file"], indirect=True)


@dataclass(frozen=True)
class Snapshots:
    """Snapshots of real clusters: two of one cluster, one of another, one with no key in it."""

    elder: bytes
    newer: bytes
    foreign: bytes
    empty: bytes


@pytest.fixture(scope="session")
def snapshots(releases, tmp_path_factory):
    work = tmp_path_factory.mktemp("snapshots")
    owner = Ownership(f"test-snapshots-{time.time_ns()}", work / "owned")
    taken = {}
    for cluster_name, names in (("home", ("elder", "newer", "empty")), ("away", ("foreign",))):
        journal = Journal(work / f"{cluster_name}.jsonl", time.monotonic)
        cluster = EtcdCluster(EtcdSpec(members=1), releases[0], work / "owned" / cluster_name, journal, owner)
        cluster.start()
        (node,) = cluster.nodes.values()
        for number, name in enumerate(names):
            if name == "empty":
                etcdctl(releases[0], node, "del", "", "--prefix")
            else:
                with cluster.client(node) as client:
                    client.put({f"key-{number}-{key}": "value" for key in range(3)})
            file = work / f"{name}.db"
            etcdctl(releases[0], node, "snapshot", "save", str(file))
            taken[name] = file.read_bytes()
        assert cluster.remove() == []
        journal.seal()
    owner.release()
    return Snapshots(**taken)


def etcdctl(release, node, *words):
    run([str(release.etcdctl), f"--endpoints={node.client_url}", *words], extra={"ETCDCTL_API": "3"})


@pytest.fixture(params=["file", "s3"])
def store(request, tmp_path):
    if request.param == "file":
        yield FileStore(tmp_path / "store" / "main")
        return
    with request.getfixturevalue("s3_server").store(f"bucket-{time.time_ns()}", "c/backups/etcd/main") as one:
        yield one


def name_of(age_seconds, number=1):
    when = datetime.fromtimestamp(time.time() - age_seconds, UTC)
    return f"{when.isoformat(timespec='seconds').replace('+00:00', 'Z')}-{number:06}"


def add_backup(store, snapshot, age_seconds, *, members=1, version="3.5.1", packed=None):
    name = name_of(age_seconds)
    meta = {
        "etcdVersion": version,
        "timestamp": str(int(time.time() - age_seconds)),
        "clusterSpec": {"memberCount": members, "etcdVersion": version},
    }
    store.write(f"{name}/etcd.backup.gz", gzip.compress(snapshot, 1) if packed is None else packed)
    store.write(f"{name}/_etcd_backup.meta", json.dumps(meta, indent=2).encode())
    return name


@pytest.fixture
def good(store, snapshots):
    """A store as it should be: control files and two backups."""
    store.write(MARKER, b'{"timestamp":1700000000000000000}')
    store.write(SPEC, GOOD_SPEC)
    add_backup(store, snapshots.elder, 30 * MINUTES)
    add_backup(store, snapshots.newer, 15 * MINUTES)
    return store


def picture(store):
    """All that could show a write: content, times, versions; of a folder its own times too."""
    files = [(file, store.read(file.name)) for file in store.list()]
    if isinstance(store, S3Store):
        return files, store.versions()
    folder = store.folder.parent
    return files, [(path, path.lstat().st_mtime_ns, path.lstat().st_ino) for path in sorted(folder.rglob("*"))]


@pytest.fixture
def asked(releases):
    """Checks a store; and that nothing was written, nor asked of the server but reads."""

    def one(store, **limits):
        before = picture(store)
        report = check_store(store, releases, time.time(), Limits(**limits))
        assert picture(store) == before
        assert {danger.what for danger in report.dangers} <= set(DANGERS)
        json.dumps(report.to_json())
        return report

    return one


def whats(report):
    return [danger.what for danger in report.dangers]


def test_a_good_store(good, asked):
    report = asked(good)
    assert (report.good, report.founds, report.dangers, report.notes) == (True, False, (), ())
    assert report.control.marker is FileState.THERE
    assert (report.control.spec, report.control.member_count, report.control.etcd_version) == ("there", 1, "3.5.1")
    assert [one.state for one in report.backups] == [BackupState.VALID] * 2
    assert (report.newest_valid.keys, report.newest_valid.revision) == (7, 4)  # one key is the harness's own
    assert report.newest_valid.cluster_members == report.backups[1].cluster_members
    assert 14 * MINUTES < report.age_seconds(report.newest_valid) < 17 * MINUTES


def test_without_the_marker(good, asked):
    good.delete(MARKER)
    report = asked(good)
    assert (report.founds, whats(report)) == (True, ["founds-new-cluster-now"])


def test_without_the_spec(good, asked):
    good.delete(SPEC)
    report = asked(good)
    assert (report.founds, whats(report)) == (False, ["backups-stopped"])


def test_without_both(good, asked):
    """As the incident had it."""
    good.delete(MARKER, SPEC)
    report = asked(good)
    assert (report.founds, whats(report)) == (True, ["would-found-new-cluster"])
    assert "write the marker again" in report.dangers[0].do


def test_an_empty_marker(good, asked):
    good.write(MARKER, b"")
    report = asked(good)
    assert (report.control.marker, report.founds, whats(report)) == ("empty", False, ["backups-stopped"])


@IN_A_FOLDER
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"memberCount": 3}', b'{"memberCount": 0, "etcdVersion": "3"}']
)
def test_a_spec_that_can_not_be_parsed(good, asked, content):
    good.write(SPEC, content)
    report = asked(good)
    assert (report.control.spec, whats(report)) == ("unparsable", ["backups-stopped"])


def test_a_stale_backup(good, asked):
    assert whats(asked(good, max_age_seconds=600)) == ["stale-backup"]


def test_no_backup(store, asked):
    store.write(MARKER, b"1")
    store.write(SPEC, GOOD_SPEC)
    report = asked(store)
    assert (report.total, report.newest_valid, whats(report)) == (0, None, ["no-valid-backup"])


def test_an_empty_backup_is_named_and_does_not_count(good, snapshots, asked):
    newest = add_backup(good, snapshots.empty, MINUTES)
    report = asked(good)
    assert (report.backups[0].name, report.backups[0].state) == (newest, BackupState.EMPTY)
    assert report.newest_valid == report.backups[1]
    assert any("is empty: there is no key in it" in note for note in report.notes)
    assert report.good


def test_nothing_but_empty_backups(store, snapshots, asked):
    store.write(MARKER, b"1")
    store.write(SPEC, GOOD_SPEC)
    add_backup(store, snapshots.empty, MINUTES)
    report = asked(store)
    assert whats(report) == ["no-valid-backup"]
    assert "empty" in report.dangers[0].why


def damaged(snapshot):
    whole = gzip.compress(snapshot, 1)
    turned = bytearray(snapshot)
    turned[len(turned) // 2] ^= 0xFF
    return {
        "truncated": whole[: len(whole) // 2],
        "empty file": b"",
        "no gzip": snapshot,
        "a byte turned": gzip.compress(bytes(turned), 1),
        "db truncated": gzip.compress(snapshot[: len(snapshot) // 2], 1),
        "something else": gzip.compress(b"hello"),
        "nothing packed": gzip.compress(b""),
    }


@IN_A_FOLDER
@pytest.mark.parametrize("how", list(damaged(b"1234")))
def test_a_corrupt_backup(good, snapshots, asked, how):
    add_backup(good, b"", MINUTES, packed=damaged(snapshots.newer)[how])
    report = asked(good, least=1)
    assert report.backups[0].state is BackupState.CORRUPT
    assert report.backups[0].why
    assert report.backups[1] == report.newest_valid
    assert report.good
    for file in good.list():
        if file.name.endswith(".gz") and "etcd" in file.name:
            good.write(file.name, damaged(snapshots.newer)[how])
    assert whats(asked(good)) == ["no-valid-backup"]


def test_half_a_backup(good, snapshots, asked):
    name = add_backup(good, snapshots.newer, MINUTES)
    good.delete(f"{name}/_etcd_backup.meta")
    report = asked(good)
    assert (report.backups[0].state, report.backups[0].why) == ("incomplete", "_etcd_backup.meta is not there")
    good.write(f"{name}/_etcd_backup.meta", b"{")
    assert asked(good).backups[0].state is BackupState.CORRUPT


def test_a_backup_of_another_cluster(good, snapshots, asked):
    newest = add_backup(good, snapshots.foreign, MINUTES)
    report = asked(good)
    assert (report.backups[0].name, report.backups[0].state) == (newest, BackupState.FOREIGN)
    assert whats(report) == ["foreign-backup"]
    assert report.newest_valid == report.backups[1]


@IN_A_FOLDER
@pytest.mark.parametrize(("members", "version"), [(3, "3.5.1"), (1, "3.4.13")])
def test_backups_of_another_shape(store, snapshots, asked, members, version):
    store.write(MARKER, b"1")
    store.write(SPEC, GOOD_SPEC)
    for number in range(4):
        add_backup(store, snapshots.newer, (number + 1) * MINUTES, members=members, version=version)
    report = asked(store)
    assert {one.state for one in report.backups} == {BackupState.FOREIGN}
    assert whats(report) == ["no-valid-backup", "foreign-backup"]


def test_a_copied_database_is_valid_but_said_to_be_one(good, snapshots, asked):
    """Step 3 of the incident's recovery: what lies in a trash can has no checksum."""
    add_backup(good, snapshots.newer[:-32], MINUTES)
    report = asked(good)
    assert report.newest_valid == report.backups[0]
    assert any("has no checksum" in note for note in report.notes)


def test_older_ones_are_looked_at_when_the_newest_will_not_do(good, snapshots, asked):
    for number in range(5):
        add_backup(good, snapshots.empty, (number + 1) * MINUTES)
    report = asked(good, least=2)
    assert [one.state for one in report.backups] == [BackupState.EMPTY] * 5 + [BackupState.VALID]
    assert (report.total, len(asked(good, least=0).backups)) == (7, 7)


def test_a_waiting_restore(good, asked):
    command = {"timestamp": "1700000000000000000", "restoreBackup": {"backup": "2024-01-01T00:00:00Z-000001"}}
    good.write("control/2024-03-21T13:02:05Z-000000/_command.json", json.dumps(command).encode())
    report = asked(good)
    assert [one.restores for one in report.control.commands] == ["2024-01-01T00:00:00Z-000001"]
    assert report.control.commands[0].asked == 1.7e9
    assert whats(report) == ["restore-waits"]
    good.write("control/2024-03-21T13:02:05Z-000000/_command.json", b"{")
    assert asked(good).control.commands[0].restores is None


def test_a_path_above(good, asked):
    above = (
        FileStore(good.folder.parent)
        if isinstance(good, FileStore)
        else S3Store(good.bucket, "c/backups", good._client.login)
    )
    assert any("there are backup paths below" in note for note in asked(above).notes)


class Shut(FileStore):
    """One whose marker can't be read."""

    def read(self, name):
        if name == MARKER:
            raise StoreError("shut", denied=True)
        return super().read(name)


def test_a_marker_that_can_not_be_read(tmp_path, snapshots, releases):
    store = Shut(tmp_path / "store")
    FileStore(store.folder).write(MARKER, b"1")
    store.write(SPEC, GOOD_SPEC)
    add_backup(store, snapshots.newer, MINUTES)
    report = check_store(store, releases, time.time(), Limits())
    assert (report.control.marker, report.founds, whats(report)) == ("unreadable", None, ["marker-unreadable"])


def call(store: BackupStore, *words, environment=None):
    return CliRunner(env=environment or store.environment).invoke(main, ["etcd-store", "check", store.url, *words])


def test_the_command(good):
    told = call(good)
    assert told.exit_code == 0, told.output
    assert told.output.startswith("GOOD")
    answer = json.loads(call(good, "--json").output)
    assert (answer["schema"], answer["verdict"], answer["spec_write"]["founds_new_cluster"]) == (1, "good", False)
    assert answer["backups"]["newest_valid_age_seconds"] == pytest.approx(15 * MINUTES, abs=60)
    good.delete(MARKER, SPEC)
    told = call(good)
    assert told.exit_code == 1
    first_screen = told.output.splitlines()[:24]
    assert first_screen[0].startswith("DANGEROUS")
    assert any("YES" in line for line in first_screen)
    assert any("What to do" in line for line in first_screen)
    answer = json.loads(call(good, "--json").output)
    assert (answer["verdict"], answer["dangers"][0]["what"]) == ("dangerous", "would-found-new-cluster")


def test_through_a_gate_that_lets_only_reads_pass(s3_server, snapshots):
    with s3_server.store(f"bucket-{time.time_ns()}", "c/backups/etcd/main") as store:
        store.write(MARKER, b"1")
        store.write(SPEC, GOOD_SPEC)
        add_backup(store, snapshots.newer, MINUTES)
        gate = S3Gate(s3_server.endpoint)
        gate.set(GateMode.READ_ONLY)
        told = call(store, environment=gate.environment(store.environment))
        assert told.exit_code == 0, told.output
        assert set(gate.passed) == {"GET"}
        assert not gate.struck
        state = f"s3://{store.bucket}"
        words = ["etcd-store", "check", state, "--cluster", "c"]
        assert CliRunner(env=gate.environment(store.environment)).invoke(main, words).exit_code == 0
        gate.set(GateMode.DENY)
        told = call(store, environment=gate.environment(store.environment))
        assert (told.exit_code, "403" in told.output) == (3, True)
        gate.set(GateMode.REFUSE)
        assert call(store, environment=gate.environment(store.environment)).exit_code == 3
        gate.close()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["gs://bucket"], 2),
        (["s3://bucket/path"], 2),
        ([], 2),
        (["x", "--max-age", "-1"], 2),
        (["x", "--newest", "y"], 2),
    ],
)
def test_wrong_usage(words, code):
    told = CliRunner(env={"S3_ENDPOINT": "", "AWS_ACCESS_KEY_ID": ""}).invoke(main, ["etcd-store", "check", *words])
    assert told.exit_code == code


def test_the_page_has_every_field_and_danger(good, asked):
    page = (Path(__file__).parents[2] / "docs/etcd-store-check.md").read_text()
    good.write("control/x/_command.json", b"{}")
    told = asked(good).to_json()
    rows = [told, told["control"], told["control"]["commands"][0], told["spec_write"], told["backups"]]
    rows += [told["backups"]["each"][0], told["dangers"][0]]
    assert [name for row in rows for name in row if f"`{name}`" not in page] == []
    assert [word for word in DANGERS if f"`{word}`" not in page] == []
