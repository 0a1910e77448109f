"""Rules over the history of calls: what clients were told has to stay true.

etcd gives every write a revision, one more than the one before, and says with every answer at which
revision it was given. This makes the order of writes known instead of searched for, so that
linearizability can be judged call by call (etcd's own robustness tests validate alike); a general
checker would have to try orders. The rules are written out in docs/decisions/0004.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

from harness.journal import Entry
from harness.judging.case import Call, Case
from harness.judging.verdict import Finding, Verdict

_NAMED = 5


def acknowledged_writes_kept(case: Case) -> Finding:
    """Every acknowledged write is found again by its log key."""
    observed = [entry for entry in case.of_kind("probe.keyspace") if "keys" in entry.data]
    if not observed or not case.acknowledged_writes:
        return _unseen("acknowledged-writes-kept", "nobody could read the store at the end, or nothing was written")
    for entry in observed:
        lost = _lost_on(entry, case.acknowledged_writes, observed)
        if lost:
            names = ", ".join(f"{call.value} (revision {call.revision})" for call in lost[:_NAMED])
            return Finding(
                "acknowledged-writes-kept",
                Verdict.NOT_RECOVERED,
                f"{len(lost)} of {len(case.acknowledged_writes)} acknowledged writes are gone on "
                f"{entry.data['node']}: {names}{' and more' if len(lost) > _NAMED else ''}",
                "acknowledged-writes-lost",
                (lost[0].seq, entry.seq),
                {"acknowledged_writes": len(case.acknowledged_writes), "lost_writes": len(lost)},
            )
    return Finding(
        "acknowledged-writes-kept",
        Verdict.RECOVERED,
        f"all {len(case.acknowledged_writes)} acknowledged writes are there",
        evidence=(observed[-1].seq,),
        measures={"acknowledged_writes": len(case.acknowledged_writes), "lost_writes": 0},
    )


def _lost_on(look: Entry, writes: Sequence[Call], looks: Sequence[Entry]) -> list[Call]:
    """What a copy lacks. Read without a quorum it may lag behind: what is newer, and in another copy, is not lost."""
    missing = [call for call in writes if call.value not in look.data["keys"]]
    if look.data.get("linearizable", True):
        return missing
    cluster, reached = look.data["cluster_id"], look.data["revision"]
    peers = [other for other in looks if other is not look and other.data.get("cluster_id") == cluster]
    return [
        call
        for call in missing
        if (call.revision or 0) <= reached or not any(call.value in other.data["keys"] for other in peers)
    ]


def revisions_monotonic(case: Case) -> Finding:
    """A call that began after another was answered is never answered at an earlier revision."""
    answered = sorted((call for call in case.calls if call.acknowledged), key=lambda call: call.completed)
    if len(answered) < 2:
        return _unseen("revisions-monotonic", "fewer than two calls were answered")
    ends = [call.completed for call in answered]
    highest: list[Call] = []
    for call in answered:
        highest.append(call if not highest or call.revision > highest[-1].revision else highest[-1])
    for call in answered:
        before = bisect_right(ends, call.invoked)
        if before and highest[before - 1].revision > call.revision:
            earlier = highest[before - 1]
            return Finding(
                "revisions-monotonic",
                Verdict.NOT_RECOVERED,
                f"{call.node} answered at revision {call.revision} at {call.completed:.2f} s, after {earlier.node} "
                f"had answered at revision {earlier.revision}",
                "revision-went-backwards",
                (earlier.seq, call.seq),
            )
    return Finding(
        "revisions-monotonic",
        Verdict.RECOVERED,
        f"revisions only grew over {len(answered)} answers, up to {highest[-1].revision}",
        evidence=(highest[-1].seq,),
    )


def cluster_identity_kept(case: Case) -> Finding:
    """Whoever answers belongs to the founding cluster."""
    strangers = [c for c in case.calls if c.acknowledged and c.cluster_id != case.founding_cluster_id]
    answers = [
        (entry, node, told["cluster_id"])
        for entry in case.of_kind("probe.serving")
        for node, told in entry.data["nodes"].items()
        if told["serves"]
    ]
    foreign = [(entry.seq, node, told) for entry, node, told in answers if told != case.founding_cluster_id]
    foreign += [(call.seq, call.node, call.cluster_id) for call in strangers]
    if foreign:
        seq, node, told = foreign[0]
        return Finding(
            "cluster-identity-kept",
            Verdict.NOT_RECOVERED,
            f"{node} takes writes for another cluster ({told}, not {case.founding_cluster_id})",
            "second-cluster",
            (seq,),
            {"writes_to_another_cluster": sum(call.op == "write" for call in strangers)},
        )
    if not any(call.acknowledged for call in case.calls):
        return _unseen("cluster-identity-kept", "no call was answered")
    return Finding(
        "cluster-identity-kept", Verdict.RECOVERED, f"every answer came from cluster {case.founding_cluster_id}"
    )


def reads_linearizable(case: Case) -> Finding:
    """Each read saw the newest write there was at its revision, and no older world than its time."""
    reads = [call for call in case.calls if call.op == "read" and call.acknowledged]
    if not reads:
        return _unseen("reads-linearizable", "no read was answered")
    writes: dict[str, list[Call]] = defaultdict(list)
    by_value: dict[str, Call] = {}
    for call in case.calls:
        if call.op == "write":
            by_value[call.value or ""] = call
        if call.op == "write" and call.acknowledged:
            writes[call.register].append(call)
    for read in reads:
        broken = _what_is_wrong(read, writes[read.register], by_value)
        if broken:
            signature, reason, witness = broken
            return Finding("reads-linearizable", Verdict.NOT_RECOVERED, reason, signature, (witness.seq, read.seq))
    return Finding("reads-linearizable", Verdict.RECOVERED, f"all {len(reads)} reads fit the order of the writes")


def write_gap_bounded(case: Case) -> Finding:
    """The longest time clients had to wait for the next acknowledged write."""
    begin, end = case.last("traffic.started"), case.last("traffic.stopped")
    before = [call for call in case.acknowledged_writes if call.completed <= case.trouble_begins]
    if begin is None or end is None or not before:
        return _unseen("write-gap-bounded", "no write was acknowledged before the trouble began")
    moments = [call.completed for call in case.acknowledged_writes if call.completed >= before[-1].completed]
    gaps = [(later - earlier, earlier) for earlier, later in zip(moments, [*moments[1:], end.at], strict=True)]
    longest, since = max(gaps)
    bound = case.spec.write_gap_seconds
    measures = {"longest_gap_seconds": round(longest, 3), "gap_begins_seconds": round(since, 3)}
    if longest > bound:
        return Finding(
            "write-gap-bounded",
            Verdict.NOT_RECOVERED,
            f"no write was acknowledged for {longest:.1f} s from {since:.1f} s on (allowed: {bound:.1f} s)",
            "write-gap",
            (end.seq,),
            measures,
        )
    return Finding(
        "write-gap-bounded",
        Verdict.RECOVERED,
        f"the longest wait for a write was {longest:.2f} s (allowed: {bound:.1f} s)",
        evidence=(end.seq,),
        measures=measures,
    )


def _what_is_wrong(read: Call, writes: list[Call], by_value: dict[str, Call]) -> tuple[str, str, Call] | None:
    """The rule a read breaks: its signature, a sentence, and the write that proves it."""
    seen = f"read of register {read.register} on {read.node} at {read.completed:.2f} s"
    source = by_value.get(read.value or "") if read.value is not None else None
    if read.value is not None and (source is None or source.outcome == "failed"):
        return "phantom-read", f"{seen} saw {read.value}, which nobody wrote", source or read
    if source is not None and source.invoked > read.completed:
        return "read-from-the-future", f"{seen} saw {read.value} before it was written", source
    for write in writes:
        same_world = write.cluster_id == read.cluster_id
        if same_world and read.mod_revision < write.revision <= read.revision:
            return "stale-read", f"{seen} saw revision {read.mod_revision}, not {write.revision} ({write.value})", write
        if write.completed < read.invoked and read.mod_revision < write.revision:
            return "stale-read", f"{seen} missed {write.value}, acknowledged before it began", write
    return None


def _unseen(guarantee: str, why: str) -> Finding:
    return Finding(guarantee, Verdict.INCONCLUSIVE, why)
