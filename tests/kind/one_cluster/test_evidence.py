"""What tells why a real cluster broke: gathered while it lives, when its API is dead, and before kind removes it."""

import base64
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from harness.clusters.kube_ready import await_ready
from harness.clusters.kube_store import KubeStore
from harness.clusters.lease import CLUSTER_LABEL
from harness.clusters.ownership import Ownership
from harness.clusters.tool_made import ToolMadeCluster
from harness.journal import Journal
from harness.probes.evidence import KIND, Evidence, Occasion
from harness.probes.kubernetes.pod_manifests import PROBE_IMAGE
from harness.spec import KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from harness.taps.command_call import Hooks
from harness.taps.command_tap import CommandTap
from harness.taps.engine_view import EngineView
from harness.waiting import until
from tests.kind import used_cluster as used
from tests.kind.needs import kind_needed

pytestmark = pytest.mark.kind
PASSWORD = "correct-horse-battery"
PODS = "/api/v1/namespaces/default/pods"
BROKEN_SECRET, BROKEN_MAP = "/registry/secrets/default/broken", "/registry/configmaps/default/broken"
_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
# An API server that never comes, and a kubeadm that does not wait four minutes for it.
_HOPELESS = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "kubeadmConfigPatches": [
        yaml.safe_dump({
            "kind": "ClusterConfiguration",
            "apiServer": {"timeoutForControlPlane": "25s", "extraArgs": {"feature-gates": "NoSuchGate=true"}},
        })
    ],
}  # fmt: skip


class WithConsoles:
    """The shared cluster, as evidence wants it."""

    def __init__(self, cluster):
        self._cluster = cluster

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    def consoles(self):
        return {}


def gather(cluster, story, folder, occasion=Occasion.RED):
    Evidence(WithConsoles(cluster), story.journal, folder).gather(occasion)
    return [entry.data for entry in story.journal.entries() if entry.kind == KIND]


def of_sort(pieces, sort):
    return {piece["subject"]: piece for piece in pieces if piece["sort"] == sort}


def assert_no_secret_is_told(folder):
    """Neither as it is nor as the API shows it, in the journal and in every file."""
    for file in [path for path in folder.rglob("*") if path.is_file() and "owned" not in path.parts]:
        text = file.read_text(errors="replace")
        for form in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), PASSWORD.encode().hex()):
            assert form not in text, file


@pytest.fixture
def broken(kind_cluster, golden, root):
    """Two keys that nobody can decode, a pod that never gets its image, one that crashes and tells a password."""
    golden.reset(kind_cluster)
    used.make(root, "/api/v1/namespaces/default/secrets", {"metadata": {"name": "p"}, "stringData": {"p": PASSWORD}})
    container = {"name": "app", "image": PROBE_IMAGE, "imagePullPolicy": "Never", "args": ["read", f"/no/{PASSWORD}"]}
    spec = {"containers": [container], "tolerations": [{"operator": "Exists"}]}
    used.make(root, PODS, {"metadata": {"name": "crashes"}, "spec": spec})
    missing = spec | {"containers": [container | {"image": "nowhere/x:1"}]}
    used.make(root, PODS, {"metadata": {"name": "waits"}, "spec": missing})
    until(lambda: restarts(root) > 0, what="a crash", deadline_seconds=120, every_seconds=1)
    store = KubeStore(kind_cluster.running()[0])
    store.put(BROKEN_SECRET, b"k8s\x00 cut off " + PASSWORD.encode())
    store.put(BROKEN_MAP, b"k8s\x00 cut off")
    yield
    forget(store)


def forget(store):
    for key in (BROKEN_SECRET, BROKEN_MAP):
        store.delete(key)


def restarts(root):
    rows = root.get(f"{PODS}/crashes").body["status"].get("containerStatuses") or [{"restartCount": 0}]
    return rows[0]["restartCount"]


@pytest.mark.usefixtures("broken")
def test_a_living_cluster_s_trouble_is_told_and_no_secret(kind_cluster, story, tmp_path):
    pieces = gather(kind_cluster, story, tmp_path)
    assert [piece["problem"] for piece in pieces if piece["problem"]] == []
    health = of_sort(pieces, "api-health")
    assert {name: (row["facts"], row["lines"]) for name, row in health.items()} == {
        name: ({"status": 200, "failing": []}, []) for name in ("readyz", "livez")
    }
    keys = of_sort(pieces, "undecodable-key")
    assert set(keys) == {BROKEN_SECRET, BROKEN_MAP}
    assert keys[BROKEN_MAP]["facts"]["raw"] == b"k8s\x00 cut off".hex()
    assert "protobuf: " in keys[BROKEN_SECRET]["facts"]["why"]
    assert keys[BROKEN_SECRET]["facts"]["raw"] == ""
    assert {"default/crashes", "default/waits"} <= set(of_sort(pieces, "failing-pod"))
    (log,) = {name: row for name, row in of_sort(pieces, "container-log").items() if "crashes" in name}.values()
    assert "open /no/(secret): no such file" in "\n".join(log["lines"])
    (events,) = of_sort(pieces, "warning-events").values()
    assert any("nowhere/x:1" in line for line in events["lines"]), events
    assert any(row["lines"] for row in of_sort(pieces, "kubelet-log").values())
    assert_no_secret_is_told(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("broken")
def test_with_a_dead_api_the_node_tells(kind_cluster, story, tmp_path):
    (node,) = kind_cluster.running()
    try:
        node.execute("sed", "-i", "s/- kube-apiserver$/&\\n    - --no-such-flag=1/", _MANIFEST)
        until(lambda: died_of_the_flag(node), what="the API server to die of it", deadline_seconds=90, every_seconds=1)
        pieces = gather(kind_cluster, story, tmp_path)
    finally:
        node.execute("sed", "-i", "/no-such-flag/d", _MANIFEST)
        forget(KubeStore(node))  # an API server that begins with those is never ready
        await_ready(kind_cluster.kubeconfig, 1)
    assert {row["facts"]["status"] for row in of_sort(pieces, "api-health").values()} == {0}
    assert set(of_sort(pieces, "undecodable-key")) == {BROKEN_SECRET, BROKEN_MAP}
    (log,) = [row for name, row in of_sort(pieces, "container-log").items() if name.endswith("/kube-apiserver")]
    assert "unknown flag: --no-such-flag" in "\n".join(log["lines"])
    assert_no_secret_is_told(tmp_path)


def died_of_the_flag(node):
    return node.execute("sh", "-c", "grep -qs no-such-flag /var/log/pods/*/kube-apiserver/*.log").exit_code == 0


def test_a_good_cluster_that_is_deleted_is_only_told_to_be_good(kind_cluster, golden, story, tmp_path):
    golden.reset(kind_cluster)
    pieces = until(
        lambda: gather(kind_cluster, story, tmp_path, Occasion.DELETING)[-2:],
        lambda told: [row["sort"] for row in told] == ["api-health"] * 2,
        what="nothing but its health to be told",
        deadline_seconds=60,
        every_seconds=2,
    )
    assert {row["facts"]["status"] for row in pieces} == {200}


class Tapped:
    """A run with a command tap whose hooks gather, and the same kind without."""

    def __init__(self, setup, folder):
        self.setup, self.folder = setup, folder
        self.ownership = Ownership(f"test-{os.getpid()}-{time.time_ns()}", folder / "owned")
        self.journal = Journal(folder / "journal.jsonl", time.monotonic)
        cluster = ToolMadeCluster(setup, folder / "owned" / "look", self.journal, self.ownership)
        self.evidence = Evidence(cluster, self.journal, folder)
        programs = {"kind": setup.kind, "kubectl": setup.kubectl, "docker": Path(shutil.which("docker"))}
        hooks = Hooks(create_failed=lambda _name: self.evidence.gather(Occasion.CREATE_FAILED))
        view = EngineView(setup.engine, self.ownership)
        self.tap = CommandTap(
            folder / "owned" / "tap", programs, view, self.ownership, self.journal, hooks=hooks,
            node_image=setup.image,
        )  # fmt: skip

    def create(self, name, *, tapped):
        own = {"HOME": str(self.folder), "KIND_EXPERIMENTAL_DOCKER_NETWORK": self.ownership.network()}
        own |= self.tap.environment() if tapped else {}
        program = "kind" if tapped else str(self.setup.kind)
        words = [program, "create", "cluster", f"--name={name}", f"--image={self.setup.image}", "--config=-"]
        return subprocess.run(
            words, env=self.ownership.environment(**own), input=yaml.safe_dump(_HOPELESS), capture_output=True,
            text=True, check=False, timeout=400,
        )  # fmt: skip

    def nodes(self, name):
        found = self.setup.engine.containers.list(all=True, filters={"label": f"{CLUSTER_LABEL}={name}"})
        return [one.name for one in found]

    def end(self):
        self.tap.close()
        self.journal.seal()
        self.ownership.release()


@pytest.fixture
def tapped(tmp_path, pytestconfig):
    with kind_needed(pytestconfig):
        setup = kind_setup(KindWords(), KindSpec())
    made = Tapped(setup, tmp_path)
    yield made
    made.end()
    setup.engine.close()


@pytest.mark.slow
def test_a_create_that_fails_is_looked_at_before_kind_removes_it_and_the_tool_sees_the_same(tapped, tmp_path):
    names = [f"{tapped.ownership.lease.cluster_prefix}{name}" for name in ("tapped", "plain")]
    through, plain = tapped.create(names[0], tapped=True), tapped.create(names[1], tapped=False)
    assert through.returncode == plain.returncode == 1
    assert [tapped.nodes(name) for name in names] == [[], []]
    assert steps(through.stderr) == steps(plain.stderr)
    pieces = [entry.data for entry in tapped.journal.entries() if entry.kind == KIND]
    logs = [row for name, row in of_sort(pieces, "container-log").items() if name.endswith("/kube-apiserver")]
    assert "unrecognized feature gate: NoSuchGate" in "\n".join(line for row in logs for line in row["lines"])
    assert any(row["lines"] for row in of_sort(pieces, "kubelet-log").values())
    assert all((tmp_path / row["file"]).is_file() for row in pieces if row["file"])
    (call,) = [entry.data for entry in tapped.journal.entries() if entry.kind == "tap.command"]
    assert (call["outcome"], call["exit_code"]) == ("ran", 1)


def steps(stderr):
    """What kind said it did, without the words of kubeadm, which have times and numbers in them."""
    return [line.split('"')[0] for line in stderr.splitlines() if line.lstrip().startswith(("✓", "✗", "Deleted"))]
