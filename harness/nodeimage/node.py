"""The node image itself: the layer of programs and files, and the image that is put into the engine."""

from __future__ import annotations

from pathlib import Path

from harness.nodeimage.archive import Entry, Image, write_layer
from harness.nodeimage.components import Parts, kubeadm_images, pause_image
from harness.nodeimage.pins import Pair
from harness.nodeimage.steps import FILES

# Where kind, systemd and containerd look for them.
_FILES = {
    "entrypoint": ("usr/local/bin/entrypoint", 0o755),
    "kubelet-cgroups": ("usr/local/bin/kubelet-cgroups", 0o755),
    "crictl": ("usr/local/bin/crictl", 0o755),
    "kubelet.service": ("etc/systemd/system/kubelet.service", 0o644),
    "node.conf": ("etc/systemd/system.conf.d/node.conf", 0o644),
    "journald.conf": ("etc/systemd/journald.conf.d/node.conf", 0o644),
    "default-cni.yaml": ("kind/manifests/default-cni.yaml", 0o644),
    "default-storage.yaml": ("kind/manifests/default-storage.yaml", 0o644),
}
_WANTS = "etc/systemd/system/multi-user.target.wants"
_LINKS = {
    f"{_WANTS}/kubelet.service": "/etc/systemd/system/kubelet.service",
    f"{_WANTS}/containerd.service": "/lib/systemd/system/containerd.service",
    # where CNI agents put plugins, and where Debian has them
    "opt/cni/bin": "/usr/lib/cni",
}
_NODE_PROGRAMS = {
    "usr/bin": ("kubeadm", "kubelet", "kubectl"),
    "usr/local/bin": ("etcd", "etcdctl", "etcdutl"),
}


def write_node_layer(parts: Parts, pair: Pair, folder: Path) -> None:
    """Write ``node.tar``: what a node has besides Debian and its image store.

    Args:
        parts: binaries.
        pair: versions.
        folder: where it goes.
    """
    pause = pause_image(kubeadm_images(parts.binaries["kubeadm"], pair.kubernetes))
    files = FILES / "node"
    entries = [Entry(path, files / name, mode=mode) for name, (path, mode) in _FILES.items()]
    entries += [Entry(path, link=target) for path, target in _LINKS.items()]
    entries += [
        Entry(f"{where}/{name}", parts.binaries[name], mode=0o755)
        for where, names in _NODE_PROGRAMS.items()
        for name in names
    ]
    containerd = (files / "containerd.toml").read_text().replace("@PAUSE@", pause)
    entries += [
        Entry("etc/containerd/config.toml", containerd.encode()),
        Entry("kind/version", f"v{pair.kubernetes}".encode()),
        # what Debian's mirror served on the day; the versions are not part of the hash
        Entry("kind/packages.txt", parts.debian / "packages.txt"),
        Entry("etc/crictl.yaml", b"runtime-endpoint: unix:///run/containerd/containerd.sock\n"),
    ]
    write_layer(folder / "node.tar", entries)


def node_image(reference: str, layers: tuple[Path, ...], labels: dict[str, str]) -> Image:
    """The image as kind runs it.

    Args:
        reference: its name.
        layers: root file system, node layer, image store.
        labels: to find it by.
    """
    config = {
        "Env": ["container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
        # systemd's word for: halt in order
        "StopSignal": "SIGRTMIN+3",
        "Labels": labels,
    }
    return Image((reference,), layers, config)
