"""What a leader knows of the control files: read as often, and trusted as far, as its variant does."""

from __future__ import annotations

from harness.control_files import MARKER, SPEC
from harness.tools.reference.manager.control_store import (
    EMPTY,
    GONE,
    THERE,
    UNREADABLE,
    Command,
    ControlError,
    ControlStore,
    Seen,
    Spec,
    Wanted,
)
from harness.tools.reference.manager.variants import Behaviour


class ControlView:
    """Spec and commands as last read.

    Args:
        store: where the files are.
        behaviour: of the variant.
    """

    def __init__(self, store: ControlStore, behaviour: Behaviour) -> None:
        self.store, self._behaviour = store, behaviour
        self._wanted = Wanted()

    @property
    def spec(self) -> Spec | None:
        """The wished cluster."""
        return self._wanted.spec

    @property
    def command(self) -> Command | None:
        """The oldest command, if there is one."""
        return self._wanted.commands[0] if self._wanted.commands else None

    @property
    def troubles(self) -> dict[str, str]:
        """File name -> what is wrong with it."""
        return dict(self._wanted.troubles)

    @property
    def spec_state(self) -> str:
        """There, gone or unreadable."""
        return THERE if self.spec else UNREADABLE if SPEC in self.troubles else GONE

    def refresh(self) -> None:
        """Read spec and commands.

        Raises:
            ControlError: something could not be read, in a variant that stops there; it keeps what it knew.
        """
        wanted = self.store.wanted()
        if wanted.troubles and not self._behaviour.alarms:
            raise ControlError(f"error refreshing control store: {wanted.troubles[0][1]}")
        self._wanted = wanted

    def marker(self) -> Seen:
        """The marker; it is read in each pass.

        Raises:
            ControlError: nobody knows whether it is there, in a variant that stops there.
        """
        seen = self.store.marker()
        if self._behaviour.alarms:
            return seen
        if seen.state == EMPTY:
            raise ControlError(f"error checking control store: marker file {MARKER} was unexpectedly empty")
        if seen.state == UNREADABLE:
            raise ControlError(f"error checking control store: {seen.why}")
        return seen

    def forget(self) -> None:
        """Know nothing until the next `refresh`, but the spec."""
        self._wanted = Wanted(self._wanted.spec)
