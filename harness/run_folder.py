"""Where a run leaves what it found: ``runs/<run-id>/``."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import MachineError, UsageError

LEAST_FREE_MIB = 512
# One segment of etcd's write-ahead log is allocated at once; below that, etcd stops.
FULL_MIB = 64


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder.

    Args:
        path: the folder; its name is the run's ID.
    """

    path: Path

    @classmethod
    def choose(cls, wanted: str, default_parent: Path) -> RunFolder:
        """The folder a user named, or a fresh one below `default_parent`; nothing is made yet.

        Raises:
            UsageError: the named folder holds something already, or is no folder.
        """
        if not wanted:
            return cls(default_parent / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3])
        path = Path(wanted).resolve()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"--run-dir {wanted} is not an empty folder", mend="name a new one; old runs are never overwritten"
            )
        return cls(path)

    def prepare(self) -> None:
        """Make the folder, and make sure there is room.

        Raises:
            MachineError: it can't be made, or less than 512 MiB are free.
        """
        try:
            self.cases.mkdir(parents=True, exist_ok=True)
            free_mib = shutil.disk_usage(self.path).free // 2**20
        except OSError as error:
            raise MachineError(f"cannot make the run folder {self.path}: {error.strerror}") from error
        if free_mib < LEAST_FREE_MIB:
            raise MachineError(
                f"{free_mib} MiB are free for the run folder; a run needs {LEAST_FREE_MIB} MiB",
                mend="free space, or choose another --run-dir",
            )

    def discard(self) -> None:
        """Remove it again, with everything in it: it was empty before the run."""
        shutil.rmtree(self.path)

    def has_room(self) -> bool:
        """Whether etcd can still write here."""
        return shutil.disk_usage(self.path).free // 2**20 >= FULL_MIB

    @property
    def run_id(self) -> str:
        """The run's ID."""
        return self.path.name

    @property
    def near(self) -> str:
        """Its path as a person types it: from the working folder, where it is below that."""
        return os.path.relpath(self.path) if self.path.resolve().is_relative_to(Path.cwd()) else str(self.path)

    def label(self, worker: str) -> str:
        """Unique on this machine: two runs may have folders of the same name in different places."""
        place = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:8]
        return f"{self.run_id}-{place}.{worker}"

    @property
    def cases(self) -> Path:
        """One folder a case."""
        return self.path / "cases"

    @property
    def work(self) -> Path:
        """Data of clusters while they live."""
        return self.path / "work"

    @property
    def progress(self) -> Path:
        """What happens, a line each, as it happens."""
        return self.path / "progress.log"

    @property
    def left_out(self) -> Path:
        """Cases that were deselected, a line each."""
        return self.path / "left-out.txt"

    @property
    def planned(self) -> Path:
        """Plays that the run is to play, a line each; written before the first of them begins."""
        return self.path / "planned.txt"

    def planned_plays(self) -> tuple[str, ...]:
        """IDs of the plays that the run was to play; empty where nobody wrote them down."""
        if not self.planned.exists():
            return ()
        return tuple(self.planned.read_text(encoding="utf-8").splitlines())

    @property
    def ledger(self) -> Path:
        """The ledger the run was held against."""
        return self.path / "known_defects.yaml"

    @property
    def shard(self) -> Path:
        """Which part of a run this is, and of which selection; not there where it is a whole one."""
        return self.path / "shard.json"

    @property
    def machines(self) -> Path:
        """In a run that was put together of several: what each of them told of itself."""
        return self.path / "machines"

    def left_out_told(self) -> list[str]:
        """How many cases were deselected, as a sentence; none where there were none."""
        if not self.left_out.exists():
            return []
        number = len(set(self.left_out.read_text(encoding="utf-8").splitlines()))
        return [f"{number} cases were not selected (slow ones: -m slow; everything: -m '')"] if number else []
