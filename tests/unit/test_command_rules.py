"""The rules of the command tap, as functions: what becomes of which command line."""

from pathlib import Path

import pytest

from harness.taps.command_rules import CONTAINER, IMAGE, NETWORK, VOLUME, Answer, Pass, Refuse, Then
from harness.taps.command_words import MASK, Call, masked, parse
from harness.taps.docker_rules import DockerRules
from harness.taps.kind_rules import KindRules, config_source, kubeconfig_path, parse_kind

NODE = "afterfault/node:1"
LABELS = ("--label", "afterfault.run=r1")


class Engine:
    """Everything called ``my*`` is the run's, everything called ``their*`` is another's, the rest is not there."""

    def clusters(self):
        return {"mine": True, "my-other": True, "theirs": False}

    def own_nodes(self):
        return {"mine-control-plane"}

    def whose(self, sort, reference):
        assert sort in (CONTAINER, NETWORK, VOLUME, IMAGE)
        name = reference.rpartition("/")[2]
        return True if name.startswith("my") else False if name.startswith("their") else None

    def claim_volume(self, name):
        raise AssertionError(f"rules only look, and made {name}")


def kind(line, config="", **environment):
    call = Call("kind", tuple(line.split()), Path("/there"), environment)
    return KindRules(Engine(), NODE).decide(call, config)


def docker(line):
    rules = DockerRules(Engine(), lambda: {"afterfault.run": "r1"}, lambda name: name == "stand-in")
    return rules.decide(Call("docker", tuple(line.split()), Path("/there"), {}))


def words(decision):
    return " ".join(decision.words)


# --- command lines


@pytest.mark.parametrize(
    ("line", "flags", "plain"),
    [
        ("a --name x b", {"--name": ("x",)}, ("a", "b")),
        ("--name=x a", {"--name": ("x",)}, ("a",)),
        ("-nx a", {"-n": ("x",)}, ("a",)),
        ("-n=x a", {"-n": ("x",)}, ("a",)),
        ("-n x -n y", {"-n": ("x", "y")}, ()),
        ("-qn x a", {"-q": ("true",), "-n": ("x",)}, ("a",)),
        ("--quiet a", {"--quiet": ("true",)}, ("a",)),
        ("--quiet=false a", {"--quiet": ("false",)}, ("a",)),
        ("a -- --name x", {}, ("a", "--name", "x")),
        ("a - b", {}, ("a", "-", "b")),
        ("a --name", {"--name": ("",)}, ("a",)),
        ("", {}, ()),
    ],
)
def test_a_command_line_is_taken_apart_as_pflag_does(line, flags, plain):
    parsed = parse(line.split(), lambda flag: flag in ("--name", "-n"))
    assert (parsed.flags, parsed.words) == (flags, plain)


def test_flags_behind_the_first_word_may_be_somebody_else_s():
    parsed = parse(["-d", "--name", "x", "image", "sh", "-c", "x"], lambda flag: flag == "--name", mixed=False)
    assert (parsed.words, parsed.first) == (("image", "sh", "-c", "x"), 3)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("create cluster --name x", "kind create cluster"),
        ("load docker-image IMG more", "kind load docker-image IMG"),
        ("--quiet get clusters", "kind"),
        ("", "kind"),
    ],
)
def test_a_call_s_name_is_its_leading_words(line, name):
    assert Call("kind", tuple(line.split()), Path(), {}).name == name


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--token", "x"], ["--token", MASK]),
        (["--token=x"], [f"--token={MASK}"]),
        (["--docker-password", "x", "y"], ["--docker-password", MASK, "y"]),
        (["-e", "API_TOKEN=x y"], ["-e", f"API_TOKEN={MASK}"]),
        (["-eDB_PASSWORD=x"], [f"-eDB_PASSWORD={MASK}"]),
        (["--from-literal=password=x"], [f"--from-literal=password={MASK}"]),
        (["sh", "-c", "A=b SECRET_KEY=x run"], ["sh", "-c", f"A=b SECRET_KEY={MASK}"]),
        (["-p", "hush"], ["-p", MASK]),
        (["-p", "127.0.0.1:80:8080/tcp"], ["-p", "127.0.0.1:80:8080/tcp"]),
        (["get", "secret", "tls", "-n", "x"], ["get", "secret", "tls", "-n", "x"]),
        (["--field-selector=type=service-account-token"], ["--field-selector=type=service-account-token"]),
    ],
)
def test_what_looks_secret_is_masked(given, shown):
    assert masked(given) == shown


# --- kind


@pytest.mark.parametrize(
    ("line", "config", "added", "name"),
    [
        ("create cluster", "", f"--image={NODE} --retain", "kind"),
        ("create cluster --name x", "name: y", f"--image={NODE} --retain", "x"),
        ("--name x create cluster", "", f"--image={NODE} --retain", "x"),
        ("create cluster -nx --retain", "", f"--image={NODE}", "x"),
        ("create cluster --image my-node:1", "", "--retain", "kind"),
        ("create cluster --image their-node:1", "", "--retain", "kind"),
        ("create cluster --image nowhere:1", "", f"--image={NODE} --retain", "kind"),
        ("create cluster --config c", "name: y", f"--image={NODE} --retain", "y"),
        ("create cluster --config c", "nodes: [{image: my-node}]", "--retain", "kind"),
        ("create cluster --config c", "nodes: [{image: my-node}, {role: worker}]", f"--image={NODE} --retain", "kind"),
        ("create cluster --config c", "nodes: [{image: nowhere}]", f"--image={NODE} --retain", "kind"),
        ("create cluster --config c", "nodes: 7", f"--image={NODE} --retain", "kind"),
        ("create cluster --config c", "[", f"--image={NODE} --retain", "kind"),
        ("create cluster --config c", "- a", f"--image={NODE} --retain", "kind"),
    ],
)
def test_a_create_gets_an_image_the_engine_has(line, config, added, name):
    decision = kind(line, config)
    assert words(decision) == f"{line} {added}"
    assert (decision.then, decision.clusters) == (Then.CREATED, (name,))
    assert decision.retain == ("--retain" in line)


@pytest.mark.parametrize("config", ["", "nodes: [{image: my-node}]"])
def test_nodes_are_made_of_another_image_when_one_is_retired(config):
    call = Call("kind", ("create", "cluster"), Path("/there"), {})
    decision = KindRules(Engine(), "my-newer", retired="my-node").decide(call, config)
    assert words(decision) == "create cluster --image=my-newer --retain"


def test_nodes_that_docker_removes_are_told_before():
    assert docker("rm -f my-box mine-control-plane").clusters == ("mine-control-plane",)
    assert docker("container remove mine-control-plane").clusters == ("mine-control-plane",)
    assert docker("stop mine-control-plane").clusters == docker("rm my-box").clusters == ()


def test_a_create_knows_what_was_there():
    assert kind("create cluster", KIND_CLUSTER_NAME="mine").existed
    assert not kind("create cluster", "name: mine", KIND_CLUSTER_NAME="new").existed


@pytest.mark.parametrize(
    ("line", "config", "environment"),
    [
        ("create cluster --name theirs", "", {}),
        ("create cluster --name=x --name=theirs", "", {}),
        ("create --retain -n theirs cluster", "", {}),
        ("create cluster --config c", "name: theirs", {}),
        ("create cluster", "name: mine", {"KIND_CLUSTER_NAME": "theirs"}),
    ],
)
def test_a_foreign_cluster_s_name_is_taken(line, config, environment):
    decision = kind(line, config, **environment)
    assert decision.stderr == (
        'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "theirs"\n'
    )
    assert (decision.exit_code, decision.thing) == (1, "")


@pytest.mark.parametrize(
    "line",
    [
        "delete cluster --name theirs",
        "delete cluster --name=theirs",
        "delete cluster -n theirs",
        "delete -ntheirs cluster",
        "--name theirs delete cluster",
        "-v 1 delete cluster --kubeconfig k --name theirs",
        "delete clusters mine theirs",
        "load docker-image x --name theirs",
        "load image-archive --nodes a x -n theirs",
    ],
)
def test_foreign_clusters_are_not_touched(line):
    decision = kind(line)
    assert isinstance(decision, Refuse)
    assert (decision.thing, decision.exit_code) == ("cluster theirs", 1)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("export logs --name theirs", 'ERROR: unknown cluster "theirs"'),
        (
            "export kubeconfig --name theirs",
            "ERROR: could not locate any control plane nodes for cluster named 'theirs'",
        ),
        ("get kubeconfig --internal -n theirs", "ERROR: could not locate any control plane nodes"),
    ],
)
def test_foreign_clusters_are_not_there(line, said):
    decision = kind(line)
    assert isinstance(decision, Refuse)
    assert decision.stderr.startswith(said)
    assert decision.thing == "", "looking changes nothing"


def test_all_clusters_are_all_of_the_run():
    decision = kind("delete clusters --all --kubeconfig k")
    assert words(decision) == "delete clusters --kubeconfig=k mine my-other"
    assert decision.clusters == ("mine", "my-other")
    assert kind("delete clusters -A theirs").clusters == ("mine", "my-other")
    assert kind("delete clusters mine nobody").clusters == ("mine",)


@pytest.mark.parametrize(
    ("line", "then", "clusters"),
    [
        ("get clusters", Then.SHOW_OWN_CLUSTERS, ()),
        ("get nodes", Then.SHOW_OWN_NODES, ()),
        ("get nodes -A", Then.SHOW_OWN_NODES, ()),
        ("get nodes -A --name theirs", Then.SHOW_OWN_NODES, ()),
        ("get kubeconfig -n mine", Then.SHOW_KUBECONFIG, ()),
        ("export kubeconfig -n mine", Then.EXPORTED, ()),
        ("export logs -n mine", Then.NOTHING, ()),
        ("delete cluster -n mine", Then.NOTHING, ("mine",)),
        ("delete cluster -n nobody", Then.NOTHING, ()),
        ("load docker-image x -n mine", Then.NOTHING, ()),
        ("delete cluster -n theirs --help", Then.NOTHING, ()),
        ("version", Then.NOTHING, ()),
        ("nonsense --name", Then.NOTHING, ()),
        ("", Then.NOTHING, ()),
    ],
)
def test_the_run_s_own_clusters_are_kind_s_business(line, then, clusters):
    decision = kind(line)
    assert isinstance(decision, Pass)
    assert (words(decision), decision.changed) == (line, ())
    assert (decision.then, decision.clusters) == (then, clusters)


def test_foreign_nodes_are_none():
    assert kind("get nodes --name theirs") == Answer(stderr='No kind nodes found for cluster "theirs".\n')


@pytest.mark.parametrize(
    ("line", "environment", "expected"),
    [
        ("", {"HOME": "/h"}, "/h/.kube/config"),
        ("", {"HOME": "/h", "KUBECONFIG": "k"}, "/there/k"),
        ("", {"HOME": "/h", "KUBECONFIG": ":/a::/b:"}, "/b"),
        ("--kubeconfig k", {"HOME": "/h", "KUBECONFIG": "/a"}, "/there/k"),
    ],
)
def test_a_kubeconfig_is_where_kind_puts_it(line, environment, expected):
    call = Call("kind", tuple(line.split()), Path("/there"), environment)
    assert kubeconfig_path(call, parse_kind(call.words)) == Path(expected)


def test_of_several_kubeconfigs_it_is_the_first_that_is_there(tmp_path):
    (tmp_path / "b").touch()
    call = Call("kind", (), tmp_path, {"KUBECONFIG": "a:b:c"})
    assert kubeconfig_path(call, parse_kind(())) == tmp_path / "b"


@pytest.mark.parametrize(("line", "source"), [("create cluster --config -", "-"), ("get nodes --config x", "")])
def test_only_a_create_reads_a_config(line, source):
    assert config_source(Call("kind", tuple(line.split()), Path(), {})) == source


# --- docker

MAKING = [
    ("run my-image sh -c x", "run {labels} --pull=never my-image sh -c x"),
    ("run -d --name n -p 1:2 their-image", "run -d --name n -p 1:2 {labels} --pull=never their-image"),
    ("run --pull always -- my-image -x", "run --pull always {labels} --pull=never -- my-image -x"),
    ("run stand-in", "run {labels} --pull=never stand-in"),
    ("--debug -l info run my-image", "--debug -l info run {labels} --pull=never my-image"),
    ("container run -itv /a:/b my-image", "container run -itv /a:/b {labels} --pull=never my-image"),
    ("create my-image", "create {labels} --pull=never my-image"),
    ("container create my-image", "container create {labels} --pull=never my-image"),
    ("volume create v", "volume create v {labels}"),
    ("network create --internal n", "network create --internal n {labels}"),
    ("build -t new .", "build -t new . {labels}"),
    ("image build -t my-image -", "image build -t my-image - {labels}"),
    ("buildx build --load .", "buildx build --load . {labels}"),
    ("run", "run"),
]


@pytest.mark.parametrize(("line", "expected"), MAKING)
def test_what_docker_makes_is_marked(line, expected):
    assert words(docker(line)) == expected.format(labels=" ".join(LABELS))


def test_what_is_made_of_a_container_or_an_archive_is_marked_too():
    assert docker("commit my-box new").words == ("commit", "my-box", "new", "--change", 'LABEL afterfault.run="r1"')
    assert docker("import - new").changed == ("--change", 'LABEL afterfault.run="r1"')


@pytest.mark.parametrize(
    ("line", "volumes"),
    [
        ("run -v new:/a -v /x:/b -v ./y:/c -v ~/z:/d -v /e my-image", ("new",)),
        ("run --mount type=volume,source=new,target=/a my-image", ("new",)),
        ("run --mount type=bind,src=/x,dst=/a --mount src=n2,dst=/b my-image", ("n2",)),
        ("create --volume=my-volume:/a:ro my-image", ()),
    ],
)
def test_volumes_that_come_into_being_are_known(line, volumes):
    assert docker(line).volumes == volumes


def test_disks_of_containers_are_noted_unless_docker_removes_them():
    assert docker("run -d my-image").then is Then.NOTE_VOLUMES
    assert docker("run --rm my-image").then is Then.NOTHING


@pytest.mark.parametrize("line", ["run nowhere:1", "create nowhere:1", "run -d --rm --name x nowhere:1 sh"])
def test_a_missing_image_is_never_looked_for(line):
    decision = docker(line)
    assert "No such image: nowhere:1" in decision.stderr
    assert decision.exit_code == (125 if line.startswith("run") else 1)
    assert decision.thing == ""


@pytest.mark.parametrize(
    ("line", "thing"),
    [
        ("stop theirs", "container theirs"),
        ("stop -t 5 mine theirs", "container theirs"),
        ("kill -s KILL theirs", "container theirs"),
        ("rm -fv theirs", "container theirs"),
        ("rm --unheard-of theirs", "container theirs"),
        ("container rm theirs", "container theirs"),
        ("container remove theirs", "container theirs"),
        ("--debug container stop theirs", "container theirs"),
        ("restart theirs", "container theirs"),
        ("pause theirs", "container theirs"),
        ("unpause theirs", "container theirs"),
        ("start -ai theirs", "container theirs"),
        ("rename theirs x", "container theirs"),
        ("update --restart no theirs", "container theirs"),
        ("exec -it -e A=b theirs sh", "container theirs"),
        ("attach theirs", "container theirs"),
        ("cp file theirs:/etc", "container theirs"),
        ("commit theirs x", "container theirs"),
        ("commit -a me mine their-image", "image their-image"),
        ("tag my-image their-image", "image their-image"),
        ("build . -t their-image", "image their-image"),
        ("rmi -f their-image", "image their-image"),
        ("image rm my-image their-image", "image their-image"),
        ("volume rm their-volume", "volume their-volume"),
        ("volume remove -f their-volume", "volume their-volume"),
        ("network rm their-net", "network their-net"),
        ("network connect their-net mine", "network their-net"),
        ("network connect --ip 1.2.3.4 my-net theirs", "container theirs"),
        ("network disconnect -f my-net theirs", "container theirs"),
        ("run --network their-net my-image", "network their-net"),
        ("run --net name=their-net,alias=x my-image", "network their-net"),
        ("run --network container:theirs my-image", "container theirs"),
        ("run --pid container:theirs my-image", "container theirs"),
        ("run --volumes-from theirs:ro my-image", "container theirs"),
        ("run -v their-volume:/x my-image", "volume their-volume"),
        ("run --mount type=volume,src=their-volume,dst=/x my-image", "volume their-volume"),
        ("system prune -af", "everything unused"),
        ("builder prune", "everything unused"),
    ],
)
def test_what_is_another_s_is_not_touched(line, thing):
    decision = docker(line)
    assert isinstance(decision, Refuse)
    assert (decision.thing, decision.exit_code) == (thing, 1)


@pytest.mark.parametrize(
    "line",
    [
        "ps -a", "images", "inspect theirs", "logs -f theirs", "container ls", "container inspect theirs", "version",
        "image ls", "volume ls", "network inspect their-net", "cp theirs:/etc/x .", "cp theirs:/x -", "wait theirs",
        "stop mine", "rm -f nobody", "exec mine theirs", "exec mine rm theirs", "network connect my-net mine",
        "network connect bridge mine", "rmi my-image", "volume rm my-volume", "tag my-image new", "rename mine theirs2",
        "run --help", "rm --help theirs", "--version", "", "info", "cp ./theirs:x mine:/x", "load -i file",
    ],
)  # fmt: skip
def test_looks_and_the_run_s_own_pass_as_they_are(line):
    decision = docker(line)
    assert isinstance(decision, Pass)
    assert (words(decision), decision.changed) == (line, ())


@pytest.mark.parametrize("what", ["container", "image", "volume", "network"])
def test_a_prune_takes_from_the_run_only(what):
    decision = docker(f"{what} prune -f --filter label=x")
    assert words(decision) == f"{what} prune -f --filter label=x --filter label=afterfault.run=r1"


@pytest.mark.parametrize(
    "line",
    ["-H tcp://there ps", "--host=tcp://there ps", "--context there rm x", "-cthere ps", "compose up", "swarm init",
     "push x", "context use x", "plugin install x", "nonsense"],
)  # fmt: skip
def test_what_leads_away_or_leaves_what_nobody_finds_is_refused(line):
    decision = docker(line)
    assert isinstance(decision, Refuse)
    assert decision.thing == ""
    assert "afterfault's command tap" in decision.stderr


DEFAULT_TAG = """Using default tag: latest
Status: Image is up to date for my-image:latest
my-image:latest
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pull my-image", DEFAULT_TAG),
        ("pull -q my-image:2", "my-image:2\n"),
        ("image pull -q registry.test/a/my-image:2", "registry.test/a/my-image:2\n"),
        ("pull -q a/my-image", "a/my-image:latest\n"),
        ("pull -q stand-in", "stand-in:latest\n"),
    ],
)  # fmt: skip
def test_a_pull_of_what_is_there_is_answered(line, said):
    assert docker(line) == Answer(said)


def test_a_pull_of_what_is_not_there_is_refused():
    decision = docker("pull nowhere/x:1")
    assert (decision.exit_code, decision.thing) == (1, "")
    assert "manifest for nowhere/x:1 not found" in decision.stderr
