"""What operators of a managed cluster do, turned into the environment their procedures get."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.managed import ManagedCluster
from harness.control_files import backups_among
from harness.errors import UsageError
from harness.taps.machine_tap import MachineTap
from harness.tools.deploy_tool import RECOVER_MANAGED, Task

# Host of the cluster's own subnet on which an operator may run an etcd aside.
_SCRATCH_HOST = 240
# Stands for a backup's name in the words of a control command.
NAME = "{name}"
OLDEST, NEWEST = "oldest", "newest"


@dataclass(frozen=True, slots=True)
class Recover:
    """Bring the cluster back, or its control files, the way the procedure knows.

    Args:
        backup: the one to restore, where the procedure wants one told: ``oldest`` or ``newest`` of those there
            are, or any name.
        restores: whether data of another time may be served afterwards; else the cluster stays the one it is.
        stop_after: name of a step after which the procedure dies; empty for never.
    """

    backup: str = ""
    restores: bool = True
    stop_after: str = ""

    @property
    def sentence(self) -> str:
        """What is asked, for people."""
        told = f" by the {self.backup} backup" * bool(self.backup)
        return f"recover the cluster{told}{f', cut after {self.stop_after}' * bool(self.stop_after)}"

    def prepare(self, cluster: ManagedCluster, tap: MachineTap, folder: Path) -> Task:
        """Name machines, store and control commands; say in the journal what may come of it."""
        name = self._name(cluster)
        cluster.journal.append(
            "control.asked",
            verb="restore-backup" if self.restores or name else "repair",
            words=[name] if name else [],
            expects="restore" if self.restores else "none",
        )
        return Task(RECOVER_MANAGED, self._environment(cluster, tap, folder, name))

    def _environment(self, cluster: ManagedCluster, tap: MachineTap, folder: Path, name: str) -> dict[str, str]:
        program, release = cluster.program, cluster.release
        verbs = {"restore-backup": (NAME,), "list-backups": (), "list-commands": ()}
        machines = [
            {
                "name": machine.name,
                "client_url": machine.client_url,
                "archive": [str(path) for path in machine.archive()],
            }
            for machine in cluster.machines.values()
        ]
        return {
            **cluster.environment(),
            **tap.environment(),
            "PATH": f"{release.etcdctl.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AFTERFAULT_STORE": cluster.store.url,
            "AFTERFAULT_CONTROL_STORE": cluster.control_store.url,
            "AFTERFAULT_CONTROL": json.dumps({verb: program.control(cluster, verb, *w) for verb, w in verbs.items()}),
            "AFTERFAULT_MACHINES": json.dumps(machines),
            "AFTERFAULT_MEMBERS": str(cluster.spec.members),
            "AFTERFAULT_ETCD_VERSION": program.release.version,
            "AFTERFAULT_BACKUP": name,
            "AFTERFAULT_STOP_AFTER": self.stop_after,
            "AFTERFAULT_FOLDER": str(folder),
            "AFTERFAULT_SCRATCH_ADDRESS": cluster.subnet.address(_SCRATCH_HOST),
            "AFTERFAULT_LOOP_SECONDS": str(program.loop_seconds),
            "AFTERFAULT_FORMATION_SECONDS": str(program.formation_seconds),
            "AFTERFAULT_RESTART_SECONDS": str(program.restart_seconds),
        }

    def _name(self, cluster: ManagedCluster) -> str:
        if self.backup not in (OLDEST, NEWEST):
            return self.backup
        there = backups_among(file.name for file in cluster.store.list())
        if not there:
            raise UsageError("there is no backup to restore")
        return there[0 if self.backup == OLDEST else -1]
