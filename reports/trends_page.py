"""Trends as one self-contained HTML page, with a small picture for each leg, guarantee and case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from markupsafe import Markup

from harness.judging.guarantees import GUARANTEES
from reports.anchors import slug
from reports.canvas import Box, path, rect, text
from reports.history import HistoryLine
from reports.template import STANDING_WORDS, styles, template
from reports.trends import CaseTrend, LegTrend, RecoveryTrend
from reports.trends_table import flakes, leg_facts, leg_title, moment, since

# As many as can be told apart in a row of the table.
_MOST_PLAYS, _MOST_RUNS = 40, 60
# A standing is told by its height as well as by its colour.
_HEIGHTS = {"kept": 8.0, "known": 13.0, "inconclusive": 13.0, "broken": 20.0}
_TALL, _STEP = 20.0, 8.0
_TONES = {0: "kept", 1: "broken"}
_RUNS_WIDTH, _RUNS_TALL, _LINE_WIDTH, _LINE_TALL = 640.0, 74.0, 240.0, 34.0


def to_html(legs: Sequence[LegTrend]) -> str:
    """The whole page; needs no network and no script."""
    return template("trends.html.j2").render(
        legs=legs,
        title=leg_title,
        facts=leg_facts,
        words=STANDING_WORDS,
        anchor=slug,
        runs_picture=lambda leg: Markup(draw_runs(leg.lines)),
        line_picture=lambda trend: Markup(draw_recovery(trend)),
        strip=lambda case: Markup(draw_plays(case)),
        guarantee=lambda gid: GUARANTEES[gid].title if gid in GUARANTEES else gid,
        flakes=flakes,
        since=since,
        styles=styles("page.css", "trends.css"),
    )


def draw_runs(lines: Sequence[HistoryLine]) -> str:
    """How long each run took, a bar each, in the colour of what it came to."""
    shown = lines[-_MOST_RUNS:]
    most = max((line.seconds for line in shown), default=0.0) or 1.0
    width = min(46.0, (_RUNS_WIDTH - 70) / len(shown))
    drawn = [
        path("base", f"M56 {_RUNS_TALL - 15:.1f} H{_RUNS_WIDTH:.0f}"),
        text("axis", 50, 14, f"{most:.0f} s", "end"),
    ]
    drawn.append(text("axis", 50, _RUNS_TALL - 12, "0", "end"))
    for place, line in enumerate(shown):
        tall = max(2.0, line.seconds / most * (_RUNS_TALL - 25))
        told = f"{moment(line.started_at)}: {line.seconds:.0f} s, exit code {line.exit_code}, {len(line.cases)} plays"
        kind = f"run {_TONES.get(line.exit_code, 'inconclusive')}" + " early" * bool(line.ended_early)
        told += f"; {line.ended_early}" * bool(line.ended_early)
        drawn.append(rect(kind, Box(60 + place * width, _RUNS_TALL - 15 - tall, max(1.5, width - 3), tall), told))
    drawn += [text("axis", x, _RUNS_TALL - 1, moment(line.started_at), end) for x, line, end in _ends(shown, width)]
    said = f"seconds of {len(shown)} runs, the newest took {shown[-1].seconds:.0f}"
    return _svg("runs", _RUNS_WIDTH, _RUNS_TALL, said, drawn)


def draw_recovery(trend: RecoveryTrend) -> str:
    """A guarantee's time to recovery from run to run, and its median as a dashed line."""
    figures = [seconds for _, seconds in trend.runs[-_MOST_RUNS:]]
    most = max([*figures, 0.001])
    step = (_LINE_WIDTH - 14) / max(1, len(figures) - 1)
    spots = [
        (7 + place * step, _LINE_TALL - 5 - figure / most * (_LINE_TALL - 11)) for place, figure in enumerate(figures)
    ]
    height = _LINE_TALL - 5 - min(1.0, trend.median / most) * (_LINE_TALL - 11)
    drawn = [path("base", f"M2 {_LINE_TALL - 5:.1f} H{_LINE_WIDTH - 2:.0f}")]
    drawn.append(path("median", f"M2 {height:.1f} H{_LINE_WIDTH - 2:.0f}", f"median {trend.median:.2f} s"))
    drawn.append(path("line", "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in spots)))
    for (x, y), (line, seconds) in zip(spots, trend.runs[-_MOST_RUNS:], strict=True):
        drawn.append(rect("dot", Box(x - 2.5, y - 2.5, 5, 5), f"{moment(line.started_at)}: {seconds:.2f} s"))
    return _svg(
        "recovery", _LINE_WIDTH, _LINE_TALL, f"{trend.guarantee}: {', '.join(f'{f:.2f}' for f in figures)} s", drawn
    )


def draw_plays(case: CaseTrend) -> str:
    """What each play came to, the oldest first."""
    shown = case.plays[-_MOST_PLAYS:]
    drawn = []
    for place, seen in enumerate(shown):
        play, tall = seen.play, _HEIGHTS[seen.play.standing]
        red = ", ".join(f"{guarantee} [{signature}]" for guarantee, signature in play.broken.items())
        told = (
            f"{moment(seen.line.started_at)} {seen.made.told()}: {STANDING_WORDS[play.standing]}"
            + f": {red}" * bool(red)
        )
        drawn.append(rect(f"play {play.standing}", Box(1 + place * _STEP, _TALL - tall, _STEP - 2, tall), told))
    counted = Counter(STANDING_WORDS[seen.play.standing] for seen in shown)
    said = ", ".join(f"{count} {words}" for words, count in counted.items())
    return _svg("plays", _STEP * len(shown) + 2, _TALL + 1, f"newest {len(shown)} plays: {said}", drawn)


def _ends(shown: Sequence[HistoryLine], width: float) -> Iterator[tuple[float, HistoryLine, str]]:
    """Where the first and the last run are told by their date; the last only where it has room."""
    yield 60.0, shown[0], "start"
    if len(shown) * width > 220:
        yield 60 + len(shown) * width - 3, shown[-1], "end"


def _svg(kind: str, width: float, tall: float, said: str, drawn: Iterable[str]) -> str:
    size = f'viewBox="0 0 {width:.0f} {tall:.0f}" width="{width:.0f}" height="{tall:.0f}"'
    return f'<svg class="trend {kind}" role="img" aria-label="{escape(said)}" {size}>{"".join(drawn)}</svg>'
