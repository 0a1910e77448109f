"""What a picture is drawn with: a scale from seconds to pixels, and a few shapes. No meaning in here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil

WIDTH, GUTTER, RIGHT = 940.0, 84.0, 16.0
# Mean width of a character at the labels' 11.5 px; a little generous, so that labels never run into each other.
LETTER = 6.4
# As many bars as can be told apart; a case of minutes is as small as one of seconds.
_BINS = 140
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Box:
    """Left, top, width and height in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Seconds to pixels.

    Args:
        end: seconds at the right edge.
        begin: seconds at the left edge, below `end`.
    """

    end: float
    begin: float = 0.0

    @property
    def seconds(self) -> float:
        """From edge to edge."""
        return self.end - self.begin

    def part(self, at: float) -> float:
        """Where a moment is, from 0 to 1; what is outside is put at the edge."""
        return (max(self.begin, min(at, self.end)) - self.begin) / self.seconds

    def x(self, at: float) -> float:
        """The same in pixels."""
        return GUTTER + self.part(at) * (WIDTH - GUTTER - RIGHT)

    def box(self, start: float, end: float, top: float, height: float) -> Box:
        """A stretch of time; never thinner than it can be seen."""
        return Box(self.x(start), top, max(1.5, self.x(end) - self.x(start)), height)

    def marks(self) -> Sequence[float]:
        """Round seconds for the axis, a dozen at most."""
        step = next((step for step in _STEPS if self.seconds / step <= 12), self.seconds / 12)
        first = ceil(self.begin / step - 1e-9)
        return [number * step for number in range(first, int(self.end / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class Label:
    """A text wanted at a moment, and what it says when pointed at."""

    x: float
    text: str
    title: str


def rect(kind: str, box: Box, title: str = "", fill: str = "") -> str:
    """A rounded rectangle with a tooltip."""
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    filled = f' fill="{escape(fill)}"' if fill else ""
    inside = f"><title>{escape(title)}</title></rect>" if title else "/>"
    return f'<rect class="{kind}" {place} rx="2"{filled}{inside}'


def path(kind: str, way: str, title: str = "") -> str:
    """A line with a tooltip."""
    inside = f"><title>{escape(title)}</title></path>" if title else "/>"
    return f'<path class="{kind}" d="{way}"{inside}'


def text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    """A line of text; `x` is its start, middle or end, as `anchor` says."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def wide(words: str) -> float:
    """About how many pixels a label takes."""
    return len(words) * LETTER


def beside(kind: str, x: float, y: float, words: str, letter: float = LETTER) -> str:
    """A label right of a moment, or left of it where the picture ends too soon."""
    if x + 6 + len(words) * letter < WIDTH:
        return text(kind, x + 6, y, words)
    return text(kind, x - 6, y, words, "end")


def in_rows(labels: Iterable[Label], rows: int) -> Iterator[tuple[int, Label]]:
    """Each label with the first row that has room for it; one that finds none comes without its words.

    Args:
        labels: from left to right.
        rows: how many rows there are.
    """
    free = [0.0] * rows
    for label in labels:
        row = next((number for number in range(rows) if free[number] <= label.x), None)
        if row is None or label.x + 6 + wide(label.text) > WIDTH:
            yield 0, Label(label.x, "", label.title)
            continue
        free[row] = label.x + 10 + wide(label.text)
        yield row, label


def bars(moments: Sequence[tuple[float, bool]], scale: Scale, height: float) -> Iterator[str]:
    """How many calls ended well and how many did not, over time.

    Args:
        moments: when a call ended, and whether well.
        scale, height: of the lane.
    """
    good, bad = [0] * _BINS, [0] * _BINS
    for at, went_well in moments:
        (good if went_well else bad)[min(_BINS - 1, int(scale.part(at) * _BINS))] += 1
    most, width = max([*good, *bad, 1]), (WIDTH - GUTTER - RIGHT) / _BINS
    for counts, kind in ((good, "ok"), (bad, "no")):
        for place, count in enumerate(counts):
            if count:
                # few bad ones among many good ones have to be seen as well
                tall = max(7.0 if kind == "no" else 2.0, count / most * height)
                yield rect(f"write {kind}", Box(GUTTER + place * width, height - tall, width - 1, tall))
    yield path("base", f"M{GUTTER:.0f} {height + 0.5:.1f} H{WIDTH - RIGHT:.0f}")


def fitted(words: str, x: float, letter: float = LETTER, *, left: float = 0.0) -> str:
    """As much of a text as has room right of a place, or left of it up to `left`."""
    room = int((max(x - left - 6, WIDTH - x - 6)) / letter)
    if len(words) <= room:
        return words
    cut = words[: room - 1]
    ends = [place for stop in (", ", ": ", " (") if (place := cut.rfind(stop)) > room // 2]
    return f"{cut[: max(ends, default=len(cut))].rstrip()}…"
