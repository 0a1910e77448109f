"""Foretells what damaged control files do to a cluster under an etcd-manager, and holds that against the world.

The whole model is four facts and these rules (names in brackets are functions of etcd-manager's controller, whose
leader goes through them every loop):

- The marker is read in every loop (``IsNewCluster``). Empty, it is an error that ends the loop before backups.
- While it is gone, the spec is read anew in every loop. A spec that is there founds a new cluster at once, whatever
  serves (``createNewCluster``), and writes marker and spec. No spec: the loop ends before backups ("must seed new
  cluster"), and what was known of the spec is forgotten.
- While it is there, what is known of the spec counts, not the file: with it backups go on, without it they do not.
- A leader reads the spec when it becomes one, so after each restart of its machine (``refreshControlStore``).

Each step is followed by more than one loop before the next. Frozen from runs: a change of it is a decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.control_cells import ControlCell, Event, File, Outcome
from harness.errors import UsageError
from harness.judging.case import Case
from harness.judging.control_state import came_to
from harness.judging.observed import Flaw, Promise
from harness.judging.verdict import Finding

STORY = "state_table"
_FORETOLD = Promise("state-as-foretold", "store.seen")


@dataclass(frozen=True, slots=True)
class State:
    """All the model knows.

    Args:
        marker: what became of it.
        spec: what became of it.
        knows_spec: whether the leader has a spec in mind.
        reseeded: whether a new cluster was founded.
    """

    marker: File
    spec: File
    knows_spec: bool = True
    reseeded: bool = False

    @property
    def outcome(self) -> Outcome:
        """What it comes to if it is left so."""
        if self.reseeded:
            return Outcome.RESEEDED
        return Outcome.SAFE if self.marker is File.THERE and self.knows_spec else Outcome.BACKUPS_STOPPED

    def settled(self) -> State:
        """After a loop or two of the leader."""
        if self.marker is not File.GONE:
            return self
        if self.spec is File.GONE:
            return replace(self, knows_spec=False)
        return State(File.THERE, File.THERE, knows_spec=True, reseeded=True)

    def after(self, event: Event) -> State:
        """After an event, and a loop or two."""
        if event is Event.SPEC_AGAIN:
            return replace(self, spec=File.THERE).settled()
        if event is Event.MARKER_AGAIN:
            return replace(self, marker=File.THERE).settled()
        return replace(self, knows_spec=self.spec is File.THERE).settled()


def foretold(marker: File, spec: File, events: Sequence[Event]) -> Outcome:
    """What a cell comes to.

    Raises:
        UsageError: there is no such cell.
    """
    cell = ControlCell(marker, spec, tuple(events))
    state = State(cell.marker, cell.spec).settled()
    for event in cell.events:
        state = state.after(event)
    return state.outcome


def cell_of(case: Case) -> ControlCell | None:
    """The cell a case plays; None where it is about something else."""
    try:
        return ControlCell.parse(case.spec.moment)
    except UsageError:
        return None


def state_as_foretold(case: Case) -> Finding:
    """The cell comes to what the model says."""
    cell = cell_of(case)
    if cell is None:
        return _FORETOLD.inconclusive("this is no cell of the state table")
    expected, seen = foretold(cell.marker, cell.spec, cell.events), came_to(case)
    proof = [entry for entry in case.entries if entry.seq in seen.evidence]
    if seen.outcome is Outcome.NOT_SEEN:
        return _FORETOLD.inconclusive(seen.reason, *proof)
    words = f"{seen.outcome} after {seen.seconds:.1f} s: {seen.reason}"
    if seen.outcome is not expected:
        flaw = Flaw(f"came-{seen.outcome}", f"foretold is {expected}, and it came to {words}")
        return _FORETOLD.broken(flaw, *proof, outcome_seconds=seen.seconds)
    return _FORETOLD.kept(words, *proof, outcome_seconds=seen.seconds)
