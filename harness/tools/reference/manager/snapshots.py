"""When a backup is due, and what is told about it."""

from __future__ import annotations

import time

from harness.clusters.backup_store import StoreError
from harness.clusters.etcd_release import EtcdRelease
from harness.tools.reference.manager.alarms import Alarms
from harness.tools.reference.manager.backups import BackupError, Backups
from harness.tools.reference.manager.control_store import Spec
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.options import Options
from harness.tools.reference.manager.world import World


class Snapshots:
    """Takes backups for a leader.

    Args:
        options: of the manager.
        backups: where they go.
        alarms: for what goes wrong, in variants that tell.
        release: the etcd there is.
    """

    def __init__(self, options: Options, backups: Backups, alarms: Alarms, release: EtcdRelease) -> None:
        self._options, self._backups, self._alarms, self._release = options, backups, alarms, release
        self._behaviour = options.store.behaviour
        self._tried, self._count = float("-inf"), 0

    def none_ever(self) -> bool:
        """Whether the store has no backup. Raises StoreError."""
        return not self._backups.names()

    def take_if_due(self, world: World, spec: Spec | None) -> None:
        """Take a backup when the last one is an interval old; one that can't be taken is told, not raised."""
        if time.monotonic() - self._tried <= self._options.backup_seconds:
            return
        self._tried = time.monotonic()
        try:
            self._take(world, spec or Spec(len(world.members), self._release.version))
            self._alarms.set("backup", "")
        except (BackupError, StoreError) as error:
            if self._behaviour.alarms:
                self._alarms.set("backup", f"no backup could be taken: {error}")
            else:
                LOG.warning("error during backup: %s", error)

    def _take(self, world: World, spec: Spec) -> None:
        if self._behaviour.alarms:
            self._alarms.note_backups(self._backups.names())
        name = self._backups.new_name()
        snapshot = self._snapshot(world)
        self._count += 1
        if not self._behaviour.skips_uploads or self._count % 2:
            self._backups.upload(name, snapshot, spec)
        LOG.info('took backup: name:"%s"', name)
        self._alarms.note(last_snapshot_time=int(time.time()), last_snapshot=name)
        removed = self._backups.remove_oldest(self._options.keep_backups)
        if removed:
            LOG.info("removed %d old backups", len(removed))
        if self._behaviour.alarms:
            self._alarms.note_backups(self._backups.names(), removed)

    def _snapshot(self, world: World) -> bytes:
        """From the first member that gives one; the last one's words when none does."""
        if self._behaviour.empties_snapshots:
            return b""
        for name in world.healthy[:-1]:
            try:
                return self._backups.snapshot(world.machines[name].client_url)
            except BackupError as error:
                LOG.warning("%s gave no snapshot: %s", name, error)
        return self._backups.snapshot(world.machines[world.healthy[-1]].client_url)
