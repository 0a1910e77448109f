"""What is gathered of a cluster that broke: told whole or told why not, bounded, and never with a secret in it."""

import base64
import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from harness.clusters.kube_api import KubeApi, NoCluster
from harness.errors import ClusterError
from harness.journal import Journal
from harness.probes.evidence import KIND, LONGEST_LINE, MOST_LINES, Evidence, Occasion
from harness.probes.node_logs import ContainerLog, tail_of
from harness.probes.redaction import MASK, Redaction
from harness.probes.stored_values import contents_of, is_secret, why_undecodable
from tests.unit.fake_api_server import FakeApiServer, Handler

SECRET = b"hunter2-hunter2"
LOGS = "/var/log/pods"
PANIC = "panic: unable to load in-cluster configuration"


def block(number, content):
    """A field with bytes in a protobuf message."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def stored(kind, *fields):
    """As an API server keeps an object."""
    raw = block(1, block(1, b"name")) + b"".join(fields)
    return b"k8s\x00" + block(1, block(1, b"v1") + block(2, kind)) + block(2, raw) + block(3, b"") + block(4, b"")


IN_NAMESPACE = block(2, block(1, b"namespace") + block(2, b"default"))
A_SECRET = stored(b"Secret", block(2, block(1, b"password") + block(2, SECRET)), block(3, b"Opaque"), IN_NAMESPACE)
A_MAP = stored(b"ConfigMap", block(2, block(1, b"a") + block(2, b"b")), b"\x18\x05", b"\x21" + bytes(8))


def test_what_an_api_server_stored_decodes():
    for value in (A_SECRET, A_MAP, b'{"kind": "Story"}', b"k8s:enc:aescbc:v1:key:\x00"):
        assert why_undecodable(value) == ""
    assert contents_of(A_SECRET) == [SECRET]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"k8s\x00 cut off", "protobuf: "),
        (A_MAP[:-6], "goes beyond the end"),
        (A_MAP.replace(b"b", "\ufffd".encode()), "protobuf: "),
        (b"k8s\x00" + block(1, b""), "no object in the envelope"),
        (b"k8s\x00" + block(2, block(1, b"\x0a\x7f")), "field 1 at byte 0 goes beyond"),
        (b"k8s\x00" + block(2, b"\x08" + b"\xff" * 9), "has no end"),
        (b"k8s\x00" + block(2, b"\x03"), "no field at byte 0 of 1"),
        (b"", "neither as protobuf"),
        (b"\xefk8s", "neither as protobuf"),
        (b'{"kind": ', "JSON: "),
        (A_MAP.replace(b"\0", b""), "it has no NUL any more"),
        (A_MAP.replace(b"b", "\ufffd".encode()), "it holds U+FFFD"),
        (base64.b64encode(A_MAP) + b"\n", "it is base64 of what does decode"),
    ],
)
def test_what_does_not_decode_is_told_with_the_place(value, why):
    assert why in why_undecodable(value)


def test_a_secret_is_known_wherever_it_lies():
    assert is_secret("/registry/secrets/a/b", b"anything")
    assert is_secret("/registry/other", A_SECRET)
    assert not is_secret("/registry/configmaps/a/b", A_MAP)
    assert contents_of(b"k8s\x00 cut off") == contents_of(b"") == []


def test_what_secrets_hold_is_taken_out_in_each_form():
    redaction = Redaction([b"two lines\nof a key", SECRET, b"a", bytes(range(256))])
    shown = redaction.of(f"a {SECRET.decode()} {base64.b64encode(SECRET).decode()}\n  of a key;")
    assert shown == f"a {MASK} {MASK}\n  {MASK};"
    assert redaction.concerns(b"\xff" + SECRET)
    assert not redaction.concerns(b"\xff fine")


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off",
        "Authorization: Bearer abc.def",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrIn0.c2ln",
        "db password=hunter2",
    ],
)
def test_what_looks_like_a_key_is_taken_out(text):
    shown = Redaction().of(f"before {text} after")
    assert MASK in shown
    assert not {"MIIE", "abc.def", "c2ln", "hunter2", "cut off"} & {*shown.replace("\n", " ").split()}


@dataclass
class Node:
    """Answers commands by their first words."""

    answers: dict = field(default_factory=dict)
    name: str = "cp"
    role: str = "control-plane"
    running: bool = True
    paused: bool = False

    def execute(self, *words, timeout_seconds=30):
        assert timeout_seconds <= 10
        line = " ".join(words)
        found = next((answer for start, answer in self.answers.items() if start in line), None)
        if isinstance(found, Exception):
            raise found
        text = found.encode() if isinstance(found, str) else b""
        return SimpleNamespace(exit_code=1 if found is None else 0, stdout=text)


class Cluster:
    """One node; its API is where the kubeconfig says."""

    def __init__(self, folder, kubeconfig="", **answers):
        self._file = folder / "config"
        self._file.write_text(kubeconfig)
        self.node, self.workers, self.words = Node(answers), {}, {}

    @property
    def kubeconfig(self):
        if not self._file.read_text():
            raise NoCluster("there is no cluster: no control plane is on")
        return self._file

    def running(self):
        return [self.node]

    def consoles(self):
        return self.words


def dump(**values):
    rows = [{"key": key.encode(), "value": value} for key, value in values.items()]
    return json.dumps({"kvs": [{name: base64.b64encode(part).decode() for name, part in row.items()} for row in rows]})


def log_line(text):
    return f"2026-01-01T00:00:00.0Z stderr F {text}\n"


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.jsonl", lambda: 0.0)
    yield made
    made.seal()


@pytest.fixture
def server(monkeypatch):
    def answer(handler, status, text):
        handler.begin(status, Content_Length=str(len(text)))
        handler.wfile.write(text.encode())

    def say(name, body, status=200):
        text = body if isinstance(body, str) else json.dumps(body)
        monkeypatch.setattr(Handler, f"tell_{name}", lambda handler: answer(handler, status, text), raising=False)

    made = FakeApiServer()
    made.say = say
    yield made
    made.close()


def gathered(cluster, journal, folder, occasion=Occasion.RED, **options):
    Evidence(cluster, journal, folder, **options).gather(occasion)
    return [entry.data for entry in journal.entries() if entry.kind == KIND]


def test_the_harness_says_who_it_is(server):
    from harness.clusters.kube_api import Credentials

    with KubeApi(Credentials.of(server.kubeconfig())) as api:
        api.get("/x")
    assert server.arrived[0].headers["User-Agent"] == "afterfault"


def test_all_of_it_is_told_in_order_and_bounded(server, tmp_path, journal):
    server.say("readyz", "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed", 500)
    server.say("livez", "[+]ping ok\nlivez check passed")
    waiting = {"reason": "CrashLoopBackOff", "message": f"back-off of {SECRET.decode()}"}
    row = {
        "name": "app",
        "restartCount": 3,
        "state": {"waiting": waiting},
        "lastState": {"terminated": {"exitCode": 2}},
    }
    pods = [
        {"metadata": {"namespace": "a", "name": "bad"}, "status": {"phase": "Running", "containerStatuses": [row]}},
        {"metadata": {"namespace": "a", "name": "done"}, "status": {"phase": "Succeeded"}},
    ]
    server.say("pods", {"items": pods})
    event = {"involvedObject": {"kind": "Pod", "name": "bad", "namespace": "a"}, "reason": "BackOff", "message": "x\ny"}
    server.say("events", {"items": [event]})
    log = "".join(log_line(f"{number} {SECRET.decode()}") for number in range(100)) + log_line(PANIC + "x" * 1000)
    keys = {"/registry/secrets/a/s": A_SECRET, "/registry/secrets/a/t": A_SECRET[:-9], "/registry/x": b"?"}
    cluster = Cluster(
        tmp_path, server.kubeconfig(),
        etcdctl=dump(**keys),
        find=f"1.5 {LOGS}/a_bad_1/app/3.log\n1.0 {LOGS}/a_bad_1/app/2.log\n0.5 {LOGS}/a_bad_1/app/1.log\n"
        f"2.0 {LOGS}/a_done_1/app/0.log\nnonsense",
        tail=log, journalctl="kubelet\nspoke",
    )  # fmt: skip
    cluster.words = {"off": "it ended"}
    pieces = gathered(cluster, journal, tmp_path)
    assert [(piece["sort"], piece["subject"]) for piece in pieces] == [
        ("api-health", "readyz"), ("api-health", "livez"),
        ("undecodable-key", "/registry/secrets/a/t"), ("undecodable-key", "/registry/x"),
        ("failing-pod", "a/bad"), ("warning-events", ""),
        ("container-log", "a/bad/app"), ("container-log", "a/bad/app"),
        ("kubelet-log", "cp"), ("console", "off"),
    ]  # fmt: skip
    assert pieces[0]["facts"] == {"status": 500, "failing": ["etcd"]}
    assert pieces[1]["lines"] == []
    assert (pieces[2]["facts"]["raw"], pieces[3]["facts"]["raw"]) == ("", b"?".hex())
    assert pieces[4]["facts"]["containers"] == {
        "app": {"restarts": 3, "waiting": "CrashLoopBackOff", "exit_code": 2}
    }  # fmt: skip
    assert pieces[5]["lines"] == [" 1x BackOff Pod a/bad: x y"]
    assert len(pieces[6]["lines"]) == MOST_LINES
    assert pieces[6]["lines"][-1] == (PANIC + "x" * 1000)[:LONGEST_LINE]
    whole = (tmp_path / pieces[6]["file"]).read_text()
    assert whole.startswith(f"0 {MASK}\n")
    assert pieces[8]["file"] == ""
    assert {piece["occasion"] for piece in pieces} == {"red"}
    for text in ((tmp_path / "journal.jsonl").read_text(), whole):
        assert SECRET.decode() not in text
        assert SECRET.hex() not in text


def test_with_nobody_to_ask_the_node_tells_what_restarted(tmp_path, journal):
    cluster = Cluster(
        tmp_path,
        etcdctl=ClusterError("node cp is off"),
        find=f"3 {LOGS}/k_api_1/kube-apiserver/0.log\n2 {LOGS}/k_x_1/x/2.log\n1 {LOGS}/k_y_1/y/0.log\n",
        tail=log_line(PANIC),
    )
    pieces = gathered(cluster, journal, tmp_path, Occasion.CREATE_FAILED)
    told = {(piece["sort"], piece["subject"]): piece["problem"] for piece in pieces}
    assert told == {
        ("api-health", ""): "NoCluster: there is no cluster: no control plane is on",
        ("undecodable-key", ""): "ClusterError: node cp is off",
        ("container-log", "k/api/kube-apiserver"): "",
        ("container-log", "k/x/x"): "",
        ("kubelet-log", ""): "ClusterError: cp does not tell what its kubelet said: journalctl ended with 1",
    }


def test_of_a_good_cluster_that_is_deleted_nothing_more_is_kept(server, tmp_path, journal):
    cluster = Cluster(tmp_path, server.kubeconfig(), etcdctl=dump(**{"/registry/secrets/a/s": A_SECRET}))
    pieces = gathered(cluster, journal, tmp_path, Occasion.DELETING)
    assert [(piece["sort"], piece["facts"]["status"]) for piece in pieces] == [("api-health", 200)] * 2
    assert not (tmp_path / "evidence").exists()


def test_nothing_new_is_looked_at_after_the_deadline(tmp_path, journal):
    clock = SimpleNamespace(monotonic=iter(range(0, 1000, 10)).__next__)
    pieces = gathered(Cluster(tmp_path), journal, tmp_path, deadline_seconds=15.0, clock=clock)
    assert [piece["problem"] for piece in pieces][1:] == ["there was no time left"] * (len(pieces) - 1)


def test_what_a_secret_held_is_known_when_its_cluster_is_gone(tmp_path, journal):
    cluster = Cluster(tmp_path, etcdctl=dump(**{"/registry/secrets/a/s": A_SECRET}), journalctl="nothing")
    evidence = Evidence(cluster, journal, tmp_path)
    evidence.gather(Occasion.RED)
    cluster.node.answers = {"journalctl": f"{SECRET.decode()} again"}
    evidence.gather(Occasion.RED)
    assert journal.entries()[-1].data["lines"] == [f"{MASK} again"]


def test_a_full_disk_costs_the_file_only(tmp_path, journal):
    cluster = Cluster(tmp_path, journalctl="\n".join(map(str, range(100))))
    (tmp_path / "evidence").write_text("in the way")
    pieces = gathered(cluster, journal, tmp_path)
    assert (pieces[-1]["lines"][-1], pieces[-1]["file"]) == ("99", "")


def test_why_a_program_died_is_among_the_lines_however_long_its_trace(tmp_path, journal):
    trace = "\n".join([PANIC, "", *(f"goroutine {number}" for number in range(50))])
    (piece,) = [
        piece
        for piece in gathered(Cluster(tmp_path, journalctl=f"panic: earlier\n{trace}"), journal, tmp_path)
        if piece["sort"] == "kubelet-log"
    ]
    assert piece["lines"][0] == PANIC
    assert (len(piece["lines"]), piece["lines"][-1]) == (MOST_LINES, "goroutine 49")


def test_a_log_begins_with_a_whole_line():
    log = ContainerLog(Node({"tail": "rets x y half\n" + log_line("whole")}), "/x", "a", "b", "c", 0, 0.0)
    assert tail_of(log, 10) == "whole"
    assert tail_of(log, 1000) == "half\nwhole"
