"""What a managed cluster came to after its control files were damaged: one word, its seconds, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.control_cells import Outcome
from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.managed import NOT_MANAGED, Answer, Managed
from harness.judging.managed_backups import backups_fresh
from harness.judging.managed_identity import last_step, no_unasked_seed, old_after_new, since_last_step, step_words
from harness.judging.managed_writes import copies_at_end
from harness.judging.verdict import Verdict


@dataclass(frozen=True, slots=True)
class CameTo:
    """An outcome.

    Args:
        outcome: the worst that was seen.
        seconds: from the last thing that was done before it to when it was so first; of a backup that was the last
            one how long after it; of what is safe how long it was left alone and watched.
        reason: a sentence.
        evidence: sequence numbers of entries that show it.
    """

    outcome: Outcome
    seconds: float
    reason: str
    evidence: tuple[int, ...] = ()


def outcome(entries: Sequence[Entry]) -> CameTo:
    """The worst that was seen; ``not-seen`` where the harness can't tell.

    Raises:
        UsageError: the entries are not a case's.
    """
    return came_to(Case.of(entries))


def came_to(case: Case) -> CameTo:
    """The same of a case."""
    managed = Managed.of(case)
    obstacle = case.obstacle()
    if managed is None or obstacle is not None:
        return _not_seen(obstacle[0] if obstacle else NOT_MANAGED)
    mixed = min(_mixed(case, managed), key=lambda one: one[0], default=None)
    if mixed is not None:
        at, words, seq = mixed
        return CameTo(Outcome.WRONG_DATA, _since(managed, at), f"{words}, {since_last_step(managed, at)}", (seq,))
    seed = no_unasked_seed(case)
    if seed.verdict is Verdict.NOT_RECOVERED:
        at = managed.foreign[0].at if managed.foreign else managed.trouble_ended
        return CameTo(Outcome.RESEEDED, _since(managed, at), seed.reason, seed.evidence)
    if seed.verdict is Verdict.INCONCLUSIVE:
        return _not_seen(seed.reason)
    return _backups(case, managed)


def _backups(case: Case, managed: Managed) -> CameTo:
    fresh = backups_fresh(case)
    if fresh.verdict is Verdict.INCONCLUSIVE:
        return _not_seen(fresh.reason)
    if fresh.verdict is Verdict.RECOVERED:
        return CameTo(Outcome.SAFE, round(managed.watched_seconds, 3), fresh.reason, fresh.evidence)
    proven = [one.uploaded for one in managed.store.backups.values() if managed.restores_aside(one.name)]
    last = max(proven, default=managed.started.at)
    step = last_step(managed, last)
    after = f"{last - step.at:.1f} s after {step_words(step)}" if step else "before anything was done"
    reason = f"the last backup came {after}, and none in {managed.watched_until - last:.1f} s since"
    return CameTo(Outcome.BACKUPS_STOPPED, _since(managed, last), reason, fresh.evidence)


def _mixed(case: Case, managed: Managed) -> Iterator[tuple[float, str, int]]:
    """Signs that what was served is neither ours whole nor plainly another's: when, in words, and the entry."""
    answers = [answer for answer in managed.answers if answer.to_client]
    if old := old_after_new(managed, answers):
        yield old.at, f"{old.machine} still answered for {old.cluster_id} after its successor had answered", old.seq
    served = [entry for entry in case.of_kind("probe.serving") if entry.at >= managed.trouble_ended]
    for entry in served[-1:]:
        ids = sorted({told["cluster_id"] for told in entry.data["nodes"].values() if told["serves"]})
        if len(ids) > 1:
            yield entry.at, f"machines answer for different clusters: {', '.join(ids)}", entry.seq
    for copy in copies_at_end(case, managed.last_looks):
        own = [write for write in case.acknowledged_writes if write.cluster_id == copy.cluster_id]
        lacks = [write for write in own if write.value not in copy.keys]
        if lacks and not managed.restores:
            looked = next(entry for entry in case.entries if entry.seq == copy.seq)
            words = f"{copy.machines[0]} answers for {copy.cluster_id} without {len(lacks)} writes it had acknowledged"
            yield looked.at, words, copy.seq
    if empty := _empty_read(case, managed):
        yield empty.at, f"{empty.machine} read nothing where {empty.cluster_id} had acknowledged a write", empty.seq


def _empty_read(case: Case, managed: Managed) -> Answer | None:
    """A read of a register that is empty though the very cluster that answers had acknowledged a write to it."""
    if managed.restores:
        return None
    first: dict[tuple[str, str], float] = {}
    for write in case.acknowledged_writes:
        first.setdefault((write.cluster_id, write.register), write.completed)
    for call in case.calls:
        written = first.get((call.cluster_id, call.register))
        is_empty = call.op == "read" and call.acknowledged and call.value is None
        if is_empty and written is not None and written < call.invoked:
            return Answer(call.invoked, call.completed, call.node, call.cluster_id, call.seq, to_client=True)
    return None


def _since(managed: Managed, at: float) -> float:
    step = last_step(managed, at)
    return round(max(0.0, at - step.at), 3) if step else 0.0


def _not_seen(why: str) -> CameTo:
    return CameTo(Outcome.NOT_SEEN, 0.0, why)
