"""Faults are states of the world, with evidence that they bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a fault bit.

    Args:
        bit: whether the world is in the fault's state, by independent signs.
        facts: the signs, as plain JSON values.
    """

    bit: bool
    facts: dict[str, Any]


class Fault(Protocol):
    """A state of the world to be brought about; which sort of cluster it is for, each says by its types."""

    @property
    def node(self) -> str:
        """Name of the node it befalls."""

    def preflight(self, cluster: Any) -> None:
        """Check, before anything is broken, that it can be injected.

        Raises:
            FaultError: it can't.
        """

    def inject(self, cluster: Any) -> None:
        """Bring it about."""

    def evidence(self, cluster: Any) -> Evidence:
        """Look for signs that it is so; changes nothing."""

    def heal(self, cluster: Any) -> None:
        """Undo what can be undone; does nothing for what is gone for good."""
