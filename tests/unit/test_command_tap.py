"""The command tap, with small programs in the place of kind, docker and kubectl."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from harness.cuts import Moment
from harness.errors import HarnessError
from harness.journal import Journal
from harness.taps.command_call import Hooks
from harness.taps.command_rules import CONTAINER, IMAGE, NETWORK, VOLUME
from harness.taps.command_tap import CommandTap
from harness.taps.gate import OpenGate
from harness.waiting import until

IMAGE_OF_NODES = "afterfault/node:1"
OURS, FOREIGN = True, False


class Lease:
    label = "run-1"


class Owner:
    """As `Ownership`, without a reaper and an engine."""

    lease = Lease()

    def __init__(self):
        self.noted = 0

    def labels(self):
        return {"afterfault.run": "run-1", "afterfault.owner": '["here", 1]'}

    def network(self):
        return "af-0123456789-net"

    def environment(self):
        return {"PATH": os.environ["PATH"], "AFTERFAULT_RUN": "run-1", "DOCKER_HOST": "unix:///guarded"}

    def note_volumes(self):
        self.noted += 1


@dataclass
class World:
    """An engine that knows what the test says."""

    there: dict = field(default_factory=dict)
    kind: dict = field(default_factory=dict)
    nodes: set = field(default_factory=set)
    claimed: list = field(default_factory=list)

    def clusters(self):
        return dict(self.kind)

    def own_nodes(self):
        return self.nodes

    def whose(self, sort, reference):
        return self.there.get((sort, reference))

    def claim_volume(self, name):
        self.claimed.append(name)


class Told:
    """Hooks that write down what they were told."""

    def __init__(self, **others):
        self.said = []
        names = ("created", "create_failed", "deleting", "kubeconfig_written")
        told = {name: lambda *words, name=name: self.said.append((name, *words)) for name in names}
        self.hooks = Hooks(**{**told, **others})


# Tells what it was called with, then does what its script says.
PROGRAM = """#!/bin/sh
echo "$0|$@" >> {log}
{script}
"""


class Tapped:
    """A tap over programs made of shell scripts."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.world, self.owner, self.told = World(), Owner(), Told()
        self.gate = OpenGate()
        self.journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
        self.log = tmp_path / "calls"
        self.scripts = {name: tmp_path / "real" / name for name in ("kind", "docker", "kubectl")}
        (tmp_path / "real").mkdir()
        for name in self.scripts:
            self.program(name)
        self.tap = None

    def program(self, name, script="exit 0"):
        self.scripts[name].write_text(PROGRAM.format(log=self.log, script=script))
        self.scripts[name].chmod(0o755)

    def open(self):
        work = self.tmp_path / "a folder with 'quotes' and a name longer than a socket's path may be" / ("x" * 60)
        self.tap = CommandTap(
            work, self.scripts, self.world, self.owner, self.journal, self.gate, self.told.hooks,
            node_image=IMAGE_OF_NODES,
        )  # fmt: skip
        return self.tap

    def environment(self, **more):
        return {"HOME": str(self.tmp_path), **(self.tap or self.open()).environment(), **more}

    def start(self, *words, **options):
        options.setdefault("env", self.environment())
        pipe = subprocess.PIPE
        return subprocess.Popen(
            words, **{"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, "text": True, **options}
        )

    def call(self, *words, stdin="", **more):
        """Run to its end; returns the finished process."""
        return subprocess.run(
            words, env=self.environment(**more), input=stdin, capture_output=True, text=True, check=False, timeout=60
        )

    @property
    def calls(self):
        """What the real programs were called with."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [f"{Path(line.partition('|')[0]).name} {line.partition('|')[2]}".strip() for line in lines]

    def entries(self, kind="tap.command"):
        return [entry.data for entry in self.journal.entries() if entry.kind == kind]

    def entry(self, kind="tap.command"):
        (only,) = self.entries(kind)
        return only


@pytest.fixture
def tapped(tmp_path):
    made = Tapped(tmp_path)
    yield made
    if made.tap:
        made.tap.close()
    made.journal.seal()


# --- as if it were not there


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_streams_and_exit_code_are_the_program_s(tapped, code):
    tapped.program("kubectl", f"cat; echo out; echo err >&2; exit {code}")
    done = tapped.call("kubectl", "get", "pods", "-A", "", "a  b", "ü\n'", stdin="typed\n")
    assert (done.stdout, done.stderr, done.returncode) == ("typed\nout\n", "err\n", code)
    assert tapped.log.read_text().endswith("kubectl|get pods -A  a  b ü\n'\n")
    entry = tapped.entry()
    assert (entry["call"], entry["exit_code"], entry["outcome"]) == ("kubectl get pods", code, "ran")
    assert 0 <= entry["began"] <= entry["ended"]


def test_words_that_are_no_text_get_through(tapped):
    tapped.program("kubectl", 'printf %s "$1" | od -An -tx1')
    done = subprocess.run(
        ["kubectl", b"\xff\xfe"], env=tapped.environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["ff", "fe"]
    json.dumps(tapped.entry())


def test_output_is_not_held_back(tapped):
    tapped.program("kubectl", "echo one; read word; echo $word")
    with tapped.start("kubectl", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "one\n"
        process.stdin.write("two\n")
        process.stdin.flush()
        assert process.stdout.readline() == "two\n"
    assert process.returncode == 0


def test_a_terminal_stays_one(tapped):
    tapped.program("kubectl", "test -t 0 && test -t 1 && echo terminal")
    ours, theirs = pty.openpty()
    with tapped.start("kubectl", stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        assert os.read(ours, 100).strip() == b"terminal"
    os.close(ours)
    assert process.returncode == 0


def test_the_environment_is_the_tool_s(tapped):
    tapped.program("kubectl", "env -0")
    done = tapped.call("kubectl", ODD="a=b\nc", EMPTY="")
    seen = dict(pair.partition("=")[::2] for pair in done.stdout.split("\0") if pair)
    given = tapped.environment(ODD="a=b\nc", EMPTY="")
    # the shells that start the launcher and the program add theirs
    assert {name: value for name, value in seen.items() if name not in ("PWD", "OLDPWD", "_", "SHLVL")} == given


def test_ignored_signals_and_pipes_are_inherited_as_they_were(tapped):
    tapped.program("kubectl", "grep -E 'SigIgn|SigBlk' /proc/self/status")
    plain = subprocess.run([tapped.scripts["kubectl"]], capture_output=True, text=True, check=True)
    assert tapped.call("kubectl").stdout == plain.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_it_dies_of_the_program_s_signal(tapped, number):
    tapped.program("kubectl", f"kill -{int(number)} $$")
    assert tapped.call("kubectl").returncode == -number
    assert tapped.entry()["exit_code"] == -number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("to_group", [False, True])
def test_each_signal_arrives_once(tapped, number, to_group, tmp_path):
    """Whether to the shim alone or to its whole group; and so does a second one."""
    seen = tmp_path / "seen"
    seen.touch()
    tapped.program("kubectl", counting(seen, tmp_path / "ready"))
    word = number.name.removeprefix("SIG")
    ready = tmp_path / "ready"
    with tapped.start("kubectl", start_new_session=True) as process, contextlib.ExitStack() as at_the_end:
        # it ends by that, also where something below does not hold
        at_the_end.callback(ready.unlink, missing_ok=True)
        until(ready.exists, what="the program", deadline_seconds=20)
        for times in (1, 2):
            (os.killpg if to_group else os.kill)(process.pid, number)
            until(lambda times=times: seen.read_text().split() == [word] * times, what="it", deadline_seconds=20)
        with contextlib.suppress(HarnessError):
            until(lambda: len(seen.read_text().split()) > 2, what="one too many", deadline_seconds=0.3)
        ready.unlink()
        assert process.wait(20) == 0
    assert seen.read_text().split() == [word] * 2


def counting(seen, ready):
    """A program that writes down the signals it gets, until the file that says it is ready is removed."""
    traps = "\n".join(f"trap 'echo {name} >> {seen}' {name}" for name in ("TERM", "HUP", "INT", "QUIT"))
    return f"{traps}\ntouch {ready}\nwhile [ -e {ready} ]; do sleep 0.02; done"


def test_killed_alone_it_takes_the_program_with_it(tapped, tmp_path):
    tapped.program("kubectl", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with tapped.start("kubectl", start_new_session=True) as process:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), what="it", deadline_seconds=20)
        program = psutil.Process(int((tmp_path / "pid").read_text()))
        family = psutil.Process(process.pid).children(recursive=True)
        assert program in family
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    until(tapped.entries, what="an entry", deadline_seconds=20)
    assert (tapped.entry()["outcome"], tapped.entry()["exit_code"]) == ("cut", None)


def test_nothing_runs_beside_when_it_has_ended(tapped):
    tapped.program("kubectl", "exit 0")
    with tapped.start("kubectl", start_new_session=True) as process:
        process.wait(20)
        assert [one for one in psutil.process_iter() if _group(one.pid) == process.pid and one.pid != process.pid] == []


def _group(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def test_kind_s_own_calls_of_docker_are_not_the_tool_s_and_a_script_s_are(tapped, tmp_path):
    tapped.program("kind", "docker ps; kubectl version")
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nkind version\ndocker ps\n")
    script.chmod(0o755)
    assert tapped.call(str(script)).returncode == 0
    assert tapped.calls == ["kind version", "docker ps", "kubectl version", "docker ps"]
    assert [entry["call"] for entry in tapped.entries()] == ["kind version", "docker ps"]


def test_a_program_that_is_not_there_is_told(tapped):
    tapped.scripts["kubectl"].unlink()
    done = tapped.call("kubectl")
    assert done.returncode == 126
    assert "No such file" in done.stderr


def test_calls_at_once_keep_apart(tapped):
    tapped.program("kubectl", 'sleep 0.2; echo "$1"; exit $1')
    running = [tapped.start("kubectl", str(number)) for number in range(8)]
    said = [(process.communicate(timeout=60)[0], process.returncode) for process in running]
    assert said == [(f"{number}\n", number) for number in range(8)]
    assert len(tapped.entries()) == 8


# --- gates


class Hold:
    """Lets go, or drops, when told."""

    def __init__(self, moment):
        self.moment, self.reached, self.let, self.verdict = moment, threading.Event(), threading.Event(), True

    def passes(self, _, moment):
        if moment is not self.moment:
            return True
        self.reached.set()
        self.let.wait(60)
        return self.verdict


@pytest.mark.parametrize("moment", list(Moment))
def test_a_call_is_held(tapped, moment):
    tapped.gate = Hold(moment)
    with tapped.start("docker", "ps") as process:
        assert tapped.gate.reached.wait(20)
        assert tapped.calls == (["docker ps"] if moment is Moment.AFTER else [])
        assert process.poll() is None
        tapped.gate.let.set()
        assert process.wait(20) == 0
    assert tapped.entry()["outcome"] == "ran"


@pytest.mark.parametrize("moment", list(Moment))
def test_a_dropped_call_never_says_how_it_went(tapped, moment):
    tapped.gate = Hold(moment)
    tapped.gate.verdict = False
    tapped.gate.let.set()
    assert tapped.call("docker", "ps").returncode == -signal.SIGKILL
    assert tapped.calls == (["docker ps"] if moment is Moment.AFTER else [])
    entry = tapped.entry()
    assert (entry["outcome"], entry["exit_code"]) == (f"dropped-{moment}", 0 if moment is Moment.AFTER else None)


def test_a_tool_that_is_killed_at_the_gate_is_done_with(tapped):
    tapped.gate = Hold(Moment.BEFORE)
    with tapped.start("docker", "ps") as process:
        tapped.gate.reached.wait(20)
        process.kill()
    tapped.gate.let.set()
    until(tapped.entries, what="an entry", deadline_seconds=20)
    assert tapped.entry()["outcome"] == "cut"
    assert tapped.calls == []


def test_when_the_tap_is_gone_nothing_is_run(tapped):
    environment = tapped.environment()
    tapped.tap.close()
    done = subprocess.run(["docker", "ps"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (125, "docker: afterfault's command tap is gone; nothing more is done\n")
    assert tapped.calls == []


def test_closing_ends_calls_that_run(tapped, tmp_path):
    tapped.program("kubectl", f"touch {tmp_path}/on; read word")
    with tapped.start("kubectl", stdin=subprocess.PIPE) as process:
        until((tmp_path / "on").exists, what="it", deadline_seconds=20)
        tapped.tap.close()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(20) == 125
    assert tapped.entry()["outcome"] == "cut"


# --- kind


def test_kind_works_on_the_run_s_network_and_engine(tapped):
    tapped.program("kind", 'echo "$KIND_EXPERIMENTAL_DOCKER_NETWORK $KIND_EXPERIMENTAL_PROVIDER $DOCKER_HOST"; '
                   'echo "$AFTERFAULT_RUN $TMPDIR $DOCKER_CONTEXT"')  # fmt: skip
    others = {"DOCKER_HOST": "tcp://elsewhere", "DOCKER_CONTEXT": "elsewhere", "KIND_EXPERIMENTAL_PROVIDER": "podman"}
    done = tapped.call("kind", "version", AFTERFAULT_RUN="", **others)
    first, second = done.stdout.splitlines()
    assert first == "af-0123456789-net docker unix:///guarded"
    assert second.startswith("run-1 ")
    assert str(tapped.tmp_path) in second
    assert not second.endswith("elsewhere")


def test_foreign_clusters_and_nodes_are_hidden(tapped):
    tapped.world.kind = {"ours": OURS, "theirs": FOREIGN}
    tapped.world.nodes = {"ours-control-plane"}
    tapped.program("kind", 'case "$2" in clusters) echo ours; echo theirs;; *) echo theirs-control-plane; '
                   "echo ours-control-plane;; esac")  # fmt: skip
    assert tapped.call("kind", "get", "clusters").stdout == "ours\n"
    assert tapped.call("kind", "get", "nodes", "-A").stdout == "ours-control-plane\n"
    hidden = tapped.call("kind", "get", "nodes", "-n", "theirs")
    assert (hidden.stdout, hidden.stderr) == ("", 'No kind nodes found for cluster "theirs".\n')


def test_with_foreign_clusters_alone_there_are_none(tapped):
    tapped.world.kind = {"theirs": FOREIGN}
    tapped.program("kind", "echo theirs")
    done = tapped.call("kind", "get", "clusters")
    assert (done.stdout, done.stderr, done.returncode) == ("", "No kind clusters found.\n", 0)


def test_a_create_gets_our_image_and_is_told(tapped, tmp_path):
    assert tapped.call("kind", "create", "cluster", "--name", "x").returncode == 0
    assert tapped.calls == [f"kind create cluster --name x --image={IMAGE_OF_NODES} --retain"]
    assert tapped.entry()["changed"] == [f"--image={IMAGE_OF_NODES}", "--retain"]
    assert tapped.told.said == [("created", "x", tmp_path / ".kube" / "config")]
    assert tapped.owner.noted == 1


def test_a_config_on_stdin_is_read_and_given_on(tapped):
    tapped.world.there[IMAGE, "node:2"] = FOREIGN
    tapped.program("kind", "cat")
    config = "kind: Cluster\nname: named\nnodes:\n- role: control-plane\n  image: node:2\n"
    done = tapped.call("kind", "create", "cluster", "--config", "-", stdin=config)
    assert done.stdout == config
    assert tapped.calls == ["kind create cluster --config - --retain"]
    assert tapped.told.said[0][:2] == ("created", "named")


def test_a_failed_create_ends_as_without_the_tap(tapped):
    """Its nodes are kept for a look, then go; the exit code stays what it was."""

    def die(name):
        tapped.told.said.append(("looked at", name, list(tapped.calls)))

    tapped.told = Told(create_failed=die)
    tapped.program("kind", 'test "$1" = delete && exit 0; exit 1')
    tapped.world.clusters = lambda: {"x": OURS} if tapped.calls else {}
    assert tapped.call("kind", "create", "cluster", "--name=x", "--kubeconfig", "k").returncode == 1
    create, delete = tapped.calls
    assert delete == "kind delete cluster --name=x --kubeconfig=k"
    assert tapped.told.said == [("looked at", "x", [create])]
    assert (tapped.entry()["exit_code"], tapped.entry()["call"]) == (1, "kind create cluster")


@pytest.mark.parametrize(
    ("words", "script", "before"),
    [
        (["--retain"], "exit 1", {}),
        ([], "kill -9 $$", {}),
        ([], "exit 1", {"kind": OURS}),
        (["--kubeconfig=locked"], "exit 1", {}),
    ],
    ids=["asked to", "kind was killed", "was there before", "only the kubeconfig could not be written"],
)
def test_nodes_that_kind_would_keep_are_kept(tapped, words, script, before, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "locked.lock").touch()
    tapped.program("kind", script)
    tapped.world.clusters = lambda: {"kind": OURS} if tapped.calls else before
    assert tapped.call("kind", "create", "cluster", *words).returncode != 0
    assert len(tapped.calls) == 1
    assert tapped.told.said == ([] if before else [("create_failed", "kind")])


def test_a_foreign_cluster_is_not_deleted(tapped):
    tapped.world.kind = {"theirs": FOREIGN}
    done = tapped.call("kind", "delete", "cluster", "--name", "theirs")
    assert done.returncode == 1
    assert 'failed to delete cluster "theirs"' in done.stderr
    assert tapped.calls == []
    assert tapped.entry()["outcome"] == "refused"
    refused = tapped.entry("tap.refused")
    assert refused == {"call": "kind delete cluster", "thing": "cluster theirs", "why": "foreign cluster theirs"}


def test_before_a_deletion_it_is_told(tapped):
    tapped.world.kind = {"kind": OURS}
    tapped.told = Told(deleting=lambda name: tapped.told.said.append((name, list(tapped.calls))))
    assert tapped.call("kind", "delete", "cluster").returncode == 0
    assert tapped.told.said == [("kind", [])]
    assert tapped.calls == ["kind delete cluster"]


def test_a_kubeconfig_goes_through_the_hook(tapped, tmp_path):
    written = []
    tapped.told = Told(kubeconfig_text=str.upper, kubeconfig_written=written.append)
    tapped.program("kind", "echo server: there")
    assert tapped.call("kind", "get", "kubeconfig").stdout == "SERVER: THERE\n"
    later = tmp_path / "later"
    assert tapped.call("kind", "export", "kubeconfig", KUBECONFIG=f"{tmp_path}/a:{later}").returncode == 0
    assert written == [later]


def test_a_hook_s_trouble_is_not_the_tool_s(tapped):
    def fail(_name, _path):
        raise HarnessError("no proxy")

    tapped.told = Told(created=fail)
    done = tapped.call("kind", "create", "cluster")
    assert done.returncode == 125
    assert "no proxy" in done.stderr
    assert tapped.entry("tap.trouble") == {"call": "kind create cluster", "why": "no proxy"}


# --- docker


def test_what_docker_makes_is_marked(tapped):
    tapped.world.there[IMAGE, "alpine:3.19"] = FOREIGN
    tapped.call("docker", "run", "-d", "-v", "data:/data", "--pull", "always", "alpine:3.19", "sh", "-c", "x")
    (called,) = tapped.calls
    labels = '--label afterfault.run=run-1 --label afterfault.owner=["here", 1]'
    assert called == f"docker run -d -v data:/data --pull always {labels} --pull=never alpine:3.19 sh -c x"
    assert tapped.world.claimed == ["data"]
    assert tapped.owner.noted == 1


def test_an_image_that_is_missing_may_be_stood_in_for(tapped):
    asked = []
    tapped.told = Told(image_missing=lambda name: bool(asked.append(name)) or name == "alpine:3.19")
    assert tapped.call("docker", "run", "--rm", "alpine:3.19").returncode == 0
    done = tapped.call("docker", "run", "--rm", "nowhere/x")
    assert done.returncode == 125
    assert done.stderr.startswith(
        "Unable to find image 'nowhere/x:latest' locally\ndocker: Error response from daemon: "
    )
    assert tapped.call("docker", "pull", "-q", "alpine:3.19").stdout == "alpine:3.19\n"
    assert tapped.call("docker", "pull", "nowhere/x").returncode == 1
    assert asked == ["alpine:3.19", "nowhere/x", "alpine:3.19", "nowhere/x"]
    assert [entry["outcome"] for entry in tapped.entries()] == ["ran", "refused", "answered", "refused"]
    assert tapped.entries("tap.refused") == []


def test_things_of_others_are_left_alone(tapped):
    tapped.world.there = {(CONTAINER, "web"): FOREIGN, (VOLUME, "data"): FOREIGN, (NETWORK, "net"): FOREIGN}
    for words in (("rm", "-f", "web"), ("volume", "rm", "data"), ("network", "rm", "net"), ("system", "prune", "-f")):
        done = tapped.call("docker", *words)
        assert done.returncode == 1
        assert done.stderr.startswith("Error response from daemon: ")
    assert tapped.calls == []
    things = [entry["thing"] for entry in tapped.entries("tap.refused")]
    assert things == ["container web", "volume data", "network net", "everything unused"]


def test_secrets_do_not_get_into_the_journal(tapped):
    words = ["--token", "t0p", "--from-literal=password=hush", "-eAPI_TOKEN=x y", "--token=abc", "-p", "s3cret"]
    tapped.call("kubectl", "create", *words)
    assert tapped.calls[0].endswith("--token=abc -p s3cret")
    text = tapped.journal.path.read_text()
    assert not [word for word in ("t0p", "hush", "x y", "abc", "s3cret") if word in text]


def test_what_a_call_costs(tapped, capsys):
    """Most of it is the start of an interpreter. This machine may be busy, so the limit is a loose one."""
    environment = tapped.environment()

    def best(command):
        seconds = []
        for _ in range(8):
            began = time.perf_counter()
            subprocess.run([command, "version"], env=environment, check=True)
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    plain, through = best(str(tapped.scripts["kubectl"])), best("kubectl")
    with capsys.disabled():
        print(f"\na call through the tap takes {1000 * (through - plain):.0f} ms more")
    assert through - plain < 1
