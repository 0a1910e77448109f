"""Checks a backup store: reads it, never writes, and says what speaks against going on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.clusters.backup_store import BackupStore
from harness.clusters.etcd_release import EtcdRelease
from harness.control_files import MARKER, SPEC
from harness.store_check.backups import backup_names, examine_backups, tell_foreign
from harness.store_check.control import founds_new_cluster, read_control
from harness.store_check.findings import BackupSeen, BackupState, ControlSeen, Danger, FileState, StoreReport
from harness.store_check.words import age_text

_NOT_BEFORE = "Don't run `kops update cluster` and don't restart a manager before that."


@dataclass(frozen=True, slots=True)
class Limits:
    """What a check holds a store to.

    Args:
        max_age_seconds: the newest valid backup must not be older. kops takes one each 15 minutes.
        least: how many of the newest backups are fetched and examined, at least; 0 for all.
    """

    max_age_seconds: float = 3600.0
    least: int = 3


def check_store(store: BackupStore, releases: Sequence[EtcdRelease], now: float, limits: Limits) -> StoreReport:
    """Look at everything; fetches control files and some backups.

    Args:
        store: to check.
        releases: etcd releases on this machine, the preferred one first.
        now: Unix seconds.
        limits: what it is held to.

    Raises:
        StoreError: it does not answer, or refuses.
    """
    files = store.list()
    control, total = read_control(store, files), len(backup_names(files))
    backups = tell_foreign(examine_backups(store, files, releases, limits.least), control)
    if len(backups) < total and not any(one.state is BackupState.VALID for one in backups):
        backups = tell_foreign(examine_backups(store, files, releases, 0), control)
    founds, why = founds_new_cluster(control)
    seen = StoreReport(store.url, now, limits.max_age_seconds, control, founds, why, total, tuple(backups))
    dangers = (*_control_dangers(control), *_backup_dangers(seen))
    return replace(seen, dangers=dangers, notes=tuple(_notes(seen, [file.name for file in files])))


def _control_dangers(control: ControlSeen) -> Iterator[Danger]:
    again = f"Where a cluster is running: write the marker again, any content will do, before {SPEC}."
    match control.marker, control.spec:
        case FileState.GONE, FileState.GONE:
            yield Danger(
                "would-found-new-cluster",
                f"{MARKER} and {SPEC} are both gone. The next write of the spec founds a new, empty cluster in the "
                "place of a running one. Until then managers take no backups.",
                f"{again} {_NOT_BEFORE}",
            )
        case FileState.GONE, _:
            yield Danger(
                "founds-new-cluster-now",
                f"{MARKER} is gone and {SPEC} is there: managers found a new, empty cluster as soon as they look, at "
                "the latest when one of them is restarted.",
                f"{again} {_NOT_BEFORE}",
            )
        case FileState.EMPTY, _:
            yield Danger(
                "backups-stopped",
                f"{MARKER} is empty: managers stop with an error in each loop, before they would take a backup.",
                "Write any content into it, then see that backups go on.",
            )
        case FileState.UNREADABLE, _:
            yield Danger(
                "marker-unreadable",
                f"{MARKER} can't be read, so nobody can tell whether managers would found a new cluster.",
                f"Find out why (permissions of this user, of the managers). {_NOT_BEFORE}",
            )
    if control.spec is not FileState.THERE and control.marker is FileState.THERE:
        yield Danger(
            "backups-stopped",
            f"{SPEC} is {control.spec}: managers take no backups once their leader changes or is restarted.",
            "Write it again, with the cluster's own member count and version (`kops update cluster` does), then "
            "restart the managers one by one: they read it when their leader changes.",
        )
    for command in control.commands:
        yield _waiting(command.name, command.restores)


def _waiting(name: str, restores: str | None) -> Danger:
    does = f"restore backup {restores} over the cluster" if restores else "do something that can't be read"
    return Danger(
        "restore-waits",
        f"the command control/{name} waits: when their leader changes, managers will {does}.",
        f"If nobody wants that any more: `etcd-manager-ctl delete-command {name}`.",
    )


def _backup_dangers(report: StoreReport) -> Iterator[Danger]:
    newest = report.newest_valid
    if newest is None:
        seen = ", ".join(sorted({one.state for one in report.backups}))
        there = f"none of {report.total} will do ({seen})" if report.total else "there is none"
        yield Danger(
            "no-valid-backup",
            f"No valid backup: {there}.",
            "Take a snapshot by hand on a member (`etcdctl snapshot save`) before anything else.",
        )
    elif report.age_seconds(newest) > report.max_age_seconds:
        yield Danger(
            "stale-backup",
            f"The newest valid backup, {newest.name}, is {age_text(report.age_seconds(newest))} old; the limit is "
            f"{age_text(report.max_age_seconds)}.",
            "Find out why backups stopped (managers' logs; control files above), and take a snapshot by hand "
            "(`etcdctl snapshot save`) before anything else.",
        )
    foreign = [one for one in report.backups if one.state is BackupState.FOREIGN]
    if foreign:
        yield Danger(
            "foreign-backup",
            f"{foreign[0].name} is not of this cluster: {foreign[0].why}" + _and_more(foreign) + ".",
            "If the spec was changed or a restore was made since, that is as it should be: `--newest 1` looks at the "
            "newest alone. If not, a new cluster was founded, or another one writes into this store: compare "
            "`etcdctl member list` and the keys with what you expect.",
        )


def _and_more(backups: Sequence[BackupSeen]) -> str:
    return f"; likewise {len(backups) - 1} more" if len(backups) > 1 else ""


def _notes(report: StoreReport, names: Sequence[str]) -> Iterator[str]:
    for one in report.backups:
        if one.state in (BackupState.CORRUPT, BackupState.EMPTY, BackupState.INCOMPLETE):
            yield f"backup {one.name} is {one.state}: {one.why}"
        elif one.state is BackupState.VALID and one.why:
            yield f"backup {one.name}: {one.why}"
    if report.backups and report.now < report.backups[0].taken:
        yield f"backup {report.backups[0].name} is from the future: a clock is wrong"
    deeper = sorted({name.partition("/control/")[0] for name in names if "/control/etcd-cluster-" in name})
    if not names:
        yield "nothing is at this address: it is a wrong one, or everything is gone, or there was never a cluster"
    elif deeper and not report.total:
        yield f"there are backup paths below this address: {', '.join(deeper[:3])}; check each by itself"
