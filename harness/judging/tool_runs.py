"""What a tool did while it ran, as its taps saw it: its commands and calls of the API, one run after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.journal import Entry

CALLS = ("tap.api_call", "tap.command")
_CONFLICT = 409
_MAKING = ("create", "update", "patch")


@dataclass(frozen=True, slots=True)
class ToolStretch:
    """One run of the tool.

    Args:
        started: its ``tool.started``.
        ended: its ``tool.ended``; None where the journal ends before.
        calls: what the taps saw of it, in the order in which it was begun.
    """

    started: Entry
    ended: Entry | None
    calls: tuple[Entry, ...]

    @property
    def is_cut(self) -> bool:
        """Whether it was to be cut."""
        return bool(self.started.data.get("cut"))

    @property
    def is_done(self) -> bool:
        """Whether it said so."""
        if self.ended is None:
            return False
        return (self.ended.data["outcome"], self.ended.data["exit_code"]) == ("exited", 0)

    @property
    def end_words(self) -> str:
        """How it ended, as a verb."""
        outcome = self.ended.data["outcome"] if self.ended else ""
        code = self.ended.data["exit_code"] if self.ended else None
        words = {"timed_out": "is killed, for it never ends", "signalled": f"dies of a signal (exit {code})"}
        return words.get(outcome, f"gives up with exit {code}" if outcome == "exited" else "can't be called")

    @property
    def last_line(self) -> str:
        """The last it said; empty where it said nothing."""
        return last_line_of(self.ended) if self.ended else ""

    def waiting(self) -> tuple[float, Sequence[Entry]]:
        """Since when it did nothing new, and what it asked since; nothing asked means that it was silent.

        New is what changes something, and a question that was not asked since the last change.
        """
        since_change: list[Entry] = []
        for call in self.calls:
            if changes_something(call):
                since_change = []
            else:
                since_change.append(call)
        names = [name_of(call) for call in since_change]
        news = [place for place, name in enumerate(names) if name not in names[:place]]
        repeated = since_change[news[-1] + 1 :] if news else []
        if not repeated:
            return self.calls[-1].at, ()
        again = {name_of(call) for call in repeated}
        asked = [call for call in since_change if name_of(call) in again]
        return float(asked[0].data["began"]), asked

    def longest_asking(self, names: Sequence[str]) -> float:
        """Seconds of the longest stretch in which it asked nothing but these."""
        longest, since = 0.0, None
        for call in self.calls:
            if name_of(call) not in names:
                since = None
                continue
            since = since if since is not None else float(call.data["began"])
            longest = max(longest, float(call.data["ended"]) - since)
        return longest


def last_line_of(ended: Entry) -> str:
    """The last a call of the tool said, its white space made single; empty where it said nothing."""
    lines = str(ended.data.get("output", "")).splitlines()
    return next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")


def stretches(entries: Sequence[Entry]) -> list[ToolStretch]:
    """All runs of the tool, oldest first.

    A call belongs to the run in which it began: one that was cut may be written down after the next run began.
    """
    runs: list[tuple[Entry, Entry | None]] = []
    for entry in entries:
        if entry.kind == "tool.started":
            runs.append((entry, None))
        elif entry.kind == "tool.ended" and runs:
            runs[-1] = (runs[-1][0], entry)
    calls: list[list[Entry]] = [[] for _ in runs]
    for entry in entries:
        if entry.kind in CALLS:
            before = [place for place, (started, _) in enumerate(runs) if started.at <= float(entry.data["began"])]
            if before:
                calls[before[-1]].append(entry)
    return [ToolStretch(*run, _in_order(own)) for run, own in zip(runs, calls, strict=True)]


def made(calls: Sequence[Entry], *, even_if_there: bool = False) -> Iterator[str]:
    """Objects of the API that were made or written, as ``namespaces caddy-system``; whatever the verb.

    Args:
        calls: what the taps saw.
        even_if_there: also those that an answer says are there already.
    """
    for call in calls:
        verb, _, thing = name_of(call).partition(" ")
        if call.kind != "tap.api_call" or verb not in _MAKING:
            continue
        status, reached = status_of(call), call.data.get("outcome") in ("answered", "dropped-after")
        if reached and (0 < status < 400 or (even_if_there and status == _CONFLICT)):
            yield thing


def name_of(call: Entry) -> str:
    """As people say it: ``patch namespaces caddy-system``, ``kind create cluster``."""
    return str(call.data["call"]).removeprefix("api ")


def status_of(call: Entry) -> int:
    """An answer's status or a command's exit code; 0 where there is none."""
    return int(call.data.get("status" if call.kind == "tap.api_call" else "exit_code") or 0)


def changes_something(call: Entry) -> bool:
    """Whether a call is more than a question."""
    return bool(call.data.get("mutating", True))


def _in_order(calls: Sequence[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(calls, key=lambda call: float(call.data["began"])))
