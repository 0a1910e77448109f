"""``afterfault images``: build, list, check."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from harness.nodeimage import deployment_images
from harness.nodeimage.check import check_image
from harness.nodeimage.engine import engine_version, image_size_mib
from harness.nodeimage.images import build_node_image, find_node_images, is_complete, pick_node_image
from harness.nodeimage.machine import check_machine
from harness.nodeimage.pins import Pair, all_pairs, choose_pair
from harness.nodeimage.recipe import recipe
from harness.nodeimage.steps import building, prune
from harness.nodeimage.tools import (
    has_tools,
    install_kind,
    install_kube_tap,
    install_kubectl,
    tool_paths,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def images() -> None:
    """Node images for kind, made from packages alone: no image registry is asked.

    A kind cluster boots from a node image. `images build` makes one from the Go module proxy and Debian's mirror,
    and with it kind, kubectl and kind's load balancer.

    \b
        afterfault images build         once; 15 minutes from nothing on 2 cores, 2 seconds when all is there
        afterfault images list          what the engine has
        afterfault images check         boots one, asks it everything scenarios rely on, deletes it again

    Steps are kept in the cache folder under a hash of their inputs: a build that was stopped goes on where it was.
    """  # noqa: D301 click wants the character
    # a `finally` must run when CI ends the job, too
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


@images.command()
@click.option("--kubernetes", default="", metavar="VERSION", help="for example 1.34.4; the first pinned one by default")
@click.option("--etcd", default="", metavar="VERSION", help="for example 3.6.6; the one fitting Kubernetes by default")
@click.option("--all", "everything", is_flag=True, help="every pinned pair of Kubernetes and etcd")
def build(kubernetes: str, etcd: str, *, everything: bool) -> None:
    """Make a node image, or what is missing of it, and put it into the engine.

    Needs root, Go, debootstrap and a Docker engine; says what is missing, and the command that mends it.
    Prints the reference to hand to `kind create cluster --image` or `pytest --node-image`.

    \b
    Exit codes: 0 made, 2 a version that is not pinned, 3 a step failed (its last words are
    printed), 4 this machine can't do it.
    """  # noqa: D301 click wants the character
    pairs = all_pairs() if everything and not (kubernetes or etcd) else [choose_pair(kubernetes, etcd)]
    engine_version()
    wanted = [recipe(pair) for pair in pairs]
    if missing := [made for made in wanted if not (is_complete(made) and has_tools(made))]:
        check_machine()
        with building(sys.stdout):
            for made in missing:
                click.echo(f"{made.pair}: {made.reference}")
                build_node_image(made, sys.stdout)
                install_kind(made)
                install_kubectl(made)
                install_kube_tap(made.kube_tap)
            prune({step.folder for pair in all_pairs() for step in recipe(pair).steps})
    for made in wanted:
        click.echo(f"{tool_paths().kind} create cluster --image {made.reference}")


@images.command("list")
def list_images() -> None:
    """Show the node and deployment images that the engine has, and which pinned ones it lacks. Exits 4 without one."""
    found = find_node_images()
    current = {recipe(pair).reference for pair in all_pairs()}
    for image in found:
        note = "" if image.reference in current or not image.etcd else "   of older inputs: docker image rm it"
        click.echo(f"{image.reference}  {image_size_mib(image.reference)} MiB{note}")
    for pair in all_pairs():
        if recipe(pair).reference not in {image.reference for image in found}:
            click.echo(f"missing: {pair}   afterfault images build {_options(pair)}")
    for line in deployment_images.listing():
        click.echo(line)


@images.command()
@click.argument("reference", default="")
@click.option(
    "--control-planes", default=1, show_default=True, type=click.IntRange(1, 5), help="3 brings the load balancer in"
)
def check(reference: str, control_planes: int) -> None:
    """Boot a node image in a cluster of its own and ask it what scenarios rely on.

    REFERENCE is the image; the preferred one by default. The cluster has a name, a network and a kubeconfig of
    its own, and is deleted again however the check ends. Takes about 40 seconds.

    \b
    Exit codes: 0 fine, 3 something about it is not as it should be, 4 no engine, or no such image.
    """  # noqa: D301 click wants the character
    image = pick_node_image(reference)
    click.echo(f"checking {image.reference}")
    check_image(image, tool_paths(), control_planes, sys.stdout)


def _options(pair: Pair) -> str:
    return f"--kubernetes {pair.kubernetes} --etcd {pair.etcd}"


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
