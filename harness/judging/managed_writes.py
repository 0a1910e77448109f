"""Every acknowledged write is readable at the end, or in a loss window that was declared by asking for a restore."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.journal import Entry
from harness.judging.case import Call, Case
from harness.judging.managed import NOT_MANAGED, Managed, Restore, entry_of
from harness.judging.observed import Flaw, Promise, listed
from harness.judging.verdict import Finding

_WRITES = Promise("writes-accounted", "probe.keyspace")
# How a procedure says it; etcd's own words for it are "discarding uncommitted WAL entries".
_DISCARDED = re.compile(r"the last (\d+) entr(?:y|ies) of the old log")


@dataclass(frozen=True, slots=True)
class Copy:
    """What can be read at the end.

    Args:
        machines: where it is read.
        keys: values of writes that are there, with the revision at which each was put in.
        revision: of the store.
        cluster_id: whose it is.
        seq: the entry.
    """

    machines: tuple[str, ...]
    keys: Mapping[str, int]
    revision: int
    cluster_id: str
    seq: int


def writes_accounted(case: Case) -> Finding:
    """Writes are grouped by the cluster that acknowledged them; each group has its own right to be there."""
    managed = Managed.of(case)
    if managed is None:
        return _WRITES.inconclusive(NOT_MANAGED)
    writes = [write for write in case.acknowledged_writes if write.cluster_id]
    looks = managed.last_looks
    if not writes or not looks:
        return _WRITES.inconclusive("nobody read the store at the end" if writes else "no write was acknowledged")
    copies = copies_at_end(case, looks)
    if not copies:
        reason = f"none of {listed([e.data['node'] for e in looks])} could be read at the end, and all were asked"
        return _WRITES.broken(Flaw("nobody-answers", reason), looks[-1], acknowledged_writes=len(writes))
    missing = {write.seq: _missing_on(write, copies) for write in writes}
    lost = [write for write in writes if missing[write.seq]]
    discarded = told_as_discarded(managed)
    excuses = {write.seq: _excuse(managed, write, discarded) for write in lost}
    unexcused = [write for write in lost if excuses[write.seq] is None]
    measures = _measures(managed, writes, lost)
    proof = entry_of(case, copies[0].seq)
    if unsettled := [r for r in excuses.values() if r and r.backup not in ("", *managed.store.backups)]:
        reason = f"the backup {unsettled[0].backup} that was restored was never seen in the store"
        return _WRITES.inconclusive(reason, proof)
    if not unexcused:
        return _WRITES.kept(_kept_words(managed, writes, lost), proof, **measures)
    flaw = _flaw(managed, unexcused, len(writes), missing)
    return _WRITES.broken(flaw, entry_of(case, unexcused[0].seq), proof, **measures)


def copies_at_end(case: Case, looks: Sequence[Entry]) -> list[Copy]:
    """What each machine holds; where none could be asked with the others' consent, all copies count as one.

    A copy that was read without quorum may lag behind, so what it lacks alone is not lost.
    """
    readable = [(look, keys) for look in looks if (keys := _holds(case, look)) is not None]
    sure = [(look, keys) for look, keys in readable if look.data.get("linearizable", True)]
    if not readable or sure:
        return [
            Copy((e.data["node"],), keys, int(e.data.get("revision", 0)), str(e.data.get("cluster_id", "")), e.seq)
            for e, keys in sure
        ]
    last = readable[-1][0]
    everything = {key: at for _, keys in readable for key, at in keys.items()}
    names = tuple(look.data["node"] for look, _ in readable)
    return [Copy(names, everything, int(last.data.get("revision", 0)), str(last.data.get("cluster_id", "")), last.seq)]


def told_as_discarded(managed: Managed) -> list[Call]:
    """Writes that whoever restored told as discarded: the last of the founding cluster's log, as many as was said.

    An etcd that is killed has its last entries on its disk, and not yet that they are committed; started with
    ``--force-new-cluster`` it discards them, acknowledged or not, and logs how many (etcd 3.5 ``etcdserver/raft.go``,
    3.6 ``etcdserver/bootstrap.go``: "discarding uncommitted WAL entries").
    """
    number = max((int(n) for entry in managed.told for n in _DISCARDED.findall(str(entry.data["text"]))), default=0)
    ours = sorted(
        (write for write in managed.case.acknowledged_writes if write.cluster_id == managed.founding_id),
        key=lambda write: write.revision or 0,
    )
    return ours[-number:] if number else []


def _holds(case: Case, look: Entry) -> Mapping[str, int] | None:
    """The log keys that a look shows, also where it names another machine that holds the same; None for none."""
    if "same_as" not in look.data:
        return look.data.get("keys")
    looks = [one for one in case.of_kind(look.kind) if one.seq < look.seq and one.data["node"] == look.data["same_as"]]
    return looks[-1].data.get("keys") if looks else None


def _missing_on(write: Call, copies: Sequence[Copy]) -> list[str]:
    return [name for copy in copies if write.value not in copy.keys for name in copy.machines]


def _excuse(managed: Managed, write: Call, discarded: Collection[Call]) -> Restore | None:
    """The restore that declares this write lost: it goes back to before it, or away from the cluster that has it."""
    origin = {managed.founding_id, *managed.restored_ids}
    for restore in managed.restores:
        if write.completed > restore.done + managed.settling_seconds:
            continue
        if write.cluster_id not in origin:
            return restore  # of a cluster that took our place, and was left
        if write in discarded:
            return restore
        made_here = managed.restored_ids.get(write.cluster_id)
        if made_here is restore or not restore.backup:
            continue
        backup = managed.store.backups.get(restore.backup)
        if backup is None or write.completed > backup.taken_after:
            return restore
    return None


def _measures(managed: Managed, writes: Sequence[Call], lost: Sequence[Call]) -> dict[str, float]:
    """Figures by group; the window is from the oldest to the newest write that a restore lost."""
    ours = [write for write in lost if write.cluster_id == managed.founding_id]
    foreign = {first.cluster_id for first in managed.foreign}
    taken = [write for write in writes if write.cluster_id in foreign]
    measures: dict[str, float] = {"acknowledged_writes": len(writes), "lost_writes": len(lost)}
    if managed.restores and ours:
        backups = managed.store.backups
        saved = [backups[one.backup].uploaded for one in managed.restores if one.backup in backups]
        begins = min([ours[0].completed, *saved])
        measures["loss_window_seconds"] = round(max(0.0, ours[-1].completed - begins), 3)
    if taken:
        gone = {write.seq for write in lost}
        measures["new_cluster_writes"] = len(taken)
        measures["new_cluster_writes_lost"] = sum(write.seq in gone for write in taken)
    return measures


def _flaw(managed: Managed, lost: Sequence[Call], total: int, missing: Mapping[int, Sequence[str]]) -> Flaw:
    ours = [write for write in lost if write.cluster_id == managed.founding_id]
    named = ", ".join(f"{write.value} ({write.completed:.1f} s)" for write in lost[:3])
    where = sorted({name for write in lost for name in missing[write.seq]})
    by = Counter(_group(managed, write.cluster_id) for write in lost)
    groups = ", ".join(f"{count} by {group}" for group, count in by.items())
    reason = f"{len(lost)} of {total} acknowledged writes ({groups}) can't be read on {listed(where)}: {named}"
    restored = [write for write in lost if write.cluster_id in managed.restored_ids]
    others = "restored-writes-lost" if restored else "new-cluster-writes-lost"
    signature = "acknowledged-writes-lost" if ours else others
    return Flaw(signature, f"{reason}{' and more' if len(lost) > 3 else ''}")


def _kept_words(managed: Managed, writes: Sequence[Call], lost: Sequence[Call]) -> str:
    if not lost:
        return f"all {len(writes)} acknowledged writes are there"
    by = Counter(_group(managed, write.cluster_id) for write in lost)
    groups = ", ".join(f"{count} by {group}" for group, count in by.items())
    kept = f"{len(writes) - len(lost)} of {len(writes)} acknowledged writes are there"
    return f"{kept}; lost by the restore that was asked for: {groups}"


def _group(managed: Managed, cluster_id: str) -> str:
    if cluster_id == managed.founding_id:
        return "the founding cluster"
    return "a restored cluster" if cluster_id in managed.restored_ids else "a cluster that took its place"
