"""A case as a picture: a lane a node, the tool's steps, faults, writes and the vote, over time.

Pure: entries in, SVG out. Colours are CSS classes, so that the page's themes apply; `standalone`
brings its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from harness.journal import Entry
from harness.judging import Case
from harness.judging.membership import GRACE_SECONDS
from harness.judging.timeline import Timeline
from reports.anchors import slug

_WIDTH, _GUTTER, _RIGHT = 920.0, 92.0, 14.0
_LANE, _GAP = 22.0, 8.0
_BINS = 120
_STYLE = Path(__file__).parent / "templates" / "picture.css"


def draw(entries: Sequence[Entry]) -> str:
    """The picture of a case, as an ``<svg>`` element; a few sentences stand in its ``<desc>``."""
    return _Picture(Case.of(entries)).svg()


def standalone(entries: Sequence[Entry]) -> bytes:
    """The same with its style inside, for a viewer that has no page around it."""
    style = f"<style>{_STYLE.read_text(encoding='utf-8')}</style>"
    svg = (
        draw(entries)
        .replace("<title>", style + "<title>", 1)
        .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )
    return svg.encode()


@dataclass(frozen=True, slots=True)
class _Lane:
    """A row of the picture: its name, its top, and what is drawn in it."""

    name: str
    top: float
    shapes: tuple[str, ...]


class _Picture:
    def __init__(self, case: Case) -> None:
        self._case = case
        self._timeline: Timeline = case.timeline
        self._end = max(self._timeline.end, 0.1)

    def svg(self) -> str:
        names = [name for name in self._timeline.spans if self._timeline.spans[name] or self._listed_ever(name)]
        rows = [("tool", self._tool()), ("faults", self._faults())]
        rows += [(name, self._node(name)) for name in names]
        rows += [("voters", self._vote()), ("writes", self._writes())]
        lanes = [
            _Lane(name, 8 + number * (_LANE + _GAP), tuple(shapes))
            for number, (name, shapes) in enumerate((name, list(shapes)) for name, shapes in rows)
        ]
        height = lanes[-1].top + 2 * _LANE + 42
        body = "".join(_lane(lane) for lane in lanes) + "".join(self._axis(height))
        return (
            f'<svg class="picture" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" '
            f'aria-label="timeline of {escape(self._case.spec.case_id)}">'
            f"<title>{escape(self._case.spec.case_id)}</title><desc>{escape(self._told())}</desc>{self._hatch()}{body}</svg>"
        )

    def _tool(self) -> Iterator[str]:
        for call in self._case.tool_calls:
            good = "good" if call.claims_success else "bad"
            text = f"{call.old} → {call.new}" if call.new else call.task
            yield self._bar(call.started, call.ended, f"tool {good}", f"{text}: {call.said}", f"{text} · {call.said}")
            yield from (
                self._tick(entry.at, "step", f"{entry.data['action']} {entry.data['node']} at {entry.at:.2f} s")
                for entry in self._case.of_kind("tap.node_call")
                if call.started <= entry.at <= call.ended and entry.data["action"] != "list"
            )

    def _faults(self) -> Iterator[str]:
        for entry in self._case.of_kind("fault.injected"):
            label = f"{entry.data['fault']} {entry.data['node']}"
            x = self._x(entry.at)
            yield f'<path class="fault" d="M{x:.1f} 3 l7 15 h-14 z"><title>{escape(label)}</title></path>'
            yield f'<text class="label" x="{x + 11:.1f}" y="16">{escape(label)}</text>'

    def _node(self, name: str) -> Iterator[str]:
        for span in self._timeline.spans[name]:
            yield self._bar(span.start, span.end, f"node {span.state}", f"{name} {span.state}")
        for start, end, learner in self._listed(name):
            kind = "learner" if learner else "listed"
            yield self._bar(start, end, kind, f"{name} is listed as a {'learner' if learner else 'voter'}")
            for ghost_start, ghost_end in self._off_between(name, start, end):
                text = "ghost" if self._x(ghost_end) - self._x(ghost_start) > 44 else ""
                title = f"{name} is listed and does not serve"
                fill = f'fill="url(#{self._hatch_id})" '
                yield self._bar(ghost_start, ghost_end, "ghost", title, text).replace("<rect ", f"<rect {fill}", 1)

    def _vote(self) -> Iterator[str]:
        quorums = self._timeline.quorums
        for quorum, following in zip(quorums, [*quorums[1:], None], strict=True):
            end = following.at if following is not None else self._end
            held = "held" if quorum.held else "lost"
            text = f"{quorum.alive}/{quorum.listed}"
            wide = self._x(end) - self._x(quorum.at) > 26
            title = f"{quorum.alive} of {quorum.listed} voters serve: quorum {held}"
            yield self._bar(quorum.at, end, f"vote {held}", title, text if wide else "")
        for quorum, lasted in self._timeline.quorum_lost(self._case.trouble_begins, GRACE_SECONDS):
            x = self._x(quorum.at)
            if lasted >= 1.0:
                yield f'<path class="broken" d="M{x:.1f} -4 v{_LANE + 8:.0f}"/>'

    def _writes(self) -> Iterator[str]:
        good, bad = [0] * _BINS, [0] * _BINS
        for call in self._case.calls:
            if call.op == "write":
                place = min(_BINS - 1, int(call.completed / self._end * _BINS))
                (good if call.acknowledged else bad)[place] += 1
        most, width = max([*good, *bad, 1]), (_WIDTH - _GUTTER - _RIGHT) / _BINS
        for place in range(_BINS):
            for counts, kind in ((good, "ok"), (bad, "no")):
                if counts[place]:
                    tall = max(2.0, counts[place] / most * _LANE * 1.5)
                    x = _GUTTER + place * width
                    yield _rect(f"write {kind}", (x, _LANE * 1.5 - tall, width - 1, tall))
        yield from self._gap()

    def _gap(self) -> Iterator[str]:
        moments = [call.completed for call in self._case.acknowledged_writes]
        stopped = self._case.last("traffic.stopped")
        if not moments or stopped is None:
            return
        longest, since = max((b - a, a) for a, b in zip(moments, [*moments[1:], stopped.at], strict=True))
        if longest >= 0.5:
            over = " over" if longest > self._case.spec.write_gap_seconds else ""
            left, right, y = self._x(since), self._x(since + longest), _LANE * 1.5 + 8
            ends = f"M{left:.1f} {y - 4} v8 M{left:.1f} {y} H{right:.1f} M{right:.1f} {y - 4} v8"
            yield f'<path class="gap{over}" d="{ends}"/>'
            middle = max(_GUTTER + 90, min((left + right) / 2, _WIDTH - 90))
            place = f'x="{middle:.1f}" y="{y + 15:.1f}" text-anchor="middle"'
            yield f'<text class="label gaptext{over}" {place}>no write for {longest:.1f} s</text>'

    def _axis(self, height: float) -> Iterator[str]:
        step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if self._end / step <= 12)
        for number in range(int(self._end / step) + 1):
            x = self._x(number * step)
            yield f'<path class="grid" d="M{x:.1f} 4 V{height - 18:.0f}"/>'
            yield f'<text class="axis" x="{x:.1f}" y="{height - 5:.0f}" text-anchor="middle">{number * step:g} s</text>'

    def _listed(self, name: str) -> Iterator[tuple[float, float, bool]]:
        """Stretches during which a node is on the member list, and whether as a learner."""
        memberships = self._timeline.memberships
        for membership, following in zip(memberships, [*memberships[1:], None], strict=True):
            end = following.at if following is not None else self._end
            for row in membership.rows:
                if row.node == name:
                    yield membership.at, end, row.learner

    def _off_between(self, name: str, start: float, end: float) -> Iterator[tuple[float, float]]:
        """Parts of a stretch in which the node's process did not live at all."""
        at = start
        for span in self._timeline.spans[name]:
            if span.end <= start or span.start >= end:
                continue
            if span.start > at:
                yield at, span.start
            at = max(at, span.end)
        if at < end:
            yield at, end

    def _listed_ever(self, name: str) -> bool:
        return any(row.node == name for membership in self._timeline.memberships for row in membership.rows)

    def _x(self, at: float) -> float:
        return _GUTTER + min(at, self._end) / self._end * (_WIDTH - _GUTTER - _RIGHT)

    def _bar(self, start: float, end: float, kind: str, title: str, text: str = "") -> str:
        x, wide = self._x(start), max(1.0, self._x(end) - self._x(start))
        bar = _rect(kind, (x, 0, wide, _LANE), f"<title>{escape(title)}</title>")
        if not text:
            return bar
        # a label too long for its bar goes on to its right, as long as the picture has room there
        anchor = "start" if x + 6 + 6.2 * len(text) < _WIDTH else "end"
        at = x + 5 if anchor == "start" else x + wide - 4
        return f'{bar}<text class="label on {kind}" x="{at:.1f}" y="15" text-anchor="{anchor}">{escape(text)}</text>'

    def _tick(self, at: float, kind: str, title: str) -> str:
        return f'<path class="{kind}" d="M{self._x(at):.1f} {_LANE - 5:.0f} v9"><title>{escape(title)}</title></path>'

    def _hatch(self) -> str:
        """The pattern of ghosts; its ID is the case's own, as a pattern inside a closed part of a page is not drawn."""
        return (
            f'<defs><pattern id="{self._hatch_id}" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><path class="hatchline" d="M0 0 V6"/></pattern></defs>'
        )

    @property
    def _hatch_id(self) -> str:
        return "hatch-" + slug(self._case.spec.case_id)

    def _told(self) -> str:
        steps = [f"{entry.at:.1f} s {entry.data['text']}" for entry in self._case.of_kind("case.step")]
        return "; ".join(steps)


def _lane(lane: _Lane) -> str:
    return (
        f'<g transform="translate(0 {lane.top:.0f})"><text class="lane" x="{_GUTTER - 10:.0f}" y="15" '
        f'text-anchor="end">{escape(lane.name)}</text>{"".join(lane.shapes)}</g>'
    )


def _rect(kind: str, box: tuple[float, float, float, float], inside: str = "") -> str:
    x, y, width, height = box
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place} rx="2">{inside}</rect>'
