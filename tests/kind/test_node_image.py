"""A node image does what scenarios rely on; on a real engine, with an image that is there already."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import ClusterError
from harness.nodeimage import NodeImage, ToolPaths, check, check_inotify, pick_node_image, tool_paths
from harness.nodeimage.check import PREFIX, check_image, sweep_dead
from harness.nodeimage.engine import run_privileged
from harness.nodeimage.process import CommandError, run
from harness.waiting import until
from tests.kind.needs import kind_needed

pytestmark = pytest.mark.kind
PANIC = (
    "panic: unable to load in-cluster configuration, "
    "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def image(pytestconfig):
    with kind_needed(pytestconfig):
        check_inotify(1)
        return pick_node_image()


@pytest.fixture(scope="module")
def tools(pytestconfig):
    with kind_needed(pytestconfig):
        return tool_paths()


@pytest.fixture(scope="module")
def ours(image):
    if not image.etcd:
        pytest.skip(f"{image.reference} is not ours")
    return image


@pytest.fixture(scope="module")
def boot(ours, tools):
    """A cluster of one node that all tests of this file share."""
    with check._boot(ours, tools, 1) as booted:
        check._create(booted)
        yield booted


def in_node(boot, *words):
    return run(["docker", "exec", f"{boot.name}-control-plane", *words], timeout_seconds=60)


def containers_of(name):
    return run(["docker", "ps", "--all", "--quiet", "--filter", f"label=io.x-k8s.kind.cluster={name}"]).split()


def test_everything_a_check_asks_is_answered(boot):
    for ask in (check._nodes, check._deployments, check._versions, check._etcd, check._dns, check._api, check._volume):
        assert ask(boot)


def test_a_node_has_what_tests_and_replays_call(boot, ours):
    for words in (["kubectl", "version", "--client"], ["kubeadm", "version"], ["ctr", "version"], ["jq", "--version"]):
        assert in_node(boot, *words)
    assert in_node(boot, "curl", "--version")
    assert ours.etcd in in_node(boot, "/usr/local/bin/etcdctl", "version")
    assert ours.etcd in in_node(boot, "/usr/local/bin/etcdutl", "version")
    assert in_node(boot, "cat", "/kind/version") == f"v{ours.kubernetes}"


def test_no_unit_of_a_node_failed(boot):
    assert in_node(boot, "systemctl", "--failed", "--plain", "--no-legend") == ""


def test_the_crictl_stand_in_lists_and_refuses(boot):
    listed = json.loads(in_node(boot, "crictl", "images", "--output", "json"))
    names = [name for entry in listed["images"] for name in entry["repoTags"]]
    assert any(name.endswith("afterfault/probe:1") for name in names)
    assert json.loads(in_node(boot, "crictl", "inspecti", "afterfault/probe:1"))["status"]["id"].startswith("sha256:")
    with pytest.raises(CommandError, match="no image registry"):
        in_node(boot, "crictl", "pull", "anything")


def test_no_packed_layer_is_left_in_a_node(boot):
    large = in_node(boot, "find", "/var/lib/containerd/io.containerd.content.v1.content/blobs", "-size", "+1M")
    assert large == ""


def test_the_cni_agent_dies_as_kindnet_does_without_service_variables(boot):
    agent = next(
        name for name in in_node(boot, "ctr", "-n", "k8s.io", "images", "ls", "-q").split() if "cni-agent" in name
    )
    with pytest.raises(CommandError) as told:
        in_node(boot, "ctr", "-n", "k8s.io", "run", "--rm", agent, "signature")
    assert PANIC in told.value.output


def test_a_node_that_comes_back_with_another_address_is_whole_again(boot):
    node = f"{boot.name}-control-plane"
    squatter = f"{boot.name}-squatter"
    address = ["docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", node]
    before = run(address)
    run(["docker", "stop", node], timeout_seconds=60)
    try:
        sleeper = ["--entrypoint", "/bin/sleep", boot.image.reference, "300"]
        run(["docker", "run", "--detach", "--name", squatter, "--network", boot.name, *sleeper])
        run(["docker", "start", node])
        assert run(address) != before
        until(lambda: _serves(boot), what="the API after a restart", deadline_seconds=180, every_seconds=1)
        since = run(["docker", "inspect", "--format", "{{.State.StartedAt}}", node])[:19]
        until(
            lambda: [name for name, started in _system_containers(boot) if started < since],
            lambda old: not old,
            what="every container to be started again",
            deadline_seconds=180,
            every_seconds=1,
        )
        check._deployments(boot)
        assert in_node(boot, "sh", "-c", f"grep -rlF {before.strip()} /etc/kubernetes || true") == ""
    finally:
        run(["docker", "rm", "--force", squatter])


def _serves(boot):
    try:
        return boot.kubectl("get", "--raw", "/readyz", "--request-timeout=3s") == "ok"
    except CommandError:
        return False


def _system_containers(boot):
    """Name and start of each container of the system; no start when it does not run."""
    listed = json.loads(boot.kubectl("get", "pods", "--namespace", "kube-system", "--output=json"))
    return [
        (pod["metadata"]["name"], status["state"].get("running", {}).get("startedAt", ""))
        for pod in listed["items"]
        for status in pod["status"].get("containerStatuses", [])
    ]


def test_a_check_that_fails_deletes_its_cluster(image, tmp_path):
    broken = tmp_path / "kind"
    broken.write_text("#!/bin/sh\necho 'no such luck' >&2; exit 1\n")
    broken.chmod(0o755)
    before = run(["docker", "ps", "--all", "--quiet"])
    with pytest.raises(ClusterError, match="no such luck"):
        check_image(image, ToolPaths(broken, broken), 1, io.StringIO())
    assert set(run(["docker", "ps", "--all", "--quiet"]).split()) <= set(before.split())


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_that_is_ended_deletes_its_cluster(ours, number):
    words = [sys.executable, "-c", "from harness.cli import main; main()", "images", "check", ours.reference]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        mine = lambda: [n for n in _clusters() if n.startswith(f"{PREFIX}{process.pid}-")]  # noqa: E731
        (name,) = until(mine, what="its node", deadline_seconds=60)
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number
    assert containers_of(name) == []
    assert run(["docker", "network", "ls", "--quiet", "--filter", f"name={name}"]) == ""


def test_a_check_that_was_killed_is_swept_by_the_next(ours):
    """Only a container with the name and label of a dead process goes."""
    dead = f"{PREFIX}{_dead_pid()}-{int(time.time())}-abcd"
    label = f"io.x-k8s.kind.cluster={dead}"
    sleeper = ["--entrypoint", "/bin/sleep", ours.reference, "300"]
    run(
        [
            "docker",
            "run",
            "--detach",
            "--network",
            "none",
            "--name",
            f"{dead}-control-plane",
            "--label",
            label,
            *sleeper,
        ]
    )
    assert dead in sweep_dead()
    assert containers_of(dead) == []


def test_a_privileged_step_leaves_no_container(ours):
    with pytest.raises(CommandError):
        run_privileged("afterfault-img-test-step", ours.reference, ["/bin/false"], {}, {})
    assert run(["docker", "ps", "--all", "--quiet", "--filter", "name=afterfault-img-test-step"]) == ""


def test_an_image_is_found_by_its_reference(image):
    assert pick_node_image(image.reference) == NodeImage(image.reference, image.kubernetes, image.etcd)


def _clusters():
    return run(["docker", "ps", "--all", "--format", '{{.Label "io.x-k8s.kind.cluster"}}']).split()


def _dead_pid():
    with subprocess.Popen(["true"]) as process:
        pass
    assert not os.path.exists(f"/proc/{process.pid}")  # noqa: PTH110
    return process.pid
