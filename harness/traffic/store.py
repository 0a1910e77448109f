"""What traffic needs of whatever it calls: endpoints, and connections that write and read registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a call.

    Args:
        revision: the store's revision when it answered; a write's own.
        cluster_id: who answered.
        value: what a read saw; None for a register nobody has written yet.
        mod_revision: revision of the write that a read saw; 0 for none.
    """

    revision: int
    cluster_id: str
    value: str | None = None
    mod_revision: int = 0


class Connection(Protocol):
    """One client's connection to one endpoint.

    Raises (every call):
        CallFailed: surely not carried out.
        CallUnknown: may have been carried out.
    """

    def write(self, register: str, value: str) -> Reply:
        """Put a register's new value, and a log key that no other write touches."""

    def read(self, register: str) -> Reply:
        """Linearizable read of a register."""

    def close(self) -> None:
        """Close it; it can't be used afterwards."""


class Store(Protocol):
    """Whom clients call."""

    def prepare(self, registers: int) -> None:
        """Make what writes need, before the first call.

        Raises:
            ClusterError: it could not be made.
        """

    def endpoints(self) -> list[str]:
        """Names of those that can be called now, as written to the journal; the order is kept."""

    def connect(self, endpoint: str, timeout_seconds: float) -> Connection:
        """A connection to one of them."""
