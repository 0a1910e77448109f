"""Where a red case leaves the story of a healthy one: the first sign on its timeline, in one sentence. Pure.

Signs are what a tool is told (a command or a call of the API that fails), what it does (it goes on without something a
healthy start makes, it only waits, it gives up), and what the first look shows from which a guarantee stays red. What
a healthy story shows as well is no sign. A start that was cut is never blamed for how it ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from harness.journal import Entry
from harness.judging.case import READY, Case
from harness.judging.guarantees import GUARANTEES
from harness.judging.tool_runs import ToolStretch, made, name_of, status_of, stretches
from harness.judging.verdict import Finding, Verdict

_LEARNT = "sweep.learnt"
# A person's own command, as a workaround says: what failed before it was to be mended by it.
_BY_HAND = "by-hand"
_LOOKS = ("probe.", "bystanders.seen")
# Shorter waits are ordinary, whatever comes of them.
_WAIT_SECONDS = 10.0
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Departure:
    """The first sign.

    Args:
        at: seconds of the journal.
        words: what is seen then, a sentence without its moment.
        evidence: sequence numbers of the entries that show it.
    """

    at: float
    words: str
    evidence: tuple[int, ...]


def first_departure(case: Case, findings: Sequence[Finding], healthy: Sequence[Entry] = ()) -> Departure | None:
    """The earliest sign; None when nothing is red, or nothing can be seen of why.

    Args:
        case: the red one; of a sweep the part of one cut.
        findings: its own.
        healthy: entries of a story that went well, see `healthy_start`; none means that only what is wrong by
            itself counts.
    """
    red = [finding for finding in findings if finding.verdict is Verdict.NOT_RECOVERED]
    if not red:
        return None
    return min(_signs(case, red, stretches(healthy)), key=lambda sign: sign.at, default=None)


def healthy_start(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The start that went well in a case itself: the one a sweep learnt from, else the one before users came."""
    ends = [place for place, entry in enumerate(entries) if entry.kind == _LEARNT]
    ends += [place for place, entry in enumerate(entries) if entry.kind == READY]
    return entries[: ends[0]] if ends else ()


def first_seen(case: Case, finding: Finding) -> tuple[Entry, Finding] | None:
    """The look from which on a red guarantee stays red in the same way, and what could be said of it then.

    None where it is not judged by looks.
    """
    proof = [entry for entry in case.entries if entry.seq in finding.evidence and entry.kind.startswith(_LOOKS)]
    if not proof:
        return None
    if proof[-1].data.get("role"):  # looked at once, and only to be compared
        return proof[-1], finding
    rule, found = GUARANTEES[finding.guarantee].rule, None
    for place in reversed(range(len(case.entries))):
        entry = case.entries[place]
        if entry.kind != proof[-1].kind or entry.at < case.trouble_begins or entry.seq > proof[-1].seq:
            continue
        then = rule(replace(case, entries=case.entries[: place + 1]))
        if (then.verdict, then.signature) != (finding.verdict, finding.signature):
            break
        found = entry, then
    return found


def _signs(case: Case, red: Sequence[Finding], healthy: Sequence[ToolStretch]) -> Iterator[Departure]:
    runs = [run for run in stretches(case.entries) if run.started.at >= case.trouble_begins]
    mended = [place for place, run in enumerate(runs) if run.started.data["task"] == _BY_HAND]
    for run in runs[mended[-1] + 1 :] if mended else runs:
        if not run.is_cut:
            yield from _failures(run, healthy)
            yield from _wait(run, healthy)
            yield from _bad_end(run)
    yield from _passed_over(runs, healthy)
    for finding in red:
        if seen := first_seen(case, finding):
            entry, then = seen
            yield Departure(entry.at, f"the first look that shows it: {then.reason}", (entry.seq,))


def _failures(run: ToolStretch, healthy: Sequence[ToolStretch]) -> Iterator[Departure]:
    """Calls that fail and do not succeed later in the same run; a healthy story may show the same."""
    shown = {(name_of(call), status_of(call)) for other in healthy for call in other.calls}
    for place, call in enumerate(run.calls):
        name, status = name_of(call), status_of(call)
        if not _is_failure(call) or (name, status) in shown:
            continue
        if any(name_of(later) == name and not _is_failure(later) for later in run.calls[place + 1 :]):
            continue
        if status == HTTPStatus.NOT_FOUND and not call.data["mutating"] and (name, HTTPStatus.OK) not in shown:
            continue  # asking whether something is there
        yield Departure(call.at, f"{name} {_how(call)}", (call.seq,))


def _is_failure(call: Entry) -> bool:
    if call.data.get("outcome") == "refused":
        return True
    if call.kind == "tap.command":
        return call.data.get("outcome") in ("ran", "answered") and bool(call.data.get("exit_code"))
    return call.data.get("outcome") == "answered" and not 0 < status_of(call) < HTTPStatus.BAD_REQUEST


def _how(call: Entry) -> str:
    if call.data.get("outcome") == "refused":
        return "would have changed what is not the tool's own, and was refused"
    status = status_of(call)
    if call.kind == "tap.command":
        return f"ends with exit {status}"
    known = status in HTTPStatus.__members__.values()
    return (
        f"is answered by {status}{f' ({HTTPStatus(status).phrase})' if known else ''}" if status else "gets no answer"
    )


def _wait(run: ToolStretch, healthy: Sequence[ToolStretch]) -> Iterator[Departure]:
    """From where a tool that did not get done did nothing but ask the same, or nothing at all."""
    if run.is_done or run.ended is None or not run.calls:
        return
    since, asked = run.waiting()
    lasted = run.ended.at - since
    names = sorted({name_of(call) for call in asked})
    usual = max((other.longest_asking(names) for other in healthy), default=0.0)
    if lasted < max(_WAIT_SECONDS, 2 * usual):
        return
    until = f"until it {run.end_words} at {run.ended.at:.1f} s"
    if not asked:
        last = f"after {name_of(run.calls[-1])} nothing is seen of the tool"
        yield Departure(since, f"{last}, {until}", (run.calls[-1].seq, run.ended.seq))
        return
    what = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    told = f" (a healthy start: for {usual:.0f} s)" if usual else ""
    words = f"from here on the tool only asks for {what}, {len(asked)} times, {until}{told}"
    yield Departure(since, words, (asked[0].seq, run.ended.seq))


def _bad_end(run: ToolStretch) -> Iterator[Departure]:
    if run.ended is not None and not run.is_done:
        said = f": {run.last_line[:_LONGEST]}" if run.last_line else ""
        yield Departure(run.ended.at, f"{run.started.data['task']} {run.end_words}{said}", (run.ended.seq,))


def _passed_over(runs: Sequence[ToolStretch], healthy: Sequence[ToolStretch]) -> Iterator[Departure]:
    """Where a start after a cut goes on without something that a healthy start makes, and nobody has made."""
    usual = list(dict.fromkeys(thing for run in healthy for thing in made(run.calls)))
    if not usual or not runs or runs[-1].is_cut or not any(run.is_cut for run in runs):
        return
    there = {thing for run in runs for thing in made(run.calls, even_if_there=True)}
    absent = [thing for thing in usual if thing not in there]
    for call in runs[-1].calls:
        for thing in made([call]):
            before = usual[: usual.index(thing)] if thing in usual else []
            if skipped := [one for one in absent if one in before]:
                more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
                words = f"the start goes on to {thing} without {skipped[0]}{more}, which a healthy start makes"
                yield Departure(call.at, words, (call.seq,))
                return
