"""A journal made ready for rules: what was asked, what happened, and whether it can be judged at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.errors import UsageError
from harness.journal import Entry
from harness.judging.awake import disturbance
from harness.judging.timeline import Timeline, until_end
from harness.judging.tool_runs import last_line_of
from harness.shapes import MembersShape
from harness.spec import CaseSpec

# What a tool may ask of a machine without laying hands on it: what a command changes is seen in the world.
LOOKS = ("list", "exec", "fetch")
# Where the tool makes the cluster: what a story begins with is there. Calls of the tool before it are no trouble.
READY = "stage.ready"
# How a manager's end is told where a signal ended it that the story never sent.
_SIGNALLED = re.compile(r"ended by itself, exit -\d")
# Of a tool's last line, in letters.
_MOST_TOLD = 300
# What tells that a cluster took writes before anything went wrong.
_TOOK_WRITES = ("cluster.started", "managed.started", READY)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a traffic client; times in seconds of the journal."""

    seq: int
    client: str
    op: str
    register: str
    value: str | None
    node: str
    invoked: float
    completed: float
    outcome: str
    revision: int = 0
    mod_revision: int = 0
    cluster_id: str = ""

    @property
    def acknowledged(self) -> bool:
        """Whether the cluster said it was done."""
        return self.outcome == "acknowledged"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of the tool under test: when, whom it was about, and how it ended."""

    number: int
    task: str
    old: str
    new: str
    started: float
    ended: float
    outcome: str
    exit_code: int | None
    seq: int
    last_line: str = ""

    @property
    def claims_success(self) -> bool:
        """Whether it said that all is done."""
        return self.outcome == "exited" and self.exit_code == 0

    @property
    def said(self) -> str:
        """How it ended, in words."""
        if self.outcome == "exited":
            return {0: "exit 0 (done)", 3: "exit 3 (refused)"}.get(self.exit_code or 0, f"exit {self.exit_code}")
        return {
            "signalled": f"died of a signal (exit {self.exit_code})",
            "timed_out": "never ended and was killed",
        }.get(self.outcome, "could not be started")

    @property
    def last_words(self) -> str:
        """The last line it said, where that is long its beginning."""
        return self.last_line[:_MOST_TOLD] or "it said nothing"


@dataclass(frozen=True)
class Case:
    """What rules look at.

    Args:
        spec: what was asked.
        entries: the story, up to the end of the case.
        derived: what rules made of the entries, by its name, so that it is made once.
    """

    spec: CaseSpec
    entries: Sequence[Entry]
    problem: str = field(default="")
    derived: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Case:
        """Make a journal ready.

        Raises:
            UsageError: the journal does not begin with a case's spec.
        """
        if not entries or entries[0].kind != "case.opened":
            raise UsageError("the journal does not begin with case.opened")
        return cls(CaseSpec.from_json(entries[0].data["spec"]), _with_short_names(until_end(entries)))

    @property
    def shape(self) -> MembersShape:
        """The cluster's, where the harness made its members.

        Raises:
            UsageError: it made none; the case asks for a guarantee that is not for it.
        """
        shape = self.spec.cluster
        if not isinstance(shape, MembersShape):
            raise UsageError(f"{self.spec.case_id}: there are no etcd members to judge")
        return shape

    @cached_property
    def timeline(self) -> Timeline:
        """Who was up and who was listed."""
        return Timeline.of(self.entries)

    @cached_property
    def calls(self) -> list[Call]:
        """All calls of the traffic, in the order of their invocation."""
        calls = [_call(entry) for entry in self.of_kind("traffic.call")]
        return sorted(calls, key=lambda call: call.invoked)

    @cached_property
    def acknowledged_writes(self) -> list[Call]:
        """Writes the cluster said were done, in the order of their acknowledgement."""
        writes = [call for call in self.calls if call.op == "write" and call.acknowledged]
        return sorted(writes, key=lambda call: call.completed)

    @cached_property
    def tool_calls(self) -> list[ToolCall]:
        """All finished calls of the tool."""
        starts = list(self.of_kind("tool.started"))
        ends = list(self.of_kind("tool.ended"))
        return [
            ToolCall(
                number, end.data["task"], end.data["old"], end.data["new"], start.at, end.at,
                end.data["outcome"], end.data["exit_code"], end.seq, last_line_of(end),
            )
            for number, (start, end) in enumerate(zip(starts, ends, strict=False), start=1)
        ]  # fmt: skip

    @cached_property
    def trouble_begins(self) -> float:
        """When the first fault was injected or the tool first called; the end when neither was."""
        given = self.last(READY)
        moments = [
            e.at
            for e in self.entries
            if e.kind in ("fault.injected", "tool.started") and (given is None or e.seq > given.seq)
        ]
        return min(moments, default=self.timeline.end)

    @cached_property
    def watched(self) -> list[Entry]:
        """The entries since all was ready: what the harness may not sleep through. Of a sweep no cut: see there."""
        ready = self.last(READY) or next((e for e in self.entries if e.kind in _TOOK_WRITES), self.entries[0])
        learnt = self.last("sweep.learnt") or self.entries[-1]
        return [entry for entry in self.entries if ready.seq <= entry.seq <= learnt.seq]

    @cached_property
    def founding_cluster_id(self) -> str:
        """ID of the cluster as it was before anything went wrong."""
        told = self.data_of("cluster.started") or self.data_of("managed.started")
        return str(told.get("cluster_id", ""))

    def of_kind(self, kind: str) -> Iterator[Entry]:
        """Entries of one kind, oldest first."""
        return (entry for entry in self.entries if entry.kind == kind)

    def last(self, kind: str, **match: Any) -> Entry | None:
        """The last entry of a kind whose data has these values."""
        found = [e for e in self.of_kind(kind) if all(e.data.get(name) == value for name, value in match.items())]
        return found[-1] if found else None

    def data_of(self, kind: str) -> dict[str, Any]:
        """Data of the last entry of a kind; empty when there is none."""
        entry = self.last(kind)
        return entry.data if entry else {}

    def touches(self, call: ToolCall) -> Iterator[Entry]:
        """Calls by which the tool laid hands on a machine, while it ran; looks and commands are none."""
        for entry in self.of_kind("tap.node_call"):
            if call.started <= entry.at <= call.ended and entry.data["action"] not in LOOKS:
                yield entry

    def obstacle(self) -> tuple[str, int] | None:
        """Why nothing can be said about the tool here: a sentence and an entry; None when it can."""
        checks = (
            self._harness_problem,
            self._disturbance,
            self._outside_kill,
            self._unhealthy_start,
            self.missed_cut,
            self._missing_end,
        )
        return next((found for check in checks if (found := check())), None)

    def _harness_problem(self) -> tuple[str, int] | None:
        for entry in self.entries:
            if entry.kind == "case.problem":
                return f"the harness had a problem: {entry.data['problem']}", entry.seq
            if entry.kind == "fault.evidence" and not entry.data["bit"]:
                return f"the fault {entry.data['fault']} shows no sign that it bit", entry.seq
        return None

    def _disturbance(self) -> tuple[str, int] | None:
        return disturbance(self.spec, self.watched)

    def _outside_kill(self) -> tuple[str, int] | None:
        for entry in self.of_kind("node.stopped"):
            # Neither the story nor the tool sends signals: that was the kernel, or somebody else.
            if entry.data.get("how") == "exited" and entry.data["exit_code"] < 0:
                reason = f"etcd on {entry.data['node']} was killed from outside (signal {-entry.data['exit_code']})"
                return reason, entry.seq
        for entry in self.of_kind("machine.stopped"):
            if _SIGNALLED.search(str(entry.data.get("why", ""))):
                reason = f"the manager on {entry.data['machine']} was killed from outside ({entry.data['why']})"
                return reason, entry.seq
        return None

    def _unhealthy_start(self) -> tuple[str, int] | None:
        if all(self.last(kind) is None for kind in _TOOK_WRITES):
            return "the cluster never took writes", self.entries[0].seq
        return None

    def _missing_end(self) -> tuple[str, int] | None:
        proven = [entry.data["fault"] for entry in self.of_kind("fault.evidence")]
        for entry in self.of_kind("fault.injected"):
            if entry.data["fault"] not in proven:
                return f"the fault {entry.data['fault']} was never proven", entry.seq
        if self.entries[-1].kind != "case.ended":
            return "the case never came to its end", self.entries[-1].seq
        return None

    def missed_cut(self) -> tuple[str, int] | None:
        """A call that was to be cut and was not: a sentence and an entry; None when there is none."""
        if self.last("sweep.learnt"):
            return None  # of a sweep each cut is judged by itself
        for entry in self.of_kind("tool.cut"):
            if not entry.data["bit"]:
                return f"the tool was not cut by {entry.data['cut']}: it was over before, or took no notice", entry.seq
        reached = [entry.data["cut"] for entry in self.of_kind("tool.cut")]
        for entry in self.of_kind("tool.started"):
            if entry.data.get("cut", "") not in ("", *reached):
                return f"the tool never came to where it was to be cut: {entry.data['cut']}", entry.seq
        return None


def _call(entry: Entry) -> Call:
    data = entry.data
    return Call(
        entry.seq, data["client"], data["op"], data["register"], data.get("value"), data["node"],
        data["invoked"], data["completed"], data["outcome"],
        data.get("revision", 0), data.get("mod_revision", 0), data.get("cluster_id", ""),
    )  # fmt: skip


def _with_short_names(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Kind begins every node's name with the cluster's, which differs from run to run and tells nobody anything."""
    made = next((entry for entry in entries if entry.kind == "cluster.creating"), None)
    if made is None:
        return entries
    prefix = f"{made.data['name']}-"
    return [replace(entry, data=_without(entry.data, prefix)) for entry in entries]


def _without(value: Any, prefix: str) -> Any:
    if isinstance(value, str):
        return value.replace(prefix, "")
    if isinstance(value, dict):
        return {name.replace(prefix, ""): _without(inner, prefix) for name, inner in value.items()}
    return [_without(inner, prefix) for inner in value] if isinstance(value, list | tuple) else value
