"""How node images are made, as far as it can be told without an engine."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import main
from harness.clusters.living import pid_lives
from harness.errors import HarnessError, MachineError, UsageError
from harness.nodeimage import components, images, machine, pins, steps, tools
from harness.nodeimage.archive import Entry, Image, configuration, write_archive, write_layer
from harness.nodeimage.go import ModuleFile, default_name, module_text, pinned_versions, version_order, wrapper_text
from harness.nodeimage.pins import Pair, all_pairs, choose_pair
from harness.nodeimage.process import CommandError, run
from harness.nodeimage.recipe import recipe
from harness.nodeimage.s3_server import s3_server_step
from harness.nodeimage.steps import FILES, Step, building, make, make_all, prune
from harness.waiting import until
from tests.workflows.workflow_linter import linter_step


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "afterfault"


def never(_: Path) -> None:
    raise AssertionError("made again")


def wording(step_name: str = "word", **more: object) -> Step:
    return Step(step_name, "a word", lambda folder: (folder / "word").write_text("made") and None, **more)


class TestPins:
    def test_the_default_pair_comes_first(self):
        assert choose_pair() == all_pairs()[0] == Pair("1.34.4", "3.6.6")

    def test_what_is_left_out_is_chosen_to_fit(self):
        assert choose_pair(kubernetes=pins.KUBERNETES[1]).etcd.startswith("3.5.")
        assert choose_pair(etcd=pins.ETCD[1]).kubernetes == pins.KUBERNETES[1]

    @pytest.mark.parametrize(
        "asked", [{"kubernetes": "1.20.0"}, {"etcd": "2.0.0"}, {"kubernetes": "1.34.4", "etcd": "3.5.21"}]
    )
    def test_what_is_not_pinned_is_wrong_usage_and_says_what_is(self, asked):
        with pytest.raises(UsageError) as told:
            choose_pair(**asked)
        assert all(str(pair) in str(told.value) for pair in all_pairs())

    def test_every_pinned_version_has_its_sums(self):
        for pair in all_pairs():
            for step in recipe(pair).steps:
                for name in step.files:
                    assert (FILES / name).exists(), name

    def test_sums_are_in_gos_form_and_name_what_is_pinned(self):
        for file in (FILES / "sums").glob("*.sum"):
            lines = file.read_text().splitlines()
            assert all(re.fullmatch(r"\S+ v\S+ h1:[A-Za-z0-9+/]{43}=", line) for line in lines), file.name
            version = file.stem.rpartition("-")[2]
            assert any(version in pinned for pinned in pinned_versions(file.read_text()).values())

    def test_no_sums_file_is_without_a_pin(self):
        steps = [s3_server_step(), linter_step(), *(step for pair in all_pairs() for step in recipe(pair).steps)]
        used = {name for step in steps for name in step.files}
        assert {f"sums/{file.name}" for file in (FILES / "sums").iterdir()} <= used


class TestHash:
    def test_it_changes_with_everything_that_decides_the_outcome(self):
        plain = wording()
        others = [
            wording("other"),
            wording(inputs={"version": "1"}),
            wording(inputs={"version": "2"}),
            wording(needs=(plain,)),
            wording(files=("pause",)),
            wording(revision=2),
        ]
        assert len({step.key for step in [plain, *others]}) == 7
        assert wording().key == plain.key

    def test_a_file_counts_with_its_content_and_its_mode(self, tmp_path, monkeypatch):
        monkeypatch.setattr(steps, "FILES", tmp_path)
        file = tmp_path / "some" / "script"
        file.parent.mkdir()
        file.write_text("one")
        first = wording(files=("some",)).key
        file.chmod(0o755)
        second = wording(files=("some",)).key
        file.write_text("two")
        assert len({first, second, wording(files=("some",)).key}) == 3

    def test_images_of_a_recipe_are_named_after_it(self):
        references = [recipe(pair).reference for pair in all_pairs()]
        assert len(set(references)) == len(references)
        for pair, reference in zip(all_pairs(), references, strict=True):
            assert re.fullmatch(rf"afterfault/node:v{pair.kubernetes}-etcd{pair.etcd}-[0-9a-f]{{12}}", reference)

    def test_pairs_share_what_does_not_depend_on_the_version(self):
        one, other = recipe(all_pairs()[0]), recipe(all_pairs()[-1])
        for name in ("kind", "coredns", "local_path", "own", "root", "balancer"):
            assert getattr(one, name).key == getattr(other, name).key
        assert one.kubernetes.key != other.kubernetes.key

    def test_each_step_comes_after_what_it_needs(self):
        ordered = recipe(choose_pair()).steps
        for number, step in enumerate(ordered):
            assert {need.key for need in step.needs} <= {earlier.key for earlier in ordered[:number]}, step.name


class TestSteps:
    def test_what_is_there_is_kept(self):
        out = io.StringIO()
        make_all([wording()], out)
        make_all([Step("word", "a word", never)], out)
        assert out.getvalue().splitlines() == ["[1/1] a word ... 0 s", "[1/1] a word ... kept"]

    def test_a_step_that_fails_leaves_nothing(self, cache):
        def fail(folder):
            (folder / "half").write_text("of it")
            raise HarnessError("no")

        with pytest.raises(HarnessError):
            make(Step("word", "a word", fail))
        assert list((cache / "nodeimage").iterdir()) == []

    def test_a_killed_build_goes_on_at_the_step_it_was_in(self, cache):
        code = (
            "import os, signal, sys, io\n"
            "from pathlib import Path\n"
            "from harness.nodeimage.steps import Step, building, make_all\n"
            "def die(folder):\n"
            "    (folder / 'half').write_text('of it')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "with building(sys.stdout):\n"
            "    make_all([Step('one', '1', lambda f: None), Step('two', '2', die)], sys.stdout)\n"
        )
        died = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
        assert died.returncode == -9
        assert len(list((cache / "nodeimage").glob("two-*.partial"))) == 1
        out = io.StringIO()
        with building(out):
            make_all([Step("one", "1", never), Step("two", "2", lambda folder: (folder / "whole").touch())], out)
        assert "[1/2] 1 ... kept" in out.getvalue()
        (two,) = (cache / "nodeimage").glob("two-*")
        assert [path.name for path in two.iterdir()] == ["whole"]

    def test_a_second_build_waits_for_the_first(self):
        out = io.StringIO()
        code = (
            "import sys\n"
            "from harness.nodeimage.steps import building\n"
            "with building(sys.stdout):\n"
            "    print('mine', flush=True)\n"
            "    sys.stdin.readline()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as other:
            assert other.stdout.readline() == "mine\n"

            class Told(io.StringIO):
                def write(self, text):
                    other.stdin.write("done\n")
                    other.stdin.flush()
                    return super().write(text)

            out = Told()
            with building(out):
                assert "waiting" in out.getvalue()

    def test_old_steps_go_and_pinned_ones_stay(self):
        old, new = wording("old"), wording("new")
        with building(io.StringIO()):
            make_all([old, new], io.StringIO())
            prune({new.folder})
        assert new.done
        assert not old.done


class TestModules:
    KUBERNETES = ModuleFile(
        "1.24.0",
        {"k8s.io/api": "v0.0.0", "k8s.io/sample": "v0.0.0", "example.com/x": "v1.2.0"},
        frozenset({"k8s.io/api", "k8s.io/sample"}),
    )

    def test_what_lies_beside_a_module_is_taken_as_published(self):
        text = wrapper_text({"k8s.io/kubernetes": "v1.34.4"}, [self.KUBERNETES], {"k8s.io/api": "v0.34.4"})
        assert "require k8s.io/api v0.34.4" in text
        assert "replace k8s.io/api => k8s.io/api v0.34.4" in text
        assert "require k8s.io/kubernetes v1.34.4" in text
        assert "k8s.io/sample" not in text  # published, but not pinned: no program of ours needs it

    def test_the_highest_version_and_language_win(self):
        other = ModuleFile("1.9", {"example.com/x": "v1.10.0"}, frozenset())
        text = wrapper_text({}, [self.KUBERNETES, other], {})
        assert "go 1.24.0\n" in text
        assert "require example.com/x v1.10.0\n" in text

    @pytest.mark.parametrize(
        ("low", "high"),
        [
            ("v1.2.0", "v1.10.0"),
            ("v1.0.0-rc.1", "v1.0.0"),
            ("v0.0.0-20230101000000-aaaaaaaaaaaa", "v0.0.0-20240101000000-000000000000"),
            ("v2.3.0+incompatible", "v2.3.1+incompatible"),
            ("1.9", "1.24.0"),
        ],
    )
    def test_versions_sort_as_gos(self, low, high):
        assert version_order(low) < version_order(high)

    def test_a_module_file_is_read_as_go_tells_it(self):
        text = json.dumps(
            {
                "Go": "1.24",
                "Require": [{"Path": "a.b/c", "Version": "v1.0.0", "Indirect": True}],
                "Replace": [
                    {"Old": {"Path": "a.b/c"}, "New": {"Path": "../c"}},
                    {"Old": {"Path": "a.b/d"}, "New": {"Path": "e.f/d", "Version": "v1.0.0"}},
                ],
            }
        )
        assert ModuleFile.parse(text) == ModuleFile("1.24", {"a.b/c": "v1.0.0"}, frozenset({"a.b/c"}))

    def test_programs_are_called_as_go_calls_them(self):
        assert default_name("k8s.io/kubernetes/cmd/kubeadm") == "kubeadm"
        assert default_name("go.etcd.io/etcd/server/v3") == "server"

    def test_own_programs_need_nothing(self):
        assert module_text("1.21", {}, {}, name="afterfault.local/pause") == "module afterfault.local/pause\ngo 1.21\n"


class TestArchive:
    def test_the_same_content_is_the_same_bytes(self, tmp_path):
        entries = [Entry("usr/bin/b", b"b", mode=0o755), Entry("usr/bin/a", b"a"), Entry("bin", link="usr/bin")]
        one = write_layer(tmp_path / "one.tar", entries)
        other = write_layer(tmp_path / "other.tar", reversed(entries))
        assert one.read_bytes() == other.read_bytes()
        with tarfile.open(one) as layer:
            assert layer.getnames() == ["bin", "usr", "usr/bin", "usr/bin/a", "usr/bin/b"]
            assert layer.getmember("bin").linkname == "usr/bin"
            assert layer.getmember("usr/bin/b").mode == 0o755
            assert {member.mtime for member in layer} == {0}

    def test_shared_layers_are_written_once(self, tmp_path):
        shared = write_layer(tmp_path / "shared.tar", [Entry("a", b"a")])
        own = write_layer(tmp_path / "own.tar", [Entry("b", b"b")])
        out = io.BytesIO()
        write_archive(out, [Image(("x:1",), (shared,)), Image(("y:1",), (shared, own), {"Env": ["A=1"]})])
        out.seek(0)
        with tarfile.open(fileobj=out) as archive:
            names = archive.getnames()
            manifest = json.load(archive.extractfile("manifest.json"))
            second = json.load(archive.extractfile(manifest[1]["Config"]))
        assert len([name for name in names if name.endswith("layer.tar")]) == 2
        assert [image["RepoTags"] for image in manifest] == [["x:1"], ["y:1"]]
        assert manifest[0]["Layers"][0] == manifest[1]["Layers"][0]
        assert second["config"] == {"Env": ["A=1"]}
        assert len(second["rootfs"]["diff_ids"]) == 2

    def test_no_image_says_when_it_was_made(self):
        assert b"1970-01-01" in configuration(Image(("x:1",), ()), [])


class TestComponents:
    LIST = "\n".join(
        [f"host.example/{name}:v1.34.4" for name in ("kube-apiserver", "kube-proxy")]
        + ["host.example/coredns/coredns:v1.12.1", "host.example/pause:3.10.1", "host.example/etcd:3.6.5-0"]
    )

    def test_pause_is_found_in_kubeadms_list(self):
        assert components.pause_image(self.LIST.split()) == "host.example/pause:3.10.1"

    def test_an_image_that_nothing_serves_is_told(self):
        with pytest.raises(HarnessError, match=r"host\.example/new:1"):
            components._programs("host.example/new:1")

    def test_etcd_brings_its_tools(self):
        assert components._programs("host.example/etcd:3.6.5-0") == ("etcd", "etcdctl", "etcdutl")


class TestFiles:
    def test_no_file_names_a_registry_or_a_mirror(self):
        for path in [*FILES.rglob("*"), *Path(steps.__file__).parent.glob("*.py")]:
            if path.is_file():
                text = path.read_text()
                assert not re.search(r"\b(registry\.k8s|docker\.io|quay\.|ghcr\.|deb\.debian|gcr\.)", text), path

    def test_manifests_are_yaml_and_pull_nothing(self):
        for name in ("default-cni.yaml", "default-storage.yaml"):
            text = (FILES / "node" / name).read_text()
            documents = [document for document in yaml.safe_load_all(text) if document]
            for document in documents:
                for container in document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
                    assert container["image"] in components._OWN
                    assert container["imagePullPolicy"] == "IfNotPresent"

    def test_kind_recognises_the_cni_manifest(self):
        text = (FILES / "node/default-cni.yaml").read_text()
        assert "would you kindly template this file" in text
        assert "would you kindly patch this file" in text

    def test_the_cni_agent_dies_with_the_words_of_the_incident(self):
        text = (FILES / "cni-agent/api.go").read_text().replace('" +\n\t"', "")
        words = "unable to load in-cluster configuration, "
        assert f"{words}KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined" in text

    def test_shell_scripts_parse(self):
        for name in (
            "node/entrypoint",
            "node/crictl",
            "node/kubelet-cgroups",
            "debian/furnish",
            "debian/packages.sh",
            "store/fill",
        ):
            subprocess.run(["bash", "-n", str(FILES / name)], check=True)


class TestProcess:
    def test_what_is_said_is_returned_without_complaints(self):
        assert run(["sh", "-c", "echo out; echo err >&2"]) == "out\n"

    def test_a_failure_tells_both_streams(self):
        with pytest.raises(CommandError, match=r"(?s)ended with 3.*out.*err") as told:
            run(["sh", "-c", "echo out; echo err >&2; exit 3"])
        assert told.value.code == 3

    def test_what_takes_too_long_goes_with_its_children(self, tmp_path):
        file = tmp_path / "pid"
        with pytest.raises(CommandError, match="no end after"):
            run(["sh", "-c", f"sleep 60 & echo $! > {file}; wait"], timeout_seconds=2)
        until(lambda: not pid_lives(int(file.read_text())), what="the child to end", deadline_seconds=30)


class TestMachine:
    def test_every_lack_is_told_with_what_mends_it(self, monkeypatch):
        monkeypatch.setattr(machine, "engine_version", lambda: "26")
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(machine.shutil, "which", lambda name: None if name in ("go", "debootstrap") else name)
        with pytest.raises(MachineError) as told:
            machine.check_machine()
        for word in ("root", "debootstrap", "no Go", "mend: sudo"):
            assert word in str(told.value)

    def test_a_full_disk_is_told_in_figures(self, monkeypatch):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**30})())
        assert f"{machine.LEAST_FREE_MIB} MiB" in machine._disk()[0]
        assert "1024 MiB are free" in machine._disk()[0]

    @pytest.mark.parametrize(
        ("said", "fits"),
        [
            ("go1.26.8\nlocal\n", True),
            ("go1.22.1\nauto\n", True),
            ("go1.22.1\nlocal\n", False),
            ("go1.19.8\nauto\n", False),
        ],
    )
    def test_go_must_be_new_enough_or_able_to_fetch_a_newer_one(self, monkeypatch, said, fits):
        monkeypatch.setattr(machine.shutil, "which", lambda name: name)
        monkeypatch.setattr(machine, "run", lambda *_, **__: said)
        assert (machine._go() is None) == fits

    def test_too_few_inotify_instances_are_told_before_kube_proxy_dies_of_it(self, monkeypatch, tmp_path):
        limit = tmp_path / "limit"
        limit.write_text("128\n")
        monkeypatch.setattr(machine, "_INOTIFY", limit)
        monkeypatch.setattr(machine, "_inotify_used", lambda: 60)
        machine.check_inotify(2)
        with pytest.raises(MachineError, match="sysctl"):
            machine.check_inotify(3)


class TestPicking:
    @pytest.fixture(autouse=True)
    def engine(self, monkeypatch):
        def labels(kubernetes, etcd):
            return {"afterfault.kubernetes": kubernetes, "afterfault.etcd": etcd}

        have = [
            ("afterfault/node:old", labels("1.20.0", "3.4.0")),
            ("afterfault/node:second", labels(pins.KUBERNETES[1], pins.ETCD[1])),
            ("afterfault/node:default", labels(*(choose_pair().kubernetes, choose_pair().etcd))),
        ]
        monkeypatch.setattr(images, "engine_version", lambda: "26")
        monkeypatch.setattr(images, "labelled_images", lambda _: have)
        monkeypatch.setattr(images, "image_present", lambda name: name == "kindest/node:v1.32.0")

    def test_the_default_is_first_and_what_is_not_pinned_last(self):
        assert [image.reference.partition(":")[2] for image in images.find_node_images()] == [
            "default",
            "second",
            "old",
        ]
        assert images.pick_node_image().reference == "afterfault/node:default"

    def test_an_image_of_older_inputs_comes_after_one_of_todays(self, monkeypatch):
        labels = {"afterfault.kubernetes": choose_pair().kubernetes, "afterfault.etcd": choose_pair().etcd}
        today = recipe(choose_pair()).reference
        monkeypatch.setattr(images, "labelled_images", lambda _: [("afterfault/node:0", labels), (today, labels)])
        assert [image.reference for image in images.find_node_images()] == [today, "afterfault/node:0"]

    def test_the_real_load_balancer_will_do_and_ours_only_when_it_is_todays(self, monkeypatch):
        made = recipe(choose_pair())
        cases = [
            (None, False),
            ({}, True),
            ({"afterfault.kind": "load-balancer"}, False),
            ({"afterfault.kind": "load-balancer", "afterfault.inputs": made.balancer.key}, True),
        ]
        for labels, fits in cases:
            monkeypatch.setattr(images, "image_labels", lambda _, labels=labels: labels)
            assert images._balancer_fits(made) == fits

    def test_a_version_chooses(self):
        assert images.pick_node_image(kubernetes=pins.KUBERNETES[1]).reference == "afterfault/node:second"
        assert images.pick_node_image(etcd="3.4.0").kubernetes == "1.20.0"

    def test_a_reference_is_taken_as_it_is_ours_or_not(self):
        assert images.pick_node_image("afterfault/node:old").etcd == "3.4.0"
        assert images.pick_node_image("kindest/node:v1.32.0") == images.NodeImage("kindest/node:v1.32.0", "1.32.0", "")

    def test_what_is_not_there_is_mended_by_building_it(self):
        with pytest.raises(MachineError, match=r"afterfault images build --kubernetes 1\.33\.0"):
            images.pick_node_image(kubernetes="1.33.0")
        with pytest.raises(MachineError, match="no node image x:1"):
            images.pick_node_image("x:1")


class TestTools:
    @pytest.fixture
    def on_path(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

        def put(name, says):
            (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\n")
            (tmp_path / name).chmod(0o755)
            return tmp_path / name

        return put

    def test_those_on_path_are_taken_when_they_fit(self, on_path):
        kind, kubectl = (
            on_path("kind", "kind v0.30.0 go1.24 linux/amd64"),
            on_path("kubectl", "Client Version: v1.33.1"),
        )
        assert tools.tool_paths() == tools.ToolPaths(kind, kubectl)

    def test_those_that_do_not_fit_are_not(self, on_path):
        on_path("kind", "kind v0.27.0 go1.24 linux/amd64")
        on_path("kubectl", "Client Version: v1.30.0")
        with pytest.raises(MachineError, match=r"no kind 0\.30"):
            tools.tool_paths()
        on_path("kind", "kind v0.30.1 go1.24 linux/amd64")
        with pytest.raises(MachineError, match=r"no kubectl near 1\.34"):
            tools.tool_paths()

    def test_what_was_built_comes_first(self, on_path, cache):
        on_path("kind", "kind v0.30.0 go1.24 linux/amd64")
        on_path("kubectl", "Client Version: v1.34.4")
        built = cache / "tools" / f"kind-v{pins.KIND}" / "kind"
        built.parent.mkdir(parents=True)
        built.touch()
        assert tools.tool_paths().kind == built


class TestCommands:
    @pytest.mark.parametrize(
        "words",
        [
            ["build", "--kubernetes", "1.20.0"],
            ["build", "--etcd", "9"],
            ["nothing"],
            ["check", "--control-planes", "0"],
        ],
    )
    def test_wrong_usage_is_two(self, words):
        assert CliRunner().invoke(main, ["images", *words]).exit_code == 2

    def test_an_unknown_version_says_which_are_pinned(self):
        said = CliRunner().invoke(main, ["images", "build", "--kubernetes", "1.20.0"])
        assert "Kubernetes 1.20.0 is not pinned" in said.output
        assert "Kubernetes 1.34.4 with etcd 3.6.6" in said.output

    @pytest.mark.parametrize("words", [["build"], ["list"], ["check"]])
    def test_without_an_engine_it_is_four_and_says_what_mends_it(self, words, monkeypatch):
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        said = CliRunner().invoke(main, ["images", *words])
        assert said.exit_code == 4
        assert "sudo scripts/docker-engine" in said.output

    @pytest.mark.parametrize("words", [[], ["build"], ["list"], ["check"]])
    def test_help_teaches(self, words):
        said = CliRunner().invoke(main, ["images", *words, "--help"])
        assert said.exit_code == 0
        assert "\\b" not in said.output
        assert len(said.output.splitlines()) >= 6
