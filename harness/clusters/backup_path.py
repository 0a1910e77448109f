"""What every backup store can do.

Names are relative to the backup path, with slashes, as ``control/etcd-cluster-spec``. A store tells apart what is
surely not there (None) from what it could not find out (`StoreError`): confusing the two is what founds new clusters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from harness.errors import HarnessError, UsageError


class StoreError(HarnessError):
    """A store did not answer, or answered an error: nothing is known of what is in it.

    Args:
        message: what happened.
        denied: whether it answered and refused.
    """

    def __init__(self, message: str, *, denied: bool = False, mend: str = "") -> None:
        self.denied = denied
        super().__init__(message, mend=mend)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a store.

    Args:
        name: relative to the backup path.
        bytes: its size.
        modified: Unix seconds.
    """

    name: str
    bytes: int
    modified: float


class BackupStore(ABC):
    """One backup path.

    Raises (every call):
        StoreError: the store did not answer, or refused; nothing is known of what is there.
        UsageError: a name that leads out of the backup path.
    """

    url: str
    """As a manager is told it: ``file:///...`` or ``s3://bucket/prefix``."""
    environment: dict[str, str]
    """What a process needs to reach it; empty for files."""

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    @abstractmethod
    def list(self, prefix: str = "") -> list[StoredFile]:
        """Files whose names begin with `prefix`, by name; none where the path is not there."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """A file's content; None when there is surely no such file."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file, whole or not at all."""

    @abstractmethod
    def delete(self, *names: str) -> None:
        """Remove files; one that is not there is no error."""

    @abstractmethod
    def below(self, name: str) -> BackupStore:
        """A store of its own, for what lies below `name` here."""

    def close(self) -> None:  # noqa: B027 - neither store we have keeps one
        """Close a connection that was kept; the store can't be used afterwards."""


def checked_name(name: str) -> str:
    """A name that stays below the backup path.

    Raises:
        UsageError: it does not.
    """
    if not name or name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
        raise UsageError(f"{name!r} is no name of a file in a store")
    return name
