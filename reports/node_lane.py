"""A node's lane: what its process did, whether it was on the member list, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from itertools import zip_longest

from harness.journal import Entry
from harness.judging import Case
from harness.judging.timeline import Span, Timeline
from reports.anchors import slug
from reports.canvas import Scale, path, rect, text, wide

_BAR, _STRIP, _STRIP_TOP = 16.0, 3.0, 18.5
_STATES = {"starting": "starting, not serving yet", "up": "serves", "paused": "stands still"}


def worth_a_lane(timeline: Timeline) -> list[str]:
    """Nodes that ever ran or were listed, in the order they came to be."""
    listed = {row.node for membership in timeline.memberships for row in membership.rows}
    return [node for node in timeline.spans if timeline.spans[node] or node in listed]


def pattern(name: str) -> str:
    """The hatching of ghosts. Each picture has its own: one in a closed part of a page is not drawn."""
    return (
        f'<defs><pattern id="hatch-{escape(name)}" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path class="hatchline" d="M0 0 V6"/></pattern></defs>'
    )


def lane(node: str) -> Callable[[Case, Scale], Iterator[str]]:
    """What draws one node."""

    def shapes(case: Case, scale: Scale) -> Iterator[str]:
        yield from _bars(node, case, scale)
        yield from _list(node, case, scale)
        yield from _ends(node, case, scale)

    return shapes


def _bars(node: str, case: Case, scale: Scale) -> Iterator[str]:
    for span in case.timeline.spans[node]:
        words = f"{node} {_STATES.get(span.state, span.state)}, {span.start:.1f} to {span.end:.1f} s"
        box = scale.box(span.start, span.end, 0, _BAR)
        yield rect(f"node {span.state}", box, words)
        if span.state == "paused" and wide("paused") + 8 < box.width:
            yield text("label on", box.x + 5, 12.5, "paused")


def _list(node: str, case: Case, scale: Scale) -> Iterator[str]:
    """The strip of membership below the bar, and a ghost where nobody is above it."""
    for start, end, learner in _listed(node, case.timeline):
        kind = "learner" if learner else "voter"
        box = scale.box(start, end, _STRIP_TOP, _STRIP)
        yield rect(f"listed {kind}", box, f"{node} is listed as a {kind}, {start:.1f} to {end:.1f} s")
        if learner and wide(kind) + 8 < box.width:
            yield text("label small", box.x + 4, 12.5, kind)
        for left, right in _unmanned(case.timeline.spans[node], start, end):
            box = scale.box(left, right, 0, _BAR)
            title = f"{node} is listed and does not serve, {left:.1f} to {right:.1f} s"
            yield rect("ghost", box, title, f"url(#hatch-{slug(case.spec.play_id)})")
            yield from _ghost_words(box.x, box.width, _how_it_went(node, case, left))


def _ghost_words(x: float, width: float, how: str) -> Iterator[str]:
    for words in (f"ghost: {how}, still listed" if how else "ghost: listed, not there", "ghost"):
        if wide(words) + 10 < width:
            yield text("label ghost", x + 6, 12.5, words)
            return


def _ends(node: str, case: Case, scale: Scale) -> Iterator[str]:
    """How a process ended, where no ghost says so already."""
    spans = case.timeline.spans[node]
    for span, following in zip_longest(spans, spans[1:]):
        how = _how_it_went(node, case, span.end)
        if not how or span.state == "off" or (following is not None and following.start - span.end < 1e-6):
            continue
        x = scale.x(span.end)
        yield path("end", f"M{x:.1f} 1 v14", f"{node} {how} at {span.end:.2f} s")
        room = (scale.x(following.start) if following else scale.x(scale.end)) - x
        off_list = not any(start <= span.end + 1e-6 < end for start, end, _ in _listed(node, case.timeline))
        if off_list and wide(how) + 10 < room:
            yield text("label small", x + 6, 12.5, how)


def _how_it_went(node: str, case: Case, at: float) -> str:
    """How a node's process ended at about that moment; the strongest word wins."""
    told = {e.kind: e for e in case.entries if e.data.get("node") == node and abs(e.at - at) < 0.2}
    stopped: Entry | None = told.get("node.stopped")
    if "node.destroyed" in told:
        return "destroyed"
    if "node.wiped" in told:
        return "wiped"
    return str(stopped.data.get("how", "stopped")) if stopped is not None else ""


def _listed(node: str, timeline: Timeline) -> list[tuple[float, float, bool]]:
    """Stretches on the member list, and whether as a learner; joined where nothing changed for this node."""
    memberships = timeline.memberships
    stretches: list[tuple[float, float, bool]] = []
    for membership, following in zip_longest(memberships, memberships[1:]):
        end = following.at if following else timeline.end
        for row in membership.rows:
            if row.node != node:
                continue
            if stretches and stretches[-1][1:] == (membership.at, row.learner):
                stretches[-1] = (stretches[-1][0], end, row.learner)
            else:
                stretches.append((membership.at, end, row.learner))
    return stretches


def _unmanned(spans: list[Span], start: float, end: float) -> Iterator[tuple[float, float]]:
    """Parts of a stretch in which no process lived at all."""
    at = start
    for span in spans:
        if span.end <= start or span.start >= end:
            continue
        if span.start > at:
            yield at, span.start
        at = max(at, span.end)
    if at < end:
        yield at, end
