"""Machines with a manager on them: restarted, killed, chosen by the part they play at that moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness.clusters.living import pid_lives
from harness.clusters.machine import ManagedMachine
from harness.clusters.managed import ManagedCluster
from harness.errors import FaultError, UsageError
from harness.faults import Evidence

LEADER, FOLLOWER, ALL = "leader", "follower", "all"
STRUCK = "machines.struck"


def who(cluster: ManagedCluster, role: str) -> list[ManagedMachine]:
    """The machines that play a part now.

    Args:
        cluster: whose.
        role: ``leader`` (of the managers), ``follower`` (the last of the others) or ``all``.

    Raises:
        FaultError: nobody plays it.
        UsageError: there is no such part.
    """
    running = cluster.running()
    leader = cluster.leader_machine()
    followers = [machine for machine in running if leader is None or machine.name != leader.name]
    if role not in (LEADER, FOLLOWER, ALL):
        raise UsageError(f"no part {role!r}; there are {LEADER}, {FOLLOWER} and {ALL}")
    found = {LEADER: [leader] if leader else [], FOLLOWER: followers[-1:], ALL: running}[role]
    if not found:
        raise FaultError(f"no machine is {role} now; the fault would change nothing")
    return found


@dataclass(frozen=True, slots=True)
class _OfMachines:
    """Befalls those that play a part when it is injected.

    Args:
        node: the part: ``leader``, ``follower`` or ``all``.
    """

    node: str = ALL

    def preflight(self, cluster: ManagedCluster) -> None:
        """Somebody has to play it."""
        who(cluster, self.node)

    def inject(self, cluster: ManagedCluster) -> None:
        """Strike each of them, all at once."""
        machines = who(cluster, self.node)
        cluster.journal.append(STRUCK, role=self.node, pids={machine.name: machine.pid for machine in machines})
        with ThreadPoolExecutor(len(machines)) as at_once:
            list(at_once.map(self._strike, machines))

    def heal(self, cluster: ManagedCluster) -> None:
        """Switch on what is off."""
        for name in _before(cluster):
            if not cluster.node(name).running:
                cluster.node(name).start()

    def _strike(self, machine: ManagedMachine) -> None:
        raise NotImplementedError


class MachineRestarted(_OfMachines):
    """Stopped in an orderly way and started again: what ``kops rolling-update`` and any reboot do."""

    def _strike(self, machine: ManagedMachine) -> None:
        machine.stop()
        machine.start()

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """Another process runs there than before, and the old one is gone."""
        pids = _before(cluster)
        now = {name: cluster.node(name).pid for name in pids}
        gone = not any(map(pid_lives, pids.values()))
        changed = all(pid and pid != pids[name] for name, pid in now.items())
        return Evidence(bool(pids) and gone and changed, {"before": pids, "now": now})


class ManagersKilled(_OfMachines):
    """The manager alone is killed: its etcd goes on, watched by nobody."""

    def _strike(self, machine: ManagedMachine) -> None:
        machine.kill_manager()

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """The process is gone."""
        pids = _before(cluster)
        return Evidence(bool(pids) and not any(map(pid_lives, pids.values())), {"before": pids})


class MachineKilled(_OfMachines):
    """A power cut: everything on it ends at once, its disk is as it was."""

    def _strike(self, machine: ManagedMachine) -> None:
        machine.kill()

    def evidence(self, cluster: ManagedCluster) -> Evidence:
        """No process of before is there, and its etcd does not answer."""
        pids = _before(cluster)
        answering = [name for name in pids if cluster.status(cluster.node(name)) is not None]
        gone = not any(map(pid_lives, pids.values()))
        return Evidence(bool(pids) and gone and not answering, {"before": pids, "answering": answering})


def _before(cluster: ManagedCluster) -> dict[str, int]:
    told = [entry.data["pids"] for entry in cluster.journal.entries() if entry.kind == STRUCK]
    return dict(told[-1]) if told else {}
