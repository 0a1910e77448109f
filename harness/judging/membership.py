"""Rules over membership and the vote."""

from __future__ import annotations

from harness.judging.case import Case, ToolCall
from harness.judging.timeline import Membership
from harness.judging.verdict import Finding, Verdict

# Membership is looked at five times a second, and a leader may change within an election timeout.
GRACE_SECONDS = 0.5


def quorum_kept(case: Case) -> Finding:
    """The voters that serve are a majority of the voters listed, at every moment."""
    timeline = case.timeline
    since = case.trouble_begins
    if not [quorum for quorum in timeline.quorums if quorum.at <= timeline.end]:
        return _unseen("quorum-kept", "the member list was never seen")
    lost = list(timeline.quorum_lost(since, GRACE_SECONDS))
    seconds = round(sum(lasted for _, lasted in lost), 3)
    if lost:
        quorum, lasted = max(lost, key=lambda stretch: stretch[1])
        to_the_end = quorum.at + lasted >= timeline.end - GRACE_SECONDS
        return Finding(
            "quorum-kept",
            Verdict.NOT_RECOVERED,
            f"from {quorum.at:.1f} s on only {quorum.alive} of {quorum.listed} voters served "
            f"(not {', '.join(quorum.dead)}), for {lasted:.1f} s{' and to the end' if to_the_end else ''}",
            "quorum-lost",
            (quorum.seq,),
            {"seconds_without_quorum": seconds},
        )
    lowest = min((q for q in timeline.quorums if q.held), key=lambda quorum: quorum.alive - quorum.listed // 2)
    return Finding(
        "quorum-kept",
        Verdict.RECOVERED,
        f"never fewer than {lowest.alive} of {lowest.listed} voters served",
        evidence=(lowest.seq,),
        measures={"seconds_without_quorum": 0.0},
    )


def no_ghost_member(case: Case) -> Finding:
    """Nobody is on the member list at the end who does not serve; `started` is no proof of life."""
    listed = case.timeline.membership_at(case.timeline.end)
    if listed is None:
        return _unseen("no-ghost-member", "the member list was never seen")
    alive = case.timeline.alive_at(case.timeline.end)
    ghosts = [row for row in listed.rows if row.node not in alive]
    if ghosts:
        names = ", ".join(f"{row.name or '(never started)'} {row.member_id}" for row in ghosts)
        return Finding(
            "no-ghost-member",
            Verdict.NOT_RECOVERED,
            f"{len(ghosts)} of {len(listed.rows)} members are listed and do not serve: {names}",
            "ghost-member",
            (listed.seq,),
            {"ghosts": len(ghosts)},
        )
    return Finding(
        "no-ghost-member",
        Verdict.RECOVERED,
        f"all {len(listed.rows)} members listed do serve",
        evidence=(listed.seq,),
        measures={"ghosts": 0},
    )


def replacement_complete(case: Case) -> Finding:
    """Each old node is off the list, each new one is a voter that serves, and as many vote as before."""
    calls = [call for call in case.tool_calls if call.new]
    listed = case.timeline.membership_at(case.timeline.end)
    serving = case.data_of("probe.serving").get("nodes")
    if not calls or listed is None or serving is None:
        return _unseen("replacement-complete", "no replacement was tried, or nobody looked afterwards")
    for call in calls:
        if call.old in listed.nodes and call.new not in listed.nodes:
            return _incomplete(call, listed, "not-replaced", f"{call.old} is still a member and {call.new} is not")
        if call.new not in listed.voters:
            return _incomplete(call, listed, "new-node-no-voter", f"{call.new} has no vote")
        if not serving.get(call.new, {}).get("serves"):
            return _incomplete(call, listed, "new-node-not-serving", f"{call.new} takes no writes")
        if call.old in listed.nodes:
            return _incomplete(call, listed, "old-node-still-listed", f"{call.old} is still listed")
    if len(listed.voters) != case.shape.voters:
        reason = f"{len(listed.voters)} nodes vote, not {case.shape.voters}"
        return _incomplete(calls[-1], listed, "voters-missing", reason)
    return Finding(
        "replacement-complete",
        Verdict.RECOVERED,
        f"{', '.join(call.new for call in calls)} took the place of {', '.join(call.old for call in calls)}",
        evidence=(listed.seq,),
    )


def clean_before_next_node(case: Case) -> Finding:
    """When the procedure lays hands on a node, every other member listed does serve."""
    if not case.tool_calls:
        return _unseen("clean-before-next-node", "the tool was never called")
    for call in case.tool_calls:
        touch = next(case.touches(call), None)
        if touch is None:
            continue
        alive = case.timeline.alive_at(touch.at)
        unclean = [
            row["name"] or row["id"]
            for row in touch.data["membership"]
            if case.timeline.addresses.get(row["peer_urls"][0], "") not in alive | {call.old, call.new}
        ]
        if unclean:
            return Finding(
                "clean-before-next-node",
                Verdict.NOT_RECOVERED,
                f"replacing {call.old} began ({touch.data['action']} {touch.data['node']} at {touch.at:.1f} s) while "
                f"{', '.join(unclean)} was listed and did not serve",
                "touched-while-unclean",
                (touch.seq,),
            )
    return Finding(
        "clean-before-next-node",
        Verdict.RECOVERED,
        f"{len(case.tool_calls)} calls, none laid hands on a node while membership was unclean",
    )


def bystanders_kept(case: Case) -> Finding:
    """Only the node that was to be replaced, or one that was dead already, leaves; nobody else is stopped."""
    if not case.tool_calls:
        return _unseen("bystanders-kept", "the tool was never called")
    removed = [
        (node, membership)
        for before, membership in zip(case.timeline.memberships, case.timeline.memberships[1:], strict=False)
        for node in before.nodes - membership.nodes - _asked_for(case, membership.at)
        if case.timeline.state_at(node, before.at) == "up"
    ]
    if removed:
        node, membership = removed[0]
        return Finding(
            "bystanders-kept",
            Verdict.NOT_RECOVERED,
            f"{node} was healthy and not to be replaced, and was taken off the member list at {membership.at:.1f} s",
            "bystander-removed",
            (membership.seq,),
        )
    for entry in case.of_kind("tap.node_call"):
        harmful = entry.data["action"] in ("stop", "destroy", "wipe")
        if harmful and entry.data["node"] not in _asked_for(case, entry.at):
            reason = f"{entry.data['node']} was not to be replaced, and got a {entry.data['action']}"
            return Finding("bystanders-kept", Verdict.NOT_RECOVERED, reason, "bystander-stopped", (entry.seq,))
    asked = ", ".join(sorted(_asked_for(case, case.timeline.end)))
    return Finding("bystanders-kept", Verdict.RECOVERED, f"nobody but {asked} was taken away")


def success_is_true(case: Case) -> Finding:
    """When the procedure says it is done (exit 0), the new node is a voter that serves, right then."""
    if not case.tool_calls:
        return _unseen("success-is-true", "the tool was never called")
    for call in case.tool_calls:
        seen = case.last("probe.at_exit", new=call.new)
        if call.outcome in ("timed_out", "not_started"):
            reason = f"replacing {call.old}: the procedure {call.said}"
            return Finding(
                "success-is-true", Verdict.NOT_RECOVERED, reason, call.outcome.replace("_", "-"), (call.seq,)
            )
        if not call.claims_success:
            continue
        if seen is None:
            return _unseen("success-is-true", "nobody looked when the procedure ended")
        if not (seen.data["listed"] and seen.data["voter"] and seen.data["healthy"]):
            state = "not listed" if not seen.data["listed"] else "no voter" if not seen.data["voter"] else "not healthy"
            return Finding(
                "success-is-true",
                Verdict.NOT_RECOVERED,
                f"the procedure said it was done (exit 0) at {call.ended:.1f} s while {call.new} was {state}",
                "success-too-early",
                (call.seq, seen.seq),
            )
    said = "; ".join(f"{call.old}: {call.said}" for call in case.tool_calls)
    return Finding("success-is-true", Verdict.RECOVERED, f"what it said was so ({said})")


def _asked_for(case: Case, at: float) -> set[str]:
    """Nodes whose replacement had been asked for by then."""
    return {call.old for call in case.tool_calls if call.started <= at}


def _incomplete(call: ToolCall, listed: Membership, signature: str, reason: str) -> Finding:
    why = "" if call.claims_success else f": {call.last_words}"
    return Finding(
        "replacement-complete",
        Verdict.NOT_RECOVERED,
        f"{reason}; the procedure for {call.old} ended with {call.said}{why}",
        signature,
        (listed.seq, call.seq),
    )


def _unseen(guarantee: str, why: str) -> Finding:
    return Finding(guarantee, Verdict.INCONCLUSIVE, why)
