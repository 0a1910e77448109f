"""A hand-written journal of a managed cluster: machines m1.. under managers, a backup store, and clients that write.

Time goes on by `goes_on`, which writes, reads and backs up as a healthy cluster does; what happens is said in between.
"""

from harness.journal import Entry
from harness.judging.managed_guarantees import MANAGED
from harness.spec import CaseSpec, ManagedSpec, Target

FOUNDING, OTHER, RESTORED = "c0ffee0000000001", "badf00d000000002", "5eed000000000003"
MARKER, SPEC = "control/etcd-cluster-created", "control/etcd-cluster-spec"
LOOP, BACKUP, RESTART = 0.5, 1.0, 6.0
_EPOCH = 1_700_000_000.0
IDS = tuple(guarantee.id for guarantee in MANAGED)


def spec_of(variant="x", scenario="control_files_gone", guarantees=IDS, moment="", tool="reference", **more):
    shape = ManagedSpec(3, "file", 1.0)
    return CaseSpec(scenario, "003_x.txt", Target(tool, variant), shape, tuple(guarantees), moment=moment, **more)


class ManagedStory:
    def __init__(self, spec=None, machines=3):
        self.entries: list[Entry] = []
        self.now, self.cluster, self.number, self.revision, self.backup_number = 1.0, FOUNDING, 0, 1, 0
        self.machines = [f"m{number}" for number in range(1, machines + 1)]
        self.off: set[str] = set()
        self.registers: dict[str, tuple[str, int]] = {}
        self.keys: dict[str, int] = {}
        self.kept: dict[str, dict[str, int]] = {}
        self.files: dict[str, list[float]] = {}
        self.archive: dict[str, dict[str, int]] = {machine: {} for machine in self.machines}
        self.backs_up, self.serves, self.lacks = True, True, {}
        self.say("case.opened", at=0, spec=(spec or spec_of()).to_json())
        for machine in self.machines:
            self.say("machine.started", at=0.1, machine=machine, why="")
        rows = [
            {"machine": m, "node": m, "address": m, "client_url": f"http://{m}", "member_id": m} for m in self.machines
        ]
        told = {"manager": "x", "store": "file", "backup_seconds": BACKUP, "loop_seconds": LOOP}
        self.say("managed.started", cluster_id=FOUNDING, restart_seconds=RESTART, machines=rows, **told)
        self.say("traffic.started")
        self.stored(MARKER, SPEC)
        for machine in self.machines:
            self.say("archive.seen", machine=machine, entries={})
            self.say("lease.seen", machine=machine, leases=1)
        self.seen()

    def say(self, kind, at=None, **data):
        self.now = float(at if at is not None else self.now)
        self.entries.append(Entry(len(self.entries), round(self.now, 3), kind, data))
        return self

    # what is in the store
    def stored(self, *names, size=50, late=0.1):
        added = {name: [size, _EPOCH + self.now - late] for name in names if name not in self.files}
        changed = {name: [size, _EPOCH + self.now - late] for name in names if name in self.files}
        self.files |= added | changed
        return self.say("store.seen", added=added, removed=[], changed=changed, total=len(self.files))

    def vanished(self, *names):
        for name in names:
            del self.files[name]
        return self.say("store.seen", added={}, removed=list(names), changed={}, total=len(self.files))

    def saves(self, name="", keys=None, reported=True, uploaded=True):
        self.backup_number += 1
        name = name or f"2023-11-14T22:13:{self.backup_number:02d}Z-000001"
        self.kept[name] = dict(self.keys if keys is None else keys)
        if uploaded:
            self.stored(f"{name}/etcd.backup.gz", f"{name}/_etcd_backup.meta", size=9000)
        if reported:
            self.say("backup.reported", machine=self.machines[0], name=name)
        return self

    # time
    def goes_on(self, seconds):
        """Write and read twice a second, back up every second, be looked at every two."""
        until, tick = self.now + seconds, 0
        while self.now + 0.5 <= until + 1e-6:
            self.now += 0.5
            tick += 1
            self.writes().reads()
            if self.backs_up and self.serves and tick % 2 == 0:
                self.saves()
            if tick % 4 == 0:
                self.seen()
        return self

    def writes(self, outcome=""):
        self.number += 1
        value, register = f"v{self.number}", str(self.number % 2)
        machine = self._asked()
        outcome = outcome or ("acknowledged" if self.serves else "unknown")
        if outcome == "acknowledged":
            self.revision += 1
            self.keys[value] = self.revision
            self.registers[register] = (value, self.revision)
        return self._call("write", register, value, machine, outcome)

    def reads(self, **answer):
        register = str(self.number % 2)
        value, revision = self.registers.get(register, (None, 0))
        answer = {"value": value, "mod_revision": revision} | answer
        outcome = "acknowledged" if self.serves else "unknown"
        return self._call("read", register, answer["value"], self._asked(), outcome, answer["mod_revision"])

    def _asked(self):
        up = [machine for machine in self.machines if machine not in self.off] or self.machines
        return up[self.number % len(up)]

    def _call(self, op, register, value, machine, outcome, mod_revision=0):
        answer = {"revision": self.revision, "cluster_id": self.cluster} if outcome == "acknowledged" else {}
        began = self.now - 0.02
        return self.say(
            "traffic.call", client=f"{op}r", op=op, register=register, value=value, node=machine, invoked=began,
            completed=self.now, outcome=outcome, **answer, **({"mod_revision": mod_revision} if op == "read" else {}),
        )  # fmt: skip

    def seen(self, *machines):
        for machine in machines or self.machines:
            if machine in self.off or not self.serves:
                self.say("etcd.seen", machine=machine, answers=False)
                continue
            told = {"cluster_id": self.cluster, "member_id": machine, "leader": "m1", "revision": self.revision}
            self.say("etcd.seen", machine=machine, answers=True, raft_term=2, **told)
        return self

    # what happens
    def fault(self, name, node="the store", bit=True, then=lambda story: story, left=None):
        self.say("fault.injected", fault=name, node=node)
        if left is not None:
            self.say("control.struck", fault=name, left=left)
        self.now += 0.1
        then(self)
        self.now += 0.1
        return self.say("fault.evidence", fault=name, node=node, bit=bit, facts={})

    def marker_gone(self):
        return self.fault("MarkerGone", then=lambda s: s.vanished(MARKER))

    def both_gone(self):
        return self.fault("ControlFilesGone", then=lambda s: s.vanished(SPEC, MARKER))

    def restarted(self, node="all", back=True):
        machines = self.machines if node == "all" else self.machines[:1]
        self.say("fault.injected", fault="MachineRestarted", node=node)
        for machine in machines:
            self.say("machine.stopped", machine=machine, why="restart").off.add(machine)
        self.serves = len(self.off) * 2 < len(self.machines)
        self.seen()
        self.now += 0.5
        for machine in machines:
            self.say("machine.started", machine=machine, why="restart")
        self.say("fault.evidence", fault="MachineRestarted", node=node, bit=True, facts={})
        return self.are_back() if back else self

    def are_back(self, after=1.0):
        self.now += after
        self.off.clear()
        self.serves = True
        return self.seen()

    def alarms(self, text="control file is gone"):
        return self.say("alarm.seen", machine=self.machines[0], severity="W", text=text)

    def swaps(self, cluster, keys=(), archives=True, aside="token-1"):
        """Another cluster takes the place of the one there is."""
        self.serves = False
        self.seen()
        self.now += 0.4
        for machine in self.machines if archives else ():
            self.archive[machine][aside] = 50_000_000
            self.say("archive.seen", machine=machine, entries=dict(self.archive[machine]))
        self.now += 0.6
        self.cluster, self.serves, self.revision = cluster, True, 1 + len(keys)
        self.keys, self.registers = dict.fromkeys(keys, 5), {}
        for value in keys:
            self.registers[str(int(value[1:]) % 2)] = (value, 5)
        return self.seen()

    def reseeds(self, cluster=OTHER, **more):
        self.swaps(cluster, **more)
        return self.stored(MARKER, SPEC)

    def asks(self, *words, verb="restore-backup", expects="restore"):
        return self.say("control.asked", verb=verb, words=list(words), expects=expects)

    def runs(self, seconds=0.2, task="restore-backup", code=0, output="done"):
        told = {"task": task, "old": "", "new": ""}
        self.say("tool.started", tool="ctl", argv=["ctl", task], **told)
        self.now += seconds
        return self.say("tool.ended", outcome="exited", exit_code=code, output=output, seconds=seconds, **told)

    def queues(self, name):
        self.asks(name).runs()
        self.now += 0.1
        return self.stored("control/2023-11-14T22:14:00Z-000000/_command.json")

    def drains(self):
        return self.vanished("control/2023-11-14T22:14:00Z-000000/_command.json")

    def restores(self, name, told=True):
        """As it should be: the old put aside, the backup's data on all, the command taken off, the price told."""
        self.queues(name)
        self.swaps(RESTORED, keys=tuple(self.kept[name]), aside="token-2")
        self.drains()
        if told:
            self.say("restore.told", text=f"restored {name}: revision 40 -> {self.revision}, leases lost 1")
        return self

    @property
    def backups(self):
        return list(self.kept)

    def end(self, *, checks=True, leases=0, restorable=True, archive=True, bound=2**30):
        """Clients stop, every backup is restored aside, the last look, the end."""
        self.say("traffic.stopped", outcomes={})
        for name, keys in self.kept.items() if checks else ():
            if f"{name}/etcd.backup.gz" in self.files:
                self.now += 0.1
                self.say(
                    "backup.checked", name=name, restorable=restorable, why="" if restorable else "bad hash",
                    revision=len(keys) + 1, keys=keys, size=9000,
                )  # fmt: skip
        if self.serves:
            self._looks_last(leases)
        for machine in self.machines if archive else ():
            self.say("disk.seen", machine=machine, data_bytes=2**27, archive_bytes=2**26, bound_bytes=bound)
        return self.say("case.ended").entries

    def _looks_last(self, leases):
        up = [machine for machine in self.machines if machine not in self.off]
        whose = {machine: self.lacks.get(machine, (self.cluster, ()))[0] for machine in up}
        self.say("probe.serving", nodes={m: {"serves": True, "cluster_id": whose[m], "member_id": m} for m in up})
        for machine in up:
            missing = self.lacks.get(machine, ("", ()))[1]
            keys = {value: at for value, at in self.keys.items() if value not in missing}
            same = {"keys": keys} if missing or machine == up[0] else {"same_as": up[0]}
            told = {"cluster_id": whose[machine], "revision": self.revision, "linearizable": True}
            self.say("probe.keyspace", node=machine, **told, **same)
            self.say("lease.seen", machine=machine, leases=leases)


def good(spec=None):
    """Nothing happens but time; one follower is restarted."""
    return ManagedStory(spec).goes_on(8).restarted("leader").goes_on(6)


def warned(spec=None):
    """Both control files vanish; the manager says so, refuses to seed and backs up all the same."""
    return ManagedStory(spec).goes_on(6).both_gone().alarms().goes_on(4).restarted().goes_on(6)


def stopped(spec=None):
    """As in the incident until the spec is written: backups stop without a word."""
    story = ManagedStory(spec).goes_on(6).both_gone()
    story.backs_up = False
    return story.goes_on(6).restarted().goes_on(6)


def swapped(spec=None):
    """As in the incident: the spec is written again, and a new cluster is founded."""
    story = stopped(spec).fault("SpecWrittenAgain", then=lambda s: s.stored(SPEC))
    story.backs_up = True
    return story.reseeds().goes_on(6)


def restored(spec=None):
    """A backup is restored, and all goes on from there."""
    story = ManagedStory(spec).goes_on(6)
    name = story.backups[3]
    return story.goes_on(2).restores(name).goes_on(5)
