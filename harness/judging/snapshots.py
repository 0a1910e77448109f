"""Rules over snapshots, and over what a restore gives back and loses."""

from __future__ import annotations

from harness.journal import Entry
from harness.judging.case import Call, Case, ToolCall
from harness.judging.verdict import Finding, Verdict


def snapshot_restorable(case: Case) -> Finding:
    """Before each replacement's first change there is a snapshot, and it holds what was acknowledged by then."""
    calls = [call for call in case.tool_calls if call.new]
    if not calls:
        return _unseen("snapshot-restorable", "no replacement was tried")
    for call in calls:
        broken = _what_is_wrong(case, call)
        if broken is not None:
            return broken
    return Finding(
        "snapshot-restorable",
        Verdict.RECOVERED,
        f"a snapshot from before each of {len(calls)} replacements restores, with every write acknowledged by then",
    )


def service_restored(case: Case) -> Finding:
    """At the end every wanted member serves, all in one cluster, and clients' writes are acknowledged."""
    serving = case.last("probe.serving")
    if serving is None:
        return _unseen("service-restored", "nobody looked afterwards")
    nodes = serving.data["nodes"]
    good = [name for name, told in nodes.items() if told["serves"]]
    clusters = {nodes[name]["cluster_id"] for name in good}
    wanted = case.shape.voters
    if len(good) < wanted or len(clusters) > 1:
        reason = (
            f"{len(good)} nodes take writes, not {wanted}" if len(good) < wanted else "nodes serve different clusters"
        )
        signature = "not-serving" if len(good) < wanted else "split-clusters"
        return Finding("service-restored", Verdict.NOT_RECOVERED, reason, signature, (serving.seq,))
    seconds = serving.at - case.trouble_begins
    return Finding(
        "service-restored",
        Verdict.RECOVERED,
        f"all {wanted} members take writes again, {seconds:.1f} s after the trouble began",
        evidence=(serving.seq,),
        measures={"recovery_seconds": round(seconds, 2)},
    )


def writes_before_snapshot_kept(case: Case) -> Finding:
    """What was acknowledged before the snapshot is there; what came after is counted as the loss window."""
    saved, seen = case.last("snapshot.saved"), _keyspace(case)
    if saved is None or seen is None:
        return _unseen(
            "writes-before-snapshot-kept", "there was no snapshot, or nobody could read the store afterwards"
        )
    tool = case.tool_calls[0].started if case.tool_calls else case.timeline.end
    acknowledged = [call for call in case.acknowledged_writes if call.completed < tool]
    lost = [call for call in acknowledged if call.value not in seen.data["keys"]]
    before = [call for call in lost if call.completed <= saved.data["began"]]
    measures = _loss_window(lost, saved.data["began"])
    if before:
        return Finding(
            "writes-before-snapshot-kept",
            Verdict.NOT_RECOVERED,
            f"{len(before)} writes acknowledged before the snapshot are gone",
            "snapshot-content-lost",
            (before[0].seq, seen.seq),
            measures,
        )
    return Finding(
        "writes-before-snapshot-kept",
        Verdict.RECOVERED,
        f"everything from before the snapshot is there; loss window: {len(lost)} acknowledged writes of "
        f"{measures['loss_window_seconds']:.1f} s after it",
        evidence=(seen.seq,),
        measures=measures,
    )


def botched_state_saved(case: Case) -> Finding:
    """The broken state was saved before it was thrown away, and restores with all that was acknowledged."""
    seen = case.last("probe.snapshot", role="disaster")
    if seen is None:
        return _unseen("botched-state-saved", "nobody looked for the saved state")
    if not seen.data["restorable"]:
        signature = "state-not-saved" if not seen.data["exists"] else "saved-state-broken"
        reason = "the broken state was not saved" if not seen.data["exists"] else "what was saved does not restore"
        return Finding("botched-state-saved", Verdict.NOT_RECOVERED, reason, signature, (seen.seq,))
    tool = case.tool_calls[0].started if case.tool_calls else case.timeline.end
    writes = [call for call in case.acknowledged_writes if call.completed < tool]
    missing = [call for call in writes if call.value not in seen.data["keys"]]
    if missing:
        reason = f"{len(missing)} acknowledged writes are missing in the saved state"
        return Finding("botched-state-saved", Verdict.NOT_RECOVERED, reason, "saved-state-incomplete", (seen.seq,))
    return Finding("botched-state-saved", Verdict.RECOVERED, f"the saved state restores, with all {len(writes)} writes")


def _what_is_wrong(case: Case, call: ToolCall) -> Finding | None:
    seen = case.last("probe.snapshot", role=f"before-change-{call.number}")
    touch = next(case.touches(call), None)
    if touch is None:
        return None  # nothing was changed, so no snapshot was owed
    if seen is None:
        return _unseen("snapshot-restorable", "nobody looked at the snapshot")
    due = [write for write in case.acknowledged_writes if write.completed <= call.started]
    missing = [write for write in due if write.value not in seen.data.get("keys", {})]
    for bad, signature, reason in (
        (not seen.data["exists"], "no-snapshot", "no snapshot was saved"),
        (not touch.data["snapshots"], "snapshot-too-late", "the snapshot was saved after the first change"),
        (
            not seen.data["restorable"],
            "snapshot-broken",
            f"the snapshot does not restore: {seen.data.get('error', '')}",
        ),
        (missing, "snapshot-lacks-writes", f"{len(missing)} writes acknowledged before it are not in the snapshot"),
    ):
        if bad:
            reason = f"replacing {call.old}: {reason}"
            return Finding("snapshot-restorable", Verdict.NOT_RECOVERED, reason, signature, (touch.seq, seen.seq))
    return None


def _keyspace(case: Case) -> Entry | None:
    readable = [entry for entry in case.of_kind("probe.keyspace") if "keys" in entry.data]
    return readable[-1] if readable else None


def _loss_window(lost: list[Call], saved_at: float) -> dict[str, float]:
    last = max((call.completed for call in lost), default=saved_at)
    return {"lost_writes": len(lost), "loss_window_seconds": round(max(0.0, last - saved_at), 3)}


def _unseen(guarantee: str, why: str) -> Finding:
    return Finding(guarantee, Verdict.INCONCLUSIVE, why)
