"""Where a tool is cut, and by what. Frozen values; stable from run to run, for they name calls and not times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from harness.errors import UsageError


class Moment(StrEnum):
    """Where in a call."""

    BEFORE = "before"  # nothing of it has happened
    AFTER = "after"  # it has happened, and the tool does not know yet


class Means(StrEnum):
    """What ends a tool.

    ``timeout`` is how an Ansible task with ``async`` ends one that takes too long: its wrapper kills the
    process group (lib/ansible/modules/async_wrapper.py).
    """

    SIGINT_GROUP = "sigint-group"  # Ctrl-C
    SIGTERM = "sigterm"
    SIGKILL_TOOL = "sigkill-tool"  # what it had started goes on
    SIGKILL_GROUP = "sigkill-group"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class CutPoint:
    """A place in a tool's work.

    Args:
        call: name of a call as the taps give it (`harness.taps.gate`), or a pattern; ``*`` and ``?`` match.
        occurrence: which of the calls of that name, from 1.
        moment: where in it.
    """

    call: str
    moment: Moment
    occurrence: int = 1

    def __post_init__(self) -> None:
        if not self.call or self.occurrence < 1:
            raise UsageError(f"a cut point names a call, and which of them from 1: {self}")

    @property
    def id(self) -> str:
        """Stable, and one word: ``api:create:deployments.apps:shop/app:1:before``."""
        return f"{self.call.replace(' ', ':')}:{self.occurrence}:{self.moment}"

    def matches(self, call: str) -> bool:
        """Whether a call is one of those it counts."""
        return fnmatchcase(call, self.call)


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut of one call of a tool.

    Args:
        by: what ends it.
        point: where; None for so many seconds after its start.
        after_seconds: let it go on for so long from there.
    """

    by: Means
    point: CutPoint | None = None
    after_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.after_seconds < 0 or (self.point is None and self.after_seconds == 0):
            raise UsageError("a cut is at a point, or some seconds after the start")

    @property
    def id(self) -> str:
        """Stable, and one word."""
        place = self.point.id if self.point else "start"
        return f"{place}+{self.after_seconds:g}s/{self.by}" if self.after_seconds else f"{place}/{self.by}"
