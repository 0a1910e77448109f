"""Containers of others: untouched, touched in each way there is, and not judged when nobody looked in time."""

import pytest

from harness.judging import Verdict, judge
from harness.judging.bystanders import changes
from tests.judging.story import Story

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE
EARLIER, LATER = "2026-11-20T07:00:00.1Z", "2026-11-20T07:00:00.2Z"


def container(name="web", cluster="", started_at=EARLIER, restart_count=0, running=True):
    return {
        "name": name, "cluster": cluster, "started_at": started_at, "restart_count": restart_count, "running": running
    }  # fmt: skip


NODE = container("theirs-control-plane", "theirs")
BEFORE = {"c1": container(), "c2": NODE}


def judged(*looks, asked=1, ended=2):
    """Looks as (moment, containers); the tool is called and ends in between."""
    story = Story()
    events = [*looks, (asked, "asked"), (ended, "ended")]
    for at, what in sorted(events, key=lambda event: event[0]):
        if isinstance(what, str):
            getattr(story, what)(at)
        else:
            story.say(at, "bystanders.seen", containers=what)
    return judge("foreign-untouched", story.say(9, "case.ended").entries)


def test_untouched_is_kept():
    finding = judged((0.5, BEFORE), (3, BEFORE))
    assert finding.verdict is GREEN
    assert finding.measures == {"foreign_containers": 2}


def test_an_engine_with_nobody_else_on_it_was_looked_at_all_the_same():
    assert judged((0.5, {}), (3, {})).verdict is GREEN


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (None, "web is gone"),
        (container(running=False), "web runs no more"),
        (container(restart_count=2, started_at=LATER), "web was restarted 2 times"),
        (container(started_at=LATER), f"web was started anew at {LATER}"),
    ],
)
def test_each_change_is_red_and_told(now, said):
    finding = judged((0.5, BEFORE), (3, {"c2": NODE} | ({"c1": now} if now else {})))
    assert (finding.verdict, finding.signature) == (RED, "foreign-changed")
    assert said in finding.reason
    assert len(finding.evidence) == 2
    assert finding.measures["foreign_changed"] == 1


def test_a_container_of_the_same_name_is_another_one():
    """Whoever removes and makes again has lost what was in it."""
    finding = judged((0.5, BEFORE), (3, {"c1": container(), "c3": NODE}))
    assert finding.reason.endswith("theirs-control-plane of cluster theirs is gone")


def test_one_that_was_stopped_and_is_back_at_the_end_was_touched():
    away = BEFORE | {"c1": container(running=False)}
    assert judged((0.5, BEFORE), (1.5, away), (3, BEFORE)).verdict is RED


def test_a_change_counts_whenever_it_was_seen():
    assert judged((0.5, BEFORE), (1.5, {})).verdict is RED


@pytest.mark.parametrize(
    "after",
    [
        BEFORE | {"c9": container("new")},
        BEFORE | {"c2": NODE | {"name": "renamed"}},
    ],
)
def test_what_comes_new_or_gets_another_name_is_nobodys_business(after):
    assert judged((0.5, BEFORE), (3, after)).verdict is GREEN


def test_one_that_was_off_may_stay_off_but_not_be_switched_on():
    off = {"c1": container(running=False)}
    assert changes(off, off) == []
    assert changes(off, {"c1": container(started_at=LATER)}) == [f"web was started anew at {LATER}"]


@pytest.mark.parametrize(
    "looks",
    [(), ((0.5, BEFORE),), ((3, BEFORE),), ((1.5, BEFORE), (3, BEFORE)), ((0.5, BEFORE), (1.5, BEFORE))],
    ids=["never", "only before", "only after", "too late at first", "too early at last"],
)
def test_without_looks_before_and_after_there_is_no_verdict(looks):
    assert judged(*looks).verdict is UNSEEN


def test_looks_at_the_very_moment_count():
    assert judged((1, BEFORE), (2, BEFORE), asked=1, ended=2).verdict is GREEN


def test_many_changes_are_counted_and_a_few_named():
    before = {f"c{number}": container(f"web{number}") for number in range(9)}
    finding = judged((0.5, before), (3, {}))
    assert finding.measures["foreign_changed"] == 9
    assert "and 5 more" in finding.reason


def test_who_reached_for_others_is_named_also_where_one_of_them_changed():
    story = Story()
    story.say(0.5, "bystanders.seen", containers=BEFORE)
    story.asked(1)
    story.say(1.2, "tap.refused", call="kind delete cluster", thing="cluster theirs", why="foreign cluster theirs")
    story.ended(2)
    story.say(3, "bystanders.seen", containers={"c2": NODE})
    finding = judge("foreign-untouched", story.say(9, "case.ended").entries)
    assert (finding.verdict, finding.signature) == (RED, "foreign-changed")
    assert "web is gone; and the tool reached for cluster theirs (kind delete cluster)" in finding.reason
    assert len(finding.evidence) == 3
