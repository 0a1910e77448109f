"""Node images in the engine: making one, and finding them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from harness.errors import MachineError
from harness.nodeimage import components, deployment_images, pins
from harness.nodeimage.engine import (
    engine_version,
    image_labels,
    image_present,
    image_size_mib,
    labelled_images,
    load,
)
from harness.nodeimage.node import node_image
from harness.nodeimage.pins import Pair, all_pairs
from harness.nodeimage.recipe import Recipe, recipe
from harness.nodeimage.steps import make_all, running_clock
from harness.waiting import SYSTEM_CLOCK

KIND_LABEL = "afterfault.kind=node-image"
INPUTS_LABEL = "afterfault.inputs"


@dataclass(frozen=True, slots=True)
class NodeImage:
    """A node image that the engine has.

    Args:
        reference: what kind is given as ``--image``.
        kubernetes: version without the v.
        etcd: version without the v; empty when it is not known (an image that is not ours).
    """

    reference: str
    kubernetes: str
    etcd: str


def find_node_images() -> list[NodeImage]:
    """Node images of ours that the engine has: those of today's inputs first, the default pair before others.

    Raises:
        MachineError: no engine answers.
    """
    engine_version()
    today = [recipe(pair).reference for pair in all_pairs()]
    versions = [(pair.kubernetes, pair.etcd) for pair in all_pairs()]
    found = [
        NodeImage(reference, labels.get("afterfault.kubernetes", ""), labels.get("afterfault.etcd", ""))
        for reference, labels in labelled_images(KIND_LABEL)
    ]

    def rank(image: NodeImage) -> tuple[int, int, str]:
        return (
            today.index(image.reference) if image.reference in today else len(today),
            versions.index(pair) if (pair := (image.kubernetes, image.etcd)) in versions else len(versions),
            image.reference,
        )

    return sorted(found, key=rank)


def pick_node_image(wanted: str = "", kubernetes: str = "", etcd: str = "") -> NodeImage:
    """The image a cluster is to be made of.

    Args:
        wanted: a reference; taken as it is when the engine has it, ours or not.
        kubernetes: version asked for, when no reference is.
        etcd: version asked for, when no reference is.

    Raises:
        MachineError: no engine, or no such image.
    """
    found = find_node_images()
    for image in found:
        by_name = wanted == image.reference
        by_version = not wanted and kubernetes in ("", image.kubernetes) and etcd in ("", image.etcd)
        if by_name or by_version:
            return image
    if wanted and image_present(wanted):
        return NodeImage(wanted, wanted.partition("@")[0].rpartition(":v")[2], "")
    words = [f"--kubernetes {kubernetes}"] * bool(kubernetes) + [f"--etcd {etcd}"] * bool(etcd)
    mend = " ".join(["afterfault images build", *words])
    have = ", ".join(image.reference for image in found) or "none"
    raise MachineError(
        f"the engine has no node image {wanted or 'of the versions asked for'}; it has {have}", mend=mend
    )


def is_complete(made: Recipe) -> bool:
    """Whether the engine has the image, its load balancer and the deployment images: nothing has to be made."""
    return image_present(made.reference) and _balancer_fits(made) and not deployment_images.missing(made)


def build_node_image(made: Recipe, out: TextIO) -> NodeImage:
    """Make an image, or what is missing of it, with its load balancer and the deployment images, in the engine.

    Args:
        made: its recipe.
        out: for a person.
    """
    pair = made.pair
    make_all(made.steps, out)
    if not _balancer_fits(made):
        load(components.load_balancer(made.balancer.folder, pins.LOAD_BALANCER, made.balancer.key))
    if not image_present(made.reference):
        _load_node(made, out)
    deployment_images.build(made, out)
    size, volume = image_size_mib(made.reference), store_size_mib(made)
    out.write(f"{made.reference}: {size} MiB; {volume} MiB of it in /var, copied by each node that starts\n")
    return NodeImage(made.reference, pair.kubernetes, pair.etcd)


def store_size_mib(made: Recipe) -> int:
    """What each node copies into its volume when it starts."""
    return (made.store.folder / "store.tar").stat().st_size // 2**20


def labels_of(pair: Pair, inputs: str) -> dict[str, str]:
    """The labels a node image carries."""
    kind, _, value = KIND_LABEL.partition("=")
    return {
        kind: value,
        "afterfault.kubernetes": pair.kubernetes,
        "afterfault.etcd": pair.etcd,
        INPUTS_LABEL: inputs,
    }


def _balancer_fits(made: Recipe) -> bool:
    """Ours of these inputs, or the real one, pulled."""
    labels = image_labels(pins.LOAD_BALANCER)
    if labels is None:
        return False
    return "afterfault.kind" not in labels or labels.get(INPUTS_LABEL) == made.balancer.key


def _load_node(made: Recipe, out: TextIO) -> None:
    layers = (made.root.folder / "rootfs.tar", made.node.folder / "node.tar", made.store.folder / "store.tar")
    title = "into the engine ..."
    started = SYSTEM_CLOCK.monotonic()
    with running_clock(title, out):
        load(node_image(made.reference, layers, labels_of(made.pair, made.node.key)))
    out.write(f"{title} {SYSTEM_CLOCK.monotonic() - started:.0f} s\n")
