"""Rules over what lies about: alarms at a loss, the queue, the archive of old data, the disk, and who deletes what."""

from __future__ import annotations

from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.managed import NOT_MANAGED, Managed, entry_of
from harness.judging.observed import Flaw, Promise, listed
from harness.judging.store_history import CLOSE_SECONDS, Loss, is_below_backups, is_control
from harness.judging.verdict import Finding

_ALARM = Promise("loss-alarmed", "alarm.seen")
_QUEUE = Promise("queue-drained", "store.seen")
_ARCHIVE = Promise("archive-kept", "archive.seen")
_DISK = Promise("disk-bounded", "disk.seen")
_SPARES = Promise("rule-spares-control", "store.seen")
# Faults that are aimed at backups alone.
_AIMED_AT_BACKUPS = ("LifecycleApplied", "BackupPathGone")
_MIB = 2**20
_LONGEST = 160


def loss_alarmed(case: Case) -> Finding:
    """Somebody raises an alarm soon after the first control file or backup vanished; kept where nothing did.

    Later losses of a story come while the alarm is on.
    """
    managed = Managed.of(case)
    if managed is None or not managed.store.looks:
        return _ALARM.inconclusive(NOT_MANAGED if managed is None else "nobody looked into the store")
    if not managed.store.losses:
        return _nothing_lost(managed)
    first = managed.store.losses[0]
    since = _when(case, first)
    due = _due(case, managed, first.at)
    names = _together(managed, first)
    alarms = [entry for entry in case.of_kind("alarm.seen") if entry.at >= since]
    proof = entry_of(case, first.seq)
    if alarms:
        took = round(max(0.0, alarms[0].at - first.at), 3)
        who, text = alarms[0].data["machine"], str(alarms[0].data["text"])[:_LONGEST]
        said = f"{who} raised an alarm {took:.1f} s after {names} vanished: {text}"
        if alarms[0].at <= due:
            return _ALARM.kept(said, proof, alarms[0], alarm_seconds=took)
        late = Flaw("alarm-late", f"{said}; it was due after {due - first.at:.1f} s")
        return _ALARM.broken(late, proof, alarms[0], alarm_seconds=took)
    if managed.watched_until < due:
        words = f"clients stopped {managed.watched_until - first.at:.1f} s after {names} vanished"
        return _ALARM.inconclusive(f"{words}; an alarm was due after {due - first.at:.1f} s", proof)
    if back := _put_back(case, first, due):
        return _ALARM.inconclusive(f"{names} was there again {back - first.at:.1f} s after it vanished", proof)
    seconds = managed.watched_until - first.at
    return _ALARM.broken(Flaw("no-alarm", f"{names} vanished, and nobody raised an alarm in {seconds:.1f} s"), proof)


def queue_drained(case: Case) -> Finding:
    """No command is left in the queue, once it had the time to be carried out."""
    managed = Managed.of(case)
    if managed is None or not managed.store.is_known:
        return _QUEUE.inconclusive(NOT_MANAGED if managed is None else "the queue was not seen at the end")
    if not managed.store.queued:
        return _QUEUE.kept("no command is left in the queue", managed.store.looks[-1])
    oldest = managed.store.queued[0]
    waited = managed.case.timeline.end - oldest.seen
    words = f"{listed([one.name for one in managed.store.queued])} is in the queue, since {waited:.1f} s"
    proof = entry_of(case, oldest.seq)
    if waited < managed.settling_seconds + 3 * managed.loop_seconds:
        return _QUEUE.inconclusive(words, proof)
    return _QUEUE.broken(Flaw("command-left", words), proof, commands_left=len(managed.store.queued))


def rule_spares_control(case: Case) -> Finding:
    """A rule that is aimed at old backups takes no control file with it."""
    managed = Managed.of(case)
    if managed is None or not managed.store.looks:
        return _SPARES.inconclusive(NOT_MANAGED if managed is None else "nobody looked into the store")
    aimed = [entry for entry in case.of_kind("fault.injected") if entry.data["fault"] in _AIMED_AT_BACKUPS]
    if not aimed:
        return _SPARES.inconclusive("nothing was aimed at backups")
    first = aimed[0]
    others = [e.at for e in case.of_kind("fault.injected") if e.seq > first.seq and e not in aimed]
    until = min(others, default=case.timeline.end)
    losses = [loss for loss in managed.store.losses if first.at - CLOSE_SECONDS <= loss.at <= until]
    taken = [loss for loss in losses if is_control(loss.name) and is_below_backups(loss.name)]
    if taken:
        words = f"{first.data['fault']} took {listed([loss.name for loss in taken])} as well"
        return _SPARES.broken(Flaw("control-file-taken", words), first, entry_of(case, taken[0].seq))
    if not losses:
        return _SPARES.inconclusive(f"nobody saw anything vanish after {first.data['fault']}", first)
    there = [file.name for file in managed.store.files if is_control(file.name) and file.seen < first.at]
    if not there:
        return _SPARES.inconclusive("no control file was ever seen", first)
    return _SPARES.kept(f"{first.data['fault']} took {len(losses)} backups, and no control file", first)


def archive_kept(case: Case) -> Finding:
    """Old data that was put aside is there at the end; what a machine had before it joined another cluster as well."""
    managed = Managed.of(case)
    looks = list(case.of_kind("archive.seen"))
    if managed is None or not looks:
        return _ARCHIVE.inconclusive(NOT_MANAGED if managed is None else "nobody looked into the archive")
    kept = 0
    for machine in managed.machines:
        own = [look for look in looks if look.data["machine"] == machine]
        if not own:
            return _ARCHIVE.inconclusive(f"nobody looked into the archive of {machine}")
        largest: dict[str, int] = {}
        for look in own:
            largest.update({name: max(size, largest.get(name, 0)) for name, size in look.data["entries"].items()})
        if flaw := _archive_flaw(machine, largest, own[-1]) or _never_archived(managed, machine, own):
            return _ARCHIVE.broken(flaw, own[-1])
        kept += len(own[-1].data["entries"])
    there = f"all {kept} data directories that were put aside are there"
    return _ARCHIVE.kept(there if kept else "nothing was put aside, nor had to be", looks[-1], archived=kept)


def disk_bounded(case: Case) -> Finding:
    """Data and archive of each machine stay below their bound."""
    managed = Managed.of(case)
    looks = list(case.of_kind("disk.seen"))
    if managed is None:
        return _DISK.inconclusive(NOT_MANAGED)
    late = {look.data["machine"] for look in looks if look.at >= managed.trouble_ended}
    unseen = [machine for machine in managed.machines if machine not in late]
    over = [look for look in looks if _used(look) > look.data["bound_bytes"]]
    if over:
        worst = max(over, key=_used)
        aside = worst.data["archive_bytes"] / _MIB
        words = f"{worst.data['machine']} holds {_share(worst)} at {worst.at:.1f} s, {aside:.0f} of it put aside"
        return _DISK.broken(Flaw("disk-over-bound", words), worst, most_mib=round(_used(worst) / _MIB, 1))
    if unseen:
        return _DISK.inconclusive(f"nobody looked at the disk of {listed(unseen)} at the end")
    most = max(looks, key=_used)
    return _DISK.kept(f"never more than {_share(most)} on a machine", most, most_mib=round(_used(most) / _MIB, 1))


def _nothing_lost(managed: Managed) -> Finding:
    """No alarm is owed, where the store was seen to the end."""
    if not managed.store.is_known:
        return _ALARM.inconclusive("the store was not seen at the end")
    return _ALARM.kept("nothing vanished from the store: no alarm was owed", managed.store.looks[-1])


def _when(case: Case, loss: Loss) -> float:
    """When the fault behind a loss was injected: it is seen only afterwards."""
    before = [e.at for e in case.of_kind("fault.injected") if loss.at - 2 * CLOSE_SECONDS <= e.at <= loss.at]
    return min(before, default=loss.at - CLOSE_SECONDS)


def _due(case: Case, managed: Managed, at: float) -> float:
    """Three loops and three intervals later; who restarts has as long from when all are up again."""
    due = 3 * managed.loop_seconds + 3 * managed.backup_seconds
    kinds = ("machine.started", "machine.stopped", "machine.killed", "manager.killed")
    moves = [e.at for e in case.entries if e.kind in kinds and at - CLOSE_SECONDS <= e.at <= at + due]
    return max(at, managed.up_after(max(moves))) + due if moves else at + due


def _together(managed: Managed, first: Loss) -> str:
    names = [loss.name.removeprefix("@") for loss in managed.store.losses if loss.at <= first.at + CLOSE_SECONDS]
    return listed(list(dict.fromkeys(names)))


def _put_back(case: Case, loss: Loss, due: float) -> float | None:
    """When somebody else wrote the very file again before an alarm was due; a manager that does so owes one still."""
    again = [e.at for e in case.of_kind("control.written") if e.data["name"] in loss.name and loss.at < e.at < due]
    return min(again, default=None)


def _archive_flaw(machine: str, largest: dict[str, int], last: Entry) -> Flaw | None:
    gone = [name for name in largest if name not in last.data["entries"]]
    if gone:
        return Flaw("archive-purged", f"{machine} put {listed(gone)} aside, and it is gone")
    shrunk = [name for name, size in last.data["entries"].items() if size < largest[name] / 2]
    if shrunk:
        return Flaw("archive-emptied", f"{machine} put {listed(shrunk)} aside, and most of it is gone")
    return None


def _never_archived(managed: Managed, machine: str, looks: list[Entry]) -> Flaw | None:
    """A machine that answers for another cluster had data of ours."""
    if any(look.data["entries"] for look in looks):
        return None
    others = [a for a in managed.answers if a.machine == machine and a.cluster_id != managed.founding_id]
    had = any(a.machine == machine and a.cluster_id == managed.founding_id for a in managed.answers)
    if not others or not had or others[0].at > managed.case.timeline.end - CLOSE_SECONDS:
        return None
    words = f"{machine} answers for another cluster since {others[0].at:.1f} s, and its old data was never put aside"
    return Flaw("old-data-gone", words)


def _share(look: Entry) -> str:
    return f"{_used(look) / _MIB:.0f} MiB (allowed: {look.data['bound_bytes'] / _MIB:.0f} MiB)"


def _used(look: Entry) -> int:
    return int(look.data["data_bytes"]) + int(look.data["archive_bytes"])
