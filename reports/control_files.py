"""The state table of control files: what each damage and each order of events came to, as a picture and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from harness.control_cells import ControlCell, Event, Outcome, all_cells, damages, sequences
from harness.errors import UsageError
from harness.judging import Case
from harness.judging.control_model import STORY, foretold
from harness.judging.control_state import CameTo, came_to
from reports.canvas import WIDTH, Box, rect, text
from reports.run import CaseResult, RunResult

_SIGNS = {"safe": "✓", "backups-stopped": "‖", "reseeded": "✕", "wrong-data": "‼", "not-seen": "?", "": "·"}
OUTCOME_WORDS = {
    "safe": "safe",
    "backups-stopped": "backups stop without a word",
    "reseeded": "swapped for an empty cluster",
    "wrong-data": "wrong data served",
    "not-seen": "can't be judged",
}
_COLUMNS = {
    "none": "nothing",
    Event.RESTART_LEADER: "leader",
    Event.RESTART_ALL: "all",
    Event.SPEC_AGAIN: "spec",
    Event.MARKER_AGAIN: "marker",
}
_GROUPS = {
    Event.RESTART_LEADER: "leader restarts, then",
    Event.RESTART_ALL: "all restart, then",
    Event.SPEC_AGAIN: "spec written, then",
    Event.MARKER_AGAIN: "marker written, then",
}
_LEFT, _TOP, _COLUMN, _ROW, _PAD = 175.0, 44.0, 44.6, 24.0, 7.0
_NAMED_FIRST = "etcd-manager"


@dataclass(frozen=True, slots=True)
class TableCell:
    """What one manager came to in one cell.

    Args:
        kind: the outcome; empty where it was not played.
        sign: the same for eyes that see no colours.
        seconds: of the outcome; of what is safe how long it was watched.
        differs: whether the frozen model foretells something else.
        words: a sentence.
        anchor: the case; empty where it is not told on the page.
    """

    kind: str
    sign: str
    seconds: float
    differs: bool
    words: str
    anchor: str

    @property
    def short(self) -> str:
        """Sign and seconds, as much as fits into a cell."""
        if self.kind in ("", Outcome.NOT_SEEN):
            return self.sign
        return f"{self.sign} {self.seconds:.1f}" if self.seconds < 100 else f"{self.sign} {self.seconds:.0f}"

    @property
    def said(self) -> str:
        """The same for people who read the table."""
        if not self.kind:
            return "not played"
        return OUTCOME_WORDS[self.kind] + ("" if self.kind == Outcome.NOT_SEEN else f", {self.seconds:.1f} s")


@dataclass(frozen=True, slots=True)
class TableRow:
    """A damage.

    Args:
        name: as in cells' IDs.
        words: for people.
        cells: for each column, a cell for each manager.
    """

    name: str
    words: str
    cells: Sequence[Sequence[TableCell]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell in which something is not as something else says.

    Args:
        cell: its ID.
        words: what differs.
        anchor: the case.
    """

    cell: str
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class StateTable:
    """The whole table.

    Args:
        managers: names of those that were played, a line of each row of the picture.
        columns: group and name of each.
        rows: the damages.
        counts: how many cells of a manager came to what.
        differences: where model and world, or two managers, are not of one mind.
    """

    managers: Sequence[str]
    columns: Sequence[tuple[str, str]]
    rows: Sequence[TableRow]
    counts: Mapping[str, Mapping[str, int]]
    differences: Sequence[Difference]


def state_table(run: RunResult, shown: Collection[str]) -> StateTable | None:
    """The table of a run; None where no cell was played.

    Args:
        run: all cases.
        shown: anchors of cases that are told on the page.
    """
    played = {(case.procedure, cell.id): case for case, cell in _played(run)}
    managers = sorted({name for name, _ in played}, key=lambda name: (name != _NAMED_FIRST, name))
    if not managers:
        return None
    came = {key: came_to(Case.of(case.entries)) for key, case in played.items()}
    cells = {
        (name, cell.id): _cell(cell, came.get((name, cell.id)), played.get((name, cell.id)), shown)
        for name in managers
        for cell in all_cells()
    }
    rows = [
        TableRow(damage, damage_words(damage), [[cells[m, f"{damage}/{s}"] for m in managers] for s in sequences()])
        for damage in damages()
    ]
    counts = {m: Counter(cells[m, c.id].kind for c in all_cells() if cells[m, c.id].kind) for m in managers}
    return StateTable(
        managers, [_column(one) for one in sequences()], rows, counts, list(_differences(managers, cells))
    )


def draw_table(table: StateTable) -> str:
    """The table as an ``<svg>`` element: rows are damages, columns events, colour the outcome, figures seconds."""
    tall = _ROW * len(table.managers)
    height = _TOP + len(table.rows) * (tall + _PAD) + 6
    body = [*_heads(table)]
    for number, row in enumerate(table.rows):
        top = _TOP + number * (tall + _PAD)
        body += _row_shapes(table, row, top)
    summary = "; ".join(
        f"{name}: {', '.join(f'{count} {OUTCOME_WORDS[kind]}' for kind, count in counted.items())}"
        for name, counted in table.counts.items()
    )
    return (
        f'<svg class="picture statetable" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="title-state-table desc-state-table"><title id="title-state-table">State table of control '
        f'files</title><desc id="desc-state-table">{escape(summary)}</desc>{"".join(body)}</svg>'
    )


def damage_words(damage: str) -> str:
    """``marker-gone+spec-there`` as people say it."""
    marker, _, spec = damage.partition("+")
    return f"{marker.replace('-', ' ')}, {spec.replace('-', ' ')}".replace("there", "kept")


def _played(run: RunResult) -> Iterator[tuple[CaseResult, ControlCell]]:
    for case in run.cases:
        if case.spec.scenario == STORY:
            try:
                yield case, ControlCell.parse(case.spec.moment)
            except UsageError:
                continue  # a story of that name that plays no cell


def _cell(cell: ControlCell, came: CameTo | None, case: CaseResult | None, shown: Collection[str]) -> TableCell:
    if came is None or case is None:
        return TableCell("", _SIGNS[""], 0.0, False, f"{cell.id}: not played in this run", "")
    expected = foretold(cell.marker, cell.spec, cell.events)
    differs = came.outcome not in (expected, Outcome.NOT_SEEN)
    words = f"{cell.id}: {OUTCOME_WORDS[came.outcome]}; {came.reason}"
    anchor = case.anchor if case.anchor in shown else ""
    return TableCell(str(came.outcome), _SIGNS[came.outcome], came.seconds, differs, words, anchor)


def _column(sequence: str) -> tuple[str, str]:
    first, _, second = sequence.partition(",")
    if second:
        return _GROUPS[Event(first)], _COLUMNS[Event(second)]
    return ("", _COLUMNS["none"]) if sequence == "none" else ("one event alone", _COLUMNS[Event(first)])


def _differences(managers: Sequence[str], cells: Mapping[tuple[str, str], TableCell]) -> Iterator[Difference]:
    for cell in all_cells():
        expected = foretold(cell.marker, cell.spec, cell.events)
        for name in managers:
            one = cells[name, cell.id]
            if one.differs:
                words = f"{name} came to {one.kind}, and {expected} is foretold"
                yield Difference(cell.id, words, one.anchor)
        seen = {name: cells[name, cell.id] for name in managers if cells[name, cell.id].kind not in ("", "not-seen")}
        if len({one.kind for one in seen.values()}) > 1:
            words = "; ".join(f"{name} came to {one.kind}" for name, one in seen.items())
            yield Difference(cell.id, words, next(iter(seen.values())).anchor)


def _heads(table: StateTable) -> Iterator[str]:
    last = ""
    for number, (group, name) in enumerate(table.columns):
        left = _LEFT + number * _COLUMN
        if group and group != last:
            columns = sum(one == group for one, _ in table.columns)
            yield text("axis", left + columns * _COLUMN / 2, 13, group, "middle")
            yield f'<path class="grid" d="M{left + 3:.1f} 18 H{left + columns * _COLUMN - 5:.1f}"/>'
        last = group
        yield text("lane column", left + (_COLUMN - 2) / 2, 34, name, "middle")


def _row_shapes(table: StateTable, row: TableRow, top: float) -> Iterator[str]:
    middle = top + _ROW * len(table.managers) / 2
    yield text("lane damage", _LEFT - 9, middle + 4, row.words, "end")
    for number, cells in enumerate(row.cells):
        for line, cell in enumerate(cells):
            box = Box(_LEFT + number * _COLUMN, top + line * _ROW, _COLUMN - 2, _ROW - 1.5)
            title = f"{table.managers[line]}, {cell.words}"
            kind = f"outcome {cell.kind or 'none'}{' differs' * cell.differs}"
            shape = rect(kind, box, title) + text(
                f"figure {cell.kind or 'none'}", box.x + box.width / 2, box.y + 15.5, cell.short, "middle"
            )
            yield f'<a href="#{escape(cell.anchor)}">{shape}</a>' if cell.anchor else shape
