"""Fan-out without a cluster: the Job's text, how shards are followed, and what wrong words come to."""

import hashlib
import io
import json
import tarfile

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import main
from harness.errors import ClusterError, MachineError, UsageError
from harness.fan_out import engine, shard
from harness.fan_out.engine import Engine, NoAnswer, PodState
from harness.fan_out.follow import Following, unpack
from harness.fan_out.job import MARGIN_SECONDS, Order, manifest
from harness.run_folder import RunFolder
from harness.waiting import SystemClock

IMAGE = "afterfault/harness:abc"


class FakeClock:
    """Time passes only when somebody sleeps."""

    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def order(**more):
    return Order(**{"image": IMAGE, "shards": 3, "seconds": 600, "until": 1e9, "options": ("-k", "x"), **more})


def packed(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def test_each_shard_is_tried_once_and_nothing_outlives_its_time():
    spec = manifest(order())["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (0, 3)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] == 600 + MARGIN_SECONDS
    assert spec["ttlSecondsAfterFinished"] <= 600


def test_everything_carries_the_label_of_its_fan_out():
    one, other = order(), order()
    body = manifest(one)
    assert one.name != other.name
    for part in (body, body["spec"]["template"]):
        assert part["metadata"]["labels"]["afterfault.run"] == one.name
    assert one.selector == f"afterfault.run={one.name}"


def test_a_pod_wants_no_rights_at_all():
    pod = manifest(order())["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} == {"emptyDir", "downwardAPI"}


def test_the_options_come_last_and_durations_by_annotation():
    body = manifest(order(options=("-k", "a b"), durations={"x/y": 1.5}))
    template = body["spec"]["template"]
    assert template["spec"]["containers"][0]["args"][-3:] == ["--", "-k", "a b"]
    assert json.loads(template["metadata"]["annotations"]["afterfault/durations"]) == {"x/y": 1.5}
    assert manifest(order())["spec"]["template"]["metadata"]["annotations"]["afterfault/durations"] == ""


@pytest.mark.parametrize(
    "more", [{"shards": 0}, {"shards": 101}, {"seconds": 0}, {"durations": {f"{n:0>99}": 1.0 for n in range(2000)}}]
)
def test_an_order_that_cannot_be_is_refused(more):
    with pytest.raises(UsageError):
        order(**more)


class FakeCluster:
    """Shards by index: a list of what their pods are at, one for each look; the last one stays."""

    def __init__(self, *shards, ended="", files=None):
        self.shards, self.looks, self.ended = shards, 0, ended
        self.files = files or packed(**{"run.json": "{}", "cases__a__journal.jsonl": "x"})
        self.fetched, self.cut = [], 0

    def pods(self, _):
        now = [states[min(self.looks, len(states) - 1)] for states in self.shards]
        self.looks += 1
        return [pod for pod in now if pod is not None]

    def log(self, pod):
        return f"01:02:0{min(self.looks, 9)}  case-{pod}: 4 guarantees kept\nhello\nbye from {pod}\n"

    def run(self, pod, *command):
        if command[0] == "touch":
            self.fetched.append(pod)
            return b""
        if command[1] == str(shard.DONE):
            digest = hashlib.sha256(self.files).hexdigest()
            return json.dumps({"exit_code": 0, "bytes": len(self.files), "sha256": digest}).encode()
        if self.cut:
            self.cut -= 1
            return self.files[:-5]
        return self.files

    def job_ended(self, _):
        return self.ended


def pod(index, phase="Running", **more):
    usual = {"uid": f"u{index}", "node": "n1", "is_ready": False, "blocked": "", "waiting": "", "ended": ""}
    return PodState(name=f"pod-{index}", index=index, phase=phase, **{**usual, **more})


def follow(cluster, tmp_path, shards=None):
    said = []
    following = Following(cluster, order(shards=shards or len(cluster.shards)), tmp_path, said.append, FakeClock())
    return following.follow(), said


def ready(index):
    return [pod(index, "Pending", waiting="no room"), pod(index), pod(index, is_ready=True)]


def test_shards_come_back_and_are_told_of(tmp_path):
    cluster = FakeCluster(ready(0), ready(1))
    back, said = follow(cluster, tmp_path)
    assert back.lost == ()
    assert [folder.name for folder in back.folders] == ["shard-1-of-2", "shard-2-of-2"]
    assert (back.folders[0] / "cases" / "a" / "journal.jsonl").read_text() == "x"
    assert cluster.fetched == ["pod-0", "pod-1"]
    assert "shard 1 of 2: waits for a place: no room" in said
    assert "shard 2 of 2: pod pod-1 on n1" in said
    assert sum("case-pod-0: 4 guarantees kept" in line for line in said) == 1
    assert not any("hello" in line for line in said)
    assert any("shard 2 of 2: is done (exit code 0)" in line for line in said)


def test_a_shard_that_dies_is_named_with_its_last_words(tmp_path):
    dead = [pod(1), pod(1, "Failed", ended="OOMKilled, exit code 137")]
    back, said = follow(FakeCluster(ready(0), dead), tmp_path)
    assert [folder.name for folder in back.folders] == ["shard-1-of-2"]
    [lost] = back.lost
    assert lost.reason == "shard 2 of 2 died in pod pod-1 on n1: OOMKilled, exit code 137"
    assert lost.sentence.endswith("its last words: 01:02:02  case-pod-1: 4 guarantees kept; hello; bye from pod-1")
    assert any("LOST" in line for line in said)


@pytest.mark.parametrize("then", [None, pod(1, uid="another")])
def test_a_pod_that_is_deleted_is_lost_and_not_played_again(tmp_path, then):
    back, _ = follow(FakeCluster(ready(0), [pod(1), then]), tmp_path)
    assert [lost.reason for lost in back.lost] == ["shard 2 of 2 is gone with its pod pod-1: somebody deleted it"]


def test_a_job_that_kubernetes_ended_is_told(tmp_path):
    back, _ = follow(FakeCluster(ready(0), [None], ended="DeadlineExceeded: too long"), tmp_path)
    assert [lost.reason for lost in back.lost] == ["shard 2 of 2 never began: DeadlineExceeded: too long"]


def test_a_shard_without_end_is_given_up(tmp_path):
    back, _ = follow(FakeCluster([pod(0)], ready(1)), tmp_path)
    assert [lost.reason for lost in back.lost] == ["shard 1 of 2 came to no end in the time there was"]
    assert [folder.name for folder in back.folders] == ["shard-2-of-2"]


def test_what_breaks_off_is_fetched_again_but_not_for_ever(tmp_path):
    cluster = FakeCluster(ready(0))
    cluster.cut = 2
    back, _ = follow(cluster, tmp_path / "a")
    assert len(back.folders) == 1
    cluster = FakeCluster(ready(0))
    cluster.cut = 3
    back, _ = follow(cluster, tmp_path / "b")
    assert "can't be fetched" in back.lost[0].reason
    assert not (tmp_path / "b" / "shard-1-of-1").exists()


class SilentCluster(FakeCluster):
    """Does not answer from the second to some look."""

    silent_until = 0

    def pods(self, selector):
        if 0 < self.looks < self.silent_until:
            self.looks += 1
            raise NoAnswer("nobody there")
        return super().pods(selector)


def test_a_cluster_that_is_busy_for_a_while_is_waited_for(tmp_path):
    cluster = SilentCluster([pod(0)] * 60 + [pod(0, is_ready=True)])
    cluster.silent_until = 60
    back, said = follow(cluster, tmp_path)
    assert len(back.folders) == 1
    assert sum("does not answer" in line for line in said) == 1


def test_a_cluster_that_is_gone_is_not_waited_for_until_the_end(tmp_path):
    cluster = SilentCluster([pod(0)])
    cluster.silent_until = 10**6
    with pytest.raises(NoAnswer):
        follow(cluster, tmp_path)
    assert cluster.looks < 120


class Connection:
    """A command in a pod, as the client has it: what it says, piece by piece, and its end."""

    def __init__(self, *pieces, returncode=0):
        self.pieces, self.code, self.here = list(pieces), returncode, b""

    def is_open(self):
        return bool(self.pieces)

    def update(self, timeout):
        assert timeout == 1
        self.here += self.pieces.pop(0)

    def read_channel(self, number):
        assert number == 1
        here, self.here = self.here, b""
        return here

    @property
    def returncode(self):
        if isinstance(self.code, Exception):
            raise self.code
        return self.code


def test_what_a_command_says_is_read_whole():
    assert engine._read(Connection(b"a\0", b"", b"\xff")) == b"a\0\xff"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, ""),
        (1, "ended with 1"),
        (None, "came to no end"),
        (ValueError("no such program"), "could not be run: no such"),
    ],
)
def test_how_a_command_ended_is_told(code, told):
    said = engine._how_run_ended(Connection(returncode=code))
    assert said.startswith(told)
    assert bool(said) == bool(told)


def test_an_image_that_cannot_be_had_ends_it_at_once(tmp_path):
    with pytest.raises(MachineError, match=r"ErrImagePull: no such[\s\S]*mend: put afterfault/harness:abc") as raised:
        follow(FakeCluster([pod(0, "Pending", blocked="ErrImagePull: no such")]), tmp_path)
    assert raised.value.exit_code == 4


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "cases/../../x"])
def test_nothing_is_unpacked_outside(tmp_path, name):
    files = packed(**{name: "x"})
    with pytest.raises(ClusterError, match="no place"):
        unpack(files, hashlib.sha256(files).hexdigest(), tmp_path / "a" / "b")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_links_are_not_unpacked(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("cases")
        info.type, info.linkname = tarfile.SYMTYPE, "/"
        archive.addfile(info)
    with pytest.raises(ClusterError, match="no place"):
        unpack(out.getvalue(), hashlib.sha256(out.getvalue()).hexdigest(), tmp_path / "a")


def test_what_is_no_archive_is_told(tmp_path):
    with pytest.raises(ClusterError, match="can't be unpacked"):
        unpack(b"x" * 99, hashlib.sha256(b"x" * 99).hexdigest(), tmp_path / "a")


def test_a_pod_packs_all_but_what_clusters_wrote(tmp_path, monkeypatch):
    for name in ("PACKED", "DONE"):
        monkeypatch.setattr(shard, name, tmp_path / name)
    folder = RunFolder(tmp_path / "run")
    for name in ("cases/a/journal.jsonl", "work/x/wal", "run.json"):
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text(name)
    shard._pack(folder, 1)
    told = json.loads((tmp_path / "DONE").read_text())
    back = unpack((tmp_path / "PACKED").read_bytes(), told["sha256"], tmp_path / "back")
    assert told["exit_code"] == 1
    assert sorted(str(path.relative_to(back)) for path in back.rglob("*") if path.is_file()) == [
        "cases/a/journal.jsonl",
        "run.json",
    ]


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "mine"}}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [cluster],
                "contexts": [context],
                "users": [{"name": "u", "user": {}}],
                "current-context": "here",
            }
        )
    )
    return path


def test_the_namespace_is_that_of_the_context(kubeconfig):
    assert Engine(kubeconfig).namespace == "mine"
    assert Engine(kubeconfig, "here", "other").namespace == "other"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "Missing option"),
        (["--context", "gone"], 2, "has no context gone"),
        (["--shards", "0"], 2, "--shards 0"),
        (["--timeout", "0"], 2, "--timeout"),
        (["--shard-durations", "gone.json"], 2, "cannot be read"),
        (["--kubeconfig", "gone"], 2, "there is no kubeconfig gone"),
        (["--", "--run-dir", "x"], 2, "not for you to give"),
        (["--", "--shard-index=2"], 2, "not for you to give"),
        (["--into", "."], 2, "is not an empty folder"),
        (["--image", IMAGE], 4, "no cluster answers at http://127.0.0.1:1"),
    ],
)
def test_wrong_words_and_absent_clusters(kubeconfig, tmp_path, words, code, said):
    usual = ["--kubeconfig", str(kubeconfig), "--shards", "2", "--into", str(tmp_path / "one"), "--image", IMAGE]
    done = CliRunner().invoke(main, ["fan-out", *(usual if words else []), *words])
    assert (done.exit_code, said in done.output) == (code, True), done.output
    assert not (tmp_path / "one").exists()
    assert list(tmp_path.iterdir()) == [kubeconfig]


def test_what_is_no_kubeconfig_is_told(tmp_path):
    (tmp_path / "k").write_text("[1]")
    with pytest.raises(UsageError, match="can't be used"):
        Engine(tmp_path / "k")


def test_the_pod_waits_by_the_machines_clock():
    assert isinstance(Following(None, order(), None, print).clock, SystemClock)
