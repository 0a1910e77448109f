"""The ledger as it stands in its file: each item with its lines, so that a problem is told where it is mended."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import yaml

_T = TypeVar("_T")
# How msgspec says where: ``$.clusters[0]``, ``$.cuts[...]``.
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_WHERE = re.compile(r" - at `(key in )?(\$[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(\w+)`")
_MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that is not as it should be.

    Args:
        line: counted from 1.
        text: what, in one sentence.
    """

    line: int
    text: str


@dataclass(frozen=True)
class Item:
    """One line of a ledger; in the file it takes several.

    Args:
        node: as YAML's parser has it, with its marks.
        value: plain values.
        problems: of the YAML itself.
    """

    node: yaml.MappingNode
    value: Any
    problems: tuple[Problem, ...] = field(default=())

    @property
    def line(self) -> int:
        """The first one it takes, counted from 1."""
        return self.node.start_mark.line + 1

    @property
    def last_line(self) -> int:
        """The last one it takes; a comment below it is not its own."""
        return last_line(self.node) + 1

    def convert(self, kind: type[_T]) -> _T | Problem:
        """As a value of this kind, or where and why it is none."""
        try:
            return msgspec.convert(self.value, kind)
        except msgspec.ValidationError as error:
            return self._told(str(error), kind)

    def _told(self, text: str, kind: type) -> Problem:
        name = f"{self.value['id']}: " if isinstance(self.value.get("id"), str) else ""
        if unknown := _UNKNOWN.match(text):
            return Problem(
                self._line_of_key(unknown[1]), f"{name}no field is called {unknown[1]}{_near(unknown[1], kind)}"
            )
        where = _WHERE.search(text)
        line = _line_at(self.node, where[2]) if where else self.line
        said = _WHERE.sub("", text).removesuffix(".")
        at = f" in {where[2].removeprefix('$.')}" if where and where[2] != "$" else ""
        hint = "; put it in quotes" if "Expected `str`" in said else ""
        return Problem(line, f"{name}{said}{at}{hint}")

    def _line_of_key(self, name: str) -> int:
        return next((key.start_mark.line + 1 for key, _ in self.node.value if key.value == name), self.line)


def parse(text: str) -> list[Item] | Problem:
    """The items of a ledger's text; the first problem where it is no list of mappings.

    Args:
        text: YAML.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return []
        if not isinstance(root, yaml.SequenceNode):
            return Problem(root.start_mark.line + 1, "a ledger is a list, one `- id: ...` a known defect")
        other = next((node for node in root.value if not isinstance(node, yaml.MappingNode)), None)
        if other is not None:
            return Problem(other.start_mark.line + 1, "is no known defect: it begins with `- id: ...`")
        return [_item(loader, node) for node in root.value]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Problem(mark.line + 1 if mark else 1, ", ".join(filter(None, (error.context, error.problem))))
    except yaml.YAMLError as error:  # bytes that are no text have no mark
        return Problem(1, " ".join(str(error).split()))


def last_line(node: yaml.Node) -> int:
    """The last line with something of this node, counted from 0; what an alias stands for is somewhere else."""
    within = [child for child in _children(node) if child.start_mark.index >= node.start_mark.index]
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        return max((last_line(child) for child in within), default=node.start_mark.line)
    return int(node.end_mark.line)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            # an alias is what its anchor is, and that stands further up: the key is all there is of it here
            if value.start_mark.index >= key.start_mark.index:
                yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _item(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Item:
    problems = tuple(_twice(node))
    try:
        return Item(node, loader.construct_object(node, deep=True), problems)
    except ValueError as error:  # a day that no month has looks like a date
        return Item(node, {}, (Problem(node.start_mark.line + 1, f"not a date: {error}"),))


def _twice(node: yaml.Node) -> Iterator[Problem]:
    """YAML takes the last of two fields of one name and says nothing."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value != _MERGE and seen.setdefault(str(key.value), line) != line:
                yield Problem(line, f"{key.value} is there twice, first in line {seen[key.value]}")
    for child in _children(node):
        if child.start_mark.index > node.start_mark.index:
            yield from _twice(child)


def _line_at(node: yaml.Node, path: str) -> int:
    """The line of what a path as ``$.clusters[0]`` leads to, or of the last step of it that is there."""
    for name, number in _STEP.findall(path):
        if isinstance(node, yaml.MappingNode):
            fields: Mapping[str, yaml.Node] = {key.value: value for key, value in node.value}
            node = fields.get(name, node)
        elif isinstance(node, yaml.SequenceNode) and number and int(number) < len(node.value):
            node = node.value[int(number)]
    return int(node.start_mark.line) + 1


def _near(name: str, kind: type) -> str:
    known = [field.name for field in msgspec.structs.fields(kind)]
    near = difflib.get_close_matches(name, known, 1)
    return f"; is {near[0]} meant?" if near else f"; there are {', '.join(known)}"
