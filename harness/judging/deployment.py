"""Rules over a deployment as its users see it after the trouble: is it back, and is what they had still there."""

from __future__ import annotations

from harness.journal import Entry
from harness.judging.case import Case, ToolCall
from harness.judging.observed import Flaw, Flaws, Promise
from harness.judging.verdict import Finding

_START, _STOP, _BY_HAND = "start", "stop", "by-hand"
_RESTART = Promise("restart-succeeds", "tool.ended")
_APP = Promise("app-reachable", "probe.app")
_CONFIGURED = Promise("app-configured", "probe.app")
_SECRETS = Promise("secrets-kept", "probe.k8s.secrets")
_LOSS = Promise("secret-loss-told", "probe.k8s.secrets")
_DATA = Promise("app-data-kept", "probe.app")
_DONE = Promise("ready-when-done", "probe.app_at_exit")
_STOPPED = Promise("stopped-is-gone", "probe.nodes_at_exit")
_USERS = "users.came"


def restart_succeeds(case: Case) -> Finding:
    """The last start before each stop and at the end, of those which nobody cut, says that it is done."""
    starts = [call for call in case.tool_calls if call.task == _START and not _is_cut(case, call)]
    if not starts:
        return _RESTART.inconclusive("no start was left alone")
    judged = [start for start in starts if not _is_tried_again(case, start)]
    last = next((start for start in judged if not start.claims_success), starts[-1])
    earlier = [call for call in case.tool_calls if call.task == _STOP and call.number < last.number]
    since = max([case.trouble_begins, *(stop.started for stop in earlier)])
    attempts = len([call for call in starts if since <= call.started <= last.started])
    ended = next(entry for entry in case.of_kind("tool.ended") if entry.seq == last.seq)
    if last.outcome == "not_started":
        return _RESTART.inconclusive(f"the tool could not be called: {last.last_words}", ended)
    seconds = round(last.ended - last.started, 1)
    measures = {"restart_seconds": seconds, "restart_attempts": attempts}
    if last.claims_success:
        tries = f", at attempt {attempts}" if attempts > 1 else ""
        return _RESTART.kept(f"start was done after {seconds:.0f} s{tries}", ended, **measures)
    signature = {"timed_out": "start-never-ended", "signalled": "start-died"}.get(last.outcome, "start-failed")
    reason = f"start {last.said} after {seconds:.0f} s: {last.last_words}"
    return _RESTART.broken(Flaw(signature, reason), ended, **measures)


def app_reachable(case: Case) -> Finding:
    """The app answers through the ingress, over HTTP, and over TLS with its users' certificate if they gave one."""
    seen = _APP.observations(case)
    if not seen:
        return _APP.unseen(case)
    last, flaws = seen[-1], Flaws()
    given = case.data_of(_USERS).get("certificate", "")
    for name in ("http", *["https"] * bool(given)):
        told = last.data[name]
        failed = [] if told["status"] == 200 else [f"{told['status'] or 'no answer'} {told['text']}".strip()]
        flaws.add(f"no-{name}", failed, f"over {name} the app gives: {{}}")
    other = [] if given in ("", last.data["certificate"]) else ["the host's"]
    flaws.add("other-certificate", other, "the certificate shown is not {}")
    if flaws.first:
        return _APP.broken(flaws.first, last)
    back_seconds = round(last.at - case.trouble_begins, 1)
    return _APP.kept(f"the app answers over HTTP{' and TLS' if given else ''}", last, back_after_seconds=back_seconds)


def app_configured(case: Case) -> Finding:
    """The app runs with the configuration it was deployed with, where it shows that."""
    seen = _CONFIGURED.observations(case)
    if not seen:
        return _CONFIGURED.unseen(case)
    last = seen[-1]
    told = last.data.get("config")
    if not told:
        return _CONFIGURED.kept("this app does not show its configuration", last)
    if told["right"]:
        return _CONFIGURED.kept("the app has the configuration it was deployed with", last)
    if told["status"] == 200:
        return _CONFIGURED.broken(Flaw("config-changed", "the app has another configuration"), last)
    given = f"{told['status'] or 'no answer'} {told['text']}".strip()
    return _CONFIGURED.broken(Flaw("config-missing", f"asked for its configuration, the app gives: {given}"), last)


def secrets_kept(case: Case) -> Finding:
    """Every secret that users had there is there, byte for byte."""
    given = case.last(_USERS)
    if given is None:
        return _SECRETS.inconclusive("nobody had a secret there")
    seen = _SECRETS.observations(case)
    if not seen:
        return _SECRETS.unseen(case)
    last = seen[-1]
    if blocked := _SECRETS.blocked(last):
        return blocked
    before, now, flaws = given.data["secrets"], last.data["secrets"], Flaws()
    flaws.add("secret-missing", [name for name in before if name not in now], "gone: {}")
    changed = [
        f"{name} ({key})"
        for name, keys in before.items()
        if name in now
        for key in keys
        if now[name].get(key) != keys[key]
    ]
    flaws.add("secret-changed", changed, "not the bytes they were: {}")
    if flaws.first:
        return _SECRETS.broken(flaws.first, given, last, secrets=len(before))
    return _SECRETS.kept(
        f"all {len(before)} secrets are what they were, byte for byte", given, last, secrets=len(before)
    )


def secret_loss_told(case: Case) -> Finding:
    """A secret that users had is there, or the last start says that it is lost, or does not say that all is done."""
    given = case.last(_USERS)
    starts = [call for call in case.tool_calls if call.task == _START and call.started >= case.trouble_begins]
    if given is None or not starts:
        return _LOSS.inconclusive("nobody had a secret there, or nothing was started")
    ended = next(entry for entry in case.of_kind("tool.ended") if entry.seq == starts[-1].seq)
    if not starts[-1].claims_success:
        return _LOSS.kept(f"start did not say that it was done: {starts[-1].said}", ended)
    seen = _LOSS.observations(case)
    if not seen:
        return _LOSS.unseen(case)
    if blocked := _LOSS.blocked(seen[-1]):
        return blocked
    before, now, flaws = given.data["secrets"], seen[-1].data["secrets"], Flaws()
    told = set(ended.data.get("announced", ()))
    lost = [name for name, keys in before.items() if any(now.get(name, {}).get(key) != keys[key] for key in keys)]
    flaws.add("lost-in-silence", [name for name in lost if not told & {"*", name}], "lost without a word: {}")
    if flaws.first:
        return _LOSS.broken(flaws.first, ended, seen[-1], secrets=len(before), secrets_lost=len(lost))
    reason = f"start said which of {len(before)} secrets are lost: {len(lost)}" if lost else "no secret is lost"
    return _LOSS.kept(reason, ended, seen[-1], secrets=len(before), secrets_lost=len(lost))


def app_data_kept(case: Case) -> Finding:
    """What the app was given to keep is there, byte for byte."""
    given = case.last(_USERS)
    if given is None:
        return _DATA.inconclusive("the app was given nothing to keep")
    seen = _DATA.observations(case)
    if not seen:
        return _DATA.unseen(case)
    last, flaws = seen[-1], Flaws()
    status = last.data["data_status"]
    flaws.add(
        "data-unreachable",
        ["no answer" if not status else str(status)] * (status not in (200, 404)),
        "asked for it, the app gives: {}",
    )
    flaws.add("data-lost", ["the canary"] * (status == 404), "{} is gone")
    flaws.add("data-changed", ["the canary"] * (last.data["data"] != given.data["data"]), "{} is not what it was")
    if flaws.first:
        return _DATA.broken(flaws.first, given, last)
    return _DATA.kept("what the app was given is there, byte for byte", given, last)


def ready_when_done(case: Case) -> Finding:
    """When a start says that it is done, the app answers, right then."""
    starts = [call for call in case.tool_calls if call.task == _START and call.started >= case.trouble_begins]
    if not starts:
        return _DONE.inconclusive("nothing was started")
    claimed = [call for call in starts if call.claims_success]
    if not claimed:
        return _DONE.kept("no start said that it was done")
    looks = [entry for entry in case.of_kind(_DONE.kind) if entry.at >= case.trouble_begins]
    done = [entry for entry in looks if entry.data["claims"]]
    if len(looks) < len(claimed):
        return _DONE.inconclusive("nobody looked when a start said that it was done", *looks[-1:])
    if not done:
        return _DONE.kept("this tool says of no start that the app answers", *looks)
    early = [entry for entry in done if not entry.data["ready"]]
    if early:
        return _DONE.broken(
            Flaw("not-ready", f"it said it was done, and the app gave: {early[0].data['text']}"), early[0]
        )
    return _DONE.kept(f"the app answered each of the {len(done)} times it was said to be done", *done)


def stopped_is_gone(case: Case) -> Finding:
    """When a stop that nobody cut is over, it says that it is done, and no node of the cluster is left."""
    stops = [call for call in case.tool_calls if call.task == _STOP and not _is_cut(case, call)]
    if not stops:
        return _STOPPED.inconclusive("nothing was stopped")
    for call in stops:
        look = next((entry for entry in case.of_kind(_STOPPED.kind) if entry.seq > call.seq), None)
        if look is None:
            return _STOPPED.inconclusive("nobody looked when a stop was over")
        ended = next(entry for entry in case.of_kind("tool.ended") if entry.seq == call.seq)
        if not call.claims_success:
            return _STOPPED.broken(Flaw("stop-failed", f"stop {call.said}: {call.last_words}"), ended, look)
        if look.data["clusters"]:
            return _STOPPED.broken(Flaw("cluster-left", "it said that it was stopped, and its nodes were there"), look)
    return _STOPPED.kept(f"no node was left, each of the {len(stops)} times it was stopped", *_ends(case, stops))


def _ends(case: Case, calls: list[ToolCall]) -> list[Entry]:
    return [entry for entry in case.of_kind("tool.ended") if entry.seq in {call.seq for call in calls}]


def _is_tried_again(case: Case, start: ToolCall) -> bool:
    """Whether another start came next: a failed one is judged by what trying again brings, help by hand included."""
    later = [call.task for call in case.tool_calls if call.number > start.number and call.task != _BY_HAND]
    return later[:1] == [_START]


def _is_cut(case: Case, call: ToolCall) -> bool:
    started = list(case.of_kind("tool.started"))[call.number - 1]
    return bool(started.data.get("cut"))
