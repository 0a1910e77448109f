"""Nothing is judged over a time in which the harness was not there, red or green; what came before costs nothing."""

from dataclasses import replace

import pytest

from harness.judging import Verdict, judge_all
from harness.judging.awake import patience_seconds
from harness.spec import DeploymentSpec
from tests.judging.story import SPEC, Story
from tests.judging.test_sweep_rules import POINT, Swept

DISTURBANCES = {
    "harness.gap": ({"seconds": 70.0}, "stood still for 70.0 s"),
    "harness.clock_jump": ({"seconds": -7200.0}, "went back by 7200.0 s"),
    "harness.short": ({"what": "no file can be opened: Too many open files"}, "no file can be opened"),
}
ASKED = replace(SPEC, guarantees=("quorum-kept", "no-ghost-member", "replacement-complete"))
each = pytest.mark.parametrize("kind", DISTURBANCES)


def verdicts(entries):
    return {finding.verdict for finding in judge_all(entries)}


def story(*, red=False):
    told = Story(spec=ASKED).write(0.5, "a")
    if red:
        return told.asked(1).down(1, "n1").down(1.2, "n2").ended(2)
    return told.replaced(1).write(2, "b")


@each
@pytest.mark.parametrize("red", [False, True])
def test_neither_red_nor_green_is_told_of_a_time_nobody_saw(kind, red):
    data, words = DISTURBANCES[kind]
    findings = judge_all(story(red=red).say(3, kind, **data).end(6))
    assert {finding.verdict for finding in findings} == {Verdict.INCONCLUSIVE}
    assert all(words in finding.reason for finding in findings)
    assert {finding.signature for finding in findings} == {""}
    without = verdicts(story(red=red).end(6))
    assert (Verdict.NOT_RECOVERED in without) == red, "the story itself can be judged"


@pytest.mark.parametrize(
    ("seconds", "kept", "broken"),
    [
        (3.9, Verdict.RECOVERED, Verdict.NOT_RECOVERED),
        (4.1, Verdict.RECOVERED, Verdict.INCONCLUSIVE),
        (4.9, Verdict.RECOVERED, Verdict.INCONCLUSIVE),
        (5.1, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    ],
)
def test_a_gap_costs_what_it_may_have_made(seconds, kept, broken):
    assert verdicts(story().say(3, "harness.gap", seconds=seconds).end(6)) == {kept}
    findings = judge_all(story(red=True).say(3, "harness.gap", seconds=seconds).end(6))
    assert Verdict.merge(finding.verdict for finding in findings) is broken
    doubted = [finding for finding in findings if "else it would be broken: " in finding.reason]
    assert bool(doubted) == (4 < seconds < 5)


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        (ASKED, 5.0),
        (replace(ASKED, write_gap_seconds=30.0), 30.0),
        (replace(ASKED, cluster=DeploymentSpec(), traffic=None), 10.0),
    ],
)
def test_who_has_more_time_bears_longer_gaps(spec, seconds):
    assert patience_seconds(spec) == seconds


@each
def test_what_came_before_the_cluster_was_ready_costs_nothing(kind):
    entries = story().end(6)
    entries.insert(1, entries[0].__class__(0, 0.0, kind, DISTURBANCES[kind][0]))
    renumbered = [entry.__class__(seq, entry.at, entry.kind, entry.data) for seq, entry in enumerate(entries)]
    assert verdicts(renumbered) == verdicts(story().end(6))


@each
def test_what_came_after_the_case_costs_nothing(kind):
    entries = Story.say(told := story(), 3, "x") and told.end(6)
    after = [*entries, entries[0].__class__(len(entries), 7.0, kind, DISTURBANCES[kind][0])]
    assert verdicts(after) == verdicts(entries)


@each
def test_of_a_sweep_only_the_cut_it_fell_into_is_lost(kind):
    swept = Swept().cut("control", like="").cut(POINT)
    swept.say(swept.at, "sweep.cut", id="other", like="").say(swept.at + 1, kind, **DISTURBANCES[kind][0])
    swept.say(swept.at + 2, "sweep.ended", id="other", problem="")
    finding = swept.judged()
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.cuts == {POINT: "", "other": "?"}
    assert DISTURBANCES[kind][1] in finding.reason


@each
def test_while_a_sweep_learns_it_costs_the_whole(kind):
    swept = Swept()
    learnt = swept.entries.pop()
    swept.say(6, kind, **DISTURBANCES[kind][0]).say(6, learnt.kind, **learnt.data)
    finding = swept.cut("control").cut(POINT).judged()
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.cuts == {}
