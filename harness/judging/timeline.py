"""Who was up and who was listed, over time; derived from a journal, for rules and pictures alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.journal import Entry

CASE_ENDED = "case.ended"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in one state; seconds of the journal.

    Args:
        state: ``starting`` (process up, not serving yet), ``up`` or ``paused``.
        start, end: when.
    """

    state: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the member list.

    Args:
        member_id: 16 hex digits.
        node: the node that has its peer URL; empty when nobody has.
        name: as listed; empty before its first start.
        learner: True for a non-voting member.
    """

    member_id: str
    node: str
    name: str
    learner: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """The member list from a moment on."""

    at: float
    seq: int
    rows: tuple[Row, ...]

    @property
    def voters(self) -> frozenset[str]:
        """Nodes that have a vote."""
        return frozenset(row.node for row in self.rows if not row.learner)

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes that are listed, learners too."""
        return frozenset(row.node for row in self.rows)


@dataclass(frozen=True, slots=True)
class Quorum:
    """How the vote stood from a moment on.

    Args:
        at: seconds.
        alive, listed: voters that serve, and voters on the list.
        dead: nodes listed as voters that do not serve.
        seq: the entry that changed it.
    """

    at: float
    alive: int
    listed: int
    dead: tuple[str, ...]
    seq: int

    @property
    def held(self) -> bool:
        """Whether the living are a majority of the listed."""
        return self.alive > self.listed // 2


@dataclass
class Timeline:
    """The whole picture of a case.

    Args:
        end: when the case ended; what the harness cleaned up afterwards is left out.
        addresses: node by peer URL.
        spans: what each node's process did.
        memberships: the member list of the founding cluster as it changed, oldest first.
        quorums: the vote as it changed, oldest first.
    """

    end: float
    addresses: dict[str, str] = field(default_factory=dict)
    spans: dict[str, list[Span]] = field(default_factory=dict)
    memberships: list[Membership] = field(default_factory=list)
    quorums: list[Quorum] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Timeline:
        """Derive it from a journal's entries."""
        story = until_end(entries)
        timeline = cls(end=story[-1].at if story else 0.0)
        for entry in story:
            if entry.kind == "node.created":
                timeline.addresses[entry.data["peer_url"]] = entry.data["node"]
                timeline.spans[entry.data["node"]] = []
        for node, spans in timeline.spans.items():
            spans.extend(_spans(node, story, timeline.end))
        timeline.memberships.extend(_memberships(story, timeline.addresses))
        timeline.quorums.extend(_quorums(timeline, story))
        return timeline

    def state_at(self, node: str, at: float) -> str:
        """The node's state at a moment: that of a span, or ``off``."""
        for span in self.spans.get(node, ()):
            if span.start <= at < span.end or (span.end == self.end == at):
                return span.state
        return "off"

    def alive_at(self, at: float) -> frozenset[str]:
        """Nodes that serve at that moment."""
        return frozenset(node for node in self.spans if self.state_at(node, at) == "up")

    def membership_at(self, at: float) -> Membership | None:
        """The member list in force at that moment."""
        known = [membership for membership in self.memberships if membership.at <= at]
        return known[-1] if known else None

    def quorum_lost(self, since: float, grace_seconds: float) -> Iterator[tuple[Quorum, float]]:
        """Each stretch without quorum that lasted longer than the grace, with its length in seconds."""
        lost_from: Quorum | None = None
        for quorum in [*self.quorums, None]:
            if quorum is not None and not quorum.held:
                lost_from = lost_from or quorum
                continue
            ends = quorum.at if quorum is not None else self.end
            if lost_from is not None and ends > since:
                lasted = ends - max(lost_from.at, since)
                if lasted > grace_seconds:
                    yield lost_from, lasted
            lost_from = None


def until_end(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries of the story itself, without the harness's own cleaning up afterwards."""
    for index, entry in enumerate(entries):
        if entry.kind == CASE_ENDED:
            return entries[: index + 1]
    return entries


_NEXT_STATE = {
    "node.started": "starting",
    "node.ready": "up",
    "node.silent": "starting",
    "node.paused": "paused",
    "node.resumed": "up",
    "node.stopped": "off",
}


def _spans(node: str, story: Sequence[Entry], end: float) -> Iterator[Span]:
    state, since = "off", 0.0
    for entry in story:
        if entry.data.get("node") != node or entry.kind not in _NEXT_STATE:
            continue
        if state != "off" and entry.at > since:
            yield Span(state, since, entry.at)
        state, since = _NEXT_STATE[entry.kind], entry.at
    if state != "off":
        yield Span(state, since, end)


def _memberships(story: Sequence[Entry], addresses: dict[str, str]) -> Iterator[Membership]:
    """Lists told by members of the founding cluster, or of the one restored from it.

    A list that lags behind a newer one is no news. Raft indices begin anew after a restore, hence
    the rank of the cluster goes first.
    """
    known = [entry.data["cluster_id"] for entry in story if entry.kind in ("cluster.started", "cluster.restored")]
    newest, rows = (-1, -1), tuple[Row, ...]()
    for entry in story:
        told = entry.data.get("members")
        if entry.kind != "probe.membership" or not told or entry.data["cluster_id"] not in known:
            continue
        seen = tuple(_row(member, addresses) for member in told)
        rank = (known.index(entry.data["cluster_id"]), entry.data["raft_index"])
        if rank < newest or seen == rows:
            continue
        newest, rows = rank, seen
        yield Membership(entry.at, entry.seq, rows)


def _row(member: dict[str, object], addresses: dict[str, str]) -> Row:
    urls = member["peer_urls"]
    node = next((addresses[url] for url in urls if url in addresses), "") if isinstance(urls, list) else ""
    return Row(str(member["id"]), node, str(member["name"]), bool(member["learner"]))


def _quorums(timeline: Timeline, story: Sequence[Entry]) -> Iterator[Quorum]:
    moments = {membership.at: membership.seq for membership in timeline.memberships}
    moments |= {entry.at: entry.seq for entry in story if entry.kind in _NEXT_STATE}
    last: tuple[int, int, tuple[str, ...]] | None = None
    for at in sorted(moments):
        membership = timeline.membership_at(at)
        if membership is None:
            continue
        alive = timeline.alive_at(at)
        # a listed peer URL that belongs to no node of ours counts as dead
        dead = tuple(sorted(row.node or row.member_id for row in membership.rows
                            if not row.learner and row.node not in alive))  # fmt: skip
        listed = sum(not row.learner for row in membership.rows)
        now = (listed - len(dead), listed, dead)
        if now != last:
            last = now
            yield Quorum(at, *now, moments[at])
