"""``afterfault gc``: what dead runs left behind, told and removed.

A run that lives is never touched, nor is anything that no run of ours owned.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from harness.clusters import engine
from harness.clusters.docker_engine import open_engine
from harness.clusters.lease import Lease, lease_files, read_lease
from harness.clusters.ownership import owned_processes, sweep
from harness.errors import HarnessError, MachineError


def collect_garbage(*, dry_run: bool, tell: Callable[[str], None]) -> None:
    """Sweep what dead runs left behind.

    Args:
        dry_run: only tell.
        tell: gets a sentence for each thing found, before it is removed.

    Raises:
        MachineError: a dead run has things in an engine that does not answer; all the rest is done.
        HarnessError: something could not be read or removed; all the rest is done.
    """
    problems: list[HarnessError] = []
    for lease in _dead_leases(problems):
        try:
            for text in _left_by(lease):
                tell(f"{lease.label}: {text}")
            if not dry_run:
                sweep(lease)
        except HarnessError as error:
            problems.append(error)
    try:
        _collect_orphans(dry_run=dry_run, tell=tell)
    except HarnessError as error:
        problems.append(error)
    if problems:
        raise next((error for error in problems if isinstance(error, MachineError)), problems[0])


def _dead_leases(problems: list[HarnessError]) -> Iterator[Lease]:
    for file in lease_files():
        lease = read_lease(file)
        if lease is None and file.exists():
            problems.append(HarnessError(f"{file} holds no lease", mend=f"look at it, then remove it: rm {file}"))
        if lease is not None and not lease.owner_lives():
            yield lease


def _left_by(lease: Lease) -> Iterator[str]:
    for process in owned_processes(lease.label):
        yield f"process {process.pid} ({process.name()})"
    for kubeconfig in sorted(lease.work.rglob("kubeconfig")):
        yield f"kubeconfig {kubeconfig}"
    if lease.work.exists():
        yield f"folder {lease.work}"
    yield "its lease file"
    if lease.engine:
        with contextlib.closing(engine.connect(lease.engine)) as client:
            yield from map(str, engine.owned_things(client, lease.mark))


def _collect_orphans(*, dry_run: bool, tell: Callable[[str], None]) -> None:
    """Runs whose lease file is gone too, as after an emptied cache folder: the engine still names their owner."""
    try:
        client = open_engine()
    except MachineError:
        return  # no engine, no orphans
    with contextlib.closing(client):
        for mark in engine.orphans(client):
            for thing in engine.owned_things(client, mark):
                tell(f"{mark.label} (without a lease): {thing}")
            if not dry_run:
                engine.remove_all(client, mark, cut=False)
