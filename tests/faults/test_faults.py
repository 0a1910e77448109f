"""Each fault bites, and one that does not is never blamed on the tool."""

from dataclasses import dataclass

import pytest

from harness.errors import FaultError
from harness.faults.membership import QuorumLostToGhost, ReplacedWithoutRemoval
from harness.faults.node import MemberPaused, NodeGone, NodeKilled, NodeWiped
from harness.judging import Inconclusive, Verdict, judge_all
from harness.lab import Lab
from harness.spec import CaseSpec, EtcdSpec, Target

pytestmark = pytest.mark.etcd
RELAXED = EtcdSpec(3, strict_reconfig_check=False)
GUARANTEES = ("quorum-kept", "no-ghost-member", "acknowledged-writes-kept")


@pytest.mark.parametrize("kind", [NodeKilled, NodeWiped, NodeGone, MemberPaused], ids=lambda kind: kind.__name__)
def test_the_evidence_is_false_before_and_true_after(build, kind):
    cluster, fault = build(RELAXED), kind("n2")
    fault.preflight(cluster)
    assert not fault.evidence(cluster).bit
    fault.inject(cluster)
    assert fault.evidence(cluster).bit
    fault.heal(cluster)


@pytest.mark.parametrize("kind", [NodeKilled, MemberPaused], ids=lambda kind: kind.__name__)
def test_what_can_be_healed_is_healed(build, kind):
    cluster, fault = build(RELAXED), kind("n2")
    fault.inject(cluster)
    fault.heal(cluster)
    cluster.await_healthy(cluster.node("n2"))
    assert not fault.evidence(cluster).bit


@pytest.mark.parametrize("strict", [False, True])
def test_a_ghost_and_then_a_lost_quorum(build, strict):
    cluster = build(EtcdSpec(3, strict_reconfig_check=strict))
    ghost, lost = ReplacedWithoutRemoval("n1"), QuorumLostToGhost("n2")
    with pytest.raises(FaultError, match="2 of 3 would still be a majority"):
        lost.preflight(cluster)
    assert not ghost.evidence(cluster).bit
    ghost.inject(cluster)
    assert ghost.evidence(cluster).bit
    lost.preflight(cluster)
    lost.inject(cluster)
    seen = lost.evidence(cluster)
    assert seen.bit
    assert (seen.facts["up"], seen.facts["listed"], seen.facts["writable"]) == (2, 4, [])


def test_a_fault_that_would_change_nothing_is_refused(build):
    cluster = build(RELAXED)
    cluster.node("n1").kill()
    with pytest.raises(FaultError, match="n1 is off already"):
        NodeGone("n1").preflight(cluster)
    with pytest.raises(FaultError, match="no node 'n7'"):
        NodeKilled("n7").preflight(cluster)


@dataclass(frozen=True, slots=True)
class Nothing(NodeGone):
    """Injects nothing, and looks for evidence as the real one does."""

    def inject(self, cluster):
        pass


def test_a_fault_that_does_not_bite_is_inconclusive(settings):
    lab = Lab(settings)
    with lab.start(CaseSpec("no_op", "002", Target("reference", "none"), RELAXED, GUARANTEES)):
        lab.inject(Nothing("n1"))
    findings = judge_all(lab.entries)
    assert {finding.verdict for finding in findings} == {Verdict.INCONCLUSIVE}
    assert "Nothing shows no sign that it bit" in findings[0].reason
    with pytest.raises(Inconclusive):
        lab.judge("quorum-kept")


def test_the_same_story_with_the_real_fault_is_judged(settings):
    lab = Lab(settings)
    with lab.start(CaseSpec("real", "002", Target("reference", "none"), RELAXED, GUARANTEES)):
        lab.inject(NodeGone("n1"))
    assert [finding.verdict.value for finding in judge_all(lab.entries)] == ["RECOVERED", "NOT_RECOVERED", "RECOVERED"]


def test_a_problem_of_the_harness_is_inconclusive(settings):
    lab = Lab(settings)
    with lab.start(CaseSpec("problem", "002", Target("reference", "none"), RELAXED, GUARANTEES)):
        lab.inject(NodeGone("n42"))
    assert {finding.verdict for finding in judge_all(lab.entries)} == {Verdict.INCONCLUSIVE}
