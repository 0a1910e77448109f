"""Nothing is left in the Docker engine, however a run ends; and nothing of anybody else is touched."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import docker.errors
import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.clusters import engine
from harness.clusters.bystanders import look, observe_bystanders
from harness.clusters.lease import Lease, Mark, read_lease
from harness.clusters.living import pid_lives
from harness.clusters.ownership import Ownership, owned_processes, sweep
from harness.errors import HarnessError, LeftoverError, WaitTimeout
from harness.journal import Journal, read
from harness.judging.bystanders import changes
from harness.waiting import until
from tests.contract.small_image import SMALL, engine_with_small_image

ROOT = Path(__file__).parents[2]
NOTHING_THERE = "unix:///nonexistent/docker.sock"


@pytest.fixture(scope="module")
def client():
    with engine_with_small_image(disk_mib=48) as opened:
        yield opened


@pytest.fixture(scope="module")
def foreign(client):
    """A container with a volume, on a network: all of it somebody else's."""
    name = f"foreign-{uuid.uuid4().hex[:8]}"
    network = client.networks.create(name)
    made = client.containers.run(
        SMALL, detach=True, name=name, network=name, volumes=["/var"], labels={engine.CLUSTER_LABEL: "foreign"}
    )
    yield made
    made.remove(force=True, v=True)
    network.remove()


@pytest.fixture(autouse=True)
def own_leases(tmp_path, monkeypatch):
    """Leases of these tests lie apart: what other runs on this machine left is not collected by a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def untouched(client, foreign):
    """The foreign container is what it was, whatever the test does."""

    def seen():
        return [bystander for bystander in look(client, Mark("nobody")) if bystander.id == foreign.id]

    before = seen()
    yield
    assert seen() == before
    assert before[0].running


@pytest.fixture
def owner(tmp_path):
    taken = Ownership(f"test-{uuid.uuid4().hex[:12]}", tmp_path / "owned")
    yield taken
    with contextlib.suppress(LeftoverError):
        taken.release()


def start(sort, tmp_path, label=""):
    label = label or f"test-{uuid.uuid4().hex[:12]}"
    folder = tmp_path / label
    folder.mkdir()
    command = [sys.executable, "-m", "tests.contract.victims", sort, label, str(folder)]
    pipe = subprocess.PIPE
    return label, subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def run(tmp_path):
    """A run in a process of its own that owns one of everything; its lease, its process, its reaper's pid."""
    label, process = start("everything", tmp_path)
    with process:
        word, reaper = process.stdout.readline().split()
        assert word == "up"
        lease = read_lease(Lease(label, tmp_path, 0, 0).file)
        yield lease, process, int(reaper)
        process.kill()
        process.wait()
        sweep(lease)


def left(client, lease):
    """All that is left of a run, a sentence each."""
    things = [str(thing) for thing in engine.owned_things(client, lease.mark)]
    told = [*things, *(f"process {process.pid}" for process in owned_processes(lease.label))]
    return told + [str(path) for path in (lease.work, lease.file) if path.exists()]


def sorts(client, lease):
    return sorted(thing.sort for thing in engine.owned_things(client, lease.mark))


EVERYTHING = sorted(["container"] * 3 + ["volume"] * 4 + ["network", "image"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_within_a_minute_of_a_signal(run, client, number, capsys):
    lease, process, reaper = run
    assert sorts(client, lease) == EVERYTHING
    started = time.monotonic()
    process.send_signal(number)
    process.wait()
    until(lambda: not pid_lives(reaper), what="the reaper to end", deadline_seconds=60)
    assert left(client, lease) == []
    with capsys.disabled():
        print(f"\n{number.name}: nothing left after {time.monotonic() - started:.1f} s")


def test_a_run_that_ends_by_ctrl_c_gives_everything_back(run, client):
    lease, process, _ = run
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert left(client, lease) == []
    assert f"container {lease.cluster_prefix}node had to be removed" in said
    assert "(sleep) had to be killed" in said


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_calls_the_engine_at_the_moment_of_the_kill_leaves_nothing(client, tmp_path, seed):
    """A request the engine has goes on when its client is dead, and its container shows only afterwards."""
    label, process = start("busy", tmp_path)
    with process:
        reaper = int(process.stdout.readline().split()[1])
        lease = read_lease(Lease(label, tmp_path, 0, 0).file)
        until(lambda: sorts(client, lease).count("container") > seed, what="containers", deadline_seconds=60)
        process.kill()
    until(lambda: not pid_lives(reaper), what="the reaper to end", deadline_seconds=60)
    assert left(client, lease) == []
    with pytest.raises(WaitTimeout):
        until(lambda: left(client, lease), what="a latecomer", deadline_seconds=5)


def test_what_a_run_still_has_at_its_end_is_removed_and_told(owner, client):
    network = owner.network()
    assert owner.network() == network, "one a run"
    client.containers.run(SMALL, detach=True, name=f"{network}-x", network=network, labels=owner.labels())
    with pytest.raises(LeftoverError, match=f"container {network}-x had to be removed"):
        owner.release()
    assert left(client, owner.lease) == []


def test_a_network_alone_is_given_back_without_a_word(owner, client):
    owner.network()
    owner.release()
    assert left(client, owner.lease) == []


def test_a_disk_that_a_tool_forgot_is_removed(owner, client):
    """``docker rm`` without ``-v`` leaves a node's disk, and nothing on it tells whose it was."""
    node = client.containers.run(
        SMALL, detach=True, volumes=["/var"], network_mode="none",
        labels={engine.CLUSTER_LABEL: f"{owner.lease.cluster_prefix}c"} | owner.labels(),
    )  # fmt: skip
    owner.note_volumes()
    disk = node.attrs["Mounts"][0]["Name"]
    node.remove(force=True)
    assert client.volumes.get(disk)
    owner.release()
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(disk)


def test_what_was_made_on_the_run_s_network_is_the_run_s(owner, client):
    """A tool under test calls its kind cluster what it likes; started or not, its nodes are found, and their disks."""
    network, tool_s = owner.network(), {engine.CLUSTER_LABEL: "the-tool-s"}
    running = client.containers.run(SMALL, detach=True, network=network, volumes=["/var"], labels=tool_s)
    created = client.containers.create(SMALL, network=network, volumes=["/var"], labels=tool_s)
    owner.note_volumes()
    disks = {one.attrs["Mounts"][0]["Name"] for one in (running, created)}
    assert disks <= set(owner.lease.volumes)
    assert not {running.id, created.id} & {bystander.id for bystander in look(client, owner.lease.mark)}
    assert not {running.id, created.id} & {bystander.id for bystander in look(client, Mark("another"))}
    with pytest.raises(LeftoverError) as told:
        owner.release()
    assert len(told.value.leftovers) == 2
    assert left(client, owner.lease) == []
    assert not disks & {volume.name for volume in client.volumes.list()}


def test_what_somebody_attaches_to_the_run_s_network_stays_theirs(owner, client, foreign):
    """It was made elsewhere; the network goes when it has gone from there."""
    network = client.networks.get(owner.network())
    network.connect(foreign)
    try:
        assert [thing.sort for thing in engine.owned_things(client, owner.lease.mark)] == [engine.NETWORK]
        assert foreign.id in {bystander.id for bystander in look(client, owner.lease.mark)}
    finally:
        network.disconnect(foreign)


def test_what_another_run_made_on_the_run_s_network_is_the_other_s(owner, client):
    """A label says whose it is, wherever it is; so does the name of a run's cluster."""
    network, other = owner.network(), Mark("another")
    marked = {engine.RUN_LABEL: "another"}, {engine.CLUSTER_LABEL: f"{other.cluster_prefix}c"}
    theirs = [client.containers.create(SMALL, network=network, labels=labels) for labels in marked]
    try:
        for one in theirs:
            thing = engine.Thing(engine.CONTAINER, one.id, one.name, one.labels, network)
            assert not thing.belongs_to(owner.lease.mark)
            assert thing.belongs_to(other)
            with pytest.raises(HarnessError, match="is left alone"):
                engine.remove(client, thing, owner.lease.mark)
    finally:
        for one in theirs:
            one.remove(v=True)


def test_a_run_without_docker_never_asks_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", NOTHING_THERE)
    owner = Ownership(f"test-{uuid.uuid4().hex[:12]}", tmp_path / "owned")
    assert not owner.lease.engine
    assert "DOCKER_HOST" not in owner.environment()
    owner.note_volumes()
    owner.release()
    assert not owner.lease.file.exists()


def test_an_engine_that_is_away_leaves_the_rest_to_gc(tmp_path, client):
    owner = Ownership(f"test-{uuid.uuid4().hex[:12]}", tmp_path / "owned")
    owner.network()
    here = owner.lease
    replace(here, engine=NOTHING_THERE).write()
    with pytest.raises(LeftoverError, match=f"no Docker engine answers at {NOTHING_THERE}"):
        owner.release()
    assert here.file.exists()
    assert not here.work.exists()
    dead = replace(here, owner_created=0.0)
    replace(dead, engine=NOTHING_THERE).write()
    told = CliRunner().invoke(main, ["gc"])
    assert told.exit_code == 4, told.output
    assert "scripts/docker-engine" in told.output
    dead.write()
    assert CliRunner().invoke(main, ["gc"]).exit_code == 0
    assert left(client, here) == []


def gc_tells(lease, *words):
    """What it says of this run: tests beside this one leave things too, until their reapers have been there."""
    told = CliRunner().invoke(main, ["gc", *words])
    assert told.exit_code == 0, told.output
    return [line for line in told.output.splitlines() if lease.label in line]


def test_gc_tells_with_dry_run_and_removes_without(run, client):
    lease, process, reaper = run
    assert gc_tells(lease) == [], "it lives"
    assert sorts(client, lease) == EVERYTHING
    os.kill(reaper, signal.SIGKILL)
    process.kill()
    process.wait()
    lines = [line.removeprefix(f"would remove {lease.label}: ").split()[0] for line in gc_tells(lease, "--dry-run")]
    assert sorted(lines) == sorted([*EVERYTHING, "process", "kubeconfig", "folder", "its"])
    assert sorts(client, lease) == EVERYTHING, "a dry run only tells"
    assert gc_tells(lease)
    assert left(client, lease) == []
    assert gc_tells(lease) == []


def test_gc_finds_what_has_no_lease_any_more(run, client):
    lease, process, reaper = run
    lease.file.unlink()
    assert gc_tells(lease) == [], "it lives"
    os.kill(reaper, signal.SIGKILL)
    process.kill()
    process.wait()
    told = CliRunner().invoke(main, ["gc"])
    assert told.output.count(f"removing {lease.label} (without a lease): ") >= len(EVERYTHING) - 3
    assert sorts(client, lease) == []


def test_a_lease_that_is_none_is_told_and_the_rest_is_done(run, client):
    lease, process, reaper = run
    (lease.file.parent / "torn.json").write_text('{"label": "x"')
    os.kill(reaper, signal.SIGKILL)
    process.kill()
    process.wait()
    told = CliRunner().invoke(main, ["gc"])
    assert told.exit_code == 3
    assert "torn.json holds no lease" in told.output
    assert left(client, lease) == []


def test_two_runs_side_by_side_keep_apart(run, owner, client):
    theirs, _, _ = run
    owner.network()
    client.volumes.create(f"{owner.lease.label}-v", labels=owner.labels())
    owner.release()
    assert left(client, owner.lease) == []
    assert sorts(client, theirs) == EVERYTHING
    assert len(owned_processes(theirs.label)) == 1


def test_networks_asked_for_at_once_get_subnets_of_their_own(client, tmp_path):
    owners = [Ownership(f"test-{uuid.uuid4().hex[:12]}", tmp_path / str(number)) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        names = list(pool.map(lambda one: one.network(), owners))
        networks = [client.api.inspect_network(name)["IPAM"]["Config"][0]["Subnet"] for name in names]
        list(pool.map(lambda one: one.release(), owners))
    assert len(set(networks)) == 3


def test_what_another_owns_is_refused(owner, client, foreign):
    """Whoever asks: each removal goes through here."""
    ours = Mark(owner.lease.label, volumes=("noted",))
    for thing in (
        engine.Thing(engine.CONTAINER, foreign.id, foreign.name, foreign.labels),
        engine.Thing(engine.CONTAINER, foreign.id, foreign.name, {engine.RUN_LABEL: "another"}),
        engine.Thing(engine.CONTAINER, foreign.id, foreign.name, {engine.RUN_LABEL: ""}),
        engine.Thing(
            engine.CONTAINER, foreign.id, foreign.name, foreign.labels, foreign.attrs["HostConfig"]["NetworkMode"]
        ),
        engine.Thing(engine.CONTAINER, foreign.id, foreign.name, foreign.labels, Mark("another").network),
        engine.Thing(engine.CONTAINER, foreign.id, foreign.name, {engine.RUN_LABEL: "another"}, ours.network),
        engine.Thing(engine.CONTAINER, foreign.id, foreign.name, network=""),
        engine.Thing(engine.CONTAINER, foreign.id, "noted"),
        engine.Thing(engine.VOLUME, "theirs", "theirs"),
    ):
        with pytest.raises(HarnessError, match="is left alone"):
            engine.remove(client, thing, ours)


def test_what_the_engine_refuses_to_remove_is_told(owner, client):
    """A volume of ours that somebody else's container has in use is not taken away from it."""
    volume = client.volumes.create(f"{owner.lease.label}-v", labels=owner.labels())
    theirs = client.api.create_container(
        SMALL, network_disabled=True, host_config=client.api.create_host_config(binds=[f"{volume.name}:/var"])
    )
    try:
        with pytest.raises(LeftoverError, match=f"volume {volume.name}: .*volume is in use"):
            engine.remove_all(client, owner.lease.mark, cut=False, deadline_seconds=1)
        assert [bystander.id for bystander in look(client, owner.lease.mark) if bystander.id == theirs["Id"]]
    finally:
        client.api.remove_container(theirs["Id"])
    owner.release()
    assert left(client, owner.lease) == []


def test_whose_a_container_is_decides_whether_it_is_a_bystander(run, owner, client, foreign):
    """Clusters of other runs of ours come and go; so do those by which images are checked."""
    checked = client.api.create_container(
        SMALL, network_disabled=True, labels={engine.CLUSTER_LABEL: "afterfault-img-1-2-ab"}
    )
    try:
        seen = {bystander.id for bystander in look(client, owner.lease.mark)}
    finally:
        client.api.remove_container(checked["Id"])
    theirs, _, _ = run
    others = {thing.id for thing in engine.owned_things(client, theirs.mark) if thing.sort == engine.CONTAINER}
    assert foreign.id in seen
    assert len(others) == 3
    assert not seen & {checked["Id"], *others}


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (lambda one: one.restart(timeout=0), "was started anew"),
        (lambda one: one.kill(), "runs no more"),
        (lambda one: one.remove(force=True, v=True), "is gone"),
    ],
)
def test_what_is_done_to_a_bystander_shows_in_the_journal(owner, client, tmp_path, deed, said):
    theirs = client.containers.run(SMALL, detach=True, network_mode="none")
    journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
    try:
        observe_bystanders(client, owner.lease.mark, journal)
        deed(theirs)
        observe_bystanders(client, owner.lease.mark, journal)
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            theirs.remove(force=True, v=True)
        journal.seal()
    before, after = (entry.data["containers"] for entry in read(journal.path).entries)
    told = [line for line in changes(before, after) if line.startswith(theirs.name)]
    assert len(told) == 1
    assert told[0].startswith(f"{theirs.name} {said}")


def test_tools_are_led_to_the_engine_that_is_swept(owner, monkeypatch):
    owner.labels()
    monkeypatch.setenv("DOCKER_HOST", NOTHING_THERE)
    assert owner.environment()["DOCKER_HOST"] == owner.lease.engine != NOTHING_THERE
