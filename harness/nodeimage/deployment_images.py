"""The images that deployments on kind are made of: an app, an ingress stand-in, tools; put into the engine, and found.

The ingress is a stand-in of our own, not Caddy: the module proxy does not serve the real controller, so that one
runs only where an image registry is reachable. docs/node-image.md says how the two differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TextIO

from harness.errors import MachineError, UsageError
from harness.nodeimage.archive import Image
from harness.nodeimage.deployment_layers import Layers
from harness.nodeimage.engine import image_labels, image_size_mib, load
from harness.nodeimage.pins import Pair, all_pairs, choose_pair
from harness.nodeimage.recipe import Recipe, recipe
from harness.nodeimage.steps import running_clock
from harness.waiting import SYSTEM_CLOCK

KIND = "deployment-image"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A program that is all there is to an image is its entrypoint; where there is a shell, deploy tools name their own
# words, so there is only a default command.
_STARTS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "caddy-stand-in": {
            "Entrypoint": ["/usr/local/bin/caddy-stand-in"],
            "ExposedPorts": {"80/tcp": {}, "443/tcp": {}, "9765/tcp": {}},
        },
        "app": {"Entrypoint": ["/usr/local/bin/app"], "ExposedPorts": {"8080/tcp": {}}},
        "etcd-tools": {"Cmd": ["/usr/local/bin/etcd"]},
        "etcd-tools-nojq": {"Cmd": ["/usr/local/bin/etcd"]},
        "kubectl": {"Cmd": ["/usr/local/bin/kubectl"]},
        "test-container": {
            "Entrypoint": ["/usr/local/bin/app"],
            "Env": [_PATH, "APP_PORT=80"],
            "ExposedPorts": {"80/tcp": {}},
        },
    }
)
_STANDS_IN_FOR = MappingProxyType({"caddy-stand-in": "caddyserver/ingress"})


def find(name: str, pair: Pair | None = None) -> str:
    """The reference of a deployment image that the engine has.

    Args:
        name: ``caddy-stand-in``, ``app``, ``etcd-tools``, ``etcd-tools-nojq``, ``kubectl`` or ``test-container``.
        pair: whose versions; the default pair when none is given.

    Raises:
        MachineError: the engine has none of today's inputs.
        UsageError: there is no such image.
    """
    chosen = pair or choose_pair()
    images = {image.name: image for image in recipe(chosen).deployment.images}
    if name not in images:
        raise UsageError(f"there is no deployment image {name}; these are: {', '.join(images)}")
    if not _fits(images[name]):
        raise MachineError(f"the engine has no image {images[name].reference} of today's inputs", mend=_mend(chosen))
    return images[name].reference


def missing(made: Recipe) -> list[Layers]:
    """The deployment images of a recipe that the engine lacks, or has of other inputs."""
    return [image for image in made.deployment.images if not _fits(image)]


def build(made: Recipe, out: TextIO) -> None:
    """Put what is missing into the engine; the steps of the recipe are made before.

    Args:
        made: the recipe.
        out: for a person.

    Raises:
        CommandError: the engine refused one.
    """
    for layers in missing(made):
        title = f"{layers.reference} into the engine ..."
        started = SYSTEM_CLOCK.monotonic()
        with running_clock(title, out):
            load(image_of(layers))
        took = SYSTEM_CLOCK.monotonic() - started
        out.write(f"{title} {took:.0f} s, {image_size_mib(layers.reference)} MiB\n")


def image_of(layers: Layers) -> Image:
    """An image as it is put into the engine."""
    labels = {"afterfault.kind": KIND, "afterfault.inputs": layers.step.key}
    if layers.name in _STANDS_IN_FOR:
        labels["afterfault.stand-in-for"] = _STANDS_IN_FOR[layers.name]
    config = {"Env": [_PATH], "WorkingDir": "/", "Labels": labels, **_STARTS[layers.name]}
    return Image((layers.reference,), layers.files, config)


def listing() -> Iterator[str]:
    """A line for each deployment image of each pinned pair."""
    seen: set[str] = set()
    for pair in all_pairs():
        for image in recipe(pair).deployment.images:
            if image.reference in seen:
                continue
            seen.add(image.reference)
            if _fits(image):
                yield f"{image.reference}  {image_size_mib(image.reference)} MiB"
            else:
                yield f"missing: {image.reference}   {_mend(pair)}"


def _fits(image: Layers) -> bool:
    labels = image_labels(image.reference)
    return labels is not None and labels.get("afterfault.inputs") == image.step.key


def _mend(pair: Pair) -> str:
    chosen = "" if pair == choose_pair() else f" --kubernetes {pair.kubernetes} --etcd {pair.etcd}"
    return f"afterfault images build{chosen}"
