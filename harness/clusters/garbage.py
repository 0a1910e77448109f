"""``afterfault gc``: what dead runs left behind, told and removed.

A run that lives is never touched, nor is anything that no run of ours owned.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.clusters import engine
from harness.clusters.docker_engine import open_engine
from harness.clusters.lease import Lease, lease_files, read_lease
from harness.clusters.ownership import owned_processes, sweep
from harness.errors import HarnessError, MachineError, UsageError
from harness.kept import forget_kept
from harness.run_folder import RunFolder

# What a run's label has after its name: the place of its folder, and which of its processes it is; see `RunFolder`.
_PLACE = r"-[0-9a-f]{8}\.[^.]*"


def collect_garbage(*, dry_run: bool, tell: Callable[[str], None], run: str = "") -> None:
    """Sweep what dead runs left behind.

    Args:
        dry_run: only tell.
        tell: gets a sentence for each thing found, before it is removed.
        run: a run's folder, or its name where that folder is gone: nothing but what this run left; all runs' when
            empty.

    Raises:
        UsageError: the run that was named lives, or there is none such; nothing was removed.
        MachineError: a dead run has things in an engine that does not answer; all the rest is done.
        HarnessError: something could not be read or removed; all the rest is done.
    """
    problems: list[HarnessError] = []
    is_meant = _one_run(run) if run else lambda _: True
    for lease in _dead_leases(problems):
        if not is_meant(lease.label):
            continue
        try:
            for text in _left_by(lease):
                tell(f"{lease.label}: {text}")
            if not dry_run:
                sweep(lease)
                _tidy(lease)
        except HarnessError as error:
            problems.append(error)
    try:
        _collect_orphans(is_meant, dry_run=dry_run, tell=tell)
    except HarnessError as error:
        problems.append(error)
    if problems:
        raise next((error for error in problems if isinstance(error, MachineError)), problems[0])


def _one_run(run: str) -> Callable[[str], bool]:
    """Whether a label is of the run that is meant; each process of a run has a label of its own.

    Raises:
        UsageError: the run lives, or there is neither such a folder nor anything that such a run left.
    """
    leases = [lease for lease in map(read_lease, lease_files()) if lease is not None]
    if Path(run).is_dir():
        label = re.compile(re.escape(RunFolder(Path(run).resolve()).label("")) + ".*")
    else:
        label = re.compile(re.escape(run) + _PLACE)
        if not any(label.fullmatch(lease.label) for lease in leases):
            left = sorted({re.sub(f"{_PLACE}$", "", lease.label) for lease in leases if not lease.owner_lives()})
            have = ", ".join(left) or "none"
            raise UsageError(f"no run {run} left anything here", mend=f"give its folder; those that did: {have}")
    if any(lease.owner_lives() and label.fullmatch(lease.label) for lease in leases):
        raise UsageError(f"the run {run} lives", mend="end it first")
    return lambda other: label.fullmatch(other) is not None


def _tidy(lease: Lease) -> None:
    """In the run's folder, see `harness.run_folder`: nothing is kept any more."""
    run = RunFolder(lease.work.parent.parent)
    if lease.work.parent == run.work and run.cases.is_dir():
        forget_kept(run.cases, lease.label)
        with contextlib.suppress(FileNotFoundError):
            if not any(run.work.iterdir()):
                run.work.rmdir()


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


def _collect_orphans(is_meant: Callable[[str], bool], *, dry_run: bool, tell: Callable[[str], None]) -> None:
    """Runs whose lease file is gone too, as after an emptied cache folder: the engine still names their owner."""
    try:
        client = open_engine()
    except MachineError:
        return  # no engine, no orphans
    with contextlib.closing(client):
        for mark in filter(lambda orphan: is_meant(orphan.label), engine.orphans(client)):
            for thing in engine.owned_things(client, mark):
                tell(f"{mark.label} (without a lease): {thing}")
            if not dry_run:
                engine.remove_all(client, mark, cut=False)
