"""The rules over what a cut and a restart leave behind, against an uncut start of the same thing."""

from __future__ import annotations

from collections.abc import Sequence

from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.observed import Flaw, Promise, trouble_ends
from harness.judging.state import comparison_of
from harness.judging.state_told import flaws_of
from harness.judging.traces import flaws_of_traces
from harness.judging.verdict import Finding

_STATE = Promise("same-state-as-uncut", "probe.k8s.state")
_TRACES = Promise("no-traces-left", "probe.traces")
_REFERENCE, _RECOVERED = "reference", "recovered"


def same_state_as_uncut(case: Case) -> Finding:
    """All that the cluster holds is what an uncut start leaves: nothing missing, nothing extra, nothing changed."""
    pair = _pair(case, _STATE)
    if isinstance(pair, Finding):
        return pair
    reference, recovered = pair
    if not reference.data["at_rest"]:
        return _STATE.inconclusive("the uncut start never came to rest", reference)
    compared = comparison_of(reference.data, recovered.data)
    difference = compared.difference
    measures = {
        "objects_compared": compared.objects[0],
        "objects_missing": len(difference.missing),
        "objects_extra": len(difference.extra),
        "objects_changed": len(difference.changed),
    }
    if flaws := flaws_of(difference):
        return _STATE.broken(_gravest(flaws), reference, recovered, **measures)
    if not recovered.data["at_rest"]:
        return _STATE.inconclusive("the cluster never came to rest", recovered)
    if difference.other_key:
        return _STATE.inconclusive("Secrets of both states were hashed under different keys", reference, recovered)
    if compared.unlisted:
        return _STATE.inconclusive(f"not all of the uncut start could be listed: {list(compared.unlisted)}", reference)
    said = f"all {compared.objects[1]} objects are as an uncut start leaves them"
    return _STATE.kept(said, reference, recovered, **measures)


def no_traces_left(case: Case) -> Finding:
    """The files the tool wrote are those of an uncut start, and no process, container or temporary file is left."""
    pair = _pair(case, _TRACES)
    if isinstance(pair, Finding):
        return pair
    reference, recovered = pair
    if reference.data["key"] != recovered.data["key"]:
        return _TRACES.inconclusive("files of both were hashed under different keys", reference, recovered)
    if flaws := flaws_of_traces(reference.data, recovered.data):
        return _TRACES.broken(_gravest(flaws), reference, recovered)
    files = sum(len(found) for found in recovered.data["files"].values())
    said = f"{files} files are as an uncut start leaves them, and nothing else is left"
    return _TRACES.kept(said, reference, recovered, files_compared=files)


def _pair(case: Case, promise: Promise) -> tuple[Entry, Entry] | Finding:
    """The reference, and the last look after the trouble; or why there is nothing to compare."""
    reference = case.last(promise.kind, role=_REFERENCE)
    if reference is None:
        return promise.inconclusive("nobody looked at an uncut start")
    if failure := reference.data.get("failure"):
        return promise.inconclusive(f"the uncut start could not be seen: {failure['text']}", reference)
    looks = [entry for entry in case.of_kind(promise.kind) if entry.data["role"] == _RECOVERED]
    if not looks or looks[-1].at < trouble_ends(case):
        return promise.inconclusive(f"nobody looked after {trouble_ends(case):.1f} s", *looks[-1:])
    return promise.blocked(looks[-1]) or (reference, looks[-1])


def _gravest(flaws: Sequence[Flaw]) -> Flaw:
    """The first flaw, with a word on what else there is; all of it is told by `told` and `told_traces`."""
    others = ", ".join(flaw.signature for flaw in flaws[1:])
    return Flaw(flaws[0].signature, f"{flaws[0].reason}; and {others}" if others else flaws[0].reason)
