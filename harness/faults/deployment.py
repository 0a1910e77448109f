"""Faults of a deployment: the machine it runs on, and what its tool has put by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import FaultError
from harness.faults import Evidence


@dataclass(frozen=True, slots=True)
class MachineKilled:
    """A power cut: every node of the deployment is off at once, with its disk as it was."""

    node: str = "all of it"

    def preflight(self, cluster: Any) -> None:
        """It has to be on."""
        if not cluster.running():
            raise FaultError("no node of the deployment is on; the fault would change nothing")

    def inject(self, cluster: Any) -> None:
        """Kill each."""
        for machine in cluster.machines():
            machine.kill()

    def evidence(self, cluster: Any) -> Evidence:
        """The nodes are there, and none has a process."""
        pids = {machine.name: machine.pid for machine in cluster.machines()}
        return Evidence(bool(pids) and not any(pids.values()), {"pids": pids})

    def heal(self, cluster: Any) -> None:
        """Nothing: to switch it on is the tool's job."""


@dataclass(frozen=True, slots=True)
class _OfBackup:
    """A fault of the file in which a tool keeps copies of secrets."""

    node: str = "the secrets' backup"

    def preflight(self, cluster: Any) -> None:
        """There has to be something in it."""
        if _size(cluster.backup) <= 0:
            raise FaultError("the tool has put no secrets by; the fault would change nothing")

    def heal(self, cluster: Any) -> None:
        """Nothing: what was in it is gone."""


class BackupEmptied(_OfBackup):
    """The disk was full when it was written, or a job overwrote it: it is there, with nothing in it."""

    def inject(self, cluster: Any) -> None:
        """Cut it to nothing."""
        cluster.backup.write_bytes(b"")

    def evidence(self, cluster: Any) -> Evidence:
        """It is there and has no bytes."""
        size = _size(cluster.backup)
        return Evidence(size == 0, {"bytes": size})


class BackupMissing(_OfBackup):
    """It was tidied away."""

    def inject(self, cluster: Any) -> None:
        """Remove it."""
        cluster.backup.unlink()

    def evidence(self, cluster: Any) -> Evidence:
        """It is not there."""
        size = _size(cluster.backup)
        return Evidence(size < 0, {"bytes": size})


def _size(file: Path | None) -> int:
    """In bytes; -1 when there is none."""
    return file.stat().st_size if file is not None and file.exists() else -1
