"""The images of deployments, as far as they can be told without an engine."""

import io
import re
import tarfile

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import MachineError, UsageError
from harness.nodeimage import commands, deployment_images, images
from harness.nodeimage.deployment_layers import write_layers
from harness.nodeimage.pins import all_pairs, choose_pair
from harness.nodeimage.recipe import recipe
from harness.nodeimage.steps import FILES

NAMES = {"caddy-stand-in", "app", "etcd-tools", "etcd-tools-nojq", "kubectl", "test-container"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def engine(monkeypatch):
    """An engine that has what it was given: reference to labels."""
    has = {}
    monkeypatch.setattr(deployment_images, "image_labels", has.get)
    monkeypatch.setattr(deployment_images, "image_size_mib", lambda _: 7)
    monkeypatch.setattr(deployment_images, "load", lambda image: has.update({image.names[0]: image.config["Labels"]}))
    return has


def closure(step):
    return {step.key}.union(*(closure(need) for need in step.needs))


def test_a_node_image_depends_on_none_of_them():
    for pair in all_pairs():
        made = recipe(pair)
        assert not {step.key for step in made.deployment.steps} & closure(made.node)


def test_they_are_called_after_their_versions():
    references = {image.name: image.reference for image in recipe(choose_pair()).deployment.images}
    assert references == {
        "caddy-stand-in": "afterfault/caddy-stand-in:1",
        "app": "afterfault/app:1",
        "etcd-tools": "afterfault/etcd-tools:3.6.6",
        "etcd-tools-nojq": "afterfault/etcd-tools:3.6.6-nojq",
        "kubectl": "afterfault/kubectl:1.34.4",
        "test-container": "afterfault/test-container:1",
    }


def test_pairs_that_share_a_reference_share_its_inputs():
    keys = {}
    for pair in all_pairs():
        for image in recipe(pair).deployment.images:
            assert keys.setdefault(image.reference, image.step.key) == image.step.key


def test_what_is_loaded_is_found_and_not_loaded_again(engine):
    made, out = recipe(choose_pair()), io.StringIO()
    deployment_images.build(made, out)
    assert len(out.getvalue().splitlines()) == len(NAMES) == len(engine)
    assert all(
        re.fullmatch(r"afterfault/\S+ into the engine \.\.\. \d+ s, 7 MiB", row) for row in out.getvalue().splitlines()
    )
    assert {deployment_images.find(name) for name in NAMES} == set(engine)
    again = io.StringIO()
    deployment_images.build(made, again)
    assert again.getvalue() == ""


@pytest.mark.parametrize("labels", [None, {}, {"afterfault.inputs": "of another day"}])
def test_one_that_is_missing_or_of_other_inputs_names_what_mends_it(engine, labels):
    if labels is not None:
        engine["afterfault/app:1"] = labels
    with pytest.raises(MachineError) as told:
        deployment_images.find("app")
    assert told.value.mend == "afterfault images build"


@pytest.mark.usefixtures("engine")
def test_the_mend_of_another_pair_names_the_pair():
    pair = all_pairs()[1]
    with pytest.raises(MachineError) as told:
        deployment_images.find("etcd-tools", pair)
    assert told.value.mend == f"afterfault images build --kubernetes {pair.kubernetes} --etcd {pair.etcd}"


@pytest.mark.usefixtures("engine")
def test_the_real_ingress_is_not_among_them_and_says_what_is():
    with pytest.raises(UsageError) as told:
        deployment_images.find("caddy-ingress")
    assert all(name in str(told.value) for name in NAMES)


def test_each_is_labelled_and_only_the_stand_in_says_so():
    for layers in recipe(choose_pair()).deployment.images:
        labels = deployment_images.image_of(layers).config["Labels"]
        assert labels["afterfault.kind"] == "deployment-image"
        assert labels["afterfault.inputs"] == layers.step.key
        assert ("afterfault.stand-in-for" in labels) == (layers.name == "caddy-stand-in")


def test_tools_have_a_command_and_no_entrypoint():
    for layers in recipe(choose_pair()).deployment.images:
        config = deployment_images.image_of(layers).config
        assert ("Entrypoint" in config) != ("Cmd" in config)
        assert ("Cmd" in config) == (layers.name in ("etcd-tools", "etcd-tools-nojq", "kubectl"))


@pytest.mark.usefixtures("engine")
def test_an_image_is_not_complete_without_them(monkeypatch):
    monkeypatch.setattr(images, "image_present", lambda _: True)
    monkeypatch.setattr(images, "_balancer_fits", lambda _: True)
    made = recipe(choose_pair())
    assert not images.is_complete(made)
    deployment_images.build(made, io.StringIO())
    assert images.is_complete(made)


@pytest.mark.usefixtures("engine")
def test_the_list_tells_which_are_there(monkeypatch):
    monkeypatch.setattr(commands, "find_node_images", list)
    deployment_images.build(recipe(choose_pair()), io.StringIO())
    said = CliRunner().invoke(main, ["images", "list"]).output
    assert "afterfault/app:1  7 MiB" in said
    assert "missing: afterfault/kubectl:1.33.13   afterfault images build --kubernetes 1.33.13 --etcd 3.5.21" in said


def test_programs_go_above_what_is_shared(tmp_path):
    shell, program, folder = tmp_path / "shell.tar", tmp_path / "kubectl", tmp_path / "made"
    program.write_text("program")
    folder.mkdir()
    with tarfile.open(shell, "w"):
        pass
    write_layers([shell], [program], folder)
    assert (folder / "0.tar").samefile(shell)
    with tarfile.open(folder / "1.tar") as layer:
        entry = layer.getmember("usr/local/bin/kubectl")
    assert (entry.mode, entry.uid, entry.mtime) == (0o755, 0, 0)


def test_the_app_is_short():
    assert (FILES / "app/main.go").read_text().count("\n") < 150
