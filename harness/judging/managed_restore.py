"""Rules over restores: done on every member, their price told, and harmless where the name is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from harness.judging.case import Call, Case
from harness.judging.managed import NOT_MANAGED, RESTORE_BACKUP, Managed, Restore, entry_of
from harness.judging.managed_writes import copies_at_end, told_as_discarded
from harness.judging.observed import Flaw, Promise, listed
from harness.judging.verdict import Finding

_COMPLETE = Promise("restore-complete", "probe.serving")
_TOLD = Promise("restore-loss-told", "restore.told")
_HARMLESS = Promise("bad-name-harmless", "control.asked")
_WORDS = {"revisions": re.compile(r"revision", re.I), "leases": re.compile(r"lease", re.I)}


def restore_complete(case: Case) -> Finding:
    """After a restore all members serve what was restored, in one cluster."""
    managed = Managed.of(case)
    if managed is None or not managed.restores:
        return _COMPLETE.inconclusive(NOT_MANAGED if managed is None else "no restore was asked for")
    restore = managed.restores[-1]
    served = [entry for entry in case.of_kind("probe.serving") if entry.at >= managed.trouble_ended]
    if not served:
        return _COMPLETE.inconclusive(f"nobody looked after {managed.trouble_ended:.1f} s")
    told, last = served[-1].data["nodes"], served[-1]
    silent = [machine for machine in managed.machines if not told.get(machine, {}).get("serves")]
    if silent:
        return _COMPLETE.broken(Flaw("member-not-serving", f"{listed(silent)} takes no writes after the restore"), last)
    ids = sorted({told[machine]["cluster_id"] for machine in managed.machines})
    if len(ids) > 1:
        return _COMPLETE.broken(Flaw("split-clusters", f"members serve different clusters: {', '.join(ids)}"), last)
    if restore.backup and managed.first_answers[ids[0]].at < restore.asked:
        words = f"members serve cluster {ids[0]} still, which was there before the restore was asked for"
        return _COMPLETE.broken(Flaw("restore-not-done", words), last)
    owed = _restored_content(case, managed, restore)
    copies = copies_at_end(case, managed.last_looks)
    if owed is None or {name for copy in copies for name in copy.machines} < set(managed.machines):
        why = "what the backup holds is not known" if owed is None else "not every machine was read at the end"
        return _COMPLETE.inconclusive(why, last)
    for copy in copies:
        if lacks := sorted(owed - set(copy.keys)):
            words = f"{listed(list(copy.machines))} lacks {len(lacks)} of {len(owed)} restored writes: {listed(lacks)}"
            return _COMPLETE.broken(Flaw("restored-data-missing", words), entry_of(case, copy.seq))
    words = f"all {len(managed.machines)} members serve cluster {ids[0]}, with all {len(owed)} restored writes"
    return _COMPLETE.kept(words, last, restored_writes=len(owed))


def restore_loss_told(case: Case) -> Finding:
    """Revisions and leases that a restore lost are told by whoever restored."""
    managed = Managed.of(case)
    if managed is None or not managed.restores:
        return _TOLD.inconclusive(NOT_MANAGED if managed is None else "no restore was asked for")
    copies = copies_at_end(case, managed.last_looks)
    if not copies:
        return _TOLD.inconclusive("nobody read the store at the end")
    lost = dict(_lost(managed))
    if not managed.restored_ids and not lost:
        return _TOLD.kept("no restore was carried out, and nothing was lost")
    told = managed.told
    text = " ".join(str(entry.data["text"]) for entry in told)
    if not lost:
        return _TOLD.kept("no revision and no lease was lost", *told)
    if not told:
        words = f"{' and '.join(lost.values())}, and nobody told"
        return _TOLD.broken(Flaw("loss-not-told", words), entry_of(case, managed.restores[0].seq))
    untold = [kind for kind in lost if not _WORDS[kind].search(text)]
    if untold:
        words = f"{lost[untold[0]]}, and what was told says nothing of it: {text[:120]}"
        return _TOLD.broken(Flaw(f"{untold[0]}-not-told", words), *told)
    return _TOLD.kept(f"{' and '.join(lost.values())}; it was told: {text[:120]}", *told)


def bad_name_harmless(case: Case) -> Finding:
    """A restore of what is no backup changes no cluster, loses no write and stops nobody for long."""
    managed = Managed.of(case)
    asked = [
        entry
        for entry in case.of_kind("control.asked")
        if entry.data["expects"] == "none" and entry.data["verb"] == RESTORE_BACKUP
    ]
    if managed is None or not asked:
        return _HARMLESS.inconclusive(NOT_MANAGED if managed is None else "no wrong name was given")
    since = asked[0]
    name = listed([str(word) for word in since.data.get("words", ())])
    before = {answer.cluster_id for answer in managed.answers if answer.at <= since.at}
    for first in managed.first_answers.values():
        if first.at > since.at and first.cluster_id not in before and first in managed.foreign:
            words = f"asked to restore {name}, {first.machine} answered for a new cluster at {first.at:.1f} s"
            return _HARMLESS.broken(Flaw("cluster-replaced", words), since, entry_of(case, first.seq))
    copies = copies_at_end(case, managed.last_looks)
    after = [write for write in case.acknowledged_writes if write.completed > since.at]
    gap, begins = _gap(case, since.at, managed.watched_until)
    bound, figures = case.spec.write_gap_seconds, {"outage_seconds": round(gap, 3)}
    if gap > bound:
        words = (
            f"asked to restore {name}, no write was taken for {gap:.1f} s from {begins:.1f} s on ({bound:g} s allowed)"
        )
        return _HARMLESS.broken(Flaw("outage", words), since, **figures)
    if not copies or not after:
        why = "nobody read the store at the end" if after else "no write was taken afterwards"
        return _HARMLESS.inconclusive(why, since)
    earlier = [write for write in case.acknowledged_writes if write.completed <= since.at]
    lost = [write for write in earlier if any(write.value not in copy.keys for copy in copies)]
    if lost:
        words = f"asked to restore {name}, {len(lost)} writes acknowledged before are gone"
        return _HARMLESS.broken(Flaw("writes-lost", words), since, **figures)
    return _HARMLESS.kept(f"{name} was refused: nothing lost, the longest wait {gap:.2f} s", since, **figures)


def _restored_content(case: Case, managed: Managed, restore: Restore) -> set[str] | None:
    """Values of writes that have to be there; None where nobody knows."""
    if not restore.backup:
        discarded = told_as_discarded(managed)
        ours = (w for w in case.acknowledged_writes if w.cluster_id == managed.founding_id)
        return {str(write.value) for write in ours if write not in discarded}
    keys = managed.keys_of_backup(restore.backup)
    if keys is not None and managed.restores_aside(restore.backup):
        return set(keys)
    backup = managed.store.backups.get(restore.backup)
    if backup is None:
        return None
    return {str(w.value) for w in _before(case, managed, backup.taken_after)} or None


def _before(case: Case, managed: Managed, at: float) -> Iterator[Call]:
    return (w for w in case.acknowledged_writes if w.cluster_id == managed.founding_id and w.completed < at)


def _lost(managed: Managed) -> Iterator[tuple[str, str]]:
    """What a restore lost, in words, by kind: where a restored cluster began below what clients had been told."""
    for cluster_id in managed.restored_ids:
        began = managed.first_answers[cluster_id].since
        answered = [call for call in managed.case.calls if call.acknowledged and call.revision]
        highest = max((c.revision for c in answered if c.completed <= began), default=0)
        first = next((call.revision for call in answered if call.cluster_id == cluster_id), highest)
        if first < highest:
            yield "revisions", f"revisions went back from {highest} to {first}"
            break
    leases = list(managed.case.of_kind("lease.seen"))
    had = max((e.data["leases"] for e in leases if e.at <= managed.restores[0].asked), default=0)
    has = [e.data["leases"] for e in leases if e.at >= managed.restores[-1].asked]
    if has and had > has[-1]:
        yield "leases", f"{had - has[-1]} of {had} leases are gone"


def _gap(case: Case, since: float, until: float) -> tuple[float, float]:
    """The longest wait for an acknowledged write from a moment on, and when it began."""
    moments = [w.completed for w in case.acknowledged_writes if since < w.completed <= until]
    before = [w.completed for w in case.acknowledged_writes if w.completed <= since]
    steps = [before[-1] if before else since, *moments, until]
    return max((later - earlier, earlier) for earlier, later in pairwise(steps))
