"""``afterfault images``: build, list, check."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from harness.nodeimage import deployment_images
from harness.nodeimage.check import check_image
from harness.nodeimage.engine import engine_version, image_size_mib
from harness.nodeimage.etcd_build import build_release
from harness.nodeimage.harness_image import build_harness_image, kept_steps
from harness.nodeimage.images import build_node_image, find_node_images, is_complete, pick_node_image
from harness.nodeimage.machine import check_machine
from harness.nodeimage.pins import ETCD, Pair, all_pairs, choose_pair
from harness.nodeimage.recipe import recipe
from harness.nodeimage.s3_server import build_s3_server
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
        afterfault images s3-server     the S3 server of managed clusters' stores; needs neither root nor Docker
        afterfault images etcd          etcd of another minor than the wheel's; needs neither root nor Docker
        afterfault images harness       the harness itself, for `afterfault fan-out`

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
        afterfault images build
        afterfault images build --kubernetes 1.33.13
        afterfault images build --all

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
            prune({step.folder for pair in all_pairs() for step in recipe(pair).steps} | kept_steps())
    for made in wanted:
        click.echo(f"{tool_paths().kind} create cluster --image {made.reference}")


@images.command("list")
def list_images() -> None:
    """Show the node and deployment images that the engine has, and the command that makes each one it lacks.

    \b
        afterfault images list

    \b
    Exit codes: 0 told; 2 wrong usage; 4 there is no engine.
    """  # noqa: D301 click wants the character
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
        afterfault images check
        afterfault images check --control-planes 3     with the load balancer

    \b
    Exit codes: 0 fine, 2 wrong usage, 3 something about it is not as it should be, 4 no engine, or no such image.
    """  # noqa: D301 click wants the character
    image = pick_node_image(reference)
    click.echo(f"checking {image.reference}")
    check_image(image, tool_paths(), control_planes, sys.stdout)


@images.command("s3-server")
def s3_server() -> None:
    """Build the S3 server that stores of managed clusters are kept in, once, into the cache folder.

    Needs Go and nothing else: no root, no Docker. Prints where the program is; 2 seconds when it is there.

    \b
        afterfault images s3-server

    \b
    Exit codes: 0 made, 2 wrong usage, 3 it could not be fetched or built (the last words are printed), 4 there
    is no Go.
    """  # noqa: D301 click wants the character
    click.echo(build_s3_server(sys.stdout))


@images.command("etcd")
@click.option("--version", type=click.Choice(ETCD), default=ETCD[0], show_default=True, help="which pinned release")
def etcd_release(version: str) -> None:
    """Build a release of etcd, etcdctl and etcdutl for clusters on loopback, once, into the cache folder.

    Needs Go and nothing else: no root, no Docker. Prints the folder, as `pytest --etcd-dir` takes it;
    `afterfault nightly` finds it by itself.

    \b
        afterfault images etcd
        afterfault images etcd --version 3.5.21

    \b
    Exit codes: 0 made, 2 wrong usage, 3 it could not be fetched or built (the last words are printed), 4 there
    is no Go.
    """  # noqa: D301 click wants the character
    click.echo(build_release(version, sys.stderr))


@images.command("harness")
@click.option(
    "--archive",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="write it to this file, for `docker load` or `ctr images import` elsewhere, and not into the engine",
)
def harness_image(archive: Path | None) -> None:
    """Make the image of the harness itself, which `afterfault fan-out` has a Kubernetes cluster run.

    Needs root, debootstrap, pip, and a Docker engine unless --archive names a file. Every file of the project that
    scenarios are played with, and requirements.lock, decide its name. Prints that name.

    \b
        afterfault images harness                          a minute or two the first time, 10 s after a change
        afterfault images harness --archive harness.tar    for machines without an engine
        kind load docker-image --name NAME REFERENCE       into a kind cluster

    \b
    Exit codes: 0 made, 2 wrong usage, 3 a step failed (its last words are printed), 4 this machine can't do it.
    """  # noqa: D301 click wants the character
    click.echo(build_harness_image(sys.stderr, archive))


def _options(pair: Pair) -> str:
    return f"--kubernetes {pair.kubernetes} --etcd {pair.etcd}"


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
