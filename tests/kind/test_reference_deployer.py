"""The reference deployer on real kind: what strategies keep, how incidents 000 and 001 show, what a cut does."""

import base64
import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

from harness.clusters.ownership import Ownership
from harness.nodeimage import deployment_images
from harness.spec import KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from harness.waiting import until
from tests.kind.needs import kind_needed

pytestmark = [pytest.mark.kind, pytest.mark.slow]
HOST = "shop.test"
BINARY = bytes(range(256)) + b"\x00\n"
_CALL_SECONDS = 420
# The tool takes the first cluster it sees: whoever calls this sees one, and can name no other.
_GUARD = """#!/bin/sh
case "$1 $2" in
"get clusters") {kind} get clusters 2> /dev/null | grep -x {cluster}; exit 0 ;;
"create cluster") set -- "$@" --image {image} ;;
esac
for word in "$@"; do
    [ "$word" = --name={cluster} ] && exec {kind} "$@"
done
echo "ERROR: not ours: $*" >&2
exit 9
"""


class Deployed:
    """A deployment folder, and a cluster name of this test's own."""

    def __init__(self, work, setup, images):
        self.ownership = Ownership(f"test-{os.getpid()}-{time.time_ns()}", work / "owned")
        self.folder, self._kubectl, self.work = work / "deployment", setup.kubectl, work
        self.cluster, shelf = f"{self.ownership.lease.cluster_prefix}dep", work / "bin"
        self.folder.mkdir()
        shelf.mkdir()
        guard = shelf / "kind"
        guard.write_text(_GUARD.format(kind=shlex.quote(str(setup.kind)), cluster=self.cluster, image=setup.image))
        guard.chmod(0o755)
        (shelf / "kubectl").symlink_to(setup.kubectl)
        self.http_port = free_port()
        self.description = {
            "name": "shop", "cluster": self.cluster, "host": HOST, "http_port": self.http_port,
            "https_port": free_port(), "images": images, "ready_seconds": 180,
        }  # fmt: skip
        self.environment = self.ownership.environment(
            PATH=f"{shelf}{os.pathsep}{os.environ['PATH']}",
            KUBECONFIG=str(work / "kubeconfig"),
            KIND_EXPERIMENTAL_DOCKER_NETWORK=self.ownership.network(),
            PYTHONPATH=os.pathsep.join(sys.path),
        )

    def command(self, variant, action, **changes):
        (self.folder / "deployment.yml").write_text(yaml.safe_dump(self.description | changes))
        words = ("-m", "harness.tools.reference.deployer", variant, action, "--dir", str(self.folder))
        return [sys.executable, *words]

    def call(self, variant, action, *, expect=0, **changes):
        done = subprocess.run(
            self.command(variant, action, **changes), env=self.environment, capture_output=True, text=True,
            timeout=_CALL_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def cut(self, variant, line, when=lambda: True):
        """Kill the tool alone when it has printed a line, and something else has come true."""
        with subprocess.Popen(
            self.command(variant, "start"), env=self.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert any(said.startswith(line) for said in iter(process.stdout.readline, "")), f"it never said {line}"
            until(when, what="the moment of the cut", deadline_seconds=60)
            process.kill()

    def listed(self):
        """Whether kind knows the cluster by now."""
        words = [str(self.work / "bin" / "kind"), "get", "clusters"]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        return self.cluster in done.stdout

    def kubectl(self, *words, stdin="", check=True):
        done = subprocess.run(
            [str(self._kubectl), *words], env=self.environment, input=stdin, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout + done.stderr

    def put_secret(self, namespace, name):
        value = base64.b64encode(BINARY).decode()
        made = {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
            "data": {"key": value},
        }  # fmt: skip
        self.kubectl("create", "-f", "-", stdin=json.dumps(made))

    def secret(self, namespace, name):
        found = self.kubectl("-n", namespace, "get", "secret", name, "--ignore-not-found", "--output=json")
        return base64.b64decode(json.loads(found)["data"]["key"]) if found else None

    def http(self, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", body, {"Host": HOST}, method="PUT" if body else "GET"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def remove(self):
        subprocess.run(
            ["kind", "delete", "cluster", f"--name={self.cluster}"], env=self.environment, check=True, timeout=120,
            executable=self.work / "bin" / "kind", capture_output=True,
        )  # fmt: skip
        self.ownership.release()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def deployed(tmp_path, pytestconfig):
    with kind_needed(pytestconfig):
        setup = kind_setup(KindWords(), KindSpec())
        names = {"app": "app", "ingress": "caddy-stand-in", "etcd_tools": "etcd-tools"}
        images = {key: deployment_images.find(name) for key, name in names.items()}
    made = Deployed(tmp_path, setup, images)
    yield made
    made.remove()


def test_faithful_keeps_secrets_and_data_and_tells_what_is_lost(deployed):
    deployed.cut("faithful", "create: cluster", deployed.listed)
    assert "was not created to the end" in deployed.call("faithful", "start")
    deployed.put_secret("caddy-system", "certificate")
    deployed.put_secret("app-shop", "shop-tls")
    deployed.kubectl("create", "namespace", "others")
    deployed.kubectl("-n", "others", "create", "configmap", "note")
    deployed.http("/data/word", BINARY)
    stopped = deployed.call("faithful", "stop").splitlines()
    assert [line for line in stopped if line.startswith("lost: ")] == [
        "lost: Namespace others",
        "lost: ConfigMap others/note",
    ]
    assert deployed.call("faithful", "start").splitlines()[-1] == "ready"
    assert deployed.secret("caddy-system", "certificate") == BINARY
    assert deployed.secret("app-shop", "shop-tls") == BINARY
    assert deployed.http("/data/word") == BINARY
    assert not (deployed.folder / "data" / "scratch").exists()


def test_keep_core_recovers_where_keep_caddy_shows_incident_000(deployed):
    deployed.call("keep-core", "start")
    deployed.put_secret("caddy-system", "certificate")
    deployed.kubectl("create", "namespace", "others")
    deployed.kubectl("-n", "others", "create", "configmap", "note")
    deployed.call("keep-core", "stop")
    assert deployed.call("keep-core", "start").splitlines()[-1] == "ready"
    assert deployed.secret("caddy-system", "certificate") == BINARY
    assert "note" in deployed.kubectl("-n", "others", "get", "configmap", "note")
    deployed.call("keep-core", "stop")
    assert "waited 20 s for the ingress" in deployed.call("keep-caddy", "start", expect=1, ready_seconds=20)
    assert '"kubernetes" not found' in deployed.kubectl("get", "service", "kubernetes", check=False)
    words = ("-n", "kube-system", "logs", "daemonset/kindnet")
    # the last try, or the one before while a new one begins
    said = until(
        lambda: deployed.kubectl(*words, check=False) + deployed.kubectl(*words, "--previous", check=False),
        lambda told: "panic: " in told,
        what="kindnet to say why it died",
        deadline_seconds=60,
        every_seconds=1,
    )
    assert "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined" in said


def test_incident_001_after_a_cut_and_each_way_out_of_it(deployed):
    deployed.cut("ingress-create", "step: restore_secrets")
    for variant, code in (("ingress-create", 1), ("ingress-skip", 1), ("ingress-conflict-ok", 0), ("ingress-apply", 0)):
        # as if it had been cut before the last object
        deployed.kubectl("-n", "caddy-system", "delete", "deployment", "caddy-ingress-controller", "--ignore-not-found")
        said = deployed.call(variant, "start", expect=code, ready_seconds=20 if code else 180)
        assert ("FailToCreateError" in said) == (variant == "ingress-create")
        assert said.splitlines()[-1].startswith("failed: " if code else "ready")
