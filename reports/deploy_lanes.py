"""Lanes of a cluster that the tool made itself: its life, the tool's commands and API calls, the app's answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.journal import Entry
from harness.judging import Case
from harness.judging.tool_runs import changes_something, name_of, status_of
from reports.canvas import (
    GUTTER,
    RIGHT,
    WIDTH,
    Box,
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
from reports.telling import cut_words

LANE, _BAR = 22.0, 16.0
CUT_ROWS, CUT_ROW = 2, 15.0
_CREATE, _DELETE = "kind create cluster", "kind delete cluster"
_FAILED = 400


def life(case: Case, scale: Scale) -> Iterator[str]:
    """When the tool's cluster was being made, was there, and was gone."""
    made = any(name_of(call) == _CREATE for call in case.of_kind("tap.command"))
    # of a sweep the part of one cut may begin when the cluster is there
    since: float | None = None if made or not case.last("tap.api_call") else scale.begin
    for call in case.of_kind("tap.command"):
        began, ended = float(call.data["began"]), float(call.data["ended"])
        if name_of(call) == _CREATE:
            if since is not None:  # somebody else removed it
                yield from _there(since, began, scale)
            words = f"kind makes the cluster, {began:.1f} to {ended:.1f} s"
            yield rect("node starting", scale.box(began, ended, 0, _BAR), words)
            since = ended
        if name_of(call) == _DELETE and since is not None:
            yield from _there(since, began, scale)
            since = None
    if since is not None:
        yield from _there(since, scale.end, scale)


def _there(since: float, until: float, scale: Scale) -> Iterator[str]:
    if until > scale.begin:
        yield rect("node up", scale.box(since, until, 0, _BAR), f"the cluster is there, {since:.1f} to {until:.1f} s")


def cuts(case: Case, scale: Scale) -> Iterator[str]:
    """Where the tool was ended, and by what."""
    labels = [
        Label(scale.x(entry.at), f"✂ {cut_words(entry)}", f"cut {cut_words(entry)} at {entry.at:.2f} s: {_bit(entry)}")
        for entry in case.of_kind("tool.cut")
    ]
    rows = in_rows(labels, CUT_ROWS) if len(labels) > 1 else [(0, label) for label in labels]
    for row, label in rows:
        yield path("cut", f"M{label.x:.1f} 0 V{CUT_ROWS * CUT_ROW:.0f}", label.title)
        if label.text:
            yield beside("label", label.x, row * CUT_ROW + 11, fitted(label.text, label.x, left=GUTTER))


def _bit(entry: Entry) -> str:
    return "the tool ended of it" if entry.data["bit"] else "the tool took no notice"


def commands(case: Case, scale: Scale) -> Iterator[str]:
    """A bar for each kind, docker and kubectl; failing ones red."""
    for call in case.of_kind("tap.command"):
        began, ended = float(call.data["began"]), float(call.data["ended"])
        if ended < scale.begin:
            continue
        bad = bool(status_of(call)) and call.data.get("outcome") in ("ran", "answered", "refused")
        box = scale.box(began, ended, 0, LANE)
        how = f"exit {call.data.get('exit_code')}" if call.data.get("outcome") == "ran" else call.data.get("outcome")
        title = f"{' '.join(call.data['argv'])[:160]}: {how}, {began:.1f} to {ended:.1f} s"
        yield rect(f"command{' bad' * bad}", box, title)
        words = next((one for one in (name_of(call), name_of(call).split()[0]) if wide(one) + 8 < box.width), "")
        if words:
            yield text("label plain", box.x + 5, 15, words)


def writes(case: Case, scale: Scale) -> Iterator[str]:
    """A tick for each call that changes something; failing ones red, those that were cut black."""
    calls = [call for call in case.of_kind("tap.api_call") if changes_something(call) and call.at >= scale.begin]
    yield path("base", f"M{GUTTER:.0f} {LANE + 0.5:.1f} H{WIDTH - RIGHT:.0f}")
    for call in calls:
        x, kind = scale.x(call.at), _kind(call)
        top = 0 if kind != "ok" else 5
        title = f"{name_of(call)}: {_answer(call)} at {call.at:.2f} s"
        yield rect(f"apiwrite {kind}", Box(min(x, WIDTH - RIGHT - 2), top, 2.2, LANE - top), title)
    yield from _failing_words([call for call in calls if _kind(call) == "no"], scale)


def _failing_words(calls: Sequence[Entry], scale: Scale) -> Iterator[str]:
    """What the first one that failed was answered, where there is room."""
    if calls:
        words = f"{status_of(calls[0]) or 'no answer'}" + (f" (of {len(calls)})" if len(calls) > 1 else "")
        x = scale.x(calls[-1].at) + 6
        if x + wide(words) < WIDTH:
            yield text("label failing", x, 12, words)


def asks(case: Case, scale: Scale) -> Iterator[str]:
    """How much the tool asked; a tool that waits asks all the time."""
    calls = [call for call in case.of_kind("tap.api_call") if not changes_something(call) and call.at >= scale.begin]
    yield from bars([(call.at, status_of(call) < _FAILED or status_of(call) == 404) for call in calls], scale, LANE)


def answers(case: Case, scale: Scale) -> Iterator[str]:
    """Whether the app answered over HTTP, each time somebody looked."""
    moments = [(entry.at, entry.data["http"]["status"] == 200) for entry in case.of_kind("probe.app")]
    moments += [(entry.at, bool(entry.data["ready"])) for entry in case.of_kind("probe.app_at_exit")]
    yield from _ticks(sorted(moments), ("the app answers", "the app does not answer"), scale)


def nodes(case: Case, scale: Scale) -> Iterator[str]:
    """Whether all nodes were Ready, each time somebody looked."""
    looks = [entry for entry in case.of_kind("probe.k8s.nodes") if "nodes" in entry.data]
    moments = [(look.at, all(node["ready"] for node in look.data["nodes"].values())) for look in looks]
    yield from _ticks(moments, ("every node is Ready", "a node is not Ready"), scale)


def _ticks(moments: Sequence[tuple[float, bool]], words: tuple[str, str], scale: Scale) -> Iterator[str]:
    yield path("base", f"M{GUTTER:.0f} {LANE / 2:.1f} H{WIDTH - RIGHT:.0f}")
    for at, good in moments:
        if at >= scale.begin:
            x = min(scale.x(at), WIDTH - RIGHT - 3)
            title = f"{words[0 if good else 1]}, {at:.1f} s"
            yield rect(f"write {'ok' if good else 'no'}", Box(x - 1, 3, 4, LANE - 6), title)


def _kind(call: Entry) -> str:
    if call.data.get("outcome") != "answered":
        return "cut"
    return "ok" if 0 < status_of(call) < _FAILED else "no"


def _answer(call: Entry) -> str:
    outcome = str(call.data.get("outcome"))
    return {"dropped-before": "cut, never made", "dropped-after": "made, and cut before its answer"}.get(
        outcome, str(status_of(call) or outcome)
    )
