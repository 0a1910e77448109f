"""Carrying out a restore command.

Two ways: each machine gets the snapshot and they found a cluster from it; or, as etcd-manager does it,
an empty cluster is founded and the backup's keys are written into it one by one, which begins
revisions anew and loses leases (its pkg/controller/restore.go and pkg/etcd/restore.go).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.etcd_release import EtcdRelease
from harness.errors import WaitTimeout
from harness.tools.reference.manager.backups import BackupError, Backups
from harness.tools.reference.manager.control_store import Command
from harness.tools.reference.manager.founding import Plan, create_cluster
from harness.tools.reference.manager.keys import copy_keys, count_leases
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.orders import OrderFailed
from harness.tools.reference.manager.peers import Leadership
from harness.tools.reference.manager.variants import Behaviour
from harness.tools.reference.manager.world import Observer, World
from harness.waiting import until

_HEALTHY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Restorer:
    """Restores for one leader.

    Args:
        observer: looks at the machines.
        backups: there are.
        release: the etcd that reads them.
        behaviour: of the variant.
        folder: to work in.
        look: the world anew.
    """

    observer: Observer
    backups: Backups
    release: EtcdRelease
    behaviour: Behaviour
    folder: Path
    look: Callable[[], World]

    def problem_with(self, command: Command) -> str:
        """Why that backup can't be restored; empty when it can, or when this variant does not look."""
        if not self.behaviour.checks_backup:
            return ""
        try:
            self.backups.fetch(command.backup)
        except BackupError as error:
            return str(error)
        return ""

    def restore(self, world: World, leading: Leadership, command: Command) -> bool:
        """Put the machines into a new cluster that has the backup's data, out of clients' sight.

        Returns False, with nothing touched, as long as there are too few machines.

        Raises:
            OrderFailed: a machine did not do its part, or the new cluster does not become healthy.
            BackupError: the backup can't be used; machines are stopped already where that was not looked at first.
        """
        LOG.info("got restore-backup command for %s", command.backup)
        revision, leases = self._told_by(world)
        behaviour = self.behaviour
        plan = Plan(
            command.spec,
            origin=command.name,
            backup=command.backup if behaviour.whole_snapshots else "",
            backup_for_all=not behaviour.restores_one,
            quarantined=not behaviour.serves_at_once,
        )
        if not create_cluster(self.observer, world, leading, plan):
            return False
        if not behaviour.whole_snapshots:
            # etcd-manager too asks for the backup only now, with the old cluster stopped and put aside
            self._write_keys(self.backups.fetch(command.backup), command)
        restored_revision, left = self._told_by(self._healthy_world(command))
        if behaviour.alarms:
            LOG.info(
                "restored %s: revision %s -> %s, leases lost %s",
                command.backup, revision, restored_revision, _difference(leases, left),
            )  # fmt: skip
        return True

    def _write_keys(self, snapshot: bytes, command: Command) -> None:
        url = self._healthy_world(command).a_healthy_url()
        if url is None:
            raise OrderFailed("unable to find peer on which to run restore operation")
        count = copy_keys(snapshot, self.release, url, self.folder)
        LOG.info("restored %d keys", count)

    def _healthy_world(self, command: Command) -> World:
        def is_up(world: World) -> bool:
            return len(world.healthy) >= command.spec.quorum and bool(world.members)

        try:
            return until(self.look, is_up, what="the new cluster to be healthy", deadline_seconds=_HEALTHY_SECONDS)
        except WaitTimeout as error:
            raise OrderFailed("the new cluster does not become healthy") from error

    def _told_by(self, world: World) -> tuple[int | None, int | None]:
        url = world.a_healthy_url()
        return (world.revision, count_leases(url)) if url and world.members else (None, None)


def _difference(before: int | None, after: int | None) -> str:
    return "unknown" if before is None or after is None else str(max(0, before - after))
