"""Where a rule that is nearly right would differ: each of these was once a changed line that no other test noticed."""

import pytest

from harness.judging import Verdict, judge
from tests.judging.story import Story

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE


def test_a_strangers_member_list_is_not_ours():
    story = Story().asked(1).ended(2).listed(2.5, "n9", cluster="another")
    assert judge("no-ghost-member", story.end(3)).verdict is GREEN


def test_calls_that_overlap_may_be_answered_in_any_order():
    story = Story().write(0.1, "a", took=0.1, revision=7).write(0.15, "b", took=1, revision=5)
    assert judge("revisions-monotonic", story.end(3)).verdict is GREEN


def test_a_read_answered_after_a_write_it_overlaps_has_to_show_it():
    story = Story().write(0.1, "a", revision=2).write(0.5, "b", took=1, revision=3).read(1, "a", 2, 3)
    finding = judge("reads-linearizable", story.end(3))
    assert (finding.verdict, finding.signature) == (RED, "stale-read")


def test_a_read_answered_before_a_write_it_overlaps_need_not_show_it():
    story = Story().write(0.1, "a", revision=2).write(0.5, "b", took=1, revision=3).read(1, "a", 2, 2)
    assert judge("reads-linearizable", story.end(3)).verdict is GREEN


@pytest.mark.parametrize(
    ("verdicts", "merged"),
    [
        ([GREEN, UNSEEN, RED], RED),
        ([RED, UNSEEN], RED),
        ([GREEN, UNSEEN], UNSEEN),
        ([GREEN, GREEN], GREEN),
        ([], UNSEEN),
    ],
)
def test_the_gravest_verdict_wins_and_none_at_all_is_no_pass(verdicts, merged):
    assert Verdict.merge(verdicts) is merged
