"""The kube API tap in front of a real API server: what clients do through it ends as it does without."""

import contextlib
import gc
import hashlib
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml
from kubernetes import client, config, stream, watch

from harness.clusters.kube_api import Credentials
from harness.journal import Journal
from harness.probes.kubernetes.pod_manifests import PROBE_IMAGE
from harness.taps.gate import Moment
from harness.taps.kube_tap import KubeTap
from harness.waiting import until
from tests.unit.kube_tap_program import built_kube_tap

pytestmark = pytest.mark.kind
SPACE = "tapped"
MAPS = f"/api/v1/namespaces/{SPACE}/configmaps"
UPGRADES = [pytest.param("true", id="websocket"), pytest.param("false", id="spdy")]


@dataclass
class Gate:
    asked: list[tuple[str, Moment]] = field(default_factory=list)
    refused: set[tuple[str, Moment]] = field(default_factory=set)

    def passes(self, call, moment):
        self.asked.append((call, moment))
        return (call, moment) not in self.refused

    def take(self):
        """Calls since the last time, each with its two moments."""
        calls = [call for call, moment in self.asked if moment == Moment.BEFORE]
        assert len(self.asked) == 2 * len(calls)
        self.asked.clear()
        return calls


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.jsonl", time.monotonic)
    yield made
    made.seal()


@pytest.fixture
def kubeconfig(kind_cluster, tmp_path, ownership, journal, gate):
    """A copy, led through a tap of the test's own."""
    path = tmp_path / "kubeconfig"
    path.write_bytes(kind_cluster.kubeconfig.read_bytes())
    tap = KubeTap(built_kube_tap(), tmp_path / "tap", ownership, journal, gate)
    tap.attach(path)
    yield path
    tap.close()


@pytest.fixture
def command(kind_cluster, kubeconfig, tmp_path):
    """Words and environment of a kubectl that keeps its caches to itself."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig)}
    return [str(kind_cluster.setup.kubectl), "-n", SPACE], environment


@pytest.fixture
def kubectl(command):
    def run(*words, stdin=b"", code=0, **more):
        program, environment = command
        done = subprocess.run(
            [*program, *words], input=stdin, env=environment | more, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == code, done.stderr.decode()
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.fixture(scope="module", autouse=True)
def space(root):
    """A namespace with a pod that serves."""
    name = {"metadata": {"name": SPACE}}
    assert root.create("/api/v1/namespaces", name).good
    accounts = f"/api/v1/namespaces/{SPACE}/serviceaccounts/default"
    until(lambda: root.get(accounts).good, what="the service account", deadline_seconds=30)
    container = {"name": "web", "image": PROBE_IMAGE, "imagePullPolicy": "Never", "args": ["serve", "8080"]}
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    pods = f"/api/v1/namespaces/{SPACE}/pods"
    assert root.create(pods, pod).good

    def running():
        return root.get(f"{pods}/web").body["status"]["phase"] == "Running"

    until(running, what="the pod", deadline_seconds=60)
    yield
    assert root.delete(f"/api/v1/namespaces/{SPACE}").good
    until(lambda: root.get(f"/api/v1/namespaces/{SPACE}").status == 404, what="the end of it", deadline_seconds=60)


def configmap(name, **data):
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}).encode()


def calls(journal):
    return [entry.data for entry in journal.entries() if entry.kind == "tap.api_call"]


def line_of(process, pattern):
    """The first line of what it says that fits; its test has a deadline of its own."""
    for line in process.stdout:
        if found := re.search(pattern, line.decode()):
            return found
    raise AssertionError(f"it ended without {pattern}")


@contextlib.contextmanager
def running(command, *words, **more):
    program, environment = command
    with subprocess.Popen([*program, *words], env=environment | more, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_is_read_is_the_same(kind_cluster, kubectl, journal):
    for words in (["get", "--raw", "/openapi/v3"], ["get", "nodes,ns", "-o", "yaml"], ["api-resources"]):
        direct = kubectl(*words, KUBECONFIG=str(kind_cluster.kubeconfig))
        until(lambda: kubectl(*words) == direct, what=f"the same {words}", deadline_seconds=30)  # noqa: B023
    seen = calls(journal)
    assert {call["protocol"] for call in seen} == {"HTTP/2.0"}
    assert {call["user"].partition("/")[0] for call in seen} == {"kubectl"}
    assert {"api get /openapi/v3", "api list nodes", "api list namespaces"} <= {call["call"] for call in seen}


def test_what_is_made_changed_and_deleted(kubectl, gate, root):
    kubectl("apply", "-f", "-", stdin=configmap("plain", a="1"))
    kubectl("apply", "-f", "-", stdin=configmap("plain", a="2"))
    kubectl("apply", "--server-side", "-f", "-", stdin=configmap("by-server", a="1"))
    kubectl("diff", "-f", "-", stdin=configmap("plain", a="3"), code=1)
    assert root.get(f"{MAPS}/plain").body["data"] == {"a": "2"}
    kubectl("delete", "configmap", "plain", "by-server", "--dry-run=server")
    kubectl("delete", "configmap", "plain", "by-server")
    whole = f"{SPACE}/plain"
    assert gate.take() == [
        f"api create configmaps {whole}",
        f"api patch configmaps {whole}",
        f"api patch configmaps {SPACE}/by-server",
        f"api delete configmaps {whole}",
        f"api delete configmaps {SPACE}/by-server",
    ]


def test_a_large_body_arrives_whole(kubectl, root):
    text = "x" * 1_000_000
    kubectl("create", "-f", "-", stdin=configmap("large", text=text))
    assert json.loads(kubectl("get", "configmap", "large", "-o", "json"))["data"]["text"] == text
    assert root.get(f"{MAPS}/large").body["data"]["text"] == text
    kubectl("delete", "configmap", "large")


@pytest.mark.parametrize("websocket", UPGRADES)
def test_a_command_in_a_pod(kubectl, journal, websocket):
    sent = hashlib.sha256(b"seed").digest() * 40_000
    words = ["-n", "kube-system", "exec", "-i", "ds/kube-proxy", "--", "cat"]
    assert kubectl(*words, stdin=sent, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=websocket) == sent
    ended = until(
        lambda: [call for call in calls(journal) if "/exec" in call["call"]], what="its end", deadline_seconds=30
    )
    assert [(call["status"], call["mutating"], call["protocol"]) for call in ended] == [(101, False, "HTTP/1.1")]
    assert min(ended[0]["request_bytes"], ended[0]["response_bytes"]) >= len(sent)


@pytest.mark.parametrize("websocket", UPGRADES)
def test_a_forwarded_port(command, websocket):
    words = ["port-forward", "pod/web", ":8080"]
    with running(command, *words, KUBECTL_PORT_FORWARD_WEBSOCKETS=websocket) as process:
        port = line_of(process, r"127.0.0.1:(\d+)").group(1)
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=10).text.strip() == "web"


def test_logs(kind_cluster, kubectl):
    words = ["-n", "kube-system", "logs", "-l", "component=kube-scheduler", "--tail=5"]
    assert kubectl(*words) == kubectl(*words, KUBECONFIG=str(kind_cluster.kubeconfig)) != b""


def test_a_watch_tells_at_once(command, root, journal):
    with running(command, "get", "configmaps", "-w", "-o", "name") as process:
        line_of(process, "kube-root-ca.crt")
        began = time.monotonic()
        assert root.create(MAPS, {"metadata": {"name": "seen"}}).good
        line_of(process, "configmap/seen")
        assert time.monotonic() - began < 10
    until(lambda: [call for call in calls(journal) if call["verb"] == "watch"], what="its end", deadline_seconds=30)
    assert root.delete(f"{MAPS}/seen").good


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_python_client(kubeconfig, gate, journal):
    with config.new_client_from_config(str(kubeconfig)) as api:
        core = client.CoreV1Api(api)
        core.create_namespaced_config_map(SPACE, {"metadata": {"generateName": "python-"}, "data": {"a": "b"}})
        with contextlib.closing(
            watch.Watch().stream(core.list_namespaced_config_map, SPACE, timeout_seconds=5)
        ) as events:
            names = (event["object"].metadata.name for event in events)
            name = next(name for name in names if "python-" in name)
        core.delete_namespaced_config_map(name, SPACE)
        words = {"command": ["probe", "env"], "stdout": True, "stderr": True, "stdin": False, "tty": False}
        executed = stream.stream(core.connect_get_namespaced_pod_exec, "web", SPACE, _preload_content=False, **words)
        with contextlib.closing(executed):
            executed.run_forever(timeout=10)
            said = executed.read_all()
    del api, core, events, executed
    gc.collect()  # this client leaves sockets to the collector, which must not blame another test
    assert "KUBERNETES_SERVICE_HOST" in said
    assert gate.take() == [f"api create configmaps {SPACE}/python-*", f"api delete configmaps {SPACE}/{name}"]
    assert {call["protocol"] for call in calls(journal)} == {"HTTP/1.1"}


def test_a_protobuf_body(kubeconfig, gate, root):
    def part(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    kind = part(1, b"v1") + part(2, b"ConfigMap")
    body = b"k8s\x00" + part(1, kind) + part(2, part(1, part(1, b"packed")))
    credentials = Credentials.of(kubeconfig.read_text())
    with httpx.Client(base_url=credentials.server, verify=credentials.context(), trust_env=False) as api:
        answer = api.post(MAPS, content=body, headers={"Content-Type": "application/vnd.kubernetes.protobuf"})
    assert answer.status_code == 201, answer.text
    assert gate.take() == [f"api create configmaps {SPACE}/packed"]
    assert root.delete(f"{MAPS}/packed").good


@pytest.mark.parametrize(("moment", "made"), [(Moment.BEFORE, 404), (Moment.AFTER, 200)])
def test_a_call_is_cut_exactly(kubectl, gate, journal, root, moment, made):
    gate.refused = {(f"api create configmaps {SPACE}/cut", moment)}
    kubectl("create", "configmap", "cut", code=1)
    assert root.get(f"{MAPS}/cut").status == made
    # a call is told when it is over, which may be just after the client has seen its end
    changing = until(
        lambda: [call for call in calls(journal) if call["mutating"]], what="the call's entry", deadline_seconds=30
    )
    assert [call["outcome"] for call in changing] == [f"dropped-{moment}"]
    root.delete(f"{MAPS}/cut")


def test_the_kubeconfig_of_the_cluster_is_left_alone(kind_cluster, kubeconfig):
    assert Path(kubeconfig).read_text() != kind_cluster.kubeconfig.read_text()
    assert Credentials.of(kind_cluster.kubeconfig.read_text()).server != Credentials.of(kubeconfig.read_text()).server
