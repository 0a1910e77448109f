"""How a node image is made, as a list of steps.

The list is the main flow; what each step does is in the modules it calls.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.nodeimage import components, debian, pins
from harness.nodeimage.components import Parts
from harness.nodeimage.deployment_layers import DeploymentSteps, deployment_steps
from harness.nodeimage.go import GoPrograms, build, build_own
from harness.nodeimage.node import write_node_layer
from harness.nodeimage.pins import Pair
from harness.nodeimage.steps import FILES, Step

_ETCD = "go.etcd.io/etcd"
_KUBERNETES = "k8s.io/kubernetes"
_KUBERNETES_PROGRAMS = (
    "kubeadm",
    "kubelet",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)
_OWN_PROGRAMS = ("pause", "cni-agent", "probe")
_TAPS = FILES.parents[1] / "taps" / "files"


@dataclass(frozen=True)
class Recipe:
    """The steps of one node image, each after what it needs.

    Args:
        pair: versions.
        kind, kubernetes, etcd, coredns, local_path, own: programs.
        root: Debian's part.
        images: archive of the images in a node.
        store: the image store of a node.
        node: the layer with everything else.
        balancer: kind's load balancer.
        kube_tap: the Go half of the kube API tap; no part of the image.
        deployment: the images that deployments are made of; no part of the image.
    """

    pair: Pair
    kind: Step
    kubernetes: Step
    etcd: Step
    coredns: Step
    local_path: Step
    own: Step
    root: Step
    images: Step
    store: Step
    node: Step
    balancer: Step
    kube_tap: Step
    deployment: DeploymentSteps

    @property
    def steps(self) -> list[Step]:
        """All of them, in order."""
        programs = [self.kind, self.kubernetes, self.etcd, self.coredns, self.local_path, self.own]
        node = [self.root, self.images, self.store, self.node, self.balancer]
        return [*programs, *node, self.kube_tap, *self.deployment.steps]

    @property
    def reference(self) -> str:
        """What the finished image is called: versions, and the hash of everything that went in."""
        return f"{pins.NODE_REPOSITORY}:v{self.pair.kubernetes}-etcd{self.pair.etcd}-{self.node.key}"


def recipe(pair: Pair) -> Recipe:
    """The steps for a pair of versions."""
    kind = _go("kind", f"kind {pins.KIND}", _kind())
    kubernetes = _go("kubernetes", f"Kubernetes {pair.kubernetes} binaries", _kubernetes(pair.kubernetes))
    etcd = etcd_step(pair.etcd)
    coredns = _go("coredns", f"coredns {pins.COREDNS}", _single("coredns", "github.com/coredns/coredns", pins.COREDNS))
    local_path = _go(
        "local-path",
        f"local-path-provisioner {pins.LOCAL_PATH}",
        _single("local-path", "github.com/rancher/local-path-provisioner", pins.LOCAL_PATH),
    )
    own = Step("own", "pause, CNI agent, probe", lambda folder: build_own(_OWN_PROGRAMS, folder), files=_OWN_PROGRAMS)
    root = Step("debian", "Debian root file system", debian.make_root, files=("debian",))
    binaries = (kubernetes, etcd, coredns, local_path, own)

    def parts() -> Parts:
        found = {path.name: path for step in binaries for path in (step.folder / "bin").iterdir()}
        return Parts(found, root.folder)

    images = Step(
        "images",
        "images of the components",
        lambda folder: components.write_components(parts(), pair.kubernetes, folder),
        needs=(*binaries, root),
    )
    store = Step(
        "store", "image store of a node", lambda folder: _fill(root, images, folder), {}, (root, images), ("store",)
    )
    node = Step(
        "node",
        "node layer",
        lambda folder: write_node_layer(parts(), pair, folder),
        needs=(store, kubernetes, etcd),
        files=("node",),
        revision=2,
    )
    balancer = Step("balancer", "load balancer", _balancer(root), {"name": pins.LOAD_BALANCER}, (root,), ("haproxy",))
    tap, deployment = kube_tap_step(), deployment_steps(pair, root, etcd, kubernetes)
    inside = (kind, kubernetes, etcd, coredns, local_path, own, root, images, store, node, balancer)
    return Recipe(pair, *inside, tap, deployment)


def kube_tap_step() -> Step:
    """The program of `harness.taps.kube_tap`; its sources lie beside that."""
    sources = sorted((_TAPS / "kube-tap").glob("*.go"))
    inputs = {source.name: hashlib.sha256(source.read_bytes()).hexdigest() for source in sources}
    return Step("kube-tap", "kube API tap", lambda folder: build_own(("kube-tap",), folder, _TAPS), inputs)


def etcd_step(version: str) -> Step:
    """etcd, etcdctl and etcdutl of a pinned version."""
    return _go("etcd", f"etcd {version} binaries", _etcd(version))


def _go(name: str, says: str, programs: GoPrograms) -> Step:
    sums = f"sums/{programs.sums}"
    return Step(name, says, lambda folder: build(programs, folder), inputs=programs.inputs(), files=(sums,))


def _single(name: str, module: str, version: str) -> GoPrograms:
    return GoPrograms(f"{name}-{version}.sum", (module,), f"v{version}", {module.rpartition("/")[2]: module})


def _kind() -> GoPrograms:
    return _single("kind", "sigs.k8s.io/kind", pins.KIND)


def _etcd(version: str) -> GoPrograms:
    modules = {
        name: f"{_ETCD}/{part}/v3"
        for name, part in (("etcd", "server"), ("etcdctl", "etcdctl"), ("etcdutl", "etcdutl"))
    }
    return GoPrograms(f"etcd-{version}.sum", tuple(modules.values()), f"v{version}", modules)


def _kubernetes(version: str) -> GoPrograms:
    major, minor, _ = version.split(".")
    # without them kubeadm takes itself for another version, and asks for that one's images
    told = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    variables = {f"{package}.{name}": value for package in packages for name, value in told.items()}
    programs = {name: f"{_KUBERNETES}/cmd/{name}" for name in _KUBERNETES_PROGRAMS}
    return GoPrograms(f"kubernetes-{version}.sum", (_KUBERNETES,), f"v{version}", programs, variables)


def _fill(root: Step, images: Step, folder: Path) -> None:
    reference = f"afterfault/node-root:{root.key}-{secrets.token_hex(4)}"
    with components.loaded_root(root.folder, reference):
        components.fill_store(reference, images.folder, FILES / "store", folder)


def _balancer(root: Step) -> Callable[[Path], None]:
    return lambda folder: components.write_load_balancer(root.folder, FILES / "haproxy", folder)
