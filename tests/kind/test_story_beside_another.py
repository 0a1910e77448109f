"""A story beside somebody's whole kind cluster: that stays what it was, whatever the tool reaches for."""

import contextlib
import os
import subprocess
import uuid
from dataclasses import asdict

import pytest

from harness.clusters.bystanders import look
from harness.clusters.docker_engine import open_engine
from harness.clusters.lease import Mark
from harness.cuts import Cut, CutPoint, Means, Moment
from harness.judging import Verdict, judge
from harness.lab import Lab
from harness.nodeimage import pick_node_image, tool_paths
from harness.probes.evidence import KIND
from harness.tools.deployers import reference_deployer
from harness.tools.deployments import Start
from tests.kind.needs import kind_needed
from tests.kind.sites import settings_in, spec_of

pytestmark = [pytest.mark.kind, pytest.mark.slow]
# Called so, the reference deployer's defect goes for it.
THEIRS = f"foreign-{uuid.uuid4().hex[:8]}"
CUT = Cut(Means.SIGKILL_GROUP, CutPoint("kind create cluster", Moment.AFTER))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory, pytestconfig):
    """Made by kind alone, on a network of its own and with no label of ours; its containers as the engine has them."""
    with kind_needed(pytestconfig):
        client, kind, image = open_engine(), tool_paths().kind, pick_node_image().reference
    own = os.environ | {
        "KUBECONFIG": str(tmp_path_factory.mktemp("theirs") / "config"), "KIND_EXPERIMENTAL_DOCKER_NETWORK": THEIRS
    }  # fmt: skip
    words = [str(kind), "--name", THEIRS]
    with contextlib.closing(client):
        try:
            subprocess.run([*words, "create", "cluster", "--image", image], env=own, check=True, capture_output=True)
            yield lambda: {one.id: asdict(one) for one in look(client, Mark("nobody")) if one.cluster == THEIRS}
        finally:
            subprocess.run([*words, "delete", "cluster"], env=own, check=False, capture_output=True)
            for network in client.networks.list(names=[THEIRS]):
                network.remove()


def told_story(variant, folder):
    """A start that is cut and started again, through the taps."""
    tool = reference_deployer(variant)
    with settings_in(folder, "beside") as settings:
        lab = Lab(settings)
        with lab.start(spec_of("beside", variant), tool):
            lab.run(tool, Start(cut=CUT))
            lab.run(tool, Start())
        return lab


def of_kind(lab, kind):
    return [entry.data for entry in lab.entries if entry.kind == kind]


def runs_of(lab):
    return [(run["outcome"], run["exit_code"]) for run in of_kind(lab, "tool.ended")]


def test_a_tool_that_minds_its_own_business_sees_no_other_cluster(theirs, tmp_path):
    before = theirs()
    assert [row["running"] for row in before.values()] == [True]
    lab = told_story("faithful", tmp_path)
    assert theirs() == before
    assert runs_of(lab)[1] == ("exited", 0)
    assert of_kind(lab, "tap.refused") == []
    assert set(before) <= set(of_kind(lab, "bystanders.seen")[0]["containers"])
    finding = judge("foreign-untouched", lab.entries)
    assert finding.verdict is Verdict.RECOVERED, finding.reason


def test_a_tool_that_deletes_every_cluster_it_sees_is_kept_from_it_and_named(theirs, tmp_path):
    before = theirs()
    lab = told_story("deletes-foreign", tmp_path)
    assert theirs() == before
    assert f"cluster {THEIRS}" in [refused["thing"] for refused in of_kind(lab, "tap.refused")]
    finding = judge("foreign-untouched", lab.entries)
    assert (finding.verdict, finding.signature) == (Verdict.NOT_RECOVERED, "foreign-reached-for"), finding.reason
    assert "cluster foreign-" in finding.reason
    looked = [(piece["occasion"], piece["sort"], piece["subject"]) for piece in of_kind(lab, KIND)]
    assert ("red", "api-health", "readyz") in looked
