"""The images that a node carries in its store, and the store itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.nodeimage.archive import Entry, Image, write_archive, write_layer
from harness.nodeimage.engine import load, remove_image, run_privileged
from harness.nodeimage.process import run

_PATH = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BALANCER_FOLDER = "usr/local/etc/haproxy"
OWN_LABELS: Mapping[str, str] = {"afterfault.kind": "node-image-build"}

# Which program serves an image of kubeadm's list; the last part of the image's name tells.
_PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "kube-apiserver": ("kube-apiserver",),
    "kube-controller-manager": ("kube-controller-manager",),
    "kube-scheduler": ("kube-scheduler",),
    "kube-proxy": ("kube-proxy",),
    "coredns": ("coredns",),
    "pause": ("pause",),
    "etcd": ("etcd", "etcdctl", "etcdutl"),
}
# These call iptables.
_ON_BASE = ("kube-proxy", "cni-agent")
_OWN = {
    "afterfault/cni-agent:1": ("cni-agent",),
    "afterfault/local-path-provisioner:1": ("local-path-provisioner",),
    "afterfault/probe:1": ("probe",),
    "afterfault/base:1": (),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts of a node are.

    Args:
        binaries: program name to file.
        debian: folder with ``rootfs.tar``, ``base.tar``, ``haproxy.tar``.
    """

    binaries: Mapping[str, Path]
    debian: Path


def kubeadm_images(kubeadm: Path, version: str) -> list[str]:
    """The images that kubeadm wants; only it knows their names."""
    said = run([str(kubeadm), "config", "images", "list", "--kubernetes-version", f"v{version}"])
    return said.split()


def pause_image(names: list[str]) -> str:
    """The sandbox image among kubeadm's images."""
    return next(name for name in names if _short(name) == "pause")


def write_components(parts: Parts, version: str, folder: Path) -> None:
    """Write ``images.tar`` with every image a node needs.

    Args:
        parts: binaries and file systems.
        version: of Kubernetes.
        folder: where it goes.
    """
    wanted = {name: _programs(name) for name in kubeadm_images(parts.binaries["kubeadm"], version)} | _OWN
    images = [_component(parts, folder, name, programs) for name, programs in wanted.items()]
    with (folder / "images.tar").open("wb") as out:
        write_archive(out, images)
    for layer in folder.glob("layer-*.tar"):
        layer.unlink()


def fill_store(reference: str, images: Path, files: Path, folder: Path) -> None:
    """Unpack ``images.tar`` into an image store and pack that as ``store.tar``, the layer of a node image.

    Args:
        reference: image of the node's root file system, in the engine.
        images: folder with the archive.
        files: folder with the script that runs inside.
        folder: where ``store.tar`` and ``images.txt`` go.
    """
    work = folder / "containerd"
    work.mkdir()
    volumes = {str(work): "/var/lib/containerd", str(images): "/in", str(files): "/script", str(folder): "/out"}
    name = f"afterfault-img-store-{secrets.token_hex(4)}"
    said = run_privileged(name, reference, ["/bin/bash", "/script/fill"], volumes, OWN_LABELS)
    (folder / "said.txt").write_text(said)
    run(["rm", "-rf", str(work)])


def write_load_balancer(debian: Path, files: Path, folder: Path) -> None:
    """Write ``balancer.tar``, the load balancer's own layer, and take the program's layer along.

    Args:
        debian: folder with ``haproxy.tar``.
        files: folder with its two configurations.
        folder: where they go.
    """
    entries = [Entry(f"{_BALANCER_FOLDER}/{path.name}", path) for path in sorted(files.glob("*.cfg"))]
    write_layer(folder / "balancer.tar", entries)
    (folder / "haproxy.tar").hardlink_to(debian / "haproxy.tar")


def load_balancer(folder: Path, name: str, inputs: str) -> Image:
    """The load balancer under the name kind asks for.

    Args:
        folder: what `write_load_balancer` filled.
        name: the reference.
        inputs: hash of what it is made of.
    """
    files = [f"/{_BALANCER_FOLDER}/{file}" for file in ("haproxy.cfg", "limits.cfg")]
    command = ["haproxy", "-W", "-db", *(word for file in files for word in ("-f", file))]
    config = {
        "Env": [_PATH],
        "Entrypoint": command,
        "Labels": {"afterfault.kind": "load-balancer", "afterfault.inputs": inputs},
    }
    return Image((name,), (folder / "haproxy.tar", folder / "balancer.tar"), config)


@contextmanager
def loaded_root(debian: Path, reference: str) -> Iterator[None]:
    """The bare root file system as an image in the engine, for a step that runs inside of it."""
    load(Image((reference,), (debian / "rootfs.tar",), {"Env": [_PATH], "Labels": dict(OWN_LABELS)}))
    try:
        yield
    finally:
        remove_image(reference)


def _component(parts: Parts, folder: Path, name: str, programs: tuple[str, ...]) -> Image:
    layers = [parts.debian / "base.tar"] if not programs or programs[0] in _ON_BASE else []
    if programs:
        entries = [Entry(f"usr/local/bin/{program}", parts.binaries[program], mode=0o755) for program in programs]
        layers.append(write_layer(folder / f"layer-{programs[0]}.tar", entries))
    entrypoint = [f"/usr/local/bin/{programs[0]}"] if programs else ["/bin/sh"]
    return Image((name,), tuple(layers), {"Env": [_PATH], "Entrypoint": entrypoint, "WorkingDir": "/"})


def _programs(name: str) -> tuple[str, ...]:
    try:
        return _PROGRAMS[_short(name)]
    except KeyError as error:
        raise HarnessError(
            f"kubeadm wants {name}, and nothing here serves it", mend="add it to harness/nodeimage/components.py"
        ) from error


def _short(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]
