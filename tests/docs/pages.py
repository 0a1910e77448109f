"""What stands in README.md and docs/: commands, code spans, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs" / "decisions").glob("*.md"))]
_FENCE = re.compile(
    r"^(?P<fence>```+)(?P<sort>[\w-]*)[^\n]*\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"(?:^|\s)\s*#\s.*$")


@dataclass(frozen=True)
class Command:
    """One ``$`` line of a console block.

    Args:
        page: name of the page, as ``docs/tutorial.md``.
        line: where it stands, from 1.
        text: the command, its comment taken off.
        told: the lines below it that are its output.
    """

    page: str
    line: int
    text: str
    told: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, sort: str) -> Iterator[tuple[int, str]]:
    """Fenced blocks of a sort, each with the line it begins at."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        if found["sort"] == sort:
            yield text.count("\n", 0, found.start("body")) + 1, found["body"]


def commands(page: Path) -> list[Command]:
    """What people are told to type, in order."""
    return [command for first, body in blocks(page, "console") for command in _typed(page, first, body.splitlines())]


def _typed(page: Path, first: int, lines: list[str]) -> Iterator[Command]:
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[:1] == [0], f"{name_of(page)}:{first}: a console block begins with a `$ ` line"
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = next(number for number in range(start, end) if not lines[number].endswith("\\"))
        typed = " ".join(_COMMENT.sub("", line).rstrip("\\").strip() for line in lines[start : last + 1])
        yield Command(name_of(page), first + start, typed.removeprefix("$ "), tuple(lines[last + 1 : end]))


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """Code spans of the prose."""
    return [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))]


def links(page: Path) -> list[str]:
    """Targets of links and pictures."""
    text = re.sub(r"`[^`]*`", "", prose(page))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them, and those set by hand."""
    made: dict[str, int] = {}
    text = prose(page)
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        made[slug] = made.get(slug, -1) + 1
    numbered = {f"{slug}-{number}" for slug, last in made.items() for number in range(1, last + 1)}
    return set(made) | numbered | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
