"""A managed etcd cluster's journal made ready for rules: who answered for which cluster, and what restores there were.

Nothing is concluded from a manager's words alone: which cluster serves is told by the cluster ID in etcd's own answers,
what is in the store by the store's own listing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from harness.journal import Entry
from harness.judging.case import Call, Case
from harness.judging.store_history import CLOSE_SECONDS, StoreHistory, is_command

_MACHINE_MOVES = ("machine.started", "machine.stopped", "machine.killed", "manager.killed")
_LEFT_DOWN = ("machine.stopped", "machine.killed")
_TROUBLE: tuple[str, ...] = (
    "fault.injected", "fault.evidence", "fault.healed", "tool.started", "tool.ended",
    "control.asked", "control.written", *_MACHINE_MOVES,
)  # fmt: skip
RESTORE_BACKUP = "restore-backup"
NOT_MANAGED = "no managed cluster ever took writes"


@dataclass(frozen=True, slots=True)
class Answer:
    """An etcd of the cluster answered, and so told whose it is.

    Args:
        since, at: when it was asked, and when it answered; seconds of the journal.
        machine: which one was asked.
        cluster_id: whom it answered for.
        seq: the entry.
        to_client: whether it was a client; False for a mere look at its status.
    """

    since: float
    at: float
    machine: str
    cluster_id: str
    seq: int
    to_client: bool

    @classmethod
    def of(cls, call: Call) -> Answer:
        """What a client was told by an acknowledged call."""
        return cls(call.invoked, call.completed, call.node, call.cluster_id, call.seq, to_client=True)


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore that was asked for, by a command or by a procedure of an operator.

    Args:
        asked: when.
        done: when its command left the queue, or the procedure ended; infinite where neither was seen.
        backup: name of the backup asked for; empty where it was no backup of the store.
        seq: the entry.
    """

    asked: float
    done: float
    backup: str
    seq: int


@dataclass(frozen=True)
class Managed:
    """What rules look at.

    Args:
        case: the whole story.
        started: its ``managed.started``.
    """

    case: Case
    started: Entry

    @classmethod
    def of(cls, case: Case) -> Managed | None:
        """Make a case ready; None where no managed cluster ever took writes."""
        if "managed" not in case.derived:
            started = case.last("managed.started")
            case.derived["managed"] = cls(case, started) if started is not None else None
        made: Managed | None = case.derived["managed"]
        return made

    @property
    def founding_id(self) -> str:
        """ID of the cluster as it was before anything went wrong."""
        return str(self.started.data["cluster_id"])

    @property
    def machines(self) -> list[str]:
        """Names of all machines."""
        return [str(one["machine"]) for one in self.started.data["machines"]]

    @property
    def loop_seconds(self) -> float:
        """Of a manager's loop."""
        return float(self.started.data["loop_seconds"])

    @property
    def backup_seconds(self) -> float:
        """Between two backups, as the managers were told."""
        return float(self.started.data["backup_seconds"])

    @property
    def restart_seconds(self) -> float:
        """Deadline of a machine to serve again after a restart."""
        return float(self.started.data["restart_seconds"])

    @cached_property
    def store(self) -> StoreHistory:
        """What was in the backup store, over time."""
        return StoreHistory.of(self.case.entries)

    @cached_property
    def told(self) -> list[Entry]:
        """What was said of a restore's price, from the first one on."""
        first = self.restores[0].asked if self.restores else inf
        return [entry for entry in self.case.of_kind("restore.told") if entry.at >= first]

    @cached_property
    def checked(self) -> dict[str, Entry]:
        """What came of restoring a backup aside, by its name."""
        return {str(entry.data["name"]): entry for entry in self.case.of_kind("backup.checked")}

    def restores_aside(self, name: str) -> bool:
        """Whether a backup was proven to restore."""
        return name in self.checked and bool(self.checked[name].data["restorable"])

    def keys_of_backup(self, name: str) -> Mapping[str, int] | None:
        """The log keys it holds; None where nobody knows."""
        told = self.checked.get(name)
        if told is not None and "same_as" in told.data:
            told = self.checked.get(told.data["same_as"])
        return told.data.get("keys") if told is not None else None

    @cached_property
    def answers(self) -> list[Answer]:
        """All answers, in the order in which they were given."""
        return sorted(_answers(self.case), key=lambda answer: answer.at)

    @cached_property
    def answer_times(self) -> list[float]:
        """When each of them was given."""
        return [answer.at for answer in self.answers]

    @cached_property
    def first_answers(self) -> dict[str, Answer]:
        """The first answer for each cluster, by its ID, in their order."""
        found: dict[str, Answer] = {}
        for answer in self.answers:
            found.setdefault(answer.cluster_id, answer)
        return found

    @cached_property
    def restores(self) -> list[Restore]:
        """All that were asked for, oldest first."""
        asked = [entry for entry in self.case.of_kind("control.asked") if entry.data["expects"] == "restore"]
        return [_restore(self.case, self.store, entry) for entry in asked]

    @cached_property
    def restored_ids(self) -> dict[str, Restore]:
        """Clusters that came of a restore, and of which one.

        While it goes on it may found more than one, for it may try again; once it is done, the one it made may be
        seen for the first time, and no other.
        """
        found: dict[str, Restore] = {}
        after_done: set[int] = set()
        for cluster_id, first in self.first_answers.items():
            if cluster_id == self.founding_id:
                continue
            for restore in self.restores:
                if not restore.asked <= first.at <= restore.done + self.settling_seconds:
                    continue
                if first.at > restore.done + CLOSE_SECONDS and restore.seq in after_done:
                    continue
                if first.at > restore.done + CLOSE_SECONDS:
                    after_done.add(restore.seq)
                found[cluster_id] = restore
                break
        return found

    @property
    def settling_seconds(self) -> float:
        """How long after the end of a restore its cluster may be seen for the first time."""
        return self.restart_seconds + 2 * self.loop_seconds

    @property
    def foreign(self) -> list[Answer]:
        """The first answer of each cluster that nobody asked for."""
        ours = {self.founding_id, *self.restored_ids}
        return [first for cluster_id, first in self.first_answers.items() if cluster_id not in ours]

    @cached_property
    def watched_until(self) -> float:
        """When clients stopped, and what came afterwards is the last look."""
        ends = [entry.at for entry in self.case.entries if entry.kind in ("traffic.stopped", "backup.checked")]
        return min(ends, default=self.case.timeline.end)

    @cached_property
    def trouble_ended(self) -> float:
        """When the last thing happened to the cluster that was not its own doing, before clients stopped."""
        moments = [entry.at for entry in self.troubles if entry.at <= self.watched_until]
        return max(moments, default=self.started.at)

    @property
    def troubles(self) -> Iterator[Entry]:
        """Entries of what was done to the cluster since it was there."""
        return (e for e in self.case.entries if e.kind in _TROUBLE and e.seq > self.started.seq)

    @cached_property
    def back_at(self) -> float:
        """From when on the cluster was left alone with all its machines up, before clients stopped."""
        moved = [e.at for e in self.troubles if e.kind in _MACHINE_MOVES and e.at <= self.watched_until]
        return max(self.trouble_ended, self.up_after(max(moved))) if moved else self.trouble_ended

    def up_after(self, at: float) -> float:
        """When every machine that was not left down followed a leader again; the deadline where one never did."""
        moves = {e.data["machine"]: e.kind for e in self.case.entries if e.kind in _MACHINE_MOVES and e.at <= at}
        moments = []
        for machine in self.machines:
            if moves.get(machine) in _LEFT_DOWN:
                continue
            seen = (e.at for e in self.case.of_kind("etcd.seen") if e.data["machine"] == machine and _follows(e))
            moments.append(next((moment for moment in seen if moment > at), at + self.restart_seconds))
        return max(moments, default=at)

    @property
    def watched_seconds(self) -> float:
        """How long it was left alone, all up, and watched at the end."""
        return self.watched_until - self.back_at

    @property
    def fresh_seconds(self) -> float:
        """How old the newest backup may be: three intervals and a loop; so long it takes until one is due again."""
        return 3 * self.backup_seconds + self.loop_seconds

    @property
    def last_looks(self) -> list[Entry]:
        """What each machine holds at the end; one that did not answer says so."""
        looks = {str(e.data["node"]): e for e in self.case.of_kind("probe.keyspace") if e.at >= self.trouble_ended}
        return list(looks.values())


def _follows(look: Entry) -> bool:
    return bool(look.data["answers"] and look.data.get("leader"))


def entry_of(case: Case, seq: int) -> Entry:
    """The entry with this sequence number."""
    return next(entry for entry in case.entries if entry.seq == seq)


def _answers(case: Case) -> Iterator[Answer]:
    for call in case.calls:
        if call.acknowledged and call.cluster_id:
            yield Answer.of(call)
    for entry in case.entries:
        data = entry.data
        if entry.kind == "etcd.seen" and data["answers"] and data.get("cluster_id"):
            yield Answer(entry.at, entry.at, data["machine"], data["cluster_id"], entry.seq, to_client=False)
        if entry.kind == "probe.keyspace" and data.get("cluster_id"):
            yield Answer(entry.at, entry.at, data["node"], data["cluster_id"], entry.seq, to_client=True)
        if entry.kind == "probe.serving":
            for machine, told in data["nodes"].items():
                if told["serves"]:
                    yield Answer(entry.at, entry.at, machine, told["cluster_id"], entry.seq, to_client=True)


def _restore(case: Case, store: StoreHistory, asked: Entry) -> Restore:
    words: Sequence[str] = asked.data.get("words") or ()
    is_command_verb = asked.data["verb"] == RESTORE_BACKUP
    named = words[0] if words and (is_command_verb or words[0] in store.backups) else ""
    queued = [one for one in store.files if is_command(one.name) and one.seen >= asked.at - CLOSE_SECONDS]
    if queued:
        return Restore(asked.at, queued[0].gone, named, asked.seq)
    ended = (entry.at for entry in case.of_kind("tool.ended") if entry.seq > asked.seq)
    return Restore(asked.at, inf if is_command_verb else next(ended, inf), named, asked.seq)
