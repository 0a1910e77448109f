"""Steps of a build: each is kept under a hash of everything that decides its outcome.

A step writes into a folder with a temporary name, which gets its real name when the step is complete.
So a build that was killed begins again at the step it was in, and two builds never see half a step.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TextIO

from harness.clusters.ownership import cache_folder
from harness.waiting import SYSTEM_CLOCK, Clock, rest_unless, until

FILES = Path(__file__).parent / "files"
_CLOCK_SECONDS = 1.0
_LINE_SECONDS = 60.0
_OTHER_SECONDS = 3600.0


@dataclass(frozen=True)
class Step:
    """One thing to make.

    Args:
        name: first part of its folder's name.
        says: what a person reads while it is made.
        make: fills an empty folder.
        inputs: what decides the outcome, besides `needs` and `files`.
        needs: steps whose folders it reads.
        files: names below ``files/`` that it reads; a folder stands for all in it.
        revision: raised when the code of `make` changes what it makes.
    """

    name: str
    says: str
    make: Callable[[Path], None]
    inputs: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Step, ...] = ()
    files: tuple[str, ...] = ()
    revision: int = 1

    @cached_property
    def key(self) -> str:
        """Twelve hex digits of everything that decides the outcome."""
        parts = [self.name, str(self.revision)]
        parts += [f"{name}={value}" for name, value in sorted(self.inputs.items())]
        parts += [f"{path.relative_to(FILES)} {_digest(path)}" for path in _all_files(self.files)]
        parts += [step.key for step in self.needs]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """Where the outcome is, once made."""
        return steps_folder() / f"{self.name}-{self.key}"

    @property
    def done(self) -> bool:
        """Whether it was made before."""
        return self.folder.is_dir()


def steps_folder() -> Path:
    """Where steps are kept."""
    return cache_folder() / "nodeimage"


@contextmanager
def building(out: TextIO) -> Iterator[None]:
    """One build at a time on this machine; a second one waits for the first, and finds its steps."""
    steps_folder().mkdir(parents=True, exist_ok=True)
    with (steps_folder() / "lock").open("w") as lock:
        if not _taken(lock):
            out.write("another build is running; waiting for it\n")
            out.flush()
            until(lambda: _taken(lock), what="the other build", deadline_seconds=_OTHER_SECONDS, every_seconds=1.0)
        for left in steps_folder().glob("*.partial"):
            shutil.rmtree(left)  # of a build that was killed: nobody else is building
        yield


def prune(keep: Set[Path]) -> None:
    """Remove kept steps that no pinned image is made of any more."""
    for path in steps_folder().iterdir():
        if path.is_dir() and path not in keep:
            shutil.rmtree(path)


def make_all(steps: Sequence[Step], out: TextIO, clock: Clock = SYSTEM_CLOCK) -> None:
    """Make what is not there yet, in order, with a line for each.

    Args:
        steps: each after what it needs.
        out: for a person.
        clock: where time comes from.
    """
    for number, step in enumerate(steps, 1):
        title = f"[{number}/{len(steps)}] {step.says} ..."
        if step.done:
            out.write(f"{title} kept\n")
            continue
        started = clock.monotonic()
        with running_clock(title, out, clock):
            make(step)
        out.write(f"{title} {clock.monotonic() - started:.0f} s\n")
        out.flush()


def make(step: Step) -> None:
    """Make one step; leaves its folder, or nothing when it fails."""
    partial = step.folder.with_name(f"{step.folder.name}.partial")
    partial.mkdir(parents=True)
    try:
        step.make(partial)
        partial.rename(step.folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def running_clock(title: str, out: TextIO, clock: Clock = SYSTEM_CLOCK) -> Iterator[None]:
    """Show how long it takes: a counter on a terminal, a line a minute elsewhere."""
    stopped = threading.Event()
    started = clock.monotonic()
    live = out.isatty()

    before, after = ("\r", "") if live else ("", " so far\n")

    def show() -> None:
        while not rest_unless(stopped, _CLOCK_SECONDS if live else _LINE_SECONDS):
            out.write(f"{before}{title} {clock.monotonic() - started:.0f} s{after}")
            out.flush()

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield
    finally:
        stopped.set()
        shower.join()
        out.write(before)


def _all_files(names: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for name in names:
        path = FILES / name
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def _taken(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _digest(path: Path) -> str:
    executable = "x" if os.access(path, os.X_OK) else "-"
    return hashlib.sha256(path.read_bytes()).hexdigest() + executable
