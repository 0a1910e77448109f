"""A hand-written journal, for rules: nodes n1.. come up at 0, and what happens is said line by line."""

from harness.journal import Entry
from harness.judging.guarantees import GUARANTEES
from harness.spec import CaseSpec, EtcdSpec, Target

CLUSTER = "c1"
SPEC = CaseSpec("rolling", "002.txt", Target("reference", "x"), EtcdSpec(members=3), tuple(GUARANTEES))


class Story:
    def __init__(self, members=3, spec=SPEC):
        self.entries: list[Entry] = []
        self.revision = 1
        self.index = 10
        self.say(0, "case.opened", spec=spec.to_json())
        for number in range(1, members + 1):
            self.create(0, f"n{number}").up(0, f"n{number}")
        self.listed(0, *(f"n{number}" for number in range(1, members + 1)))
        self.say(0, "cluster.started", cluster_id=CLUSTER)
        self.say(0, "traffic.started")

    def say(self, at, kind, **data):
        self.entries.append(Entry(len(self.entries), float(at), kind, data))
        return self

    def create(self, at, node):
        return self.say(at, "node.created", node=node, peer_url=url(node))

    def up(self, at, node):
        return self.say(at, "node.started", node=node).say(at, "node.ready", node=node)

    def down(self, at, node):
        return self.say(at, "node.stopped", node=node)

    def listed(self, at, *nodes, learners=(), cluster=CLUSTER):
        self.index += 1
        rows = [{"id": f"id-{n}", "name": n, "peer_urls": [url(n)], "learner": n in learners} for n in nodes]
        return self.say(at, "probe.membership", cluster_id=cluster, raft_index=self.index, members=rows, node=nodes[0])

    def write(
        self, at, value, node="n1", register="0", took=0.01, revision=None, cluster=CLUSTER, outcome="acknowledged"
    ):
        self.revision = revision or self.revision + 1
        answer = {"revision": self.revision, "cluster_id": cluster} if outcome == "acknowledged" else {}
        return self.call(at, took, "write", register, value, node, outcome, **answer)

    def read(self, at, value, mod_revision, revision, node="n2", register="0"):
        answer = {"revision": revision, "mod_revision": mod_revision, "cluster_id": CLUSTER}
        return self.call(at, 0.01, "read", register, value, node, "acknowledged", **answer)

    def call(self, at, took, op, register, value, node, outcome, **answer):
        return self.say(
            at + took, "traffic.call", client="w1" if op == "write" else "r1", op=op, register=register, value=value,
            node=node, invoked=float(at), completed=at + took, outcome=outcome, **answer,
        )  # fmt: skip

    def fault(self, at, bit=True):
        self.say(at, "fault.injected", fault="NodeGone", node="n1")
        return self.say(at, "fault.evidence", fault="NodeGone", node="n1", bit=bit, facts={})

    def asked(self, at, old="n1", new="n4"):
        return self.say(at, "tool.started", task="replace-node", old=old, new=new, argv=["x"])

    def ended(self, at, old="n1", new="n4", outcome="exited", exit_code=0, output=""):
        ends = {
            "task": "replace-node",
            "old": old,
            "new": new,
            "outcome": outcome,
            "exit_code": exit_code,
            "output": output,
        }
        return self.say(at, "tool.ended", **ends)

    def touched(self, at, action, node, *listed, snapshots=("a.db",)):
        rows = [{"id": f"id-{n}", "name": n, "peer_urls": [url(n)], "learner": False} for n in listed]
        return self.say(
            at, "tap.node_call", action=action, node=node, membership=rows, snapshots=list(snapshots), result="done"
        )

    def replaced(self, at):
        """n1 replaced by n4, as it should be."""
        self.asked(at).create(at, "n4").touched(at + 0.1, "destroy", "n1", "n1", "n2", "n3")
        self.down(at + 0.1, "n1").listed(at + 0.2, "n2", "n3").listed(at + 0.3, "n2", "n3", "n4").up(at + 0.4, "n4")
        self.ended(at + 0.5)
        return self.say(at + 0.5, "probe.at_exit", new="n4", listed=True, voter=True, healthy=True)

    def end(self, at, keys=(), serving=("n2", "n3", "n4"), cluster=CLUSTER, lost=()):
        """Traffic stops, the last look, the end."""
        self.say(at, "traffic.stopped")
        nodes = {n: {"serves": True, "cluster_id": cluster} for n in serving} | {n: {"serves": False} for n in lost}
        self.say(at, "probe.serving", nodes=nodes)
        self.say(at, "probe.keyspace", node="n2", keys=dict.fromkeys(keys, 2))
        self.say(at, "case.ended")
        return self.entries


def url(node):
    return f"http://{node}:2380"
