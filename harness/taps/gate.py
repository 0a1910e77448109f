"""What a tap asks before it lets a call pass, and again before it tells the tool how the call went.

A call has a name that is the same from run to run, as ``api create deployments.apps shop/app`` or
``kind create cluster``; names, not times, are what cut points are made of.
"""

from __future__ import annotations

from typing import Protocol

from harness.cuts import Moment

__all__ = ["Gate", "Moment", "OpenGate"]


class Gate(Protocol):
    """Decides over calls; may hold one as long as it likes. Called from the taps' own threads."""

    def passes(self, call: str, moment: Moment) -> bool:
        """Whether it goes on; when not, the call is dropped: not made, or made and never answered."""


class OpenGate:
    """Lets everything pass."""

    def passes(self, call: str, moment: Moment) -> bool:  # noqa: ARG002 - whatever it is
        """Always."""
        return True
