"""What a managed cluster promises to the rest of the harness: our own manager always, the real one where it is named.

pytest tests/contract/test_managed_cluster.py -m "slow or not slow" --etcd-manager DIR --etcd-dir DIR
(or AFTERFAULT_ETCD_MANAGER=DIR; etcd of the version it wants may lie in DIR/etcd-v<version>)
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.clusters.backup_store import FileStore
from harness.clusters.etcd_release import find_releases
from harness.clusters.living import pid_lives
from harness.clusters.managed import ManagedCluster, ManagedSetup
from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, MachineError
from harness.journal import Journal
from harness.probes.store import observe_keyspace, observe_serving
from harness.spec import ManagedSpec, TrafficSpec
from harness.tools.etcd_manager import EtcdManager
from harness.tools.managers import ReferenceManager
from harness.traffic import EtcdStore, Traffic
from harness.waiting import until

pytestmark = pytest.mark.etcd
REAL = "etcd-manager"
MARKER, SPEC = "control/etcd-cluster-created", "control/etcd-cluster-spec"
# Makes a cluster in a process of its own, and says which processes it has.
CHILD = """
import json, sys, time
from pathlib import Path
from tests.contract.test_managed_cluster import find_program, make_cluster
from harness.clusters.ownership import Ownership

name, label, work, folder, etcd = sys.argv[1:]
owner = Ownership(label, Path(work) / "owned")
cluster = make_cluster(find_program(name, folder, [etcd] if etcd else []), Path(work), owner)
cluster.start()
pids = [process.pid for machine in cluster.machines.values() for process in machine.processes()]
print(json.dumps({"pids": pids, "reaper": owner._reaper.pid}), flush=True)
sys.stdin.read()
"""


def find_program(name, folder="", etcd_dirs=()):
    """Our own manager with the incident's behaviour, or the real one."""
    releases = find_releases([Path(place) for place in etcd_dirs])
    return EtcdManager.examine(folder, releases) if name == REAL else ReferenceManager(REAL, releases[0])


def make_cluster(program, work, owner, number=0):
    stores = (
        FileStore(work / f"owned/store-{number}/backups/etcd/main"),
        FileStore(work / f"owned/store-{number}/apart"),
    )
    journal = Journal(work / f"managed-{number}.jsonl", time.monotonic)
    return ManagedCluster(
        ManagedSpec(), ManagedSetup(program, *stores, {}), work / f"owned/managed-{number}", journal, owner
    )


@pytest.fixture(params=["reference", pytest.param(REAL, marks=pytest.mark.slow)])
def words(request):
    """Which manager, and where the real one and its etcd are."""
    folder = request.config.getoption("--etcd-manager") or os.environ.get("AFTERFAULT_ETCD_MANAGER", "")
    if request.param == REAL and not folder:
        pytest.skip("no --etcd-manager, and no AFTERFAULT_ETCD_MANAGER")
    return request.param, folder, request.config.getoption("--etcd-dir")


@pytest.fixture
def program(words):
    return find_program(*words)


@pytest.fixture
def make(program, tmp_path, ownership):
    """Makes clusters that are gone when the test is."""
    made = []

    def one():
        made.append(make_cluster(program, tmp_path, ownership, len(made)))
        return made[-1]

    yield one
    mounts = Path("/proc/mounts").read_text()
    for cluster in made:
        started = [process for machine in cluster.machines.values() for process in machine.processes()]
        assert cluster.remove() == []
        cluster.journal.seal()
        assert not cluster.work.exists()
        assert not living(started)
    assert "managed-" not in mounts


@pytest.fixture
def cluster(make):
    made = make()
    made.start()
    return made


def living(processes):
    return [process for process in processes if pid_lives(process.pid)]


def await_backup(cluster):
    """The name of a backup that was not there before."""
    before = {file.name for file in cluster.store.list()}
    return until(
        lambda: sorted(
            file.name.partition("/")[0]
            for file in cluster.store.list()
            if file.name.endswith(".meta") and file.name not in before
        ),
        what="a backup",
        deadline_seconds=cluster.backup_seconds * 4 + cluster.program.loop_seconds * 4 + 10,
    )[0]


def written(cluster, key):
    with cluster.client(cluster.running()[0], 5.0) as client:
        return client.put({key: "yes"})


def read(cluster, machine, key):
    with cluster.client(machine, 5.0) as client:
        header, found = client.get(key)
        return header.cluster_id, found.value if found else None


def test_machines_make_one_cluster_that_is_backed_up(cluster):
    headers = cluster.await_serving(5)
    assert {header.cluster_id for header in headers.values()} == {cluster.cluster_id}
    assert len({header.member_id for header in headers.values()}) == 3
    assert {row.peer_urls[0] for row in cluster.members()} == {m.peer_url for m in cluster.machines.values()}
    leading = cluster.leader_machine()
    assert leading.identity == min(machine.identity for machine in cluster.machines.values())
    assert json.loads(cluster.control_store.read(SPEC))["memberCount"] == 3
    assert cluster.control_store.read(MARKER)
    name = await_backup(cluster)
    assert cluster.store.read(f"{name}/etcd.backup.gz").startswith(b"\x1f\x8b")
    assert name in cluster.control("list-backups")
    told = {entry.kind: entry.data for entry in cluster.journal.entries()}
    assert told["managed.started"]["cluster_id"] == told["cluster.started"]["cluster_id"] == cluster.cluster_id
    assert [row["machine"] for row in told["managed.started"]["machines"]] == ["m1", "m2", "m3"]
    started = [each.cmdline() for machine in cluster.machines.values() for each in machine.processes()]
    etcds = [words for words in started if any(word.startswith("--data-dir=") for word in words)]
    assert [("--unsafe-no-fsync" not in words) for words in etcds] == [told["cluster.started"]["fsync"]] * 3


def test_traffic_and_probes_take_it_as_any_cluster(cluster):
    traffic = Traffic(TrafficSpec(), EtcdStore(cluster), cluster.journal)
    traffic.start()
    traffic.await_acknowledged(10)
    traffic.stop()
    observe_serving(cluster, cluster.journal)
    observe_keyspace(cluster, cluster.journal)
    entries = cluster.journal.entries()
    serving = next(entry.data for entry in entries if entry.kind == "probe.serving")
    assert {told["serves"] for told in serving["nodes"].values()} == {True}
    keyspaces = [entry.data for entry in entries if entry.kind == "probe.keyspace"]
    assert [seen["node"] for seen in keyspaces] == ["m1", "m2", "m3"]
    assert len(keyspaces[0]["keys"]) >= 10


def test_held_clients_call_nobody_until_they_may_go_on(cluster):
    traffic = Traffic(TrafficSpec(), EtcdStore(cluster), cluster.journal)
    traffic.start()
    traffic.await_acknowledged(10)
    leading = cluster.leader_machine()
    with traffic.held():
        leading.stop("test")
        leading.start("test")
        cluster.await_serving(cluster.program.restart_seconds)
    traffic.await_acknowledged(10)
    traffic.stop()
    kinds = [entry.kind for entry in cluster.journal.entries()]
    held, goes_on = kinds.index("traffic.held"), kinds.index("traffic.goes-on")
    assert "traffic.call" in kinds[:held]
    assert "traffic.call" not in kinds[held:goes_on]
    assert "traffic.call" in kinds[goes_on:]


def test_a_stopped_leader_comes_back_into_the_same_cluster(cluster):
    leading = cluster.leader_machine()
    processes = leading.processes()
    written(cluster, "before")
    leading.stop("test")
    assert not living(processes)
    assert (leading.running, leading.manager_running, leading.pid) == (False, False, 0)
    assert cluster.leader_machine() not in (leading, None)
    leading.start("test")
    headers = cluster.await_serving(cluster.program.restart_seconds)
    assert {header.cluster_id for header in headers.values()} == {cluster.cluster_id}
    assert read(cluster, leading, "before") == (cluster.cluster_id, "yes")
    kinds = [(e.kind, e.data["why"]) for e in cluster.journal.entries() if e.data.get("machine") == leading.name]
    assert kinds[-2:] == [("machine.stopped", "test"), ("machine.started", "test")]


def test_a_power_cut_everywhere_loses_nothing(cluster):
    written(cluster, "before")
    processes = [process for machine in cluster.machines.values() for process in machine.processes()]
    assert len(processes) == 6
    for machine in cluster.machines.values():
        machine.kill("test")
    assert not living(processes)
    assert cluster.leader_machine() is None
    for machine in cluster.machines.values():
        machine.start("test")
    cluster.await_serving(cluster.program.restart_seconds)
    for machine in cluster.machines.values():
        assert read(cluster, machine, "before") == (cluster.cluster_id, "yes")


def test_a_manager_killed_alone_leaves_its_etcd_serving(cluster):
    leading = cluster.leader_machine()
    leading.kill_manager("test")
    assert (leading.running, leading.manager_running) == (True, False)
    assert read(cluster, leading, "afterfault/ready")[0] == cluster.cluster_id
    with pytest.raises(ClusterError, match="is off"):
        leading.kill_manager()
    leading.start("test")
    with pytest.raises(ClusterError, match="runs already"):
        leading.start()
    cluster.await_serving(cluster.program.restart_seconds)
    leading.kill("test")
    assert not leading.running


def test_a_stilled_machine_answers_nothing_and_goes_on_later(cluster):
    machine = cluster.leader_machine()
    machine.pause()
    assert machine.running
    assert machine not in cluster.running()
    assert cluster.status(machine) is None
    machine.resume()
    cluster.await_serving(cluster.program.restart_seconds)


def test_clusters_side_by_side_know_nothing_of_each_other(make):
    pair = make(), make()
    with ThreadPoolExecutor(2) as both:
        list(both.map(ManagedCluster.start, pair))
    first, second = pair
    assert first.cluster_id != second.cluster_id
    for cluster in pair:
        addresses = {machine.peer_url for machine in cluster.machines.values()}
        assert {url for row in cluster.members() for url in row.peer_urls} == addresses
    for machine in first.machines.values():
        machine.kill()
    assert len(second.try_writes()) == 3


def test_a_restore_makes_another_cluster_with_the_old_data_and_keeps_what_there_was(cluster):
    written(cluster, "before")
    name = await_backup(cluster)
    name = await_backup(cluster)
    written(cluster, "after")
    cluster.control("restore-backup", name)
    assert name in cluster.control("list-commands")
    for machine in cluster.machines.values():
        machine.stop("as in the incident")
    for machine in cluster.machines.values():
        machine.start("as in the incident")
    restored = until(
        cluster.try_writes,
        lambda heard: len(heard) == 3 and cluster.cluster_id not in {header.cluster_id for header in heard.values()},
        what="another cluster",
        deadline_seconds=2 * cluster.program.restart_seconds,
        every_seconds=0.5,
    )
    assert len({header.cluster_id for header in restored.values()}) == 1
    for machine in cluster.machines.values():
        assert read(cluster, machine, "before")[1] == "yes"
        assert read(cluster, machine, "after")[1] is None
        assert machine.archive()
    until(
        lambda: name not in cluster.control("list-commands"),
        what="the queue to drain",
        deadline_seconds=cluster.program.restart_seconds,
        every_seconds=0.5,
    )


def test_a_taken_port_is_named_before_anything_is_started(make, program):
    cluster = make()
    taken = (cluster.subnet.address(2), program.peer_port)
    with socket.create_server(taken), pytest.raises(MachineError, match=rf"port {program.peer_port} on .* is taken"):
        cluster.start()
    assert not [machine for machine in cluster.machines.values() if machine.running]


def test_nothing_outlives_a_killed_harness(words, tmp_path, monkeypatch):
    """Etcd of the real manager carries no label: it goes with its box."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name, folder, etcd_dirs = words
    command = [sys.executable, "-c", CHILD, name, f"test-{time.time_ns()}", str(tmp_path), folder, *(etcd_dirs or [""])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        assert len(told["pids"]) == 6
        process.send_signal(signal.SIGKILL)
    until(
        lambda: not [pid for pid in (*told["pids"], told["reaper"]) if pid_lives(pid)],
        what="nothing to be left",
        deadline_seconds=60,
    )
    assert not (tmp_path / "owned").exists()
    assert "managed-" not in Path("/proc/mounts").read_text()


def test_an_owner_gives_back_what_its_cluster_left(program, tmp_path):
    owner = Ownership(f"test-{time.time_ns()}", tmp_path / "owned")
    cluster = make_cluster(program, tmp_path, owner)
    cluster.start()
    processes = [process for machine in cluster.machines.values() for process in machine.processes()]
    assert owner.end_strays()
    until(lambda: not living(processes), what="all to end", deadline_seconds=20)
    cluster.subnet.release()
    cluster.journal.seal()
    owner.release()
    assert not (tmp_path / "owned").exists()
