"""The leader's loop: look at the world and the control files, and take the one step that is due.

The order of decisions is etcd-manager's (its pkg/controller/controller.go): marker, spec, restore
command, backup, quarantine, growth. Variants part where `Behaviour` says so.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.backup_store import StoreError
from harness.clusters.etcd_release import EtcdRelease
from harness.control_files import MARKER, SPEC
from harness.tools.reference.manager import founding
from harness.tools.reference.manager.alarms import Alarms
from harness.tools.reference.manager.backups import BackupError, Backups
from harness.tools.reference.manager.control_store import (
    EMPTY,
    GONE,
    THERE,
    UNREADABLE,
    Command,
    ControlError,
    ControlStore,
    Seen,
    Spec,
)
from harness.tools.reference.manager.control_view import ControlView
from harness.tools.reference.manager.founding import FIRST_START, Plan
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.options import Options
from harness.tools.reference.manager.orders import Messenger, OrderFailed
from harness.tools.reference.manager.peers import Leadership, Peers, new_token
from harness.tools.reference.manager.restore import Restorer
from harness.tools.reference.manager.snapshots import Snapshots
from harness.tools.reference.manager.world import Observer, World

_UNSURE = "unreadable-marker"
STEP_FAILED = (OrderFailed, ControlError, BackupError, StoreError)


@dataclass(frozen=True, slots=True)
class Means:
    """What a leader works with.

    Args:
        control: where control files lie.
        backups: where backups lie.
        release: the etcd there is.
    """

    control: ControlStore
    backups: Backups
    release: EtcdRelease


class Leader:
    """Leads when its turn comes.

    Args:
        options: of this manager.
        peers: the managers there are.
        means: what it works with.
        stopped: set when this manager is to end; what waits for others then waits no longer.

    Leaves behind: nothing; what it decided lies with the machines and in the store.
    """

    def __init__(self, options: Options, peers: Peers, means: Means, stopped: threading.Event) -> None:
        self._behaviour, self._peers, self._stopped = options.store.behaviour, peers, stopped
        self._release, backups = means.release, means.backups
        self._control = ControlView(means.control, self._behaviour)
        self._observer = Observer(Messenger(), peers.me.peer_id)
        self._alarms = Alarms(options.data_dir / "status.json", options.backup_seconds)
        self._snapshots = Snapshots(options, backups, self._alarms, means.release)
        folder: Path = options.data_dir / "reader"
        self._restorer = Restorer(self._observer, backups, means.release, self._behaviour, folder, self._look)
        self._leading: Leadership | None = None

    def step(self) -> bool:
        """One pass; True when something was changed, hence the next one is due at once.

        Raises:
            OrderFailed, ControlError, BackupError, StoreError: the pass ended half way; the next begins anew.
        """
        peers = self._peers.fresh()
        if not peers or peers[0].peer_id != self._peers.me.peer_id:
            self._leading = None
            return False
        if self._leading is None:
            self._begin()
            return False
        world = self._look()
        if world.machines.keys() - self._leading.followers:
            LOG.info("a peer has not acked our leadership; resigning leadership")
            self._leading = None
            return False
        try:
            return self._reconcile(world, self._leading)
        finally:
            if self._behaviour.alarms:
                self._alarms.note(cluster_id=world.cluster_id)
                self._alarms.tell()

    def _begin(self) -> None:
        token = new_token()
        world = self._observer.lead(self._peers.fresh(), token)
        self._control.refresh()
        self._leading = Leadership(token, frozenset(world.machines), time.monotonic())
        LOG.info("I am leader with token %s; followed by %s", token, ", ".join(world.machines))

    def _look(self) -> World:
        if self._stopped.is_set():
            raise OrderFailed("this manager is to end")
        token = self._leading.token if self._leading else ""
        return self._observer.with_members(self._observer.lead(self._peers.fresh(), token))

    def _reconcile(self, world: World, leading: Leadership) -> bool:
        marker = self._control.marker()
        if self._behaviour.rereads:
            self._control.refresh()
        seed = self._seed_for(marker, world)
        self._tell_of_control_files(marker, world)
        if seed is not None:
            return self._found(world, leading, seed)
        spec = self._control.spec
        if spec is None and not self._behaviour.alarms:
            LOG.info("no cluster spec set - must seed new cluster")
            return False
        if self._control.command:
            return self._restore(world, leading, self._control.command)
        if world.members and (spec or self._behaviour.backs_up_always):
            self._snapshots.take_if_due(world, spec)
        return self._mend(world, leading, spec or self._spec_of(world))

    def _seed_for(self, marker: Seen, world: World) -> Plan | None:
        """The new cluster to be founded now, if one is."""
        behaviour = self._behaviour
        if behaviour.seeds and marker.state == GONE:
            LOG.info("detected that there is no existing cluster")
            self._control.refresh()
            return Plan(self._control.spec) if self._control.spec else None
        if behaviour.seeds_when_unsure and marker.state in (EMPTY, UNREADABLE) and not world.is_whole(_UNSURE):
            return Plan(self._control.spec or self._spec_of(world), _UNSURE)
        if marker.state == GONE and self._control.spec and self._is_pristine(world):
            return Plan(self._control.spec, FIRST_START, complete=True)
        return None

    def _is_pristine(self, world: World) -> bool:
        """Whether no client can ever have written anything: no backup, no data but those of a first start under way."""
        under_way = all(state.origin == FIRST_START and state.quarantined for state in world.states)
        used = [each for each in world.machines.values() if each.has_data and not each.state]
        return under_way and not used and not world.missing and self._snapshots.none_ever()

    def _found(self, world: World, leading: Leadership, plan: Plan) -> bool:
        founding.refuse_other_etcd(plan.spec, self._release.version)
        is_done = plan.origin == FIRST_START and world.is_whole(FIRST_START)
        if not is_done and not founding.create_cluster(self._observer, world, leading, plan):
            return False
        self._control.store.mark()
        return True

    def _restore(self, world: World, leading: Leadership, command: Command) -> bool:
        founding.refuse_other_etcd(command.spec, self._release.version)
        if self._behaviour.alarms and world.is_whole(command.name):
            LOG.info("%s was restored before; its command is removed", command.backup)
        elif problem := self._restorer.problem_with(command):
            LOG.error("alarm: refused to restore backup %s, nothing was touched: %s", command.backup, problem)
        elif not self._restorer.restore(world, leading, command):
            return False
        LOG.info("deleting command %s", command.name)
        self._control.store.remove(command)
        self._control.forget()
        return True

    def _mend(self, world: World, leading: Leadership, spec: Spec) -> bool:
        """Let clients in, stop what is left of old clusters, let idle machines join."""
        if world.quarantined and len(world.healthy) >= spec.quorum:
            founding.lift_quarantine(self._observer, world.founded, leading)
            return True
        if self._behaviour.alarms and founding.retire_strays(self._observer, world, leading):
            return True
        if not world.members and not self._behaviour.alarms:
            self._control.refresh()
            raise ControlError("etcd has 0 members registered; must issue restore-backup command to proceed")
        if 0 < len(world.members) < spec.member_count:
            founding.refuse_other_etcd(spec, self._release.version)
            return founding.expand(self._observer, world, leading)
        return False

    def _spec_of(self, world: World) -> Spec:
        """The cluster there is, for a variant that goes on without a spec."""
        return Spec(max(1, len(world.members) or len(world.machines)), self._release.version)

    def _tell_of_control_files(self, marker: Seen, world: World) -> None:
        states = {MARKER: marker.state, SPEC: self._control.spec_state}
        self._alarms.note(control_files=states)
        is_used = any(machine.has_data for machine in world.machines.values())
        for name, state in states.items():
            why = marker.why if name == MARKER else self._control.troubles.get(name, "")
            said = f"control file {name} is {state}{': ' if why else ''}{why}; no new cluster is founded for that"
            silent = name == MARKER and self._behaviour.seeds
            self._alarms.set(name, said if state != THERE and is_used and not silent else "")
        self._alarms.set("data", "" if is_used else self._said_of_lost_data(marker))
        others = {name: why for name, why in self._control.troubles.items() if name != SPEC}
        self._alarms.set("commands", "; ".join(f"{name}: {why}" for name, why in others.items()))

    def _said_of_lost_data(self, marker: Seen) -> str:
        """Of machines that never had a member, where there once was a cluster."""
        if marker.state == GONE and self._snapshots.none_ever():
            return ""
        return f"no machine has data, though the marker is {marker.state} or there are backups: restore one"
