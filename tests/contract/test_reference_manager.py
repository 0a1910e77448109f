"""What the reference manager promises, and what each of its variants does otherwise, on real etcd."""

import json
import re
import subprocess

import psutil
import pytest

from harness.clusters.living import pid_lives
from harness.control_files import MARKER, SPEC, spec_content
from tests.contract.machines import QUARANTINE, Machines, lasts

pytestmark = pytest.mark.etcd
# Each variant stands against its guarantee in tests/mutants too; what is not of the main flow is for the night.
SLOW = pytest.mark.slow
WRONG = "2020-01-01T00:00:00Z-000001"


@pytest.fixture
def machines(tmp_path, ownership, releases):
    made = []

    def one(variant="wishes", *, form=True):
        cluster = Machines(variant, tmp_path / "owned" / f"c{len(made)}", ownership, releases[0])
        made.append(cluster)
        if form:
            cluster.form()
        return cluster

    yield one
    for cluster in made:
        cluster.end()


def etcd_of(cluster, number):
    return json.loads((cluster.data(number) / "etcd.pid").read_text())["pid"]


def restored_revision(release, snapshot):
    words = [release.etcdutl, "snapshot", "status", snapshot, "--write-out=json"]
    return json.loads(subprocess.run(words, capture_output=True, check=True).stdout)["revision"]


def test_three_machines_form_one_cluster_and_back_it_up(machines, tmp_path):
    cluster = machines()
    assert {cluster.cluster_id(number) for number in (1, 2, 3)} == {cluster.cluster_id()}
    cluster.put(2, color="blue")
    assert cluster.get("color", 3) == "blue"
    name = cluster.next_backup()
    assert name in cluster.ctl("list-backups").split()
    assert f'took backup: name:"{name}"' in cluster.log()
    assert restored_revision(cluster.release, cluster.snapshot(name, tmp_path / "s.db")) == 2
    assert json.loads(cluster.backups.read(f"{name}/_etcd_backup.meta"))["clusterSpec"]["memberCount"] == 3
    cluster.wait(lambda: json.loads((cluster.data(1) / "status.json").read_text())["last_snapshot"] >= name, "status")
    status = json.loads((cluster.data(1) / "status.json").read_text())
    assert (status["cluster_id"], status["alarms"]) == (cluster.cluster_id(), [])
    assert status["control_files"] == {MARKER: "there", SPEC: "there"}


def test_a_stop_and_start_of_all_machines_keeps_the_cluster(machines):
    cluster = machines()
    before = cluster.cluster_id()
    cluster.put(color="blue")
    cluster.restart(1, 2, 3)
    cluster.await_serving()
    assert (cluster.cluster_id(), cluster.get("color")) == (before, "blue")
    assert cluster.archive() == []


@SLOW
def test_the_next_machine_leads_when_the_leader_is_gone_and_gives_way_when_it_is_back(machines):
    cluster = machines()
    before = cluster.cluster_id()
    cluster.kill(1)
    cluster.await_log("I am leader", 2)
    cluster.await_log("took backup", 2)
    cluster.start(1)
    cluster.await_serving()
    cluster.next_backup()
    assert cluster.log(1).count("I am leader") >= 2
    assert cluster.cluster_id() == before


def test_etcd_outlives_its_manager_and_is_taken_over_by_the_next(machines):
    cluster = machines()
    pid = etcd_of(cluster, 1)
    cluster.kill_manager(1)
    assert lasts(lambda: cluster.serving(1), 1.0)
    cluster.start(1)
    cluster.await_log("took over etcd that an earlier manager left")
    cluster.next_backup()
    assert etcd_of(cluster, 1) == pid
    cluster.stop(1)
    assert not pid_lives(pid)


@SLOW
def test_a_process_that_only_has_the_number_is_left_alone(machines):
    cluster = machines("wishes", form=False)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        cluster.data(1).mkdir(parents=True)
        told = {"pid": stranger.pid, "created": psutil.Process(stranger.pid).create_time(), "command": ["etcd"]}
        (cluster.data(1) / "etcd.pid").write_text(json.dumps(told))
        cluster.start(1)
        cluster.await_log("I am leader")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("variant", ["wishes", "etcd-manager"])
def test_an_older_backup_is_restored_into_a_new_cluster(machines, variant):
    cluster = machines(variant)
    before = cluster.cluster_id()
    cluster.put(color="blue")
    backup = cluster.next_backup()
    cluster.put(color="red", later="yes")
    cluster.ctl("restore-backup", backup)
    if variant == "etcd-manager":
        assert lasts(cluster.queue, 1.0)
        cluster.restart(1)
    cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")
    cluster.await_serving()
    assert {(cluster.get("color", number), cluster.get("later", number)) for number in (1, 2, 3)} == {("blue", None)}
    assert cluster.queue() == []
    assert [len(cluster.archive(number)) for number in (1, 2, 3)] == [1, 1, 1]
    told = re.search(r"restored \S+: revision (\d+) -> (\d+), leases lost (\d+)", cluster.log())
    assert told.groups() == ("3", "2", "0") if variant == "wishes" else told is None
    cluster.next_backup()


@SLOW
def test_etcd_manager_begins_revisions_anew_and_loses_leases(machines):
    cluster = machines("etcd-manager")
    with cluster.client() as client:
        client.lease_grant(600)
        for number in range(9):
            client.put({"color": str(number)})
    cluster.ctl("restore-backup", cluster.next_backup())
    before = cluster.cluster_id()
    cluster.restart(1)
    cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")
    with cluster.client() as client:
        assert (client.get("color")[0].revision, client.get("color")[1].value, client.leases()) == (2, "8", [])


@SLOW
def test_a_restore_that_is_interrupted_goes_on_when_the_managers_are_back(machines):
    cluster = machines()
    before = cluster.cluster_id()
    cluster.put(color="blue")
    cluster.ctl("restore-backup", cluster.next_backup())
    cluster.await_log("stopped etcd on peer")
    cluster.kill(1, 2, 3)
    cluster.start(1, 2, 3)
    cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")
    cluster.wait(lambda: cluster.queue() == [], "an empty queue")
    cluster.await_serving()
    assert {cluster.get("color", number) for number in (1, 2, 3)} == {"blue"}


@pytest.mark.parametrize(
    "variant", ["wishes", pytest.param("restores-before-check", marks=SLOW), pytest.param("etcd-manager", marks=SLOW)]
)
def test_only_who_looks_first_survives_a_wrong_name(machines, variant):
    cluster = machines(variant)
    cluster.put(color="blue")
    cluster.ctl("restore-backup", WRONG)
    if variant == "etcd-manager":
        cluster.restart(1)
    if variant == "wishes":
        cluster.await_log(f"alarm: refused to restore backup {WRONG}")
        cluster.wait(lambda: cluster.queue() == [], "an empty queue")
        assert (cluster.get("color"), cluster.archive()) == ("blue", [])
    else:
        cluster.wait(lambda: not cluster.serving(2), "an outage")
        cluster.await_log(f"there is no backup {WRONG}")
        assert cluster.queue()
        cluster.ctl("delete-command", WRONG)


@pytest.mark.parametrize("variant", ["wishes", pytest.param("seeds-silently", marks=SLOW), "etcd-manager"])
def test_who_seeds_puts_an_empty_cluster_in_the_place_of_one_whose_marker_is_gone(machines, variant):
    cluster = machines(variant)
    before = cluster.cluster_id()
    cluster.put(color="blue")
    cluster.control_files.delete(MARKER)
    if variant == "wishes":
        cluster.await_log(f"alarm: control file {MARKER} is gone")
        cluster.restart(1)
        cluster.await_serving()
        cluster.next_backup()
        assert (cluster.cluster_id(), cluster.get("color")) == (before, "blue")
        assert not cluster.control_files.read(MARKER)
    else:
        cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")
        assert cluster.get("color") is None
        assert cluster.control_files.read(MARKER)
        assert [len(cluster.archive(number)) for number in (1, 2, 3)] == [1, 1, 1]
        assert "alarm" not in cluster.log()


def test_the_incident_backups_stop_and_a_spec_written_again_seeds(machines):
    cluster = machines("etcd-manager")
    before = cluster.cluster_id()
    cluster.next_backup()
    cluster.control_files.delete(MARKER, SPEC)
    cluster.await_log("no cluster spec set - must seed new cluster")
    assert not cluster.new_backup_within(2.5)
    cluster.restart(1, 2, 3)
    cluster.await_serving()
    assert not cluster.new_backup_within(2.5)
    assert cluster.cluster_id() == before
    assert "\nW" not in cluster.log()
    cluster.control_files.write(SPEC, spec_content(3, cluster.release.version))
    cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")


@SLOW
def test_a_spec_that_was_read_is_remembered_until_the_leader_changes(machines):
    cluster = machines("etcd-manager")
    cluster.control_files.delete(SPEC)
    cluster.next_backup()
    cluster.restart(1)
    cluster.await_log("no cluster spec set - must seed new cluster")
    cluster.control_files.write(SPEC, spec_content(3, cluster.release.version))
    assert not cluster.new_backup_within(2.5)
    cluster.restart(1)
    cluster.next_backup()


@pytest.mark.parametrize(
    "variant", ["wishes", pytest.param("backs-up-with-spec-only", marks=SLOW), pytest.param("caches-spec", marks=SLOW)]
)
def test_without_a_spec_the_wishes_go_on_and_tell(machines, variant):
    cluster = machines(variant)
    cluster.control_files.delete(SPEC)
    if variant == "caches-spec":
        cluster.next_backup()
        assert "alarm" not in cluster.log()
        return
    cluster.await_log(f"alarm: control file {SPEC} is gone")
    assert cluster.new_backup_within(2.5) == (variant == "wishes")
    cluster.control_files.write(SPEC, spec_content(3, cluster.release.version))
    cluster.await_log(f"no longer alarmed about {SPEC}")
    cluster.next_backup()


@pytest.mark.parametrize(
    "variant",
    [pytest.param("wishes", marks=SLOW), "seeds-on-unreadable-marker", pytest.param("etcd-manager", marks=SLOW)],
)
def test_an_empty_marker(machines, variant):
    cluster = machines(variant)
    before = cluster.cluster_id()
    cluster.control_files.write(MARKER, b"")
    if variant == "wishes":
        cluster.await_log(f"alarm: control file {MARKER} is empty")
        cluster.next_backup()
    elif variant == "etcd-manager":
        cluster.await_log("was unexpectedly empty")
        assert not cluster.new_backup_within(2.5)
    else:
        cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")
        return
    assert cluster.cluster_id() == before


@pytest.mark.parametrize("variant", ["control-in-backups", pytest.param("wishes", marks=SLOW)])
def test_where_control_files_lie(machines, variant):
    cluster = machines(variant)
    beneath = [file.name for file in cluster.backups.list("control/")]
    assert beneath == ([MARKER, SPEC] if variant == "control-in-backups" else [])
    name = cluster.next_backup()
    cluster.backups.delete(*(file.name for file in cluster.backups.list()))
    cluster.await_log("backups vanished from the store")
    cluster.next_backup()
    assert name not in cluster.backup_names()
    assert (f"{MARKER} is gone" in cluster.log()) == (variant == "control-in-backups")


@SLOW
def test_a_cached_queue_is_not_seen_before_the_leader_changes(machines):
    cluster = machines("caches-spec")
    cluster.ctl("restore-backup", WRONG)
    assert lasts(cluster.queue, 1.5)
    cluster.restart(1)
    cluster.wait(lambda: cluster.queue() == [], "an empty queue")


@SLOW
def test_wishes_found_nothing_where_there_are_backups_but_no_machine_has_data(machines):
    cluster = machines()
    cluster.put(color="blue")
    backup = cluster.next_backup()
    cluster.kill(1, 2, 3)
    for number in (1, 2, 3):
        subprocess.run(["rm", "-r", cluster.data(number)], check=True)
    cluster.control_files.delete(MARKER)
    cluster.start(1, 2, 3)
    cluster.await_log("alarm: no machine has data", after=len(cluster.log()))
    assert lasts(lambda: not cluster.serving(1), 1.0)
    cluster.ctl("restore-backup", backup)
    cluster.await_serving()
    assert cluster.get("color", 2) == "blue"


@SLOW
def test_a_machine_that_was_away_during_a_restore_joins_the_new_cluster(machines):
    cluster = machines()
    cluster.put(color="blue")
    backup = cluster.next_backup()
    cluster.kill(3)
    cluster.ctl("restore-backup", backup)
    cluster.wait(lambda: cluster.queue() == [], "an empty queue")
    cluster.start(3)
    cluster.wait(lambda: cluster.seen_cluster(3) == cluster.seen_cluster(1) != "", "the third to be of the cluster")
    assert cluster.get("color", 3) == "blue"
    assert len(cluster.archive(3)) == 1


@SLOW
def test_defect_clients_are_served_before_the_backup_is_there(machines):
    cluster = machines("serves-before-restored")
    before = cluster.cluster_id()
    cluster.put(color="blue")
    cluster.ctl("restore-backup", cluster.next_backup())
    seen = []

    def look():
        seen.append(cluster.seen_cluster() not in ("", before) and cluster.get("color"))
        return seen[-1] == "blue"

    cluster.wait(look, "the backup's data")
    assert None in seen


def test_quarantine_hides_a_cluster_from_clients_until_it_is_restored(machines):
    cluster = machines()
    cluster.put(color="blue")
    backup = cluster.next_backup()
    before, seen = cluster.cluster_id(), set()
    cluster.ctl("restore-backup", backup)

    def look():
        seen.add(cluster.seen_cluster() not in ("", before) and cluster.get("color"))
        with cluster.client(port=QUARANTINE) as client:
            seen.add("hidden" if client.healthy() else False)
        return "blue" in seen

    cluster.wait(look, "the backup's data")
    assert seen == {False, "hidden", "blue"}


@SLOW
def test_defect_the_archive_is_purged(machines):
    cluster = machines("purges-archive")
    before = cluster.cluster_id()
    cluster.ctl("restore-backup", cluster.next_backup())
    cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")
    assert [cluster.archive(number) for number in (1, 2, 3)] == [[], [], []]


@SLOW
def test_defect_a_backup_is_reported_that_was_not_taken(machines):
    cluster = machines("reports-untaken-backup")
    cluster.next_backup()
    reported = re.findall(r'took backup: name:"(\S+)"', cluster.log())
    assert set(reported) - set(cluster.backup_names())


@SLOW
def test_defect_snapshots_are_empty(machines, tmp_path):
    cluster = machines("empty-snapshots")
    name = cluster.next_backup()
    assert cluster.snapshot(name, tmp_path / "s.db").read_bytes() == b""
    cluster.ctl("restore-backup", name)
    cluster.await_log("is not a whole snapshot")


@SLOW
def test_defect_one_member_alone_has_the_backup(machines):
    cluster = machines("restores-one-member")
    before = cluster.cluster_id()
    cluster.put(color="blue")
    cluster.ctl("restore-backup", cluster.next_backup())
    cluster.wait(lambda: cluster.seen_cluster() not in ("", before), "another cluster")
    cluster.await_serving()
    assert len({cluster.cluster_id(number) for number in (1, 2, 3)}) == 1
    assert [cluster.get("color", number) for number in (1, 2, 3)] == ["blue", None, None]


def test_words_that_make_no_sense_are_refused(machines):
    cluster = machines("wishes", form=False)
    assert "cluster spec was not found" in cluster.ctl("restore-backup", WRONG, code=1)
    assert "--etcd-version is needed" in cluster.ctl("configure-cluster", "--member-count", "3", code=1)
    assert "usage" in cluster.ctl("sing", code=2)
    cluster.control.write(SPEC, b'{"memberC')
    assert "is not JSON" in cluster.ctl("get", code=1)
