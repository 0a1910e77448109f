"""Boots a node image in a cluster of its own and asks it what a scenario will rely on."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil
import yaml

from harness.errors import ClusterError, WaitTimeout
from harness.nodeimage.engine import labelled_images
from harness.nodeimage.images import KIND_LABEL, NodeImage
from harness.nodeimage.machine import check_inotify
from harness.nodeimage.process import CommandError, run
from harness.nodeimage.tools import ToolPaths
from harness.waiting import SYSTEM_CLOCK, until

PREFIX = "afterfault-img-"
_NAME = re.compile(rf"{PREFIX}(?P<pid>\d+)-(?P<started>\d+)-[0-9a-f]{{4}}")
_CREATE_SECONDS = 420.0
_READY_SECONDS = 180.0
_ANSWER_SECONDS = 120.0
_PROBE = "afterfault/probe:1"
_ETCD_CERTIFICATES = "/etc/kubernetes/pki/etcd"


@dataclass(frozen=True)
class Boot:
    """A cluster that lives for one check.

    Args:
        name: of the cluster and of its network; tells whose it is.
        image: what it is made of.
        tools: kind and kubectl.
        folder: for the kubeconfig.
        control_planes: how many; more than one brings the load balancer in.
    """

    name: str
    image: NodeImage
    tools: ToolPaths
    folder: Path
    control_planes: int

    def kind(self, *words: str) -> str:
        """Run kind, in a network of this cluster's own."""
        extra = {"KIND_EXPERIMENTAL_DOCKER_NETWORK": self.name, "KUBECONFIG": str(self.folder / "kubeconfig")}
        return run([str(self.tools.kind), *words], extra=extra, timeout_seconds=_CREATE_SECONDS)

    def kubectl(self, *words: str) -> str:
        """Run kubectl with this cluster's kubeconfig."""
        command = [str(self.tools.kubectl), "--kubeconfig", str(self.folder / "kubeconfig"), *words]
        return run(command, timeout_seconds=_READY_SECONDS)


def check_image(image: NodeImage, tools: ToolPaths, control_planes: int, out: TextIO) -> None:
    """Boot, ask, delete; a line for each thing asked.

    Args:
        image: to boot.
        tools: kind and kubectl.
        control_planes: how many nodes.
        out: for a person.

    Raises:
        ClusterError: it did not boot, or something about it is not as it should be.
        MachineError: the machine is too small for so many nodes.
    """
    sweep_dead()
    check_inotify(control_planes)
    asked: list[tuple[str, Callable[[Boot], str]]] = [
        ("kind create cluster", _create),
        ("nodes Ready", _nodes),
        ("coredns, local-path Available", _deployments),
        ("versions", _versions),
        ("etcd", _etcd),
    ]
    if _is_ours(image):
        asked += [
            ("DNS from a fresh pod on each node", _dns),
            ("API from a fresh pod on each node", _api),
            ("a volume", _volume),
        ]
    with _boot(image, tools, control_planes) as boot:
        for title, ask in asked:
            started = SYSTEM_CLOCK.monotonic()
            try:
                seen = ask(boot)
            except (CommandError, WaitTimeout) as error:
                raise ClusterError(f"{image.reference}: {title}: {error}") from error
            out.write(f"ok {title}: {seen} ({SYSTEM_CLOCK.monotonic() - started:.1f} s)\n")
            out.flush()


def sweep_dead() -> list[str]:
    """Delete clusters of checks whose process is gone (killed where nothing can clean up); returns names."""
    said = run(["docker", "ps", "--all", "--format", '{{.Label "io.x-k8s.kind.cluster"}}'])
    dead = [name for name in dict.fromkeys(said.split()) if (found := _NAME.fullmatch(name)) and not _lives(found)]
    for name in dead:
        _delete(name)
    return dead


@contextmanager
def _boot(image: NodeImage, tools: ToolPaths, control_planes: int) -> Iterator[Boot]:
    me = psutil.Process()
    name = f"{PREFIX}{me.pid}-{int(me.create_time())}-{secrets.token_hex(2)}"
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        yield Boot(name, image, tools, folder, control_planes)
    finally:
        _delete(name)
        shutil.rmtree(folder, ignore_errors=True)


def _delete(name: str) -> None:
    """By label, so that it needs no kind and no kubeconfig."""
    containers = run(["docker", "ps", "--all", "--quiet", "--filter", f"label=io.x-k8s.kind.cluster={name}"]).split()
    if containers:
        run(["docker", "rm", "--force", "--volumes", *containers])
    networks = run(["docker", "network", "ls", "--quiet", "--filter", f"name=^{name}$"]).split()
    if networks:
        run(["docker", "network", "rm", *networks])


def _lives(found: re.Match[str]) -> bool:
    try:
        return int(psutil.Process(int(found["pid"])).create_time()) == int(found["started"])
    except psutil.NoSuchProcess:
        return False


def _is_ours(image: NodeImage) -> bool:
    return image.reference in {reference for reference, _ in labelled_images(KIND_LABEL)}


def _create(boot: Boot) -> str:
    nodes = [{"role": "control-plane", "image": boot.image.reference}] * boot.control_planes
    config = boot.folder / "kind.yaml"
    config.write_text(yaml.safe_dump({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes}))
    boot.kind("create", "cluster", "--name", boot.name, "--config", str(config), "--wait", f"{_READY_SECONDS:.0f}s")
    return boot.name


def _nodes(boot: Boot) -> str:
    boot.kubectl("wait", "node", "--all", "--for=condition=Ready", f"--timeout={_READY_SECONDS:.0f}s")
    return boot.kubectl("get", "nodes", "--output", "name").replace("\n", " ").strip()


def _deployments(boot: Boot) -> str:
    wait = ["wait", "--for=condition=Available", f"--timeout={_READY_SECONDS:.0f}s"]
    boot.kubectl(*wait, "deployment/coredns", "--namespace", "kube-system")
    boot.kubectl(*wait, "deployment/local-path-provisioner", "--namespace", "local-path-storage")
    return "both"


def _versions(boot: Boot) -> str:
    seen = json.loads(boot.kubectl("get", "--raw", "/version"))["gitVersion"]
    if boot.image.kubernetes and seen != f"v{boot.image.kubernetes}":
        raise ClusterError(f"the API server says {seen}, the image should be v{boot.image.kubernetes}")
    return str(seen)


def _etcd(boot: Boot) -> str:
    pod = f"etcd-{boot.name}-control-plane"
    keys = [f"--cacert={_ETCD_CERTIFICATES}/ca.crt", f"--cert={_ETCD_CERTIFICATES}/server.crt"]
    keys += [f"--key={_ETCD_CERTIFICATES}/server.key", "--endpoints=https://127.0.0.1:2379"]
    ask = ["exec", "--namespace", "kube-system", pod, "--", "etcdctl", *keys]
    status = json.loads(boot.kubectl(*ask, "endpoint", "status", "--cluster", "--write-out=json"))
    versions = sorted({member["Status"]["version"] for member in status})
    if len(status) != boot.control_planes or (boot.image.etcd and versions != [boot.image.etcd]):
        raise ClusterError(f"{len(status)} members of {versions}, wanted {boot.control_planes} of {boot.image.etcd}")
    return f"{len(status)} of {', '.join(versions)}"


def _dns(boot: Boot) -> str:
    return str(_ask_everywhere(boot, "dns", "kubernetes.default.svc.cluster.local"))


def _api(boot: Boot) -> str:
    return str(_ask_everywhere(boot, "api"))


def _ask_everywhere(boot: Boot, *words: str) -> object:
    """A fresh pod on each node asks one question; returns the last answer."""
    nodes = boot.kubectl("get", "nodes", "--output=jsonpath={.items[*].metadata.name}").split()
    names = [f"{words[0]}-{number}" for number in range(len(nodes))]
    for name, node in zip(names, nodes, strict=True):
        # no scheduler, so that a control plane's taint does not matter
        override = json.dumps({"spec": {"nodeName": node}})
        probe = [f"--image={_PROBE}", "--restart=Never", "--image-pull-policy=IfNotPresent", f"--overrides={override}"]
        boot.kubectl("run", name, *probe, "--", *words)
    return [_answer(boot, name) for name in names][-1]


def _answer(boot: Boot, name: str) -> object:
    ended = until(
        lambda: boot.kubectl("get", "pod", name, "--output=jsonpath={.status.phase}"),
        lambda seen: seen in ("Succeeded", "Failed"),
        what=f"the pod {name} to end",
        deadline_seconds=_ANSWER_SECONDS,
        every_seconds=0.5,
    )
    said = json.loads(boot.kubectl("logs", name))
    if ended != "Succeeded" or not said["ok"]:
        raise ClusterError(f"the pod {name} says: {said}")
    return said["answer"]


def _volume(boot: Boot) -> str:
    """A claim is bound and can be written to."""
    spec = {
        "containers": [
            {
                "name": "probe",
                "image": _PROBE,
                "args": ["write", "/data/word", "kept"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "restartPolicy": "Never",
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    things = [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writer"}, "spec": spec},
    ]
    file = boot.folder / "volume.yaml"
    file.write_text(yaml.safe_dump_all(things))
    boot.kubectl("apply", "--filename", str(file))
    done = "--for=jsonpath={.status.phase}=Succeeded"
    boot.kubectl("wait", "pod/writer", done, f"--timeout={_ANSWER_SECONDS:.0f}s")
    return "bound and written"
