"""Changes of a ledger's text that leave everything else in it as it stands: comments, order, anchors. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import yaml

from harness.errors import UsageError
from harness.judging.ledger import Ledger
from harness.judging.ledger_file import Item, Problem, parse

_WIDE = 10**6


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of text in place of another.

    Args:
        begin, end: of what is replaced, in characters.
        text: what comes instead.
    """

    begin: int
    end: int
    text: str


class LedgerText:
    """A ledger's text and where its lines and their fields are.

    Args:
        text: YAML that was read as a ledger before.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        items = parse(text)
        self._items: dict[str, Item] = {} if isinstance(items, Problem) else {item.value["id"]: item for item in items}

    def deleted(self, defect: str) -> Edit | None:
        """The line goes; None where it is not in this text."""
        if defect not in self._items:
            return None
        item, lines = self._items[defect], self.text.splitlines(keepends=True)
        begin = sum(map(len, lines[: item.line - 1]))
        return Edit(begin, begin + sum(map(len, lines[item.line - 1 : item.last_line])), "")

    def changed(self, defect: str, name: str, value: object) -> Edit | None:
        """A field gets another value; None where the line or the field is not in this text."""
        item = self._items.get(defect)
        node = next((v for key, v in item.node.value if key.value == name), None) if item else None
        if item is None or node is None or node.start_mark.line + 1 < item.line:
            return None  # an alias: it stands further up, and is others' as well
        last = node.value[-1] if isinstance(node, yaml.SequenceNode) and not node.flow_style else node
        return Edit(node.start_mark.index, last.end_mark.index, as_yaml(value))

    def with_edits(self, edits: Sequence[Edit], more: str, today: date) -> str:
        """The whole text with all of them, and with more lines at its end.

        Raises:
            UsageError: what comes of it is no ledger; somebody has to edit it by hand.
        """
        text = self.text
        for edit in sorted(edits, key=lambda each: each.begin, reverse=True):
            text = text[: edit.begin] + edit.text + text[edit.end :]
        if more:
            text = text.rstrip("\n") + "\n\n" + more if text.strip() else more
        try:
            Ledger.of(text, today)
        except UsageError as error:
            raise UsageError(
                f"these changes can't be made by themselves: {error}", mend="edit the file by hand"
            ) from error
        return text

    def patch(self, edits: Sequence[Edit], name: str, today: date) -> str:
        """What the edits change, as a patch; empty where they change nothing."""
        before, after = self.text.splitlines(keepends=True), self.with_edits(edits, "", today).splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, name, name, n=1))


def as_yaml(value: object) -> str:
    """A value as it stands behind a field's name, on one line."""
    if isinstance(value, date):
        return value.isoformat()
    told = yaml.safe_dump([value], default_flow_style=True, width=_WIDE, allow_unicode=True, sort_keys=False)
    return told.strip()[1:-1]
