"""Cells of the state table of control files: what is damaged, and what happens then; values and their readable IDs.

Incident 003 tells of two control files beneath a backup path, the marker that a cluster was created and its spec. Which
damage and which events after it swap a live cluster for an empty one was found by trying all of them: what becomes of
each file, times nothing, one event, or two different ones in either order. An ID spells a cell out:

    marker-gone+spec-gone/restart-all,spec-again
    marker-empty+spec-there/none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations, product
from types import MappingProxyType

from harness.errors import UsageError

_NO_EVENT = "none"
_MARKER, _SPEC = "marker-", "spec-"


class File(StrEnum):
    """What became of a control file."""

    THERE = "there"
    GONE = "gone"
    EMPTY = "empty"


class Event(StrEnum):
    """What happens after the damage."""

    RESTART_LEADER = "restart-leader"
    RESTART_ALL = "restart-all"
    SPEC_AGAIN = "spec-again"
    MARKER_AGAIN = "marker-again"


class Outcome(StrEnum):
    """What a cell comes to, from the mildest to the worst; `NOT_SEEN` where nothing can be said.

    ``wrong-data`` is worse than an empty cluster that everybody talks to: two clusters answer by turns, or our own
    answers without what it had acknowledged.
    """

    SAFE = "safe"
    BACKUPS_STOPPED = "backups-stopped"
    RESEEDED = "reseeded"
    WRONG_DATA = "wrong-data"
    NOT_SEEN = "not-seen"


MARKERS = (File.THERE, File.GONE, File.EMPTY)
SPECS = (File.THERE, File.GONE)
SEQUENCES: tuple[tuple[Event, ...], ...] = ((), *((event,) for event in Event), *permutations(Event, 2))
# What each event is to the words of a sentence.
EVENT_WORDS: Mapping[Event, str] = MappingProxyType(
    {
        Event.RESTART_LEADER: "the leader's machine restarts",
        Event.RESTART_ALL: "all machines restart",
        Event.SPEC_AGAIN: "the spec is written again",
        Event.MARKER_AGAIN: "the marker is written again",
    }
)


@dataclass(frozen=True, slots=True)
class ControlCell:
    """One cell.

    Args:
        marker: what became of ``control/etcd-cluster-created``.
        spec: what became of ``control/etcd-cluster-spec``: there or gone.
        events: up to two different ones, in their order.

    Raises:
        UsageError: there is no such cell.
    """

    marker: File
    spec: File
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        if self.spec not in SPECS:
            raise UsageError(f"a spec is {' or '.join(SPECS)} here, not {self.spec}")
        if self.events not in SEQUENCES:
            raise UsageError(f"events are none, one, or two different ones, not {', '.join(self.events)}")

    @classmethod
    def parse(cls, text: str) -> ControlCell:
        """The cell that has this ID.

        Raises:
            UsageError: no cell has it.
        """
        damage, slash, events = text.partition("/")
        marker, plus, spec = damage.partition("+")
        if not (slash and plus and marker.startswith(_MARKER) and spec.startswith(_SPEC)):
            raise UsageError(f"{text!r} is no cell", mend="as in marker-gone+spec-there/restart-all,spec-again")
        named = () if events == _NO_EVENT else tuple(events.split(","))
        try:
            files = File(marker.removeprefix(_MARKER)), File(spec.removeprefix(_SPEC))
            return cls(*files, tuple(Event(event) for event in named))
        except ValueError as error:
            raise UsageError(f"{text!r} is no cell: {error}") from error

    @property
    def damage(self) -> str:
        """Its row: ``marker-gone+spec-there``."""
        return f"{_MARKER}{self.marker}+{_SPEC}{self.spec}"

    @property
    def sequence(self) -> str:
        """Its column: ``none``, ``restart-all`` or ``restart-all,spec-again``."""
        return ",".join(self.events) or _NO_EVENT

    @property
    def id(self) -> str:
        """Stable and readable."""
        return f"{self.damage}/{self.sequence}"


def all_cells() -> tuple[ControlCell, ...]:
    """All 102, row by row: damage by marker and spec, events from none to two."""
    return tuple(ControlCell(*one) for one in product(MARKERS, SPECS, SEQUENCES))


def damages() -> tuple[str, ...]:
    """The rows of the table."""
    return tuple(dict.fromkeys(cell.damage for cell in all_cells()))


def sequences() -> tuple[str, ...]:
    """The columns of the table."""
    return tuple(dict.fromkeys(cell.sequence for cell in all_cells()))
