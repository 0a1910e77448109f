"""The layers of the images that deployments are made of, each written by a step of its own.

None of them goes into a node image, so none of them changes a node image's name.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.nodeimage.archive import Entry, write_layer
from harness.nodeimage.go import build_own
from harness.nodeimage.pins import Pair
from harness.nodeimage.process import run
from harness.nodeimage.steps import FILES, Step

_OWN = ("app", "caddy-stand-in")
_ETCD = ("etcd", "etcdctl", "etcdutl")


@dataclass(frozen=True)
class Layers:
    """The layers of one image.

    Args:
        name: what code here calls it.
        reference: what the engine calls it.
        step: leaves them as ``0.tar``, ``1.tar`` and so on, the lowest first.
    """

    name: str
    reference: str
    step: Step

    @property
    def files(self) -> tuple[Path, ...]:
        """Where they are, once made."""
        return tuple(sorted(self.step.folder.glob("*.tar")))


@dataclass(frozen=True)
class Content:
    """What goes into one image.

    Args:
        source: the step with the programs.
        programs: their names.
        shell: the step with the shell; None when the programs are all there is.
        parts: which of its layers are taken, the lowest first.
    """

    source: Step
    programs: tuple[str, ...]
    shell: Step | None = None
    parts: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write the layers."""
        base = [self.shell.folder / f"{part}.tar" for part in self.parts] if self.shell else []
        write_layers(base, [self.source.folder / "bin" / program for program in self.programs], folder)

    def step(self, name: str) -> Step:
        """The step that writes them."""
        inputs = {"programs": " ".join(self.programs), "parts": " ".join(self.parts)}
        needs = (self.source, self.shell) if self.shell else (self.source,)
        return Step(f"layers-{name}", f"layers of {name}", self.write, inputs, needs)


@dataclass(frozen=True)
class DeploymentSteps:
    """What is made beside a node image.

    Args:
        parts: steps that images are put together from.
        images: the layers of each image.
    """

    parts: tuple[Step, ...]
    images: tuple[Layers, ...]

    @property
    def steps(self) -> list[Step]:
        """All of them, in order."""
        return [*self.parts, *(image.step for image in self.images)]


def deployment_steps(pair: Pair, root: Step, etcd: Step, kubernetes: Step) -> DeploymentSteps:
    """The steps of every deployment image.

    Args:
        pair: versions.
        root: Debian's part; the shell is taken from it.
        etcd: its programs.
        kubernetes: its programs; kubectl is taken.
    """
    own = Step("deployment-own", "app, ingress stand-in", lambda folder: build_own(_OWN, folder), files=_OWN)
    shell = Step(
        "shell",
        "shell of the deployment images",
        lambda folder: pack_shell(root.folder, FILES / "deployment", folder),
        needs=(root,),
        files=("deployment",),
    )
    contents = {
        "caddy-stand-in": ("caddy-stand-in:1", Content(own, ("caddy-stand-in",))),
        "app": ("app:1", Content(own, ("app",))),
        "etcd-tools": (f"etcd-tools:{pair.etcd}", Content(etcd, _ETCD, shell, ("shell", "jq"))),
        "etcd-tools-nojq": (f"etcd-tools:{pair.etcd}-nojq", Content(etcd, _ETCD, shell, ("shell",))),
        # the app where a deploy tool's own stack expects a server on port 80, and a shell for its job
        "test-container": ("test-container:1", Content(own, ("app",), shell, ("shell",))),
        "kubectl": (f"kubectl:{pair.kubernetes}", Content(kubernetes, ("kubectl",), shell, ("shell",))),
    }
    images = [Layers(name, f"afterfault/{tag}", content.step(name)) for name, (tag, content) in contents.items()]
    return DeploymentSteps((own, shell), tuple(images))


def pack_shell(root: Path, files: Path, folder: Path) -> None:
    """Write ``shell.tar`` (sh, coreutils, grep, sed, find) and ``jq.tar``, what jq needs besides.

    Args:
        root: folder with ``rootfs.tar``.
        files: folder with the script that runs inside.
        folder: where they go; needs about 0.4 GB while it works.
    """
    inside = folder / "root"
    inside.mkdir()
    run(["tar", "-C", str(inside), "--numeric-owner", "-xf", str(root / "rootfs.tar")])
    work = inside / "afterfault"
    shutil.copytree(files, work)
    run(["chroot", str(inside), "/bin/bash", "/afterfault/pack", "/afterfault"], extra={"LC_ALL": "C"})
    for part in ("shell.tar", "jq.tar", "shell.txt", "jq.txt"):
        shutil.move(work / part, folder / part)
    shutil.rmtree(inside)


def write_layers(base: Sequence[Path], programs: Sequence[Path], folder: Path) -> None:
    """Write the layers of an image: those of others first, then one with the programs.

    Args:
        base: layers it shares, the lowest first.
        programs: files that go to ``/usr/local/bin``.
        folder: where they go.
    """
    for number, layer in enumerate(base):
        (folder / f"{number}.tar").hardlink_to(layer)
    entries = [Entry(f"usr/local/bin/{program.name}", program, mode=0o755) for program in programs]
    write_layer(folder / f"{len(base)}.tar", entries)
