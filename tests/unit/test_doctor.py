"""What the doctor says of each thing a kind scenario needs, good and bad, and how a run that requires it is refused."""

import json
import resource
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import cli
from harness.admission import Machine
from harness.clusters.docker_engine import EngineFacts, open_engine, read_engine, takes_privileged
from harness.commands import doctor as command
from harness.doctor import ETCD, KIND, S3, Examined, KindSources, examine_kind, examine_s3, refuse_what_is_missing
from harness.errors import MachineError, UsageError
from harness.nodeimage import NodeImage, ToolPaths

PLENTY = Machine(memory_mib=10**6, disk_mib=10**7, cpus=64, inotify_instances=10**5, inotify_watches=10**6)
NODE = NodeImage("afterfault/node:v1.34.4", "1.34.4", "3.6.6")
ALL_CAPABILITIES = "Name:\tcat\nCapBnd:\t000001ffffffffff\n"
ONE_MISSING = "Name:\tcat\nCapBnd:\t000001fffeffffff\n"


def facts(**other):
    values = {"version": "26.1.5", "runc": "1.1.15", "driver": "overlay2", "cgroup_version": 2, "cpus": 4}
    return EngineFacts(**(values | {"memory_mib": 8000, "folder": Path("/"), **other}))


def raising(error):
    def one(*_):
        raise error

    return one


def program(folder, name, says):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path, monkeypatch):
    program(tmp_path, "docker", "")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    kubectl = program(tmp_path, "kubectl", '{"clientVersion": {"gitVersion": "v1.34.4"}}')
    return ToolPaths(program(tmp_path, "kind", "kind v0.30.0 go1.25 linux/amd64"), kubectl)


@pytest.fixture
def look(tools):
    """Examines a machine where all is well but for what a test puts in the place of it."""

    def one(**other):
        sources = {
            "engine": facts,
            "machine": lambda _: PLENTY,
            "images": lambda: [NODE],
            "tools": lambda: tools,
        }
        return {found.what: found for found in examine_kind(KindSources(**(sources | other)))}

    return one


def test_all_is_well(look):
    found = look()
    assert [one.what for one in found.values() if not one.good] == []
    assert {one.group for one in found.values()} == {KIND}
    assert found["kind"].seen.startswith("0.30.0, ")
    assert found["kubectl"].seen.startswith("1.34.4, ")
    assert found["node image"].seen == "afterfault/node:v1.34.4"
    assert found["other clusters"].seen == "none"
    refuse_what_is_missing(found.values())


def test_no_engine(look):
    found = look(engine=raising(MachineError("no Docker engine answers", mend="sudo scripts/docker-engine")))
    assert not found["Docker engine"].good
    assert found["Docker engine"].mend == "sudo scripts/docker-engine"
    assert found["node image"].mend == "sudo scripts/docker-engine, then afterfault images build"
    assert found["memory"].good
    assert "other clusters" not in found


def test_no_client(look, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert not look()["Docker client"].good
    assert look()["Docker client"].mend == "sudo scripts/docker-engine"


@pytest.mark.parametrize(
    ("version", "status", "good"),
    [
        ("26.1.5", ONE_MISSING, True),
        ("23.0.0", ONE_MISSING, True),
        ("20.10.24", ONE_MISSING, False),
        ("20.10.24", ALL_CAPABILITIES, True),
        ("0", ALL_CAPABILITIES, True),
        ("0", "", False),
    ],
)
def test_privileged_containers(version, status, good):
    assert takes_privileged(version, status, 40) is good


def test_an_old_engine(look, monkeypatch):
    monkeypatch.setattr("harness.doctor.kind.takes_privileged", lambda *_: False)
    found = look(engine=lambda: facts(version="20.10.24"))["Docker engine"]
    assert not found.good
    assert "20.10.24" in found.seen
    assert found.mend == "end that engine, then sudo scripts/docker-engine"


@pytest.mark.parametrize(
    ("version", "kubernetes", "good"),
    [(1, "1.34.4", True), (1, "1.35.0", False), (1, "", True), (2, "1.36.1", True)],
)
def test_cgroups(look, version, kubernetes, good):
    found = look(
        engine=lambda: facts(cgroup_version=version), images=lambda: [NodeImage("kindest/node:x", kubernetes, "")]
    )
    assert found["cgroups"].good is good
    assert ("1.34" in found["cgroups"].seen) is (version == 1)


@pytest.mark.parametrize(
    ("less", "what", "seen"),
    [
        ({"memory_mib": 2048}, "memory", "2.0 GiB available; a cluster of three control planes needs 3.6 GiB"),
        ({"disk_mib": 1024}, "disk", "1.0 GiB available; a cluster of three control planes needs 5.5 GiB"),
        ({"cpus": 1}, "cores", "1 available; a cluster of three control planes needs 2"),
        ({"inotify_instances": 3}, "inotify instances", "3 available; a cluster of three control planes needs 90"),
        ({"inotify_watches": 100}, "inotify watches", "100 available; a cluster of three control planes needs 8192"),
    ],
)
def test_too_little_room(look, less, what, seen):
    there = Machine(**{name: getattr(PLENTY, name) for name in Machine.__dataclass_fields__} | less)
    found = look(machine=lambda _: there)
    assert [one.what for one in found.values() if not one.good] == [what, "room"]
    assert found[what].seen == seen
    assert found[what].mend


@pytest.mark.parametrize(
    ("hard", "good", "words"),
    [(1024, False, "1024"), (4096, True, "low"), (65536, True, "65536"), (resource.RLIM_INFINITY, True, "no limit")],
)
def test_open_files(look, monkeypatch, hard, good, words):
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, hard))
    assert look()["open files"].good is good
    assert words in look()["open files"].seen


def test_no_port(look, monkeypatch):
    def full(*_):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(socket.socket, "bind", full)
    assert not look()["ports"].good


def test_no_tools(look):
    found = look(tools=raising(MachineError("there is no kind 0.30.x here", mend="afterfault images build")))
    assert found["kind and kubectl"].mend == "afterfault images build"
    assert "kind" not in found


def test_a_tool_that_is_something_else(look, tools):
    tools.kubectl.write_text("#!/bin/sh\necho hello\n")
    found = look()
    assert found["kind"].good
    assert not found["kubectl"].good
    assert "is not kubectl: it does not say a version (exit 0, 'hello')" in found["kubectl"].seen
    assert found["kubectl"].mend.startswith(f"rm {tools.kubectl}")


def test_without_an_image_there_is_no_run(look):
    found = look(images=list)["node image"]
    assert (found.good, found.seen, found.mend) == (False, "none", "afterfault images build")


def test_an_engine_that_ends_while_images_are_asked_for(look):
    found = look(images=raising(MachineError("no Docker engine answers", mend="sudo scripts/docker-engine")))
    assert found["node image"].mend == "sudo scripts/docker-engine"


def test_other_clusters_are_named(look):
    found = look(engine=lambda: facts(kind_nodes=(("precious", 1), ("prod", 4))))["other clusters"]
    assert found.good
    assert found.seen == "precious (1 container), prod (4 containers); they are never touched"


def test_a_run_that_requires_it_is_refused_with_everything_that_is_missing():
    good, bad = Examined(KIND, "a", True, "fine", "-"), Examined(KIND, "b", False, "not there", "make b")
    refuse_what_is_missing([good])
    with pytest.raises(MachineError, match=r"kind scenarios can't run on this machine: b: not there\n  mend: make b$"):
        refuse_what_is_missing([good, bad])
    with pytest.raises(MachineError, match=r"b: not there; b: not there\n  mend: make b; `afterfault doctor` tells"):
        refuse_what_is_missing([bad, bad])


@pytest.mark.parametrize(
    ("words", "groups", "code"),
    [
        ([], [ETCD, KIND, S3], 4),
        (["--only", "etcd"], [ETCD], 0),
        (["--only", "kind"], [KIND], 4),
        (["--only", "s3"], [S3], 0),
    ],
)
def test_the_command(monkeypatch, words, groups, code):
    monkeypatch.setattr(command, "examine_etcd", lambda *_: [Examined(ETCD, "etcd", True, "3.5.1", "pip")])
    monkeypatch.setattr(command, "examine_kind", lambda: [Examined(KIND, "kind", False, "none", "images build")])
    monkeypatch.setattr(
        command, "examine_s3", lambda *_: [Examined(S3, "S3 server", True, "minio", "images s3-server")]
    )
    told = CliRunner().invoke(cli.main, ["doctor", *words])
    assert told.exit_code == code
    assert [line for line in told.output.splitlines() if line.endswith("scenarios")] == [
        f"{one} scenarios" for one in groups
    ]
    assert ("mend: images build" in told.output) is (KIND in groups)
    assert "pip" not in told.output
    machine = CliRunner().invoke(cli.main, ["doctor", "--json", *words])
    assert machine.exit_code == code
    found = json.loads(machine.output)
    assert [one["group"] for one in found] == groups
    assert set(found[0]) == {"group", "what", "good", "seen", "mend"}
    assert {one["mend"] for one in found if one["good"]} <= {""}


@pytest.mark.parametrize("host", ["tcp://192.0.2.1:2375", "ssh://elsewhere", "nonsense", "npipe:////./pipe/docker"])
def test_an_engine_elsewhere_is_not_asked(monkeypatch, host):
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(MachineError, match=r"is not an engine on this machine\n  mend: unset DOCKER_HOST"):
        open_engine()


@pytest.mark.parametrize("host", ["unix:///nonexistent.sock", "unix://", "tcp://127.0.0.1:1", "tcp://localhost:x"])
def test_an_engine_that_does_not_answer(monkeypatch, host):
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(MachineError, match=r"no Docker engine answers at DOCKER_HOST=.*\n.*unset DOCKER_HOST"):
        open_engine()


def test_a_socket_of_somebody_else(monkeypatch):
    def shut(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(socket.socket, "connect", shut)
    with pytest.raises(MachineError, match=r"is not for this user\n  mend: sudo usermod -aG docker \$USER"):
        open_engine()


class Client:
    """An engine's answers, as Docker's client hands them on."""

    api = property(lambda self: self)

    def __init__(self, version, info, containers):
        self.version, self.info = lambda: version, lambda: info
        self.containers = lambda **_: containers


def test_an_engine_is_read():
    label = "io.x-k8s.kind.cluster"
    client = Client(
        {"Version": "26.1.5+dfsg1", "Components": [{"Name": "runc", "Version": "1.1.15+ds1"}]},
        {"Driver": "overlay2", "CgroupVersion": "2", "NCPU": 4, "MemTotal": 2**33, "DockerRootDir": "/var/lib/docker"},
        [{"Labels": {label: "b"}}, {"Labels": {label: "a"}}, {"Labels": {label: "b"}}],
    )
    read = read_engine(client)
    assert read == EngineFacts(
        "26.1.5", "1.1.15", "overlay2", 2, 4, 8192, Path("/var/lib/docker"), (("a", 1), ("b", 2))
    )


def test_an_old_engine_says_less():
    info = {"Driver": "vfs", "NCPU": 1, "MemTotal": 2**30, "DockerRootDir": "/"}
    read = read_engine(Client({"Version": "dev"}, info, []))
    assert (read.version, read.runc, read.cgroup_version, read.kind_nodes) == ("0", "unknown", 1, ())


def test_an_engine_that_ends_while_it_is_read():
    client = Client({}, {}, [])
    client.version = raising(ConnectionError("gone"))
    with pytest.raises(MachineError, match="no Docker engine answers"):
        read_engine(client)


def test_usage_errors_are_not_swallowed(look):
    """A wrong word is the caller's to hear of, not a thing that is missing."""
    with pytest.raises(UsageError):
        look(engine=raising(UsageError("wrong word")))


def test_the_s3_server(tmp_path):
    def found(say):
        return examine_s3(lambda: program(tmp_path, "minio", say))[0]

    assert found("minio version DEVELOPMENT").good
    assert not found("garage 2.5").good
    (tmp_path / "minio").write_text("no program")
    assert not examine_s3(lambda: tmp_path / "minio")[0].good
    told = examine_s3(raising(MachineError("the S3 server was not built here", mend="afterfault images s3-server")))[0]
    assert (told.good, told.mend) == (False, "afterfault images s3-server")
