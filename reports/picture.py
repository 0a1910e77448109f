"""A case as a picture: the tool's steps, faults, a lane a node, the vote and the writes, over time.

Pure: entries in, SVG out. Colours are CSS classes, so that the page's themes apply; `standalone`
brings its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise, zip_longest
from pathlib import Path

from harness.journal import Entry
from harness.judging import Case
from harness.judging.case import LOOKS
from harness.judging.departure import Departure
from harness.judging.managed import Managed
from reports import deploy_lanes, managed_lanes, node_lane
from reports.anchors import slug
from reports.canvas import (
    GUTTER,
    WIDTH,
    Label,
    Scale,
    bars,
    beside,
    fitted,
    in_rows,
    path,
    rect,
    text,
    wide,
)
from reports.telling import Breakage, breakage, longest_gap, tell, was_cut

_LANE, _GAP, _TOP, _AXIS = 22.0, 9.0, 26.0, 24.0
# Rows for the words of moments that lie close together.
_ROWS, _ROW = 2, 15.0
_WRITES, _BRACKET = 34.0, 22.0
# Longer than that, the making of a cluster is no part of the picture.
_SHOWN_SECONDS = 10.0
# Mean width of a character of the words at the moment of breakage.
_BOLD = 7.8
_STYLE = Path(__file__).parent / "templates" / "picture.css"


@dataclass(frozen=True, slots=True)
class _Lane:
    """A row of the picture: its name, its height, and what draws it with 0 as its top."""

    name: str
    height: float
    shapes: Callable[[Case, Scale], Iterator[str]]


def draw(entries: Sequence[Entry], departure: Departure | None = None, *, part: str = "") -> str:
    """The picture of a case, as an ``<svg>`` element; the story in one line is its ``<desc>``.

    Args:
        entries: the case, or a part of it that begins as a case does.
        departure: the moment to mark where no etcd of the harness's own tells one.
        part: names the part; a picture of a whole case has none.
    """
    case = Case.of(entries)
    scale, lanes = _scale(case), list(_lanes(case))
    bottom = _TOP + sum(lane.height + _GAP for lane in lanes)
    name = slug(f"{case.spec.play_id}/{part}" if part else case.spec.play_id)
    shapes, words, top = [*_grid(scale, bottom), node_lane.pattern(name)], list[str](), _TOP
    for lane in lanes:
        drawn = [text("lane", GUTTER - 12, 15, lane.name, "end"), *lane.shapes(case, scale)]
        shapes.append(_layer(top, [shape for shape in drawn if not shape.startswith("<text")]))
        words.append(_layer(top, [shape for shape in drawn if shape.startswith("<text")]))
        top += lane.height + _GAP
    # words come last: no line runs through them
    broken = _breakage(case) or (Breakage(departure.at, departure.words) if departure else None)
    body = [*shapes, *_events(case, scale, bottom), *_broken(broken, scale, bottom), *words]
    return (
        f'<svg class="picture" viewBox="0 0 {WIDTH:.0f} {bottom + _AXIS:.0f}" role="img" '
        f'aria-labelledby="title-{name} desc-{name}">'
        f'<title id="title-{name}">Timeline of {escape(f"{case.spec.case_id} {part}".strip())}</title>'
        f'<desc id="desc-{name}">{escape(tell(case))}</desc>{"".join(body)}</svg>'
    )


def standalone(entries: Sequence[Entry], departure: Departure | None = None) -> bytes:
    """The same with its style inside, for a viewer that has no page around it."""
    style = f"<style>{_STYLE.read_text(encoding='utf-8')}.picture{{background:var(--halo)}}</style>"
    svg = draw(entries, departure).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    head, rest = svg.split(">", 1)
    return f"{head}>{style}{rest}".encode()


def _scale(case: Case) -> Scale:
    """From the first node on, where making the cluster took so long that nothing else would be seen; so for a cut."""
    end = max(case.timeline.end, 0.1)
    born = next((entry.at for entry in case.entries if entry.kind in ("node.created", "sweep.cut")), 0.0)
    if case.last("sweep.learnt"):
        born = 0.0
    if managed := Managed.of(case):
        born, end = managed.started.at - 1, max(managed_lanes.end_of(managed, end), 0.1)
    return Scale(end, born if _SHOWN_SECONDS < born < end else 0.0)


def _breakage(case: Case) -> Breakage | None:
    managed = Managed.of(case)
    return (managed_lanes.breakage(managed) if managed else None) or breakage(case)


def _events(case: Case, scale: Scale, bottom: float) -> Iterator[str]:
    return managed_lanes.events(case, scale, bottom) if managed_lanes.is_shown(case) else iter(())


def _layer(top: float, shapes: Sequence[str]) -> str:
    return f'<g transform="translate(0 {top:.0f})">{"".join(shapes)}</g>' if shapes else ""


def _lanes(case: Case) -> Iterator[_Lane]:
    if case.tool_calls:
        yield _Lane("tool", _LANE, _tool)
    if case.last("tool.cut"):
        yield _Lane("cut", deploy_lanes.CUT_ROWS * deploy_lanes.CUT_ROW, deploy_lanes.cuts)
    if any(_changes(case)):
        yield _Lane("steps", _ROWS * _ROW, _steps)
    if case.last("fault.injected"):
        yield _Lane("faults", _ROWS * _ROW, _faults)
    for node in node_lane.worth_a_lane(case.timeline):
        yield _Lane(_short(node), _LANE, node_lane.lane(node))
    yield from _deploy_lanes(case)
    yield from _managed_lanes(case)
    if case.timeline.quorums:
        yield _Lane("voters", _LANE, _vote)
    if case.last("probe.api"):
        yield _Lane("API", _LANE, _api)
    if any(call.op == "write" for call in case.calls):
        yield _Lane("writes", _WRITES + _BRACKET, _writes)


def _deploy_lanes(case: Case) -> Iterator[_Lane]:
    """Of a tool that makes its own cluster, as its taps saw it."""
    if case.last("tap.command"):
        yield _Lane("cluster", deploy_lanes.LANE, deploy_lanes.life)
        yield _Lane("commands", deploy_lanes.LANE, deploy_lanes.commands)
    if case.last("tap.api_call"):
        yield _Lane("API writes", deploy_lanes.LANE, deploy_lanes.writes)
        yield _Lane("API reads", deploy_lanes.LANE, deploy_lanes.asks)
    if case.last("tap.command") and case.last("probe.k8s.nodes"):
        yield _Lane("Ready", deploy_lanes.LANE, deploy_lanes.nodes)
    if case.last("probe.app") or case.last("probe.app_at_exit"):
        yield _Lane("app", deploy_lanes.LANE, deploy_lanes.answers)


def _managed_lanes(case: Case) -> Iterator[_Lane]:
    """Of a cluster in the hands of managers; who answers clients stands beside their writes."""
    if not managed_lanes.is_shown(case):
        return
    yield _Lane("store", managed_lanes.FILES, managed_lanes.files)
    yield _Lane("backups", managed_lanes.BACKUPS, managed_lanes.backups)
    if case.last("alarm.seen"):
        yield _Lane("alarms", managed_lanes.ALARMS, managed_lanes.alarms)
    for name in managed_lanes.machines_of(case):
        yield _Lane(name, managed_lanes.MACHINE, managed_lanes.machine(name))
    yield _Lane("cluster", managed_lanes.CLUSTER, managed_lanes.cluster)


def _tool(case: Case, scale: Scale) -> Iterator[str]:
    for call in case.tool_calls:
        if call.ended < scale.begin:
            continue
        said = "cut" if (is_cut := was_cut(case, call)) else call.said
        words = f"{call.old} → {call.new} · {said}" if call.new else f"{call.task} · {said}"
        box = scale.box(call.started, call.ended, 0, _LANE)
        yield rect(f"tool {'cut' if is_cut else 'good' if call.claims_success else 'bad'}", box, words)
        shorter = (words, _short(words), _short(words.partition(" · ")[0]), call.old)
        inside = next((one for one in shorter if one and wide(one) + 8 < box.width), "")
        if inside:
            yield text("label plain", box.x + 6, 15, inside)
        elif call is case.tool_calls[-1]:
            yield beside("label", box.x + box.width, 15, words)


def _short(words: str) -> str:
    """The gutter, and often a box, take as many letters as a node of bare etcd needs."""
    return words.replace("control-plane", "plane")


def _changes(case: Case) -> Iterator[Entry]:
    """What the tool did to machines; looks and commands are not told one by one."""
    return (entry for entry in case.of_kind("tap.node_call") if entry.data["action"] not in LOOKS)


def _steps(case: Case, scale: Scale) -> Iterator[str]:
    labels = [
        Label(scale.x(entry.at), words, f"the tool: {words} at {entry.at:.2f} s ({entry.data.get('result', '')})")
        for entry in _changes(case)
        for words in [f"{entry.data['action']} {entry.data['node']}".strip()]
    ]
    for row, label in in_rows(labels, _ROWS):
        y = row * _ROW
        yield path("step", f"M{label.x:.1f} {y - (3 if row == 0 else 18):.0f} V{y + 12:.0f}", label.title)
        if label.text:
            yield text("label", label.x + 5, y + 11, label.text)


def _faults(case: Case, scale: Scale) -> Iterator[str]:
    entries = [entry for entry in case.entries if entry.kind in ("fault.injected", "fault.healed")]
    labels = [
        Label(scale.x(entry.at), words, f"{words} at {entry.at:.2f} s")
        for entry in entries
        for words in [_fault_words(entry)]
    ]
    for entry, (row, label) in zip(entries, in_rows(labels, _ROWS), strict=True):
        healed = entry.kind == "fault.healed"
        way = "M{:.1f} {:.0f} l6 -12 h-12 z" if healed else "M{:.1f} {:.0f} l6 12 h-12 z"
        top = row * _ROW + (14 if healed else 2)
        yield path("fault healed" if healed else "fault", way.format(label.x, top), label.title)
        if label.text:
            yield text("label", label.x + 9, row * _ROW + 12, label.text)


def _fault_words(entry: Entry) -> str:
    where = str(entry.data.get("node") or "").removeprefix("the store")
    words = f"{entry.data['fault']} {where}".strip()
    return f"{words} healed" if entry.kind == "fault.healed" else words


def _vote(case: Case, scale: Scale) -> Iterator[str]:
    quorums = case.timeline.quorums
    for quorum, following in zip_longest(quorums, quorums[1:]):
        end = following.at if following else scale.end
        held = "held" if quorum.held else "lost"
        box = scale.box(quorum.at, end, 0, _LANE)
        dead = f" (not {', '.join(quorum.dead)})" if quorum.dead else ""
        yield rect(f"vote {held}", box, f"{quorum.alive} of {quorum.listed} voters serve: quorum {held}{dead}")
        words = f"{quorum.alive}/{quorum.listed}"
        longer = f"{words} no majority"
        if not quorum.held and wide(longer) + 10 < box.width:
            words = longer
        if wide(words) + 7 < box.width:
            yield text("vote", box.x + 5, 15, words)


def _writes(case: Case, scale: Scale) -> Iterator[str]:
    writes = [(call.completed, call.acknowledged) for call in case.calls if call.op == "write"]
    yield from bars(writes, scale, _WRITES)
    yield from _longest_wait(case, scale)


def _api(case: Case, scale: Scale) -> Iterator[str]:
    asked = [(entry.data["completed"], entry.data["ok"]) for entry in case.of_kind("probe.api")]
    yield from bars(asked, scale, _LANE)


def _longest_wait(case: Case, scale: Scale) -> Iterator[str]:
    gap = longest_gap(case)
    if gap is None or gap[1] < 0.5:
        return
    since, seconds = gap
    over = " over" if seconds > case.spec.write_gap_seconds else ""
    left, right, y = scale.x(since), scale.x(since + seconds), _WRITES + 7
    yield path(f"gap{over}", f"M{left:.1f} {y - 4} v8 M{left:.1f} {y} H{right:.1f} M{right:.1f} {y - 4} v8")
    words = f"no write for {seconds:.1f} s" + f" (allowed: {case.spec.write_gap_seconds:g} s)" * bool(over)
    half = wide(words) / 2
    middle = max(GUTTER + half, min((left + right) / 2, WIDTH - half))
    yield text(f"label gaptext{over}", middle, y + 15, words, "middle")


def _broken(broken: Breakage | None, scale: Scale, bottom: float) -> Iterator[str]:
    """The moment of breakage, through all lanes: whoever looks sees what happened just then."""
    if broken is not None:
        x = scale.x(broken.at)
        words = f"{broken.at:.1f} s: {broken.words}"
        yield path("broken", f"M{x:.1f} 6 V{bottom:.0f}", words)
        yield beside("label moment", x, 16, fitted(words, x, _BOLD), _BOLD)


def _grid(scale: Scale, bottom: float) -> Iterator[str]:
    marks = scale.marks()
    for mark, following in pairwise([*marks, None]):
        x = scale.x(mark or 0)
        yield path("grid", f"M{x:.1f} {_TOP - 4:.0f} V{bottom:.0f}")
        words = f"{mark:g} s" if following is None or mark == 0 else f"{mark:g}"
        if not scale.begin or x > GUTTER + wide(words):
            yield text("axis", x, bottom + 15, words, "middle")
    if scale.begin:
        yield text("axis", GUTTER - 12, bottom + 15, f"from {scale.begin:.0f} s", "end")
