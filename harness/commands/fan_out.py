"""``afterfault fan-out``: a Kubernetes cluster plays the shards of a run, and one run comes back."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from harness.commands.merge import judge, tell
from harness.errors import HarnessError, UsageError
from harness.fan_out.engine import Engine
from harness.fan_out.follow import Back, Following
from harness.fan_out.job import Order, manifest
from harness.nodeimage.harness_image import reference
from harness.run_folder import RunFolder
from harness.shards import OPTION as DURATIONS
from harness.shards import read_durations
from reports.merge import merge

# What the pods are told themselves.
_TAKEN = ("--run-dir", "--shard-index", "--shard-count", "--minutes")
_SEED = "--seed"
# Kind's clusters can't be made in a pod; a -m of the user's own comes later, and decides.
_USUAL = ("-m", "not slow and not kind", "-n", "2")


@click.command("fan-out")
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path), default=None, help="of the cluster  [default: KUBECONFIG]"
)
@click.option("--context", default="", metavar="NAME", help="of the kubeconfig  [default: its current one]")
@click.option("--namespace", default="", metavar="NAME", help="that exists  [default: the context's]")
@click.option("--shards", type=int, required=True, metavar="N", help="pods, and parts of the cases")
@click.option("--into", required=True, metavar="DIR", type=click.Path(path_type=Path), help="a new folder for the run")
@click.option(
    "--image", default="", metavar="REF", help="of the harness  [default: `afterfault images harness` of today]"
)
@click.option("--timeout", type=float, default=60.0, show_default=True, metavar="MINUTES", help="for playing all of it")
@click.option("--cpu", default="250m", show_default=True, help="what each pod is promised")
@click.option("--memory", default="512Mi", show_default=True, help="what each pod is promised")
@click.option(
    DURATIONS, "durations", type=click.Path(path_type=Path), default=None, metavar="RUN|FILE",
    help="make the shards equally long, by what the cases took there",
)  # fmt: skip
@click.argument("options", nargs=-1, metavar="[-- PYTEST-OPTION...]")
def fan_out(  # noqa: PLR0917 - one a word of the call
    kubeconfig: Path | None,
    context: str,
    namespace: str,
    shards: int,
    into: Path,
    image: str,
    timeout: float,
    cpu: str,
    memory: str,
    durations: Path | None,
    options: tuple[str, ...],
) -> None:
    """Have an existing Kubernetes cluster play a run, a shard a pod, and bring it back as one.

    The pods are those of one Indexed Job. They need neither root nor an engine, so what they play are the cases on
    etcd: every PYTEST-OPTION selects among those. The Job is deleted at the end, however that comes; should this
    process be killed, Kubernetes ends the Job ten minutes after --timeout and removes it five minutes later. A shard
    that dies is named with its last words.

    \b
        afterfault fan-out --kubeconfig k.yaml --shards 4 --into runs/wide
        afterfault fan-out --shards 8 --into runs/night --timeout 90 -- -m "etcd and not kind" --repeat 3

    \b
    Exit codes: as of a run: 0 all as expected, 1 a guarantee broken or a known defect changed, 2 wrong usage,
    3 inconclusive or a shard lost, 4 the cluster does not answer, does not let you, or can't get the image.
    """  # noqa: D301 click wants the character
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    _check(into, options)
    took = read_durations(durations) if durations is not None else {}
    seed = [] if _SEED in options else [_SEED, str(random.SystemRandom().randrange(2**32))]
    order = Order(
        image or reference(),
        shards,
        round(timeout * 60),
        datetime.now(UTC).timestamp() + timeout * 60,
        (*_USUAL, *seed, *options),
        took,
        cpu,
        memory,
    )
    with contextlib.closing(Engine(_kubeconfig(kubeconfig), context, namespace)) as engine, _room(into) as room:
        back, left = _play(engine, order, room)
        folder = _merged(back, into, left)
    decision = judge(folder)
    tell(folder, decision)
    sys.exit(decision.exit_code)


def _check(into: Path, options: Sequence[str]) -> None:
    """What would be found out too late otherwise."""
    if taken := [word for word in options if word.partition("=")[0] in _TAKEN]:
        raise UsageError(f"{', '.join(taken)} is not for you to give: each shard has its own", mend="leave it out")
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"--into {into} is not an empty folder", mend="name a new one; old runs are never overwritten")


def _kubeconfig(named: Path | None) -> Path:
    found = named or Path(os.environ.get("KUBECONFIG", "") or Path.home() / ".kube" / "config")
    if not found.is_file():
        raise UsageError(f"there is no kubeconfig {found}", mend="name one with --kubeconfig")
    return found


@contextlib.contextmanager
def _room(into: Path) -> Iterator[Path]:
    """Where run folders are put before they are merged; it stays where that fails."""
    into.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f"{into.name}-shards-", dir=into.parent))
    try:
        yield room
    except HarnessError:
        if any(room.iterdir()):
            click.echo(f"what came back is in {room}", err=True)
        else:
            room.rmdir()
        raise
    except SystemExit:
        shutil.rmtree(room)
        raise
    shutil.rmtree(room)


def _play(engine: Engine, order: Order, room: Path) -> tuple[Back, list[str]]:
    """What came back; and what could not be cleared up, which must not cost the run."""
    body = manifest(order)
    engine.create_job(body, dry_run=True)
    click.echo(
        f"{datetime.now(UTC):%H:%M:%S}  {order.shards} shards as Job {order.name} in {engine.namespace}, {order.image}"
    )
    left: list[str] = []
    try:
        engine.create_job(body)
        back = Following(engine, order, room, _say).follow()
    finally:
        left += _clear(engine, order)
    return back, left


def _clear(engine: Engine, order: Order) -> list[str]:
    """Delete the Job; a sentence where that can't be done."""
    try:
        engine.delete_job(order.name, order.selector)
    except HarnessError as error:
        told = f"Job {order.name} could not be deleted; Kubernetes removes it after its time: {error}"
        click.echo(told, err=True)
        return [told]
    return []


def _merged(back: Back, into: Path, left: Sequence[str]) -> RunFolder:
    """One run of what came back; what the lost ones said goes with it."""
    for lost in back.lost:
        click.echo(f"{lost.reason}\n{lost.tail}", err=True)
    if not back.folders:
        raise HarnessError("no shard came back: there is no run")
    folder = merge(back.folders, into, [*(lost.sentence for lost in back.lost), *left])
    for lost in back.lost:
        room = folder.machines / lost.name
        room.mkdir(parents=True, exist_ok=True)
        (room / "pod.log").write_text(lost.log, encoding="utf-8")
    return folder


def _say(line: str) -> None:
    """A line of progress, with the time unless it has one."""
    timed = line[:2].isdigit() and line[2:3] == ":"
    click.echo(line if timed else f"{datetime.now(UTC):%H:%M:%S}  {line}")


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
