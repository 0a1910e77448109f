"""Lanes of a managed cluster: control files, backups, alarms, machines with manager and member, whose cluster it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from math import inf

from harness.control_files import MARKER, SPEC
from harness.journal import Entry
from harness.judging import Case
from harness.judging.managed import Answer, Managed
from harness.judging.store_history import SeenBackup
from reports.canvas import GUTTER, RIGHT, WIDTH, Box, Scale, path, rect, text, wide
from reports.telling import Breakage

FILES, BACKUPS, MACHINE, CLUSTER, ALARMS = 29.0, 20.0, 22.0, 18.0, 14.0
_FILE, _MANAGER, _MEMBER = 13.0, 8.0, 11.0
_MOST_TICKS = 160
_SILENCE_SECONDS = 2.5
# A look is repeated every two seconds; when none came for longer, nobody knows.
_HOLDS_SECONDS = 6.0
_UP = {"machine.started": True, "machine.stopped": False, "machine.killed": False, "manager.killed": False}
_FILES = (("marker", MARKER), ("spec", SPEC))
_ROLES = {"ours": "the cluster there was", "restored": "the restored one", "foreign": "one that nobody asked for"}


def end_of(managed: Managed, end: float) -> float:
    """Where the picture ends: the last look takes long, and shows nothing on an axis."""
    return min(end, managed.watched_until + max(1.0, 0.02 * managed.watched_until))


def breakage(managed: Managed) -> Breakage | None:
    """The moment a cluster that nobody asked for answered first, or no backup came when one was due."""
    if managed.foreign:
        first = managed.foreign[0]
        return Breakage(first.at, f"a new cluster answers: {_short(first.cluster_id)}")
    sound = [one for one in managed.store.backups.values() if managed.restores_aside(one.name)]
    due = max((one.uploaded for one in sound), default=managed.started.at) + managed.fresh_seconds
    could_come = managed.watched_seconds > managed.fresh_seconds
    if managed.checked and could_come and due < managed.watched_until:
        return Breakage(due, "a backup was due, and none came")
    return None


def events(case: Case, scale: Scale, bottom: float) -> Iterator[str]:
    """A thin line through all lanes where something was done."""
    for entry in case.of_kind("fault.injected"):
        x = scale.x(entry.at)
        yield path("event", f"M{x:.1f} 22 V{bottom:.0f}", f"{entry.data['fault']} at {entry.at:.2f} s")


def files(case: Case, scale: Scale) -> Iterator[str]:
    """The marker above the spec: there, empty or gone."""
    managed = Managed.of(case)
    if managed is None:
        return
    for row, (word, name) in enumerate(_FILES):
        top = row * (_FILE + 3)
        for state, start, stop in _file_spans(managed, name, scale.end):
            box = scale.box(start, stop, top, _FILE)
            yield rect(f"file {state}", box, f"{name} {state}, {start:.1f} to {stop:.1f} s")
            words = word if state == "there" else f"{word} {state}"
            if wide(words) + 8 < box.width:
                yield text(f"label {'on-bar' if state == 'there' else 'lost'}", box.x + 5, top + 10.5, words)


def backups(case: Case, scale: Scale) -> Iterator[str]:
    """A tick for each backup: proven to restore, not restoring, not tried; hollow where it was deleted."""
    managed = Managed.of(case)
    if managed is None:
        return
    yield path("base", f"M{GUTTER:.0f} {BACKUPS + 0.5:.1f} H{WIDTH - RIGHT:.0f}")
    found = list(managed.store.backups.values())
    every = max(1, len(found) // _MOST_TICKS)
    for backup in found[::every]:
        if backup.uploaded <= scale.end:
            kind, words = _backup_kind(managed, backup)
            box = Box(min(scale.x(backup.uploaded), WIDTH - RIGHT - 3), 3, 3, BACKUPS - 3)
            yield rect(f"backup {kind}", box, f"backup {backup.name}, {backup.uploaded:.1f} s: {words}")
    yield from _gap(managed, found, scale)


def alarms(case: Case, scale: Scale) -> Iterator[str]:
    """A tick for each alarm; the first in words."""
    found = [entry for entry in case.of_kind("alarm.seen") if entry.at <= scale.end]
    every = max(1, len(found) // _MOST_TICKS)
    for entry in found[::every]:
        x = scale.x(entry.at)
        title = f"{entry.data['machine']}: {entry.data['text']}, {entry.at:.2f} s"
        yield path("alarm", f"M{x:.1f} 2 l4 10 h-8 z", title)
    if found:
        words = f"{len(found)} alarms" if len(found) > 1 else "alarm"
        if scale.x(found[0].at) - wide(words) - 10 > GUTTER:
            yield text("label small", scale.x(found[0].at) - 8, 11, words, "end")


def machine(name: str) -> Callable[[Case, Scale], Iterator[str]]:
    """What draws one machine: its manager above, its etcd member below, in the colour of whom it answers for."""

    def shapes(case: Case, scale: Scale) -> Iterator[str]:
        managed = Managed.of(case)
        if managed is None:
            return
        for start, stop in _up_spans(case, name, scale.end):
            box = scale.box(start, stop, 0, _MANAGER)
            yield rect("manager", box, f"the manager of {name} runs, {start:.1f} to {stop:.1f} s")
            for since, until in _leads(managed, name, start, stop):
                box = scale.box(since, until, 0, _MANAGER)
                yield rect("manager leads", box, f"the manager of {name} leads, {since:.1f} to {until:.1f} s")
        for role, cluster_id, start, stop in _member_spans(managed, name, scale.end):
            box = scale.box(start, stop, _MANAGER + 1.5, _MEMBER)
            yield rect(f"cluster {role}", box, f"etcd of {name} answers for {cluster_id}, {start:.1f} to {stop:.1f} s")

    return shapes


def cluster(case: Case, scale: Scale) -> Iterator[str]:
    """Whose cluster answered, with the first letters of its ID."""
    managed = Managed.of(case)
    if managed is None:
        return
    answers = [answer for answer in managed.answers if answer.at <= scale.end]
    for cluster_id, group in groupby(answers, key=lambda answer: answer.cluster_id):
        own = list(group)
        role, stop = _role(managed, cluster_id), _until(managed, own, scale.end)
        box = scale.box(own[0].at, stop, 0, CLUSTER)
        yield rect(f"cluster {role}", box, f"{cluster_id} ({_ROLES[role]}), {own[0].at:.1f} to {stop:.1f} s")
        words = next((w for w in (_short(cluster_id), _short(cluster_id)[:4]) if wide(w) + 8 < box.width), "")
        if words:
            yield text("vote", box.x + 5, 13, words)


def is_shown(case: Case) -> bool:
    """Whether a case has these lanes."""
    return Managed.of(case) is not None


def machines_of(case: Case) -> list[str]:
    """Names of machines, as rows."""
    managed = Managed.of(case)
    return managed.machines if managed is not None else []


def _short(cluster_id: str) -> str:
    return cluster_id[:8]


def _role(managed: Managed, cluster_id: str) -> str:
    if cluster_id == managed.founding_id:
        return "ours"
    return "restored" if cluster_id in managed.restored_ids else "foreign"


def _until(managed: Managed, own: Sequence[Answer], end: float) -> float:
    """An answer holds until the next look would have come."""
    return min(own[-1].at + (_SILENCE_SECONDS if own[-1] is managed.answers[-1] else 0.0), end)


def _file_spans(managed: Managed, name: str, end: float) -> Iterator[tuple[str, float, float]]:
    """``there``, ``empty`` or ``gone``, and since when; what was never seen has no span."""
    moments: list[tuple[float, str]] = []
    for look in managed.store.looks:
        for told, state in _states(look, name):
            if told and (not moments or moments[-1][1] != state):
                moments.append((look.at, state))
    struck = [loss for loss in managed.store.losses if loss.name.endswith(name) and _only_struck(managed, loss.seq)]
    moments = sorted([*moments, *((loss.at, "gone") for loss in struck)])
    for (start, state), (stop, _) in pairwise([*moments, (end, "")]):
        if start < end:
            yield state, start, min(stop, end)


def _states(look: Entry, name: str) -> Iterator[tuple[bool, str]]:
    data = look.data
    for told in (name, f"@{name}"):
        yield told in data["removed"], "gone"
        for new in (data["added"], data.get("changed") or {}):
            yield told in new, "there" if new.get(told, [1])[0] else "empty"


def _only_struck(managed: Managed, seq: int) -> bool:
    """Whether a loss is told by the fault alone: its manager put the file back before anybody looked again."""
    return any(entry.seq == seq for entry in managed.store.struck)


def _backup_kind(managed: Managed, backup: SeenBackup) -> tuple[str, str]:
    if backup.gone < inf:
        return "deleted", f"deleted at {backup.gone:.1f} s"
    if backup.name not in managed.checked:
        return "untried", "nobody tried to restore it"
    return ("good", "restores") if managed.restores_aside(backup.name) else ("bad", "does not restore")


def _gap(managed: Managed, found: Sequence[SeenBackup], scale: Scale) -> Iterator[str]:
    """How long no backup came, where that is too long."""
    moments = [managed.started.at, *(one.uploaded for one in found), managed.watched_until]
    since, until = max(pairwise(moments), key=lambda pair: pair[1] - pair[0])
    words = f"no backup for {until - since:.1f} s"
    room = scale.x(until) - scale.x(since)
    if until - since > managed.fresh_seconds and wide(words) + 16 < room:
        yield text("label lost", scale.x(since) + room / 2, 14, words, "middle")


def _up_spans(case: Case, name: str, end: float) -> Iterator[tuple[float, float]]:
    since: float | None = None
    for entry in case.entries:
        if entry.kind in _UP and entry.data["machine"] == name:
            if since is not None and not _UP[entry.kind]:
                yield since, entry.at
            since = (since if since is not None else entry.at) if _UP[entry.kind] else None
    if since is not None and since < end:
        yield since, end


def _leads(managed: Managed, name: str, start: float, stop: float) -> Iterator[tuple[float, float]]:
    """Only a manager that leads takes backups: from its first to its last in a row, of one life."""
    reports = [entry for entry in managed.case.of_kind("backup.reported") if start <= entry.at <= stop]
    for who, group in groupby(reports, key=lambda entry: str(entry.data["machine"])):
        own = list(group)
        if who == name:
            yield own[0].at, own[-1].at


def _member_spans(managed: Managed, name: str, end: float) -> Iterator[tuple[str, str, float, float]]:
    """For whom a machine's etcd answered, look by look."""
    looks = [e for e in managed.case.of_kind("etcd.seen") if e.data["machine"] == name and e.at <= end]
    told = [(look.at, str(look.data.get("cluster_id", "")) if look.data["answers"] else "") for look in looks]
    held = [(at, min(later, at + _HOLDS_SECONDS), whose) for (at, whose), (later, _) in pairwise([*told, (end, "")])]
    for start, stop, cluster_id in _joined(held):
        if cluster_id:
            yield _role(managed, cluster_id), cluster_id, start, stop


def _joined(spans: Sequence[tuple[float, float, str]]) -> Iterator[tuple[float, float, str]]:
    """Spans that touch and say the same, as one."""
    joined: list[tuple[float, float, str]] = []
    for start, stop, whose in spans:
        if joined and joined[-1][1:] == (start, whose):
            joined[-1] = (joined[-1][0], stop, whose)
        else:
            joined.append((start, stop, whose))
    return iter(joined)
