"""Rules over backups: only what was restored aside and looked into counts as one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from math import inf

from harness.journal import Entry
from harness.judging.case import Call, Case
from harness.judging.managed import NOT_MANAGED, Managed, entry_of
from harness.judging.observed import Flaw, Promise, listed
from harness.judging.store_history import CLOSE_SECONDS, SeenBackup
from harness.judging.verdict import Finding

_FRESH = Promise("backups-fresh", "backup.checked")
_RESTORABLE = Promise("backups-restorable", "backup.checked")
# Trouble with the store itself: as long as it lasts nobody can save anything.
_STORE_TROUBLE = "Store"
_LONGEST = 160


def backups_fresh(case: Case) -> Finding:
    """The newest backup that restores is younger than three intervals and a loop when clients stop."""
    managed = Managed.of(case)
    if managed is None:
        return _FRESH.inconclusive(NOT_MANAGED)
    if why := _unclear(managed):
        return _FRESH.inconclusive(why)
    proven = [backup for backup in managed.store.backups.values() if managed.restores_aside(backup.name)]
    newest = max(proven, key=lambda backup: backup.uploaded, default=None)
    bound = managed.fresh_seconds
    if newest is None:
        return _none_at_all(managed)
    age = round(max(0.0, managed.watched_until - newest.uploaded), 3)
    proof, figures = entry_of(case, newest.seq), {"newest_backup_age_seconds": age}
    reason = f"the newest backup that restores is {age:.1f} s old (allowed: {bound:.1f} s)"
    if age <= bound:
        return _FRESH.kept(reason, proof, **figures)
    spoilt = [one.name for one in newer(managed, newest.uploaded)]
    if unchecked := [name for name in spoilt if name not in managed.checked]:
        return _FRESH.inconclusive(f"nobody tried to restore {listed(unchecked)}", proof)
    if spoilt:
        words = f"{reason}; {listed(spoilt)} came after it and do not restore"
        return _FRESH.broken(Flaw("backups-unrestorable", words), proof, **figures)
    return _FRESH.broken(Flaw("backups-stale", f"{reason}; none came after it"), proof, **figures)


def backups_restorable(case: Case) -> Finding:
    """Each backup that was reported is there, restores, and holds what its cluster had acknowledged before it."""
    managed = Managed.of(case)
    if managed is None:
        return _RESTORABLE.inconclusive(NOT_MANAGED)
    reported = {str(entry.data["name"]): entry for entry in case.of_kind("backup.reported")}
    if not reported or not managed.store.is_known:
        why = "no backup was ever reported" if managed.store.is_known else "the store was not seen at the end"
        return _RESTORABLE.inconclusive(why)
    for name, report in reported.items():
        if flaw := _flaw_of(case, managed, name, report):
            return _RESTORABLE.broken(flaw, report, backups_reported=len(reported))
    left = [name for name in reported if (one := managed.store.backups.get(name)) and one.gone == inf]
    checked = [name for name in left if name in managed.checked]
    due = [name for name in left if managed.store.backups[name].uploaded <= managed.watched_until - CLOSE_SECONDS]
    if unchecked := [name for name in due if name not in checked]:
        return _RESTORABLE.inconclusive(f"nobody tried to restore {listed(unchecked)}")
    if not checked:
        return _RESTORABLE.inconclusive("none of the backups that were reported was left to restore")
    said = f"all {len(checked)} backups that are left restore, with all that was acknowledged before them"
    return _RESTORABLE.kept(said, backups_reported=len(reported), backups_checked=len(checked))


def newer(managed: Managed, than: float) -> list[SeenBackup]:
    """Backups that are left and were written after a moment, before clients stopped."""
    return [
        one
        for one in managed.store.backups.values()
        if than < one.uploaded <= managed.watched_until and one.gone == inf
    ]


def _unclear(managed: Managed) -> str:
    """Why freshness can't be judged, in words; empty when it can."""
    if not managed.store.is_known:
        return "the store was not seen at the end"
    if trouble := store_trouble(managed):
        return f"{trouble} lasted to the end: nobody could save anything"
    if managed.watched_seconds < managed.fresh_seconds:
        return (
            f"it was left alone for {managed.watched_seconds:.1f} s at the end; "
            f"a backup is due after {managed.fresh_seconds:.1f} s"
        )
    return ""


def store_trouble(managed: Managed) -> str:
    """A fault of the store that nobody healed; empty when there is none."""
    open_faults: list[str] = []
    for entry in managed.case.entries:
        name = str(entry.data.get("fault", ""))
        if entry.kind == "fault.injected" and name.startswith(_STORE_TROUBLE):
            open_faults.append(name)
        if entry.kind == "fault.healed" and name in open_faults:
            open_faults.remove(name)
    return open_faults[-1] if open_faults else ""


def _none_at_all(managed: Managed) -> Finding:
    left = newer(managed, -inf)
    if unchecked := [one.name for one in left if one.name not in managed.checked]:
        return _FRESH.inconclusive(f"nobody tried to restore {listed(unchecked)}")
    if left:
        return _FRESH.broken(Flaw("backups-unrestorable", f"none of {len(left)} backups restores"))
    words = f"no backup is in the store {managed.watched_seconds:.1f} s after the last thing that happened"
    return _FRESH.broken(Flaw("no-backup", words), managed.store.looks[-1])


def _flaw_of(case: Case, managed: Managed, name: str, report: Entry) -> Flaw | None:
    backup = managed.store.backups.get(name)
    if backup is None:
        if report.at > managed.watched_until - 2 * CLOSE_SECONDS or managed.store.struck_near(report.at):
            return None  # it may have come, or gone, while nobody looked
        return Flaw("reported-untaken", f"{name} was reported at {report.at:.1f} s and was never in the store")
    checked = managed.checked.get(name)
    if backup.spoilt or backup.gone < inf or checked is None:
        return None  # not its maker's doing
    if not checked.data["restorable"]:
        why = " ".join(str(checked.data.get("why", "")).split())
        return Flaw("backup-unrestorable", f"{name} does not restore: {why[:_LONGEST]}")
    keys = managed.keys_of_backup(name)
    lacks = [write for write in _owed(case, managed, backup) if keys is not None and write.value not in keys]
    if lacks:
        words = f"{name} lacks {len(lacks)} writes acknowledged before it, the first {lacks[0].value}"
        return Flaw("backup-lacks-writes", f"{words} at {lacks[0].completed:.1f} s")
    return None


def _owed(case: Case, managed: Managed, backup: SeenBackup) -> Iterator[Call]:
    """Writes that the cluster it was taken of had acknowledged by then; none while clusters took each other's place.

    A cluster in quarantine is backed up before anybody is answered by it: what answers next counts too.
    """
    first, last = (bisect_left(managed.answer_times, at) for at in (backup.taken_after, backup.uploaded))
    whose = {answer.cluster_id for answer in managed.answers[max(0, first - 1) : last + 1]}
    if len(whose) == 1:
        for write in case.acknowledged_writes:
            if write.cluster_id in whose and write.completed < backup.taken_after:
                yield write
