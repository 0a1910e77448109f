"""Where starts are cut, which cases there are of that, and what a person does by hand afterwards."""

import pytest

from harness.errors import UsageError
from harness.spec import CaseMatrix, DeploymentSpec, Target
from harness.tools.by_hand import DELETE_CLUSTER, DELETE_INGRESS_NAMESPACE
from harness.tools.start_cuts import CUTS

NEW = DeploymentSpec(in_use=False, secrets="none")


def matrix(**more):
    words = {"scenario": "s", "incident": "i", "guarantees": ("g",), "task": "deploy", "variants": (), "shapes": (NEW,)}
    return CaseMatrix(**words, moments=("early", "late"), **more)


def moments(made, target):
    return [case.moment for case in made.cases((target,), seed=0)]


def test_each_place_has_an_id_of_its_own():
    assert len({cut.id for cut in CUTS.values()}) == len(CUTS)


def test_a_variant_is_played_at_the_moments_that_tell_something_of_it():
    made = matrix(telling={"late-one": ("late",)})
    assert moments(made, Target("reference", "late-one")) == ["late"]
    assert moments(made, Target("reference", "other")) == ["early", "late"]


def test_a_users_own_tool_is_played_at_all_of_them():
    assert moments(matrix(telling={"late-one": ("late",)}), Target("laconic-so", "late-one")) == ["early", "late"]


def test_a_moment_there_is_not_is_refused():
    with pytest.raises(UsageError, match="no moment never"):
        matrix(telling={"late-one": ("never",)})


def test_a_person_names_the_cluster_there_is():
    assert DELETE_CLUSTER.command("af-1-made") == ("kind", "delete", "cluster", "--name", "af-1-made")
    assert DELETE_INGRESS_NAMESPACE.command("x") == ("kubectl", "delete", "namespace", "caddy-system")
    assert DELETE_CLUSTER.sentence == "by hand: kind delete cluster --name {cluster}"
