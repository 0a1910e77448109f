"""The stores of one managed cluster: below a folder, or in an S3 server of its own with a gate before it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from harness.clusters.backup_store import BackupStore, FileStore
from harness.clusters.ownership import Ownership
from harness.clusters.s3_gate import S3Gate
from harness.clusters.s3_server import S3Server

# As kops has it: the backups of etcd's main cluster below the folder of a Kubernetes cluster.
_BUCKET = "kops-state"
BACKUPS, _APART = "cluster.test/backups/etcd/main", "cluster.test/control-files"


@dataclass(frozen=True, slots=True)
class Stores:
    """What a managed cluster keeps things in.

    Args:
        backups: the backup path, as the harness reaches it.
        apart: where control files are for a manager that keeps them apart.
        environment: by which managers reach both.
        gate: between managers and an S3 server; None for files.
        closing: what has to be closed, the server too.
    """

    backups: BackupStore
    apart: BackupStore
    environment: dict[str, str] = field(default_factory=dict)
    gate: S3Gate | None = None
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


def open_stores(work: Path, ownership: Ownership, server: Path | None = None) -> Stores:
    """The stores of one cluster.

    Args:
        work: folder for what is in them.
        ownership: whose server it is.
        server: an S3 server's binary; without one they are folders.

    Raises:
        ClusterError: it does not start.

    Leaves behind: files, and for S3 a process and a socket, until `closing` is closed.
    """
    if server is None:
        return Stores(FileStore(work / BACKUPS), FileStore(work / _APART))
    closing = contextlib.ExitStack()
    running = S3Server(server, work / "s3", ownership)
    closing.callback(running.stop)
    backups, apart = running.store(_BUCKET, BACKUPS), running.store(_BUCKET, _APART)
    gate = S3Gate(running.endpoint)
    for each in (backups, apart, gate):
        closing.callback(each.close)
    return Stores(backups, apart, gate.environment(backups.environment), gate, closing)
