"""The rule over how long the API was away, as clients saw it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.judging.case import Case
from harness.judging.observed import Promise, trouble_ends
from harness.judging.verdict import Finding, Verdict

# The node of calls that went through the load balancer, not to one API server.
THROUGH_API = "api"
_PROMISE = Promise("api-available", "probe.api")


@dataclass(frozen=True, slots=True)
class _Request:
    """A request to the API: when, whether it succeeded, and where the journal has it."""

    invoked: float
    completed: float
    succeeded: bool
    seq: int


def api_available(case: Case) -> Finding:
    """The longest time without a successful request through the load balancer; the watch's own, or the witness's."""
    requests = _requests(case)
    before = [request for request in requests if request.succeeded and request.completed <= case.trouble_begins]
    if not before:
        return _PROMISE.inconclusive("no request succeeded before the trouble began")
    bound = case.spec.write_gap_seconds
    watched = [request for request in requests if request.completed >= before[-1].completed]
    silence, silent_since = _longest_silence(watched, trouble_ends(case))
    if silence > bound:
        return _PROMISE.inconclusive(f"nobody asked the API for {silence:.1f} s from {silent_since:.1f} s on")
    moments = [request.completed for request in watched if request.succeeded]
    gaps = [(b - a, a) for a, b in zip(moments, [*moments[1:], watched[-1].completed], strict=True)]
    longest, since = max(gaps)
    failed = [request for request in watched if not request.succeeded]
    measures = {
        "longest_gap_seconds": round(longest, 3),
        "gap_begins_seconds": round(since, 3),
        "requests": len(watched),
        "requests_failed": len(failed),
    }
    if longest > bound:
        reason = f"no request succeeded for {longest:.1f} s from {since:.1f} s on (allowed: {bound:.1f} s)"
        within = tuple(request.seq for request in failed if since < request.completed <= since + longest)
        return Finding(_PROMISE.guarantee, Verdict.NOT_RECOVERED, reason, "api-gap", within[:1], measures)
    return _PROMISE.kept(f"the longest wait for the API was {longest:.2f} s (allowed: {bound:.1f} s)", **measures)


def _requests(case: Case) -> list[_Request]:
    """By the time of their end. Traffic counts too: what it wrote or read through ``api``, the API served."""
    watch = [
        _Request(entry.data["invoked"], entry.data["completed"], entry.data["ok"], entry.seq)
        for entry in case.of_kind("probe.api")
    ]
    calls = [call for call in case.calls if call.node == THROUGH_API]
    traffic = [_Request(call.invoked, call.completed, call.acknowledged, call.seq) for call in calls]
    return sorted(watch + traffic, key=lambda request: request.completed)


def _longest_silence(requests: list[_Request], until: float) -> tuple[float, float]:
    """The longest time in which nobody even asked, and since when: a gap there says nothing of the API."""
    answered, longest, since = requests[0].completed, 0.0, requests[0].completed
    for invoked, completed in [*((r.invoked, r.completed) for r in requests), (until, until)]:
        if invoked - answered > longest:
            longest, since = invoked - answered, answered
        answered = max(answered, completed)
    return longest, since
