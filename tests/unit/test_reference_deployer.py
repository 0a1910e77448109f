"""The reference deployer without a cluster: its folder, its rules, its decisions, its words."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.clusters.addresses import Subnet
from harness.tools.reference.deployer import cluster, folder, ingress, persistence, store_keys
from harness.tools.reference.deployer.app import App
from harness.tools.reference.deployer.deployment import read_deployment
from harness.tools.reference.deployer.errors import Failed, WrongUsage
from harness.tools.reference.deployer.manifest import read_manifests
from harness.tools.reference.deployer.persistence import Prepared
from harness.tools.reference.deployer.programs import Programs
from harness.tools.reference.deployer.secret_backup import SecretBackup
from harness.tools.reference.deployer.start import Start
from harness.tools.reference.deployer.stop import stop
from harness.tools.reference.deployer.unmanaged import unmanaged_of
from harness.tools.reference.deployer.variants import DEFECTS, STEPS, STRATEGIES, VARIANTS

GOOD = {
    "name": "shop",
    "cluster": "shop-kind",
    "host": "shop.test",
    "http_port": 18080,
    "https_port": 18443,
    "images": {"app": "app:1", "ingress": "ingress:1", "etcd_tools": "etcd:1"},
}
SCRIPTS = Path(persistence.__file__).with_name("scripts")
BINARY = b"\x00\xff\xfe\x80 not text \x00"


@pytest.fixture
def deployment(tmp_path):
    return given(tmp_path)


def given(where, **changes):
    (where / "deployment.yml").write_text(yaml.safe_dump(GOOD | changes))
    made = read_deployment(where)
    made.data.mkdir(exist_ok=True)
    return made


def call(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "harness.tools.reference.deployer", *words],
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Scripted(Programs):
    """Programs that say what they are told to, and note what they were asked."""

    def __init__(self, answers):
        super().__init__(0)
        self.answers, self.calls = answers, []

    def attempt(self, *words):
        self.calls.append(" ".join(words))
        said = next((text for start, text in self.answers.items() if self.calls[-1].startswith(start)), "")
        return subprocess.CompletedProcess(words, 0, said, "")


class Shelf:
    """As much of the API as can be had without one."""

    def __init__(self, *objects):
        self.objects, self.applied = list(objects), []

    def every(self, kind, namespace=""):
        return [
            one
            for one in self.objects
            if one["kind"] == kind and namespace in ("", one["metadata"].get("namespace", ""))
        ]

    def find(self, kind, name, namespace=""):
        return next((one for one in self.every(kind, namespace) if one["metadata"]["name"] == name), None)

    def apply(self, manifest):
        self.applied.append(manifest)
        taken_up = {"status": {"phase": "Available"}} if manifest["kind"] == "PersistentVolume" else {}
        self.objects.append(manifest | taken_up)

    def wait(self, what, look):
        assert look(), what

    def create(self, manifest):
        if self.find(manifest["kind"], manifest["metadata"]["name"], manifest["metadata"].get("namespace", "")):
            return False
        self.apply(manifest)
        return True

    def delete(self, manifest):
        self.objects = [one for one in self.objects if one["metadata"]["name"] != manifest["metadata"]["name"]]


def start_of(deployment, programs, variant="faithful"):
    chosen = VARIANTS[variant]
    return Start(deployment, chosen.persistence, chosen.install, programs, deployment.data / "scratch")


# The folder and the call


def test_a_good_folder_is_read(tmp_path):
    made = given(tmp_path, persist=False, api_port=6443, ready_seconds=9)
    assert (made.namespace, made.persist, made.api_port, made.ready_seconds) == ("app-shop", False, 6443, 9.0)
    assert made.kind_config == tmp_path / "kind-config.yml"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Not A Name"}, "name is not a DNS label"),
        ({"cluster": 7}, "cluster is not a DNS label"),
        ({"host": ""}, "host is not a host name"),
        ({"http_port": 0}, "http_port is not a port"),
        ({"https_port": True}, "https_port is not a port"),
        ({"api_port": 70000}, "api_port is not a port"),
        ({"persist": "yes"}, "persist is not true or false"),
        ({"ready_seconds": -1}, "ready_seconds is not above 0"),
        ({"images": {"app": "a"}}, "images needs app, ingress, etcd_tools"),
        ({"images": GOOD["images"] | {"more": "m"}}, "images needs"),
        ({"typo": 1}, "typo is unknown"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, changes, words):
    with pytest.raises(WrongUsage, match=words):
        given(tmp_path, **changes)


@pytest.mark.parametrize(
    ("text", "words"),
    [("[", "is not YAML"), ("- 1", "is not a mapping"), ("{}", "name is missing; cluster is missing")],
)
def test_a_file_that_is_none(tmp_path, text, words):
    (tmp_path / "deployment.yml").write_text(text)
    with pytest.raises(WrongUsage, match=words):
        read_deployment(tmp_path)


@pytest.mark.parametrize(
    "words", [(), ("unheard-of", "start", "--dir", "."), ("faithful", "begin", "--dir", "."), ("faithful", "start")]
)
def test_wrong_words_exit_2(words):
    assert call(*words).returncode == 2


def test_no_folder_exits_2_with_one_line(tmp_path):
    done = call("faithful", "start", "--dir", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [f"wrong usage: {tmp_path}/nowhere/deployment.yml: No such file or directory"]


def test_a_missing_program_exits_1_with_one_line(deployment):
    done = call("faithful", "start", "--dir", str(deployment.folder), PATH="/nonexistent")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["step: ensure_cluster"]
    assert done.stderr.splitlines() == ["failed: cannot run kind: No such file or directory"]
    assert not (deployment.data / "scratch").exists()


def test_a_failing_program_is_quoted():
    with pytest.raises(Failed, match=r"^sh -c: ERROR: no luck$"):
        Programs(0).run("sh", "-c", "echo begin >&2; echo 'ERROR: no luck' >&2; echo trace >&2; exit 3")


def test_one_call_at_a_time(deployment, monkeypatch):
    monkeypatch.setattr(folder, "_LOCK_SECONDS", 0.1)
    with folder.locked(deployment), pytest.raises(Failed, match="lock"), folder.locked(deployment):
        pass


def test_a_program_left_behind_holds_the_lock(deployment, monkeypatch):
    monkeypatch.setattr(folder, "_LOCK_SECONDS", 0.1)
    with folder.locked(deployment) as held:
        left = subprocess.Popen(["sleep", "30"], pass_fds=(held,))
    try:
        with pytest.raises(Failed), folder.locked(deployment):
            pass
    finally:
        left.kill()
        left.wait()
    with folder.locked(deployment):
        pass


def test_a_log_followed_for_a_kind_that_is_gone_is_ended(deployment, tmp_path, capsys):
    (tmp_path / "logs").write_text("import time\ntime.sleep(30)\n")
    with folder.locked(deployment) as held:
        words = ["docker", "logs", "--follow", "shop-kind-control-plane"]
        left = subprocess.Popen(words, executable=sys.executable, cwd=tmp_path, pass_fds=(held,))
    with folder.locked(deployment):
        pass
    assert left.wait(10) == -signal.SIGKILL
    assert "left behind" in capsys.readouterr().out


def test_a_stage_is_of_one_cluster_only(deployment):
    folder.State(deployment, "one").reach(folder.RESTORED)
    assert folder.State(deployment, "one").stage == folder.RESTORED
    assert folder.State(deployment, "other").stage == folder.NOTHING
    folder.State(deployment, "one").forget()
    assert folder.State(deployment, "one").stage == folder.NOTHING


# Which cluster


def test_the_own_cluster_is_taken_and_woken(deployment):
    folder.State(deployment, "shop-kind").reach(folder.RESTORED)
    programs = Scripted({"kind get clusters": "a-first\nshop-kind\n", "docker ps": "shop-kind-control-plane exited\n"})
    start_of(deployment, programs).ensure_cluster()
    assert "docker start shop-kind-control-plane" in programs.calls
    assert not [words for words in programs.calls if words.startswith("kind create")]


def test_else_the_first_there_is(deployment, capsys):
    programs = Scripted({"kind get clusters": "a-first\nb-second\n"})
    start = start_of(deployment, programs)
    start.ensure_cluster()
    start.load_images()
    assert "taking the cluster there is, a-first" in capsys.readouterr().out
    assert "kind load docker-image --name=a-first app:1" in programs.calls


def test_else_a_new_one(deployment):
    programs = Scripted({})
    start_of(deployment, programs).ensure_cluster()
    assert f"kind create cluster --name=shop-kind --config={deployment.kind_config}" in programs.calls
    assert folder.State(deployment, "shop-kind").stage == folder.CREATED


def test_a_cluster_that_was_half_created_goes_first(deployment):
    programs = Scripted({"kind get clusters": "shop-kind\n"})
    start_of(deployment, programs).ensure_cluster()
    assert [words.split(" --")[0] for words in programs.calls] == [
        "kind get clusters", "kind delete cluster", "kind create cluster", "docker ps",
    ]  # fmt: skip


@pytest.mark.parametrize(("variant", "persisted"), [("faithful", False), ("keep-core", True), ("wipe", True)])
def test_what_is_mounted(deployment, variant, persisted):
    start_of(deployment, Scripted({}), variant).ensure_cluster()
    config = yaml.safe_load(deployment.kind_config.read_text())
    [node] = config["nodes"]
    mounts = {mount["containerPath"]: mount["hostPath"] for mount in node["extraMounts"]}
    assert mounts["/data/app"] == str(deployment.app_data)
    assert ("/var/lib/etcd" in mounts, "/etc/kubernetes/pki" in mounts) == (persisted, persisted)
    assert {(port["listenAddress"], port["hostPort"]) for port in node["extraPortMappings"]} == {
        ("127.0.0.1", 18080), ("127.0.0.1", 18443),
    }  # fmt: skip


def test_persisted_data_is_left_alone_where_the_deployment_says_so(tmp_path, capsys):
    made = given(tmp_path, persist=False)
    (made.cluster_data / "etcd" / "member").mkdir(parents=True)
    programs = Scripted({})
    start_of(made, programs, "keep-core").ensure_cluster()
    assert not [words for words in programs.calls if words.startswith("docker run")]
    assert "which is not used" in capsys.readouterr().out


def test_keys_of_a_cut_create_go(deployment):
    (deployment.cluster_data / "pki").mkdir(parents=True)
    (deployment.cluster_data / "pki" / "ca.key").touch()
    programs = Scripted({})
    start_of(deployment, programs, "keep-core").ensure_cluster()
    [cleaned] = [words for words in programs.calls if words.startswith("docker run")]
    assert "rm -rf /state/etcd /state/etcd.* /state/pki" in cleaned


def test_only_foreign_ones_are_deleted(deployment):
    programs = Scripted({"docker ps": "foreign-a\nsomebody\nshop-kind\n", "kind get clusters": "foreign-b\nother\n"})
    start_of(deployment, programs).delete_foreign()
    deleted = [words for words in programs.calls if words.startswith("kind delete")]
    assert deleted == ["kind delete cluster --name=foreign-a", "kind delete cluster --name=foreign-b"]


def test_a_stop_without_a_cluster_is_done(deployment, capsys):
    programs = Scripted({"kind get clusters": "other\n"})
    stop(deployment, persistence.BACKUP_SECRETS, programs, deployment.data)
    assert programs.calls == ["kind get clusters"]
    assert "there is no cluster shop-kind" in capsys.readouterr().out


def test_a_stop_by_its_notes_misses_a_cluster_that_is_not_in_them(deployment):
    programs = Scripted({"kind get clusters": "shop-kind\n"})
    VARIANTS["stop-trusts-notes"].stop(deployment, persistence.BACKUP_SECRETS, programs, deployment.data)
    assert programs.calls == []
    stop(deployment, persistence.BACKUP_SECRETS, programs, deployment.data)
    assert "kind delete cluster --name=shop-kind" in programs.calls


def test_no_kubeconfig_is_told(monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(Failed, match="KUBECONFIG is not set"):
        cluster.Cluster("shop", Scripted({})).kubeconfig()


def test_a_context_that_is_not_there_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    programs = Scripted({})
    with pytest.raises(Failed, match="no context kind-shop"):
        cluster.Cluster("shop", programs).kubeconfig()
    assert programs.calls == ["kind export kubeconfig --name=shop"]


# Keys

KEYS = (
    "/registry/minions/shop-control-plane",
    "/registry/pods/kube-system/etcd-shop",
    "/registry/pods/others/canary-7d9f-abcde",
    "/registry/pods/others/agent-xyz12",
    "/registry/pods/others/bare",
    "/registry/pods/app-shop/shop-5f-aaaaa",
    "/registry/replicasets/others/canary-7d9f",
    "/registry/daemonsets/others/agent",
    "/registry/daemonsets/kube-system/kindnet",
    "/registry/persistentvolumes/pvc-1",
    "/registry/persistentvolumes/app-shop-data",
    "/registry/services/specs/default/kubernetes",
    "/registry/secrets/caddy-system/certificate",
    "/registry/clusterrolebindings/kubeadm:cluster-admins",
    "/registry/deployments/caddy-system/caddy-ingress-controller",
    "/registry/events/others/bare.1",
)


def test_what_belongs_to_the_old_node_goes():
    left = store_keys.kept(KEYS, (*store_keys.NODE_BOUND, *store_keys.own_workloads("app-shop")))
    assert left == [
        "/registry/replicasets/others/canary-7d9f",
        "/registry/daemonsets/others/agent",
        "/registry/daemonsets/kube-system/kindnet",
        "/registry/persistentvolumes/pvc-1",
        "/registry/persistentvolumes/app-shop-data",
        "/registry/services/specs/default/kubernetes",
        "/registry/secrets/caddy-system/certificate",
        "/registry/clusterrolebindings/kubeadm:cluster-admins",
    ]


def test_what_nothing_brings_back_is_lost():
    assert store_keys.lost(KEYS, store_keys.NODE_BOUND, "app-shop") == ["Pod others/bare", "PersistentVolume pvc-1"]
    assert "Pod others/agent-xyz12" in store_keys.lost(
        KEYS, (*store_keys.NODE_BOUND, "/registry/daemonsets/others/"), "app-shop"
    )


def test_keeping_the_core_tells_what_kind_has_to_leave_out(deployment):
    for keys, has_cni in ((KEYS, True), (("/registry/a/b",), False)):
        programs = Scripted({"docker run": "\n\n".join(keys)})
        told = persistence.KEEP_CORE.prepare(persistence.StoreCleanup(deployment, programs), deployment)
        assert told == Prepared(has_cni, ("Pod others/bare", "PersistentVolume pvc-1") if has_cni else ())


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (persistence.DROP_RBAC, "/registry/clusterrolebindings/"),
        (persistence.DROP_CNI, "/registry/daemonsets/kube-system/kindnet"),
    ],
)
def test_what_the_defects_drop_beside(deployment, strategy, words):
    asked = []
    for each in (strategy, persistence.KEEP_CORE):
        programs = Scripted({})
        each.prepare(persistence.StoreCleanup(deployment, programs), deployment)
        asked.append(programs.calls[-1].partition(" sh ")[2])
    assert words in asked[0].split()
    assert words not in asked[1].split()


def test_another_etcd_has_to_be_named(deployment):
    with pytest.raises(Failed, match="names no image other_etcd_tools"):
        persistence.OTHER_ETCD.prepare(persistence.StoreCleanup(deployment, Scripted({})), deployment)


def test_the_scripts_are_shell():
    for path in SCRIPTS.glob("*.sh"):
        subprocess.run(["sh", "-n", str(path)], check=True)


# The scripts, over real etcd data

_SECRET = "/registry/secrets/caddy-system/tls"
_NEEDED = ("sh", "cat", "cp", "mv", "rm", "sleep", "base64")


class Tools:
    """What the image with etcd's tools has in it, on addresses of its own."""

    def __init__(self, work, release, address, programs=_NEEDED):
        self.state = work / "state"
        self.state.mkdir()
        shelf = work / "bin"
        shelf.mkdir()
        found = {name: shutil.which(name) for name in programs} | {"etcd": release.etcd, "etcdctl": release.etcdctl}
        for name, path in found.items():
            (shelf / name).symlink_to(path)
        client, peer = f"http://{address}:2379", f"http://{address}:2380"
        self.work = work
        self.environment = {
            "PATH": str(shelf),
            "ETCD_LISTEN_CLIENT_URLS": client,
            "ETCD_ADVERTISE_CLIENT_URLS": client,
            "ETCD_LISTEN_PEER_URLS": peer,
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer,
            "ETCD_INITIAL_CLUSTER": f"default={peer}",
            "ETCDCTL_ENDPOINTS": client,
        }

    def run(self, text, *words, **environment):
        text = (SCRIPTS / "serve.sh").read_text() + text
        text = text.replace("/state", str(self.state)).replace("/tmp/", f"{self.work}/")
        done = subprocess.run(
            ["sh", "-c", text, "sh", *words],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def script(self, name, *words, **environment):
        return self.run((SCRIPTS / f"{name}.sh").read_text(), *words, **environment)

    def seed(self):
        (self.state / "etcd").mkdir()
        value = base64.b64encode(BINARY).decode()
        puts = [f"echo {value} | base64 -d | etcdctl put {_SECRET}"]
        puts += [f"etcdctl put {key} x" for key in KEYS if not key.startswith("/registry/secrets/")]
        self.run("\n".join(["serve /state/etcd", *puts, "stop"]))

    def values(self):
        """Every key and value there is now."""
        told = self.run("serve /state/etcd; etcdctl get --prefix / --write-out=json; stop")
        rows = json.loads(told).get("kvs", ())
        return {base64.b64decode(row["key"]).decode(): base64.b64decode(row["value"]) for row in rows}


@pytest.fixture
def tools(tmp_path, releases):
    subnet = Subnet()

    def make(*more):
        if missing := [name for name in more if shutil.which(name) is None]:
            pytest.skip(f"{missing[0]} is not on PATH")
        made = Tools(tmp_path, releases[0], subnet.address(1), (*_NEEDED, *more))
        made.seed()
        return made

    yield make
    subnet.release()


def test_keep_core_keeps_bytes_and_tells_all_there_was(tools):
    made = tools()
    told = made.script("keep_core", *store_keys.NODE_BOUND, CNI_KEY=store_keys.CNI_KEY, CNI=" ".join(store_keys.CNI))
    assert set(told.split()) == set(KEYS) - {"/registry/secrets/caddy-system/certificate"} | {_SECRET}
    left = made.values()
    assert left[_SECRET] == BINARY
    assert set(left) == set(store_keys.kept(told.split(), store_keys.NODE_BOUND))
    assert [path.name for path in made.state.iterdir()] == ["etcd"]


def test_keep_core_drops_a_network_agent_that_was_half_created(tools):
    made = tools()
    made.run("serve /state/etcd; etcdctl put /registry/clusterroles/kindnet x; stop")
    made.script("keep_core", store_keys.CNI_KEY, CNI_KEY=store_keys.CNI_KEY, CNI=" ".join(store_keys.CNI))
    assert "/registry/clusterroles/kindnet" not in made.values()


@pytest.mark.parametrize(
    ("script", "value"), [("keep_caddy", BINARY.replace(b"\0", b"")), ("keep_caddy_exact", BINARY)]
)
def test_keep_caddy_keeps_one_prefix_and_breaks_its_bytes(tools, script, value):
    made = tools("jq")
    made.script(script, "/registry/secrets/caddy-system")
    assert made.values() == {_SECRET: value}


def test_without_jq_nothing_is_kept_and_nobody_notices(tools):
    made = tools()
    made.script("keep_caddy", "/registry/secrets/caddy-system")
    assert made.values() == {}


@pytest.mark.parametrize("cut", ["mv /state/etcd /state/etcd.before", "cp -a /state/etcd /state/etcd.work"])
def test_a_clean_up_that_was_cut_is_done_again(tools, cut):
    made = tools()
    made.run(cut)
    made.script("keep_core", *store_keys.NODE_BOUND, CNI_KEY=store_keys.CNI_KEY, CNI="")
    assert made.values()[_SECRET] == BINARY
    assert [path.name for path in made.state.iterdir()] == ["etcd"]


# Objects


def test_everything_the_tool_makes_is_labelled():
    manifests = read_manifests("app", name="1e3", namespace="app-1e3", host="1e3", image="app:1")
    manifests += read_manifests("ingress", image="i:1")
    for manifest in manifests:
        assert manifest["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "reference-deployer"}
        assert isinstance(manifest["metadata"]["name"], str)
    assert [manifest["kind"] for manifest in manifests].count("Deployment") == 2


def test_an_app_is_applied_in_order_and_deleted_in_reverse(deployment):
    shelf = Shelf()
    app = App(deployment, shelf)
    app.apply()
    kinds = [one["kind"] for one in shelf.applied]
    assert kinds == [
        "Namespace", "PersistentVolume", "PersistentVolumeClaim", "ConfigMap", "Deployment", "Service", "Ingress",
    ]  # fmt: skip
    app.delete()
    assert [one["kind"] for one in shelf.objects] == ["Namespace"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Deployment", {"metadata": {"name": "shop", "namespace": "app-shop", "deletionTimestamp": "now"}}),
        ("PersistentVolume", {"metadata": {"name": "app-shop-data"}, "status": {"phase": "Released"}}),
    ],
)
def test_what_a_cut_stop_left_goes_before_an_app_is_applied(deployment, kind, change):
    dying = {"kind": kind} | change
    shelf = Shelf(dying)
    App(deployment, shelf).apply()
    assert dying not in shelf.objects
    assert len(shelf.applied) == 7


@pytest.mark.parametrize(
    ("install", "left"), [(ingress.skip_if_exists, 0), (ingress.conflict_is_success, 7), (ingress.apply, 8)]
)
def test_an_ingress_that_was_begun(install, left):
    manifests = read_manifests("ingress", image="i:1")
    shelf = Shelf(manifests[0])
    install(shelf, manifests)
    assert len(shelf.applied) == left


def test_only_a_ready_pod_counts():
    pod = {
        "kind": "Pod",
        "metadata": {
            "name": "caddy-1",
            "namespace": "caddy-system",
            "labels": {"app.kubernetes.io/name": "caddy-ingress-controller"},
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert ingress.is_ready(Shelf(pod))
    assert not ingress.is_ready(Shelf(pod | {"metadata": pod["metadata"] | {"deletionTimestamp": "now"}}))
    assert not ingress.is_ready(Shelf(pod | {"status": {}}))
    assert not ingress.is_ready(Shelf())


def test_what_others_run_is_told_apart():
    def one(name, namespace="others", **more):
        return {"metadata": {"name": name, "namespace": namespace} | more}

    mine = one("mine", labels={"app.kubernetes.io/managed-by": "reference-deployer"})
    found = [
        one("theirs"),
        one("kube-root-ca.crt"),
        one("coredns", "kube-system"),
        mine,
        one("made", ownerReferences=[1]),
    ]
    assert [each["metadata"]["name"] for each in unmanaged_of("ConfigMap", found, ())] == ["theirs"]
    secret = [one("tls", "app-shop"), one("other")]
    assert [each["metadata"]["name"] for each in unmanaged_of("Secret", secret, ("app-shop",))] == ["other"]


# Secrets


def secret(name="tls", value=BINARY):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "caddy-system", "uid": "1", "labels": {"manager": "caddy"}},
        "type": "kubernetes.io/tls",
        "data": {"tls.key": base64.b64encode(value).decode()},
    }


def test_secrets_come_back_byte_for_byte(tmp_path):
    backup = SecretBackup(tmp_path / "secrets.yml", ("caddy-system",))
    backup.save(Shelf(secret()))
    assert (tmp_path / "secrets.yml").stat().st_mode & 0o777 == 0o600
    shelf = Shelf()
    backup.restore(shelf)
    [restored] = shelf.applied
    assert base64.b64decode(restored["data"]["tls.key"]) == BINARY
    assert restored["metadata"] == {"name": "tls", "namespace": "caddy-system", "labels": {"manager": "caddy"}}


@pytest.mark.parametrize(("value", "same"), [(b"plain text\n", True), (BINARY, False)])
def test_the_defect_keeps_text_only(tmp_path, value, same):
    backup = SecretBackup(tmp_path / "secrets.yml", ("caddy-system",), as_text=True)
    backup.save(Shelf(secret(value=value)))
    shelf = Shelf()
    backup.restore(shelf)
    assert (shelf.applied[0]["stringData"]["tls.key"].encode() == value) is same


@pytest.mark.parametrize(("text", "words"), [(None, "is not there"), ("", "is empty")])
def test_no_backup_is_told_and_no_failure(tmp_path, capsys, text, words):
    if text is not None:
        (tmp_path / "secrets.yml").write_text(text)
    SecretBackup(tmp_path / "secrets.yml", ()).restore(Shelf())
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("listed", "left", "said"),
    [
        (True, None, ["lost: Secret caddy-system/tls"]),
        (True, "", ["lost: Secret caddy-system/tls"]),
        (True, "whole", []),
        (False, "", []),
    ],
)
def test_what_a_backup_no_longer_has_is_told(tmp_path, capsys, listed, left, said):
    file = tmp_path / "secrets.yml"
    backup = SecretBackup(file, ("caddy-system",), listed=listed)
    backup.save(Shelf(secret()))
    file.write_text({"whole": file.read_text()}.get(left, left or ""))
    if left is None:
        file.unlink()
    backup.restore(Shelf())
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("lost: ")] == said


def test_a_list_that_cannot_be_read_is_a_failure(tmp_path):
    (tmp_path / "secrets.json").write_text("[")
    with pytest.raises(Failed, match=r"secrets\.json"):
        SecretBackup(tmp_path / "secrets.yml", ()).restore(Shelf())


def test_a_defect_restores_into_one_cluster_only(deployment):
    def start_in_a_new_cluster():
        start = start_of(deployment, Scripted({}), "restores-once")
        start.__dict__["_kube"] = shelf = Shelf()
        folder.State(deployment, "shop-kind").forget()
        start.restore_secrets_once()
        return [each["metadata"]["name"] for each in shelf.applied]

    assert start_in_a_new_cluster() == ["app-shop"]
    SecretBackup(deployment.data / "secrets.yml", ("caddy-system",)).save(Shelf(secret()))
    assert start_in_a_new_cluster() == ["app-shop", "tls"]
    assert start_in_a_new_cluster() == []


@pytest.mark.parametrize(("off", "deleted"), [("", False), ("a1b2\n", True)])
def test_a_defect_deletes_a_cluster_that_is_off(deployment, off, deleted):
    programs = Scripted({"docker ps": off})
    start_of(deployment, programs, "deletes-dead").delete_dead()
    assert ("kind delete cluster --name=shop-kind" in programs.calls) is deleted


@pytest.mark.parametrize("text", ["]", "just words", json.dumps({"kind": "ConfigMap"})])
def test_a_backup_that_is_none_is_a_failure(tmp_path, text):
    (tmp_path / "secrets.yml").write_text(text)
    with pytest.raises(Failed, match=r"secrets\.yml"):
        SecretBackup(tmp_path / "secrets.yml", ()).restore(Shelf())


# Variants


def test_names_are_one_word_and_unlike():
    assert len(VARIANTS) == len(STRATEGIES) + len(DEFECTS)
    assert not [name for name in VARIANTS if " " in name]


def test_the_forgetful_one_forgets_only_after_a_cut(deployment, monkeypatch):
    for cut, kinds in ((False, 7), (True, 6)):
        shelf = Shelf()
        start = start_of(deployment, Scripted({}), "forgets-after-interruption")
        monkeypatch.setitem(vars(start), "_app", App(deployment, shelf))
        if cut:
            (deployment.data / "in-progress").touch()
        start.note_start()
        start.apply_app_forgetfully()
        start.note_end()
        assert len(shelf.applied) == kinds
        assert not (deployment.data / "in-progress").exists()


def test_defects_are_the_faithful_start_but_for_themselves():
    for name in ("leaves-child", "never-returns"):
        assert DEFECTS[name].steps[:-1] == STEPS
    assert DEFECTS["deletes-foreign"].steps[1:] == STEPS
    waits = {Start.await_ingress, Start.await_app, Start.save_secrets}
    assert set(STEPS) - set(DEFECTS["says-ready-too-early"].steps) == waits
