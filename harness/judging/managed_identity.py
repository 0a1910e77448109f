"""Rules over whose cluster answers: none is founded without leave, and clients talk to ours alone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.managed import NOT_MANAGED, Answer, Managed, Restore, entry_of
from harness.judging.managed_writes import copies_at_end
from harness.judging.observed import Flaw, Promise, listed
from harness.judging.store_history import CLOSE_SECONDS
from harness.judging.verdict import Finding

_SEED = Promise("no-unasked-seed", "etcd.seen")
_SERVED = Promise("served-is-ours", "traffic.call")


def no_unasked_seed(case: Case) -> Finding:
    """No cluster ID is ever seen that is neither the founding one nor came of a restore."""
    managed = Managed.of(case)
    if managed is None:
        return _SEED.inconclusive(NOT_MANAGED)
    figures = {"clusters_seen": len(managed.first_answers)}
    if managed.foreign:
        first = managed.foreign[0]
        reason = (
            f"{first.machine} answered for a new cluster ({first.cluster_id}, not {managed.founding_id}) at "
            f"{first.at:.1f} s, {since_last_step(managed, first.at)}, and nobody had asked for one"
        )
        return _SEED.broken(Flaw("new-cluster-unasked", reason), entry_of(case, first.seq), **figures)
    after = [answer for answer in managed.answers if answer.at >= managed.trouble_ended]
    if not after:
        given_up = list(_put_aside_unasked(managed))
        if given_up and not managed.restores:
            reason = f"the data of {listed(given_up)} was put aside though nobody had asked, and no etcd answered again"
            return _SEED.broken(Flaw("cluster-given-up", reason), **figures)
        return _SEED.inconclusive(f"no etcd answered after {managed.trouble_ended:.1f} s")
    asked = f"; {len(managed.restored_ids)} came of a restore" if managed.restored_ids else ""
    said = f"only the cluster {managed.founding_id} was ever seen" if not asked else "no cluster was founded unasked"
    return _SEED.kept(f"{said}{asked} ({len(managed.answers)} answers)", entry_of(case, after[-1].seq), **figures)


def served_is_ours(case: Case) -> Finding:
    """Each answer to a client comes from ours, or from what a restore made once that is done."""
    managed = Managed.of(case)
    if managed is None:
        return _SERVED.inconclusive(NOT_MANAGED)
    answers = [answer for answer in managed.answers if answer.to_client]
    wrong = list(_wrong(case, managed, answers))
    if wrong:
        flaw, answer = wrong[0]
        return _SERVED.broken(flaw, entry_of(case, answer.seq), wrong_answers=_foreign_count(managed, answers))
    after = [answer for answer in answers if answer.at >= managed.trouble_ended]
    if not after:
        return _SERVED.inconclusive(f"no client was answered after {managed.trouble_ended:.1f} s")
    return _SERVED.kept(f"all {len(answers)} answers to clients came from the cluster they should", wrong_answers=0)


def old_after_new(managed: Managed, answers: list[Answer]) -> Answer | None:
    """An answer of a cluster that was asked for after its successor had answered; None where there is none.

    Answers that overlap may come in any order; a restore of no backup may bring back the very cluster there was.
    """
    order = list(managed.first_answers)
    brings_back = [restore.asked for restore in managed.restores if not restore.backup]
    newest, since = 0, -1.0
    for answer in sorted(answers, key=lambda one: one.at):
        if brings_back and answer.since >= brings_back[0]:
            newest, since = 0, brings_back.pop(0)
        rank = order.index(answer.cluster_id)
        if rank < newest and answer.since > since:
            return answer
        if rank > newest:
            newest, since = rank, answer.at
    return None


def half_restored(case: Case, managed: Managed) -> tuple[Answer, str] | None:
    """A read that a restored cluster answered without what the backup holds: it served before it was restored."""
    for call in case.calls:
        restore = managed.restored_ids.get(call.cluster_id)
        if restore is None or call.op != "read" or not call.acknowledged or call.value is not None:
            continue
        keys = managed.keys_of_backup(restore.backup)
        written = [w for w in case.acknowledged_writes if w.register == call.register and w.value in (keys or ())]
        if written:
            return Answer.of(call), f"register {call.register} was empty, and the backup {restore.backup} has it"
    return None


def restored_over(case: Case, managed: Managed) -> tuple[Answer, str] | None:
    """A write that a restored cluster acknowledged before the last of the backup's keys was put into it.

    Keys that come with a snapshot keep their revisions, which are older than any write's; those that are put in one by
    one get new ones, and nobody but the restore writes them there.
    """
    for copy in copies_at_end(case, managed.last_looks):
        restore = managed.restored_ids.get(copy.cluster_id)
        keys = (managed.keys_of_backup(restore.backup) if restore else None) or {}
        last = max((copy.keys[key] for key in keys if key in copy.keys), default=0)
        for write in case.acknowledged_writes:
            if write.cluster_id == copy.cluster_id and write.revision and write.revision < last:
                words = f"it took {write.value} at revision {write.revision}, and the backup's last key at {last}"
                return Answer.of(write), words
    return None


def _wrong(case: Case, managed: Managed, answers: list[Answer]) -> Iterator[tuple[Flaw, Answer]]:
    foreign = {first.cluster_id for first in managed.foreign}
    for answer in answers:
        if answer.cluster_id in foreign:
            reason = f"{answer.machine} answered a client for cluster {answer.cluster_id} at {answer.at:.1f} s"
            yield Flaw("foreign-cluster-answers", f"{reason}, not for ours ({managed.founding_id})"), answer
            return
    if found := half_restored(case, managed) or restored_over(case, managed):
        answer, words = found
        reason = f"{answer.machine} answered at {answer.at:.1f} s before it was restored: {words}"
        yield Flaw("served-before-restored", reason), answer
    for answer in answers:
        restore = managed.restored_ids.get(answer.cluster_id)
        if restore is not None and _is_early(answer, restore):
            still = "was still in the queue" if restore.done > answer.at else "was not done"
            reason = f"{answer.machine} answered a client at {answer.at:.1f} s while the restore {still}"
            yield Flaw("served-before-restored", reason), answer
            break
    if old := old_after_new(managed, answers):
        reason = f"{old.machine} still answered for cluster {old.cluster_id} at {old.at:.1f} s"
        yield Flaw("old-cluster-answers", f"{reason}, after its successor had answered"), old


def _is_early(answer: Answer, restore: Restore) -> bool:
    """Whether a restored cluster answered long before its restore was done; where that was never seen, nobody knows."""
    return restore.done != float("inf") and answer.at < restore.done - 2 * CLOSE_SECONDS and bool(restore.backup)


def _foreign_count(managed: Managed, answers: list[Answer]) -> int:
    ours = {managed.founding_id, *managed.restored_ids}
    return sum(answer.cluster_id not in ours for answer in answers)


def since_last_step(managed: Managed, at: float) -> str:
    """How long after the last thing that was done to the cluster, in words."""
    step = last_step(managed, at)
    since, words = (step.at, step_words(step)) if step else (managed.started.at, "its start")
    return f"{at - since:.1f} s after {words}"


def last_step(managed: Managed, at: float) -> Entry | None:
    """The last fault, event or command before a moment."""
    kinds = ("fault.injected", "fault.healed", "tool.started", "control.asked")
    steps = [entry for entry in managed.troubles if entry.kind in kinds and entry.at <= at]
    return steps[-1] if steps else None


def step_words(step: Entry) -> str:
    """A step in a few words."""
    if step.kind == "tool.started":
        return str(step.data["task"])
    if step.kind == "control.asked":
        return " ".join([step.data["verb"], *step.data.get("words", ())])
    healed = " healed" if step.kind == "fault.healed" else ""
    where = step.data.get("node") or ""
    return f"{step.data['fault']}{healed}" + (f" ({where})" if where and where != "the store" else "")


def _put_aside_unasked(managed: Managed) -> Iterator[str]:
    for machine in managed.machines:
        looks = [e for e in managed.case.of_kind("archive.seen") if e.data["machine"] == machine]
        before = {name for e in looks if e.at <= managed.started.at for name in e.data["entries"]}
        after = {name for e in looks for name in e.data["entries"]}
        if after - before:
            yield machine
