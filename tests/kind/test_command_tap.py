"""The command tap between a tool and real kind, docker and kubectl, beside a cluster of somebody else's."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.clusters import engine
from harness.clusters.bystanders import look
from harness.clusters.docker_engine import open_engine
from harness.clusters.lease import CLUSTER_LABEL, RUN_LABEL, Mark
from harness.clusters.ownership import Ownership
from harness.errors import LeftoverError
from harness.journal import Journal
from harness.nodeimage import pick_node_image, tool_paths
from harness.taps.command_call import Hooks
from harness.taps.command_tap import CommandTap
from harness.taps.engine_view import EngineView
from harness.waiting import until
from tests.contract.small_image import SMALL, small_image
from tests.kind.needs import kind_needed

pytestmark = pytest.mark.kind
THEIRS = f"foreign-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def programs(pytestconfig):
    with kind_needed(pytestconfig):
        tools = tool_paths()
    return {"kind": tools.kind, "kubectl": tools.kubectl, "docker": Path(shutil.which("docker"))}


@pytest.fixture(scope="module")
def node_image(pytestconfig):
    with kind_needed(pytestconfig):
        return pick_node_image().reference


@pytest.fixture(scope="module")
def client(pytestconfig):
    with kind_needed(pytestconfig):
        opened = open_engine()
    with contextlib.closing(opened), small_image(opened, disk_mib=1):
        yield opened


@pytest.fixture(scope="module")
def foreign(client, programs, node_image, tmp_path_factory):
    """Somebody's kind cluster, made by kind alone; its rows as the engine has them."""
    own = os.environ | {
        "KUBECONFIG": str(tmp_path_factory.mktemp("theirs") / "config"), "KIND_EXPERIMENTAL_DOCKER_NETWORK": THEIRS
    }  # fmt: skip
    kind = [str(programs["kind"]), "--name", THEIRS]
    try:
        subprocess.run([*kind, "create", "cluster", "--image", node_image], env=own, check=True, capture_output=True)
        yield lambda: {one.id: asdict(one) for one in look(client, Mark("nobody")) if one.cluster == THEIRS}
    finally:
        subprocess.run([*kind, "delete", "cluster"], env=own, check=False, capture_output=True)
        for network in client.networks.list(names=[THEIRS]):
            network.remove()


@pytest.fixture(autouse=True)
def untouched(foreign):
    """Whatever a test lets the tool do."""
    before = foreign()
    assert [row["running"] for row in before.values()] == [True]
    yield
    assert foreign() == before


class Run:
    """A run of ours with a tap, and what its hooks were told."""

    def __init__(self, client, programs, node_image, folder):
        self.client, self.programs, self.home, self.told = client, programs, folder, []
        self.ownership = Ownership(f"test-{uuid.uuid4().hex[:12]}", folder / "owned")
        self.journal = Journal(folder / "journal.jsonl", time.monotonic)
        hooks = Hooks(
            created=lambda name, kubeconfig: self.told.append(("created", name, kubeconfig)),
            create_failed=lambda name: self.told.append(("failed", name, self.nodes(name))),
            deleting=lambda name: self.told.append(("deleting", name, self.nodes(name))),
        )
        view = EngineView(client, self.ownership)
        self.tap = CommandTap(
            folder / "owned" / "tap", programs, view, self.ownership, self.journal, hooks=hooks, node_image=node_image
        )

    def environment(self):
        return self.ownership.environment(HOME=str(self.home), **self.tap.environment())

    def call(self, *words, **options):
        return subprocess.run(
            words, env=self.environment(), capture_output=True, text=True, check=False, timeout=400, **options
        )

    def plainly(self, *words):
        """The same without the tap."""
        own = self.ownership.environment(HOME=str(self.home))
        real = str(self.programs[words[0]])
        return subprocess.run([real, *words[1:]], env=own, capture_output=True, text=True, check=False, timeout=400)

    def nodes(self, name):
        found = self.client.containers.list(all=True, filters={"label": f"{CLUSTER_LABEL}={name}"})
        return sorted(one.name for one in found)

    def owned(self):
        return engine.owned_things(self.client, self.ownership.lease.mark)

    def entries(self):
        return [entry.data for entry in self.journal.entries() if entry.kind == "tap.command"]

    def last(self):
        return self.entries()[-1]

    def refused(self):
        return sum(entry.kind == "tap.refused" for entry in self.journal.entries())

    def end(self):
        self.tap.close()
        self.journal.seal()
        with contextlib.suppress(LeftoverError):
            self.ownership.release()
        assert self.owned() == []


@pytest.fixture
def run(client, programs, node_image, tmp_path):
    made = Run(client, programs, node_image, tmp_path)
    yield made
    made.end()


@pytest.fixture
def small_node(run):
    """What kind takes for a node of the run's own cluster, at no cost."""

    def make(cluster):
        labels = {CLUSTER_LABEL: cluster, "io.x-k8s.kind.role": "control-plane"}
        network = run.ownership.network()
        run.client.containers.run(SMALL, detach=True, name=f"{cluster}-control-plane", network=network, labels=labels)
        return cluster

    return lambda: make(f"tool-{uuid.uuid4().hex[:6]}")


def same(through, plain):
    return (through.returncode, through.stdout, through.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_a_tool_s_cluster_is_made_seen_and_deleted(run, node_image, client):
    """Its life from create to delete, with no word about the harness in the tool's call."""
    name = f"tool-{uuid.uuid4().hex[:6]}"
    assert run.call("kind", "get", "clusters").stdout == ""
    made = run.call("kind", "create", "cluster", "--name", name)
    assert made.returncode == 0, made.stderr
    kubeconfig = run.home / ".kube" / "config"
    assert run.told == [("created", name, kubeconfig)]
    (node,) = run.nodes(name)
    attributes = client.containers.get(node).attrs
    assert attributes["Config"]["Image"] == node_image
    assert list(attributes["NetworkSettings"]["Networks"]) == [run.ownership.lease.mark.network]
    assert {mount["Name"] for mount in attributes["Mounts"] if mount["Type"] == "volume"} <= {
        *run.ownership.lease.volumes
    }
    assert [thing.name for thing in run.owned() if thing.sort == engine.CONTAINER] == [node]
    assert node not in {bystander.name for bystander in look(client, run.ownership.lease.mark)}
    assert run.call("kind", "get", "clusters").stdout == f"{name}\n"
    assert run.call("kind", "get", "nodes", "-A").stdout == f"{node}\n"
    assert run.call("kubectl", "get", "nodes", "-o", "name").stdout == f"node/{node}\n"
    assert run.call("docker", "exec", "-i", node, "cat", input="to the node").stdout == "to the node"
    assert run.call("kind", "get", "kubeconfig", "--name", name).stdout.strip() == kubeconfig.read_text().strip()
    deleted = run.call("kind", "delete", "cluster", "--name", name)
    assert deleted.returncode == 0, deleted.stderr
    assert run.told[1:] == [("deleting", name, [node])]
    assert run.nodes(name) == []


def test_what_is_refused_is_refused_in_kind_s_words(run):
    """A name that is taken, as real kind says it; and what kind says of a cluster that is not there."""
    words = ("kind", "create", "cluster", "--name", THEIRS)
    assert same(run.call(*words), run.plainly(*words))
    for words in (("kind", "export", "logs"), ("kind", "get", "kubeconfig"), ("kind", "get", "nodes")):
        there, nowhere = run.call(*words, "--name", THEIRS), run.plainly(*words, "--name", "nowhere")
        assert (there.returncode, there.stdout) == (nowhere.returncode, nowhere.stdout)
        assert there.stderr == nowhere.stderr.replace("nowhere", THEIRS)
    assert run.refused() == 0


@pytest.mark.parametrize(
    "line",
    [
        "kind delete cluster --name {0}",
        "kind delete clusters {0}",
        "kind load docker-image {1} --name {0}",
        "docker stop {0}-control-plane",
        "docker rm -f {0}-control-plane",
        "docker exec {0}-control-plane reboot",
        "docker cp / {0}-control-plane:/",
        "docker network rm {0}",
        "docker network connect {0} {0}-control-plane",
        "docker run -d --network {0} {1}",
        "docker run -d --volumes-from {0}-control-plane {1}",
        "docker rmi -f {2}",
        "docker system prune -af --volumes",
    ],
)
def test_another_s_things_are_left_alone(run, line, node_image):
    done = run.call(*line.format(THEIRS, SMALL, node_image).split())
    assert done.returncode == 1, done
    assert run.last()["outcome"] == "refused"
    assert run.refused() == 1
    assert [thing for thing in run.owned() if thing.sort == engine.CONTAINER] == []


def test_all_clusters_are_the_run_s(run, small_node):
    names = sorted([small_node(), small_node()])
    assert run.call("kind", "get", "clusters").stdout.split() == names
    done = run.call("kind", "delete", "clusters", "--all")
    assert done.returncode == 0, done.stderr
    assert [told[:2] for told in run.told] == [("deleting", name) for name in names]
    assert run.call("kind", "get", "clusters").stderr == "No kind clusters found.\n"
    nothing = run.call("kind", "delete", "clusters", "-A")
    assert (nothing.returncode, nothing.stderr) == (0, "Deleted clusters: []\n")


def test_a_create_that_fails_ends_as_without_the_tap(run):
    """An image that boots nothing: a look at the node, then it is gone; the exit code is kind's."""
    done = run.call("kind", "create", "cluster", "--name", "broken-tool", "--image", SMALL)
    assert done.returncode == 1
    assert "ERROR: failed to create cluster" in done.stderr
    assert run.told == [("failed", "broken-tool", ["broken-tool-control-plane"])]
    assert run.nodes("broken-tool") == []
    assert "Deleted nodes" in done.stderr


@pytest.mark.parametrize("line", ["docker run --rm nowhere/x:1", "docker create nowhere/x:1"])
def test_a_missing_image_is_told_in_docker_s_words(run, line):
    """As docker says it itself when it must not pull."""
    program, verb, *rest = line.split()
    through, plain = run.call(program, verb, *rest), run.plainly(program, verb, "--pull=never", *rest)
    assert through.returncode == plain.returncode
    assert "No such image: nowhere/x:1" in plain.stderr
    assert plain.stderr.splitlines()[0] in through.stderr


def test_what_docker_makes_is_the_run_s(run, client, tmp_path):
    volume, box, built = (f"tool-{uuid.uuid4().hex[:8]}" for _ in range(3))
    (tmp_path / "Dockerfile").write_text(f"FROM {SMALL}\n")
    for words in (
        ("run", "-d", "--network", "none", "--name", box, "-v", f"{volume}:/data", "-v", "/anonymous", SMALL),
        ("volume", "create", f"{volume}-2"),
        ("network", "create", f"{box}-net"),
        ("build", "-q", "-t", built, str(tmp_path)),
    ):
        done = run.call("docker", *words)
        assert done.returncode == 0, done.stderr
    assert client.images.get(built).labels[RUN_LABEL] == run.ownership.lease.label
    names = {thing.name for thing in run.owned()}
    assert {volume, f"{volume}-2", box, f"{box}-net", f"{built}:latest"} <= names
    assert len(run.ownership.lease.volumes) == 1
    for words in (("rm", "-f", box), ("volume", "rm", volume), ("network", "rm", f"{box}-net"), ("rmi", built)):
        done = run.call("docker", *words)
        assert done.returncode == 0, done.stderr


def test_a_prune_takes_the_run_s_own(run, client):
    theirs = client.containers.create(SMALL, network_mode="none")
    try:
        run.call("docker", "create", SMALL)
        done = run.call("docker", "container", "prune", "-f")
        assert done.returncode == 0, done.stderr
        assert client.containers.get(theirs.id)
        assert [thing for thing in run.owned() if thing.sort == engine.CONTAINER] == []
    finally:
        theirs.remove()


def test_a_tool_killed_in_the_middle_of_a_create_leaves_nothing_that_is_not_found(run):
    """The whole group, by SIGKILL, as soon as there is a node; the run's end removes what there is."""
    tool = subprocess.Popen(
        ["kind", "create", "cluster", "--name", "cut-tool"], env=run.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with tool:
        until(lambda: run.nodes("cut-tool"), what="a node", deadline_seconds=120)
        os.killpg(tool.pid, signal.SIGKILL)
    until(lambda: run.entries() and run.last()["outcome"] == "cut", what="an entry", deadline_seconds=20)
    assert run.told == []
    run.tap.close()
    with pytest.raises(LeftoverError, match="cut-tool-control-plane had to be removed"):
        run.ownership.release()
    assert run.owned() == []
