"""What is promised of a managed etcd cluster: IDs, sentences and rules."""

from __future__ import annotations

from harness.judging import (
    control_model,
    managed_backups,
    managed_identity,
    managed_restore,
    managed_store,
    managed_writes,
)
from harness.judging.guarantee import Guarantee

MANAGED = (
    Guarantee(
        "no-unasked-seed", "No new cluster",
        "No new cluster is founded, and no cluster ID changes, unless a restore was asked for.",
        managed_identity.no_unasked_seed,
    ),
    Guarantee(
        "served-is-ours", "Ours served",
        "Whoever answers clients belongs to the cluster there was, or to what a restore made once that is done.",
        managed_identity.served_is_ours,
    ),
    Guarantee(
        "writes-accounted", "Writes accounted",
        "Every acknowledged write, by the cluster that took it, is readable at the end or in a declared loss window.",
        managed_writes.writes_accounted,
    ),
    Guarantee(
        "backups-fresh", "Backups fresh",
        "The newest backup that was proven to restore is younger than three intervals and a loop at the end.",
        managed_backups.backups_fresh,
    ),
    Guarantee(
        "backups-restorable", "Backups restore",
        "Every backup that was reported restores, and holds what was acknowledged before it.",
        managed_backups.backups_restorable,
    ),
    Guarantee(
        "loss-alarmed", "Loss alarmed",
        "An alarm is raised within three loops and three intervals after control files or backups vanish.",
        managed_store.loss_alarmed,
    ),
    Guarantee(
        "rule-spares-control", "Control spared",
        "A rule that is aimed at old backups takes no control file with it.",
        managed_store.rule_spares_control,
    ),
    Guarantee(
        "archive-kept", "Archive kept",
        "Old data that was put aside is still there at the end.",
        managed_store.archive_kept,
    ),
    Guarantee(
        "queue-drained", "Queue drained",
        "No command is left in the queue.",
        managed_store.queue_drained,
    ),
    Guarantee(
        "disk-bounded", "Disk bounded",
        "Data and archive on every machine stay below a bound.",
        managed_store.disk_bounded,
    ),
    Guarantee(
        "restore-complete", "Restored whole",
        "After a restore all members serve what was restored, in one cluster.",
        managed_restore.restore_complete,
    ),
    Guarantee(
        "restore-loss-told", "Restore's price told",
        "Revisions and leases that a restore lost are told.",
        managed_restore.restore_loss_told,
    ),
    Guarantee(
        "bad-name-harmless", "Bad name harmless",
        "A command that names a backup that is none costs no data and no outage.",
        managed_restore.bad_name_harmless,
    ),
    Guarantee(
        "state-as-foretold", "As foretold",
        "What damaged control files come to is what the frozen model of an etcd-manager foretells.",
        control_model.state_as_foretold,
    ),
)  # fmt: skip
