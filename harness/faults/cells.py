"""The cells of the state table of control files, as faults in their order."""

from __future__ import annotations

from harness.control_cells import ControlCell, Event, File
from harness.faults import Fault
from harness.faults.control_files import (
    ControlFilesGone,
    MarkerEmpty,
    MarkerGone,
    MarkerWrittenAgain,
    SpecGone,
    SpecWrittenAgain,
)
from harness.faults.machines import ALL, LEADER, MachineRestarted

_DAMAGE: dict[tuple[File, File], tuple[Fault, ...]] = {
    (File.THERE, File.THERE): (),
    (File.THERE, File.GONE): (SpecGone(),),
    (File.GONE, File.THERE): (MarkerGone(),),
    (File.GONE, File.GONE): (ControlFilesGone(),),
    (File.EMPTY, File.THERE): (MarkerEmpty(),),
    (File.EMPTY, File.GONE): (SpecGone(), MarkerEmpty()),
}
_EVENTS: dict[Event, Fault] = {
    Event.RESTART_LEADER: MachineRestarted(LEADER),
    Event.RESTART_ALL: MachineRestarted(ALL),
    Event.SPEC_AGAIN: SpecWrittenAgain(),
    Event.MARKER_AGAIN: MarkerWrittenAgain(),
}


def damage_of(cell: ControlCell) -> tuple[Fault, ...]:
    """What is damaged first, all at once."""
    return _DAMAGE[cell.marker, cell.spec]


def events_of(cell: ControlCell) -> tuple[Fault, ...]:
    """What happens then, one after the other."""
    return tuple(_EVENTS[event] for event in cell.events)
