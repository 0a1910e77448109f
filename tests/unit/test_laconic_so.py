"""The adapter of laconic-so, against small programs that answer as releases of it do, and as they never should."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from http.client import HTTPConnection
from pathlib import Path

import docker.errors
import psutil
import pytest
import yaml

from harness.clusters.living import pid_lives
from harness.errors import ClusterError, MachineError, UsageError
from harness.tools import laconic_lock
from harness.tools.bounded_answer import MOST_BYTES, ask, readable
from harness.tools.deployers import laconic_so
from harness.tools.deployments import Site
from harness.tools.image_mirror import Shelf, serve, write_certs
from harness.tools.laconic_images import provide, short_name, stand_in
from harness.tools.laconic_lock import engine_lock
from harness.tools.laconic_so import LaconicSo
from harness.tools.laconic_stack import SHIPPED_TEST, DeploymentPlan, is_shared
from harness.waiting import until

CLUSTER = "af-0123456789-one"

# What releases of February (`old`) and May 2026 do, as far as the adapter sees it.
PROGRAM = """#!{python}
import pathlib, subprocess, sys
generation, words = {generation!r}, sys.argv[1:]
FLAGS = dict(
    ancient=("", ""),
    old=("--skip-cluster-management / --perform-cluster-management", "--delete-volumes / --preserve-volumes"),
    new=("--skip-cluster-management / --perform-cluster-management",
         "--delete-volumes / --preserve-volumes\\n  --delete-namespace"),
)
both, more = FLAGS[generation]

def word_after(option):
    return words[words.index(option) + 1]

if words == ["version"]:
    print("1.1.0-4a1b5d8-202602032313")
elif words == ["--help"]:
    print("Usage: laconic-so [OPTIONS] COMMAND\\n\\nCommands:\\n  deploy      a stack\\n  deployment  manage one")
elif words[0] == "deployment":
    folder = pathlib.Path(word_after("--dir"))
    if not (folder / "spec.yml").exists():
        raise FileNotFoundError(folder / "spec.yml")
    print("Options:\\n  " + both + "\\n  " + (more if words[3] == "stop" else "") + "\\n  -h, --help  Show this.")
elif "init" in words:
    volumes = "volumes:\\n  a-volume:\\n  another:\\n"
    pathlib.Path(word_after("--output")).write_text("stack: " + word_after("--stack") + "\\n" + volumes)
elif "create" in words:
    first = subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True).stdout.split()
    folder = pathlib.Path(word_after("--deployment-dir"))
    folder.mkdir()
    cluster = "cluster-id: " + (first[0] if first else "laconic-77") + "\\n"
    (folder / "deployment.yml").write_text(cluster + "deployment-id: laconic-78\\n" * (generation == "new"))
    mounts = "\\n  - {{hostPath: /nowhere, containerPath: /mnt, propagation: HostToContainer}}"
    if generation == "old":
        mounts += "\\n  - {{hostPath: " + str(folder) + "/data/etcd, containerPath: /var/lib/etcd}}"
    (folder / "kind-config.yml").write_text(
        "kind: Cluster\\nnodes:\\n- role: control-plane\\n  extraPortMappings:\\n"
        "  - {{containerPort: 80, hostPort: 80}}\\n  - {{containerPort: 443, hostPort: 443}}\\n  extraMounts:" + mounts
    )
"""


def program(folder, generation="old"):
    return script(folder, PROGRAM.format(python=sys.executable, generation=generation))


def script(folder, text):
    path = folder / "laconic-so"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def deploy(tmp_path, generation, **plan):
    build = LaconicSo.examine(program(tmp_path, generation))
    environment = build.environment(tmp_path / "env", "our-net")
    plan = DeploymentPlan(CLUSTER, host="app.afterfault.test", **plan)
    return build, build.deploy(plan, tmp_path / "made", environment)


def content(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("generation", "start", "stop"),
    [
        ("old", ["start", "--perform-cluster-management"],
         ["stop", "--perform-cluster-management", "--preserve-volumes"]),
        ("new", ["start", "--perform-cluster-management"],
         ["stop", "--perform-cluster-management", "--preserve-volumes"]),
        ("ancient", ["start"], ["stop"]),
    ],
)  # fmt: skip
def test_the_flags_a_build_knows_are_asked_from_it(tmp_path, generation, start, stop):
    build, deployment = deploy(tmp_path, generation)
    assert build.version == "1.1.0-4a1b5d8-202602032313"
    assert build.cluster_flags is (generation != "ancient")
    assert list(build.start_command(deployment)[1:]) == ["deployment", "--dir", str(deployment.folder), *start]
    assert list(build.stop_command(deployment)[4:]) == stop


def test_volumes_are_deleted_only_when_asked(tmp_path):
    build, deployment = deploy(tmp_path, "new")
    command = build.stop_command(deployment, delete_volumes=True, delete_namespace=True)
    assert command[-2:] == ("--delete-volumes", "--delete-namespace")
    old = LaconicSo.examine(program(tmp_path, "old"))
    with pytest.raises(UsageError, match="has no `stop --delete-namespace`"):
        old.stop_command(deployment, delete_namespace=True)


@pytest.mark.parametrize("generation", ["old", "new"])
def test_a_deployment_keeps_to_itself(tmp_path, generation):
    _, deployment = deploy(tmp_path, generation, node_image="some/node:1")
    node = content(deployment.kind_config)["nodes"][0]
    assert node["image"] == "some/node:1"
    assert [(m["containerPort"], m["listenAddress"]) for m in node["extraPortMappings"]] == [
        (80, "127.0.0.1"), (443, "127.0.0.1"),
    ]  # fmt: skip
    ports = [mapping["hostPort"] for mapping in node["extraPortMappings"]]
    assert ports == [deployment.http_port, deployment.https_port]
    assert len({80, 443, *ports}) == 4
    ids = content(deployment.folder / "deployment.yml")
    assert set(ids.values()) == {CLUSTER} == {deployment.cluster, deployment.app}
    assert deployment.namespace == f"laconic-{CLUSTER}"


def test_the_spec_says_where_volumes_are_and_asks_for_little(tmp_path):
    _, deployment = deploy(tmp_path, "new")
    spec = content(tmp_path / "made" / "spec.yml")
    assert spec["volumes"] == {name: str(deployment.mount_root / name) for name in ("a-volume", "another")}
    assert spec["kind-mount-root"] == str(deployment.mount_root)
    assert spec["namespace"] == deployment.namespace
    assert spec["resources"]["containers"]["reservations"]["cpus"] == "0.05"
    route = {"path": "/", "proxy-to": "mini:8080"}
    assert spec["network"]["http-proxy"] == [{"host-name": "app.afterfault.test", "routes": [route]}]
    stack = Path(spec["stack"])
    assert content(stack / "stack.yml")["pods"] == ["mini"]
    assert content(stack.parents[1] / "compose" / "docker-compose-mini.yml")["services"]["mini"]["ports"] == ["8080"]


def test_the_shipped_stack_is_named_not_made(tmp_path):
    deploy(tmp_path, "new", stack=SHIPPED_TEST)
    spec = content(tmp_path / "made" / "spec.yml")
    assert spec["stack"] == "test"
    assert spec["network"]["http-proxy"][0]["routes"][0]["proxy-to"] == "test:80"
    assert not (tmp_path / "made" / "source").exists()


def test_etcd_is_kept_by_the_old_and_by_a_configuration_kept_from_it(tmp_path):
    for generation, keeps, expected in (("old", False, True), ("new", False, False), ("new", True, True)):
        folder = tmp_path / f"{generation}-{keeps}"
        folder.mkdir()
        _, deployment = deploy(folder, generation, keeps_etcd=keeps)
        assert (deployment.etcd_folder is not None) is expected
    mounts = content(deployment.kind_config)["nodes"][0]["extraMounts"]
    assert {mount["containerPath"] for mount in mounts} == {"/mnt", "/var/lib/etcd", "/etc/kubernetes/pki"}


def test_create_hears_of_no_foreign_cluster(tmp_path, monkeypatch):
    kind = tmp_path / "bin" / "kind"
    kind.parent.mkdir()
    kind.write_text("#!/bin/sh\necho somebody-elses\n")
    kind.chmod(0o755)
    monkeypatch.setenv("PATH", f"{kind.parent}:{os.environ['PATH']}")
    _, deployment = deploy(tmp_path, "new")
    assert "somebody-elses" not in (deployment.folder / "deployment.yml").read_text()


def test_a_mirror_is_mounted_read_only(tmp_path):
    build = LaconicSo.examine(program(tmp_path))
    certs = write_certs(tmp_path / "certs.d", "http://172.30.0.1:5001")
    made = build.deploy(
        DeploymentPlan(CLUSTER), tmp_path / "made", build.environment(tmp_path / "env", "our-net"), certs
    )
    mount = content(made.kind_config)["nodes"][0]["extraMounts"][-1]
    assert mount == {"hostPath": str(certs), "containerPath": "/etc/containerd/certs.d", "readOnly": True}
    assert 'host."http://172.30.0.1:5001"' in (certs / "_default" / "hosts.toml").read_text()


@pytest.mark.parametrize(
    ("table", "shared"),
    [
        ("22 1 8:1 / / rw - ext4 /dev/a rw", False),
        ("22 1 8:1 / / rw shared:1 - ext4 /dev/a rw", True),
        ("22 1 8:1 / / rw shared:1 - ext4 /dev/a rw\n30 22 0:9 / /data rw master:1 - tmpfs t rw", False),
        ("22 1 8:1 / / rw - ext4 /dev/a rw\n30 22 0:9 / /data rw,nosuid shared:7 master:1 - tmpfs t rw", True),
        ("22 1 8:1 / / rw - ext4 /dev/a rw\n30 22 0:9 / /dat rw shared:7 - tmpfs t rw", False),
    ],
)
def test_propagation_is_asked_of_docker_only_where_it_can_be_had(table, shared):
    assert is_shared(Path("/data/run/mounts"), table) is shared


def test_a_call_sees_nothing_of_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("KIND_CLUSTER_NAME", "mine")
    build = LaconicSo.examine(program(tmp_path))
    environment = build.environment(tmp_path / "env", "our-net", path=f"{tmp_path}/taps")
    assert environment["PATH"] == f"{tmp_path}/taps:{os.environ['PATH']}"
    for name in ("HOME", "KUBECONFIG", "CERC_REPO_BASE_DIR", "TMPDIR"):
        assert Path(environment[name]).is_relative_to(tmp_path / "env")
    assert environment["KIND_EXPERIMENTAL_DOCKER_NETWORK"] == "our-net"
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert "KIND_CLUSTER_NAME" not in environment


def test_users_find_what_it_deploys_by_the_ingresss_own_secrets(tmp_path):
    tool = laconic_so(LaconicSo.examine(program(tmp_path, "new")))
    site = Site(tmp_path / "site", CLUSTER, "", "our-net", {"app": "afterfault/app:1"}, "some/node:1")
    made = tool.deployer.make(site)
    assert made.app.certificate[0] == made.app.ingress_namespace == "caddy-system"
    assert (made.app.host, made.app.namespace) == ("app.afterfault.test", f"laconic-{CLUSTER}")
    assert made.backup == tmp_path / "site" / "made" / "mounts" / "caddy-cert-backup" / "caddy-secrets.yaml"
    assert tool.deployer.command(made, "stop")[-3:] == ("stop", "--perform-cluster-management", "--preserve-volumes")
    assert tool.claims_readiness is False


# --- programs that are not what they should be


def missing(folder):
    return str(folder / "nowhere" / "laconic-so")


def a_folder(folder):
    return str(folder)


def not_executable(folder):
    path = Path(program(folder))
    path.chmod(0o644)
    return str(path)


def dangling(folder):
    (folder / "laconic-so").symlink_to(folder / "gone")
    return str(folder / "laconic-so")


def without_deployment(folder):
    return script(folder, "#!/bin/sh\n[ $1 = version ] && echo 1.0.3 || printf 'Commands:\\n  deploy  it\\n'\n")


def without_stop(folder):
    text = PROGRAM.format(python=sys.executable, generation="old")
    return script(folder, text.replace("(more if", "1/0 if words[3] == 'stop' else (more if"))


@pytest.mark.parametrize(
    ("named", "says", "mend"),
    [
        (lambda _: "", "--laconic-so is empty", "give --laconic-so the path"),
        (lambda _: "  ", "--laconic-so is empty", "give --laconic-so the path"),
        (missing, "is not there", "give --laconic-so the path"),
        (dangling, "is not there", "give --laconic-so the path"),
        (a_folder, "is a folder", "give --laconic-so the path"),
        (not_executable, "is not executable", "chmod +x"),
        (lambda _: "/bin/true", "is not laconic-so: `version` ended with 0 and said ''", "give --laconic-so the path"),
        (lambda _: "/bin/false", "is not laconic-so: `version` ended with 1", "give --laconic-so the path"),
        (without_deployment, r"\(1.0.3\) is too old: it has no `laconic-so deployment`", "take a build"),
        (without_stop, "too old: `laconic-so deployment stop --help` ended with 1", "take a build"),
    ],
)
def test_a_wrong_program_is_wrong_usage(tmp_path, named, says, mend):
    with pytest.raises(UsageError, match=says) as caught:
        LaconicSo.examine(named(tmp_path))
    assert mend in str(caught.value)
    assert caught.value.exit_code == 2
    assert "Traceback" not in str(caught.value).partition("said")[0]


def test_a_program_is_found_on_the_path_too(tmp_path, monkeypatch):
    path = program(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert LaconicSo.examine("laconic-so").program == Path(path)


def test_a_link_into_a_virtual_environment_is_called_as_the_link_it_is(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "link").symlink_to(program(inside))
    assert LaconicSo.examine(str(tmp_path / "link")).program == tmp_path / "link"


@pytest.mark.parametrize(
    "says",
    [
        "head -c 100000000 /dev/zero",
        "head -c 100000000 /dev/urandom",
        "head -c 100000 /dev/urandom",
        "yes '<html><body>502 Bad Gateway</body></html>'",
        "echo '<html><body>502 Bad Gateway 1.1.0</body></html>'",
        "printf '\\033[2J\\033[31mERROR\\033[0m'",
        "kill -SEGV $$",
    ],
)
def test_hostile_answers_are_wrong_usage_and_short(tmp_path, says):
    with pytest.raises(UsageError, match="is not laconic-so") as caught:
        LaconicSo.examine(script(tmp_path, f"#!/bin/sh\n{says}\n"))
    message = str(caught.value)
    assert len(message) < 600
    assert all(char.isprintable() or char == "\n" for char in message)


def test_a_coloured_version_without_a_line_end_is_read(tmp_path):
    text = PROGRAM.format(python=sys.executable, generation="new")
    text = text.replace('print("1.1.0-4a', 'print("\\033[1m\\033]0;title\\007Version: v1.1.0-4a')
    assert LaconicSo.examine(script(tmp_path, text)).version == "1.1.0-4a1b5d8-202602032313"


def test_a_hanging_program_is_ended_with_its_children(tmp_path):
    path = script(tmp_path, f"#!/bin/sh\nsleep 300 &\necho $! > {tmp_path}/child\nwait\n")
    with pytest.raises(MachineError, match=r"`laconic-so version` did not end within 0\.5 s") as caught:
        LaconicSo.examine(path, answer_seconds=0.5)
    assert caught.value.exit_code == 4
    gone_or_dead(int((tmp_path / "child").read_text()))


def test_a_child_that_keeps_the_output_open_holds_nothing_up(tmp_path):
    path = script(tmp_path, f"#!/bin/sh\nsetsid sleep 20 &\necho $! > {tmp_path}/child\necho 1.1.0\n")
    with pytest.raises(MachineError, match="did not end within"):
        LaconicSo.examine(path, answer_seconds=0.5)
    psutil.Process(int((tmp_path / "child").read_text())).kill()


def gone_or_dead(pid):
    """Soon: a signal that kills has been sent when it arrives, and not before."""
    until(lambda: not pid_lives(pid), what="its end", deadline_seconds=30)


@pytest.mark.parametrize("first_line", ["#!/nowhere/python\n", "\x7fELF nonsense\n"])
def test_a_program_that_cannot_be_started_is_the_machines_fault(tmp_path, first_line):
    with pytest.raises(MachineError, match="can't be started") as caught:
        LaconicSo.examine(script(tmp_path, first_line))
    assert "install the tool anew" in str(caught.value)


@pytest.mark.parametrize(
    ("verb", "instead", "says"),
    [
        ('"init" in words', "sys.exit('no such stack')", "`laconic-so deploy init` ended with 1\nno such stack"),
        (
            '"create" in words',
            "print('\\033[31mERROR: x'); sys.exit(2)",
            "`laconic-so deploy create` ended with 2\nERROR: x",
        ),
        (
            '"create" in words',
            "pathlib.Path(word_after('--deployment-dir')).mkdir()",
            "left no readable deployment.yml",
        ),
        ('"init" in words', "pathlib.Path(word_after('--output')).write_text('- a')", "spec.yml that holds no mapping"),
        ('"init" in words', "pathlib.Path(word_after('--output')).write_bytes(bytes(range(256)))", "no readable spec"),
    ],
)
def test_a_deployment_that_cannot_be_made_is_no_verdict(tmp_path, verb, instead, says):
    text = PROGRAM.format(python=sys.executable, generation="new")
    build = LaconicSo.examine(
        script(tmp_path, text.replace(f"elif {verb}:", f"elif {verb}:\n    {instead}\n    exit()"))
    )
    with pytest.raises(ClusterError, match=says) as caught:
        build.deploy(DeploymentPlan(CLUSTER), tmp_path / "made", build.environment(tmp_path / "env", "net"))
    assert caught.value.exit_code == 3


# --- short calls


@pytest.mark.parametrize(("words", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill $$", 143)])
def test_exit_codes_are_as_a_shell_gives_them(words, code):
    assert ask(["/bin/sh", "-c", words], dict(os.environ), 5).exit_code == code


def test_an_answer_is_bounded():
    answer = ask(["/bin/sh", "-c", "yes no"], dict(os.environ), 30)
    assert answer.exit_code is None
    assert answer.flaw == f"printed more than {MOST_BYTES // 1024} KiB"
    assert len(answer.text) == MOST_BYTES


def test_bytes_become_text_that_can_be_shown():
    assert readable(b"\x1b[1;31mred\x1b[0m \x00\xff\x1b]0;title\x07end\r\n\tmore\x1b[2K") == "red \ufffdend\n\tmore"


# --- one run an engine


@pytest.mark.usefixtures("cache")
def test_one_run_holds_an_engine_and_the_next_is_told_whose_it_is():
    said = []
    with (
        engine_lock("unix:///a.sock", "first", said.append),
        engine_lock("unix:///b.sock", "elsewhere", said.append),
    ):
        assert said == []
        with (
            pytest.raises(MachineError, match=r"run first \(process \d+\) has been running laconic-so"),
            engine_lock("unix:///a.sock", "second", said.append, deadline_seconds=0.2),
        ):
            pass
    assert said == [
        f"waiting for run first (process {os.getpid()}), which runs laconic-so on the Docker engine at unix:///a.sock"
    ]
    with engine_lock("unix:///a.sock", "third", said.append):
        assert len(said) == 1


@pytest.mark.usefixtures("cache")
def test_what_releases_leave_under_fixed_names_goes_unless_it_was_there_before(tmp_path, monkeypatch):
    left, program, theirs = (tmp_path / name for name in ("left", "program", "theirs"))
    monkeypatch.setattr(laconic_lock, "FIXED_PATHS", (left, program, theirs, tmp_path / "never-made"))
    theirs.write_text("mine")
    with engine_lock("e", "x", print):
        (left / "below").mkdir(parents=True)
        program.write_text("etcdctl")
    assert (left.exists(), program.exists(), theirs.read_text()) == (False, False, "mine")


@pytest.mark.usefixtures("cache")
def test_a_killed_holder_frees_the_engine():
    code = "import sys; from harness.tools.laconic_lock import engine_lock as e\n"
    code += "with e('e', 'x', print): print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with engine_lock("e", "y", lambda _: pytest.fail("nobody is there to wait for")):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- images


@pytest.mark.parametrize(
    ("reference", "short"),
    [
        ("alpine", "alpine"),
        ("alpine:3.19", "alpine"),
        ("a.registry:5000/caddy/ingress:latest", "ingress"),
        ("a.registry/caddy-ingress@sha256:00", "caddy-ingress"),
        ("etcd-development/etcd:v3.5.9@sha256:00", "etcd"),
    ],
)
def test_an_image_is_known_by_its_short_name(reference, short):
    assert short_name(reference) == short


def test_stand_ins():
    assert stand_in("x/y/etcd:v3.5.9") == "etcd-tools"
    assert stand_in("alpine:3.19") == "etcd-tools"
    assert stand_in("alpine:3.19", jq=False) == "etcd-tools-nojq"
    assert stand_in("etcd:v3.5.9", jq=False) == "etcd-tools"
    assert stand_in("caddy/ingress:latest") == stand_in("z/caddy-ingress") == "caddy-stand-in"
    assert stand_in("alpine/kubectl:1.35.3") == "kubectl"
    assert stand_in("x/test-container:local") == "test-container"
    assert stand_in("postgres:16") is None
    assert stand_in("afterfault/app:1") is None


class Engine:
    """As much of an engine as a shelf asks for: images by name, saved as an engine saves them."""

    def __init__(self, images):
        self._images, self.saved, self.built = images, [], []
        self.api, self.images = self, self

    def list(self, name):
        return [name] if name in self._images else []

    def build(self, fileobj, tag, labels, **_):
        if fileobj.getvalue().decode().split()[1] not in self._images:
            raise docker.errors.BuildError("pull access denied", [])
        self.built.append((tag, labels))

    def get(self, reference):
        if reference not in self._images:
            raise docker.errors.ImageNotFound(reference)
        return type("Image", (), {"id": f"id-{reference}"})

    def get_image(self, reference):
        self.saved.append(reference)
        raw = io.BytesIO()
        files = {"config": b"{}", "layer": self._images[reference]}
        files["manifest.json"] = json.dumps([{"Config": "config", "Layers": ["layer"]}]).encode()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        yield raw.getvalue()


@pytest.fixture
def mirror(tmp_path):
    engine = Engine({"afterfault/caddy-stand-in:7": b"caddy", "afterfault/app:1": b"\x1f\x8bapp"})
    server = serve(Shelf(engine, tmp_path, {"caddy-stand-in": "afterfault/caddy-stand-in:7"}), "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connection = HTTPConnection(*server.server_address, timeout=10)

    def get(path, method="GET"):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers

    yield engine, get
    connection.close()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_node_pulls_the_stand_in_under_the_name_it_asks_for(mirror, tmp_path):
    engine, get = mirror
    assert get("/v2/")[0] == 200
    status, nothing, headers = get("/v2/caddy/ingress/manifests/latest?ns=a.registry", "HEAD")
    assert (status, nothing) == (200, b"")
    status, manifest, _ = get(f"/v2/caddy/ingress/manifests/{headers['Docker-Content-Digest']}?ns=a.registry")
    assert status == 200
    layer = json.loads(manifest)["layers"][0]
    assert get(f"/v2/caddy/ingress/blobs/{layer['digest']}")[1] == b"caddy"
    assert layer["mediaType"].endswith("layer.v1.tar")
    get("/v2/caddy/ingress/manifests/latest?ns=a.registry")
    assert engine.saved == ["afterfault/caddy-stand-in:7"]
    asked = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text().splitlines()]
    assert asked == [{"asked": "a.registry/caddy/ingress:latest", "served": "afterfault/caddy-stand-in:7"}] * 2


def test_an_image_of_the_engine_is_served_as_itself(mirror):
    _, get = mirror
    manifest = json.loads(get("/v2/afterfault/app/manifests/1?ns=a.registry")[1])
    assert manifest["layers"][0]["mediaType"].endswith("tar+gzip")


@pytest.mark.parametrize(
    "path", ["/v2/library/postgres/manifests/16", "/v2/a/blobs/sha256:00", "/v2/a/blobs/..%2f..", "/", "/v2/a/b/c",
             "/v2/a/blobs/sha256:../asked.jsonl", "/v2/caddy/ingress/tags/list"],
)  # fmt: skip
def test_what_a_mirror_does_not_have_is_not_found(mirror, path):
    _, get = mirror
    assert get(path)[0] == 404


def test_an_engine_that_fails_is_told_to_the_node(mirror, monkeypatch):
    engine, get = mirror

    def fails(_):
        raise docker.errors.APIError(os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engine, "get_image", fails)
    assert get("/v2/caddy/ingress/manifests/latest")[0] == 502


def test_a_stand_in_is_the_runs_own_and_takes_no_name_away():
    engine = Engine({"afterfault/app:1": b"", "some/app:1": b""})
    provide(engine, "some/app:1", "afterfault/app:1", {"afterfault.run": "x"})
    assert engine.built == []
    provide(engine, "some/test-container:local", "afterfault/app:1", {"afterfault.run": "x"})
    assert engine.built == [("some/test-container:local", {"afterfault.run": "x"})]
    with pytest.raises(MachineError, match="afterfault images build"):
        provide(engine, "alpine:3.19", "afterfault/etcd-tools:1", {})


def test_what_a_build_said_is_passed_on_to_other_processes(tmp_path):
    build = LaconicSo.examine(program(tmp_path, "new"))
    build.program.unlink()
    assert LaconicSo.from_json(build.to_json()) == build
