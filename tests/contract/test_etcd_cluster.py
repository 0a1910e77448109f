"""What a cluster promises to the rest of the harness, on real etcd."""

import socket

import pytest

from harness.clusters.etcd import initial_cluster_of
from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.clusters.living import pid_lives
from harness.errors import ClusterError, MachineError
from harness.spec import EtcdSpec
from harness.waiting import until

pytestmark = pytest.mark.etcd


@pytest.mark.parametrize(
    "spec", [EtcdSpec(1), EtcdSpec(3), EtcdSpec(5), EtcdSpec(3, mutual_tls=True)], ids=lambda s: s.label
)
def test_every_member_takes_writes_and_all_agree(build, spec):
    cluster = build(spec)
    for node in cluster.running():
        with cluster.client(node) as client:
            written = client.put({f"key/{node.name}": node.name})
            assert written.cluster_id == cluster.cluster_id
    with cluster.client(cluster.running()[-1]) as client:
        header, found = client.get("key/n1")
        assert (found.value, header.revision) == ("n1", written.revision)
    assert sorted(row.name for row in cluster.members()) == sorted(cluster.nodes)
    assert cluster.leader().name in cluster.nodes
    assert len({node.address for node in cluster.nodes.values()}) == spec.members


def test_plain_clients_are_turned_away_by_mutual_tls(build):
    cluster = build(EtcdSpec(1, mutual_tls=True))
    cluster._context = None
    with cluster.client(cluster.node("n1")) as client, pytest.raises((CallFailed, CallUnknown)):
        client.put({"a": "b"})


def test_a_killed_member_comes_back_with_its_data(build):
    cluster = build()
    node = cluster.node("n1")
    with cluster.client(cluster.node("n2")) as client:
        client.put({"kept": "yes"})
    node.kill()
    assert not node.running
    node.start("", "existing")
    cluster.await_healthy(node)
    with cluster.client(node) as client:
        assert client.get("kept")[1].value == "yes"


def wiped(cluster, node):
    node.kill()
    node.wipe()
    return initial_cluster_of(list(cluster.nodes.values()))


def test_a_wiped_follower_can_not_simply_come_back(build):
    """The leader knows how far its log went, and tells it to commit what it no longer has."""
    cluster = build()
    follower = next(node for node in cluster.running() if node is not cluster.leader())
    follower.start(wiped(cluster, follower), "existing")
    with pytest.raises(ClusterError):
        cluster.await_healthy(follower, deadline_seconds=15)
    assert "is out of range [lastIndex(0)]" in follower.log.read_text()


def test_a_wiped_leader_does_come_back_and_nobody_is_told(build):
    """Its loss brought an election, and a new leader knows nothing of logs: it depends on who went."""
    cluster = build()
    leader = cluster.leader()
    leader.start(wiped(cluster, leader), "existing")
    cluster.await_healthy(leader)
    assert len(cluster.members()) == 3


def test_a_wiped_member_comes_back_once_it_was_removed_and_added(build):
    cluster = build(EtcdSpec(3, strict_reconfig_check=False))
    node, other = cluster.node("n1"), cluster.node("n2")
    old = cluster.member_of(node).member_id
    everybody = wiped(cluster, node)
    with cluster.client(other, 5) as client:
        until(cluster.leader, what="a leader to be there", deadline_seconds=30)
        client.member_remove(old)
        new = client.member_add(node.peer_url)
    node.start(everybody, "existing")
    cluster.await_healthy(node)
    assert new != old
    assert cluster.member_of(node).member_id == new


def test_a_wiped_member_is_refused_as_a_founder(build):
    cluster = build()
    node = cluster.node("n1")
    node.start(wiped(cluster, node), "new")
    with pytest.raises(ClusterError, match="has already been bootstrapped"):
        cluster.await_healthy(node, deadline_seconds=15)


def test_a_paused_member_answers_nothing_until_it_is_resumed(build):
    cluster = build()
    node = cluster.node("n2")
    node.pause()
    assert cluster.status(node) is None
    assert node not in cluster.running()
    node.resume()
    cluster.await_healthy(node)


def test_a_call_that_was_never_made_is_told_from_one_that_may_have_been(build):
    cluster = build()
    dead, paused = cluster.node("n1"), cluster.node("n2")
    dead.kill()
    with cluster.client(dead) as client, pytest.raises(CallFailed):
        client.put({"a": "b"})
    paused.pause()
    with cluster.client(paused, 0.3) as client, pytest.raises(CallUnknown):
        client.put({"a": "b"})
    with cluster.client(cluster.node("n3"), 0.5) as client, pytest.raises(CallUnknown):
        client.put({"no": "quorum"})


def test_a_snapshot_restores_into_a_new_cluster(build, tmp_path):
    old = build(EtcdSpec(1))
    with old.client(old.node("n1")) as client:
        client.put({"saved": "yes"})
    old.save_snapshot(old.node("n1"), tmp_path / "one.db")
    new = build(EtcdSpec(2), start=False)
    nodes = [new.create_node(), new.create_node()]
    for node in nodes:
        new.restore_snapshot(tmp_path / "one.db", node, initial_cluster_of(nodes))
    for node in nodes:
        node.start(initial_cluster_of(nodes), "new")
    for node in nodes:
        new.await_healthy(node)
        with new.client(node) as client:
            assert client.get("saved")[1].value == "yes"


def test_what_is_no_snapshot_is_refused(build, tmp_path):
    cluster = build(EtcdSpec(1), start=False)
    (tmp_path / "no.db").write_bytes(b"\x00hello")
    with pytest.raises(ClusterError, match="etcdutl snapshot failed"):
        cluster.restore_snapshot(tmp_path / "no.db", cluster.create_node(), "n1=http://127.0.0.1:1")


def test_a_member_can_be_added_promoted_and_removed(build):
    cluster = build(EtcdSpec(1, strict_reconfig_check=False))
    first, second = cluster.node("n1"), cluster.create_node()
    with cluster.client(first, 5) as client:
        added = client.member_add(second.peer_url, learner=True)
        second.start(initial_cluster_of([first, second]), "existing")
        until(lambda: _promoted(client, added), what="the learner to catch up", deadline_seconds=20)
        assert {row.learner for row in cluster.members()} == {False}
        client.member_remove(added)
    until(lambda: not second.running, what="the removed member to stop itself", deadline_seconds=30)
    assert [row.name for row in cluster.members()] == ["n1"]


def test_a_taken_port_is_named_before_anything_is_started(build):
    cluster = build(start=False)
    with (
        socket.create_server((cluster.subnet.address(2), 2379)),
        pytest.raises(MachineError, match=r"port 2379 on .* is taken"),
    ):
        cluster.start()


def test_a_start_that_fails_carries_the_log(build):
    cluster = build(EtcdSpec(1), start=False)
    node = cluster.create_node()
    node.start("somebody-else=http://127.0.0.1:1", "new")
    with pytest.raises(ClusterError, match="couldn't find local name"):
        cluster.await_healthy(node)


def test_removal_leaves_no_process_and_no_data(build):
    cluster = build()
    pids = [node.pid for node in cluster.nodes.values()]
    assert cluster.remove() == []
    assert not [pid for pid in pids if pid_lives(pid)]
    assert not [node for node in cluster.nodes.values() if node.data_dir.exists()]


def test_a_destroyed_node_never_starts_again(build):
    cluster = build()
    cluster.node("n3").destroy()
    with pytest.raises(ClusterError, match="was destroyed"):
        cluster.node("n3").start("", "existing")
    with pytest.raises(ClusterError, match="no node 'n9'; there are n1, n2, n3"):
        cluster.node("n9")


def _promoted(client, member_id):
    try:
        client.member_promote(member_id)
    except CallUnknown:
        return False
    return True
