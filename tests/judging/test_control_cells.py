"""Cells of the state table: their IDs, what the frozen model says of each, and what a journal says a cell came to."""

import pytest

from harness.control_cells import ControlCell, Event, File, Outcome, all_cells, damages, sequences
from harness.errors import UsageError
from harness.judging import Verdict, judge
from harness.judging.control_model import State, foretold
from harness.judging.control_state import outcome
from tests.judging.managed_story import FOUNDING, MARKER, OTHER, SPEC, ManagedStory, good, spec_of, stopped, swapped

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE
CELLS = all_cells()


def cell(name):
    return spec_of("etcd-manager", "state_table", ("state-as-foretold",), name)


def test_there_are_102_cells_each_with_its_own_id():
    assert len(CELLS) == len({one.id for one in CELLS}) == 102
    assert (len(damages()), len(sequences())) == (6, 17)
    assert [ControlCell.parse(one.id) for one in CELLS] == list(CELLS)
    assert "marker-gone+spec-gone/restart-all,spec-again" in {one.id for one in CELLS}


@pytest.mark.parametrize(
    "text",
    [
        "", "marker-gone", "marker-gone+spec-gone", "marker-gone+spec-empty/none", "marker-lost+spec-gone/none",
        "marker-gone+spec-gone/restart-all,restart-all", "marker-gone+spec-gone/reboot", "spec-gone+marker-gone/none",
        "marker-gone+spec-gone/restart-all,spec-again,marker-again", "marker-gone+spec-gone/",
    ],
)  # fmt: skip
def test_what_is_no_cell_is_refused(text):
    with pytest.raises(UsageError):
        ControlCell.parse(text)


@pytest.mark.parametrize("one", CELLS, ids=lambda one: one.id)
def test_the_model_foretells_each_cell_and_never_contradicts_itself(one):
    said = foretold(one.marker, one.spec, one.events)
    assert said in (Outcome.SAFE, Outcome.BACKUPS_STOPPED, Outcome.RESEEDED)
    if one.marker is File.THERE:
        assert said is not Outcome.RESEEDED, "a marker that is there never lets a cluster be seeded"
    if one.marker is File.EMPTY:
        assert said is not Outcome.RESEEDED, "an empty marker is an error, and no leave to seed"
    if (one.marker, one.spec) == (File.GONE, File.THERE):
        assert said is Outcome.RESEEDED, "marker gone and spec there founds a new cluster, whatever comes next"
    if said is Outcome.RESEEDED and one.spec is File.GONE:
        assert Event.SPEC_AGAIN in one.events, "without a spec nobody knows what to seed"
    if len(one.events) == 2 and foretold(one.marker, one.spec, one.events[:1]) is Outcome.RESEEDED:
        assert said is Outcome.RESEEDED, "what was swapped stays swapped"


def test_the_incidents_own_story_is_told_apart():
    """Restarting with both files gone seeds nothing; writing the spec does; writing the marker first saves the data."""
    both = (File.GONE, File.GONE)
    assert foretold(*both, ()) is Outcome.BACKUPS_STOPPED
    assert foretold(*both, (Event.RESTART_ALL,)) is Outcome.BACKUPS_STOPPED
    assert foretold(*both, (Event.SPEC_AGAIN,)) is Outcome.RESEEDED
    assert foretold(*both, (Event.SPEC_AGAIN, Event.MARKER_AGAIN)) is Outcome.RESEEDED
    assert foretold(*both, (Event.MARKER_AGAIN, Event.SPEC_AGAIN)) is Outcome.BACKUPS_STOPPED


def test_how_many_cells_come_to_what():
    """Frozen: a change of the model shows here, and is a decision."""
    said = [foretold(one.marker, one.spec, one.events) for one in CELLS]
    assert {one: said.count(one) for one in set(said)} == {
        Outcome.SAFE: 34,
        Outcome.BACKUPS_STOPPED: 45,
        Outcome.RESEEDED: 23,
    }


def test_a_state_that_is_left_alone_stays():
    for one in CELLS:
        state = State(one.marker, one.spec).settled()
        assert state.settled() == state


# what a journal says


def test_a_healthy_cluster_that_backs_up_is_safe_and_says_how_long_it_was_watched():
    came = outcome(good().end())
    assert (came.outcome, came.seconds) == (Outcome.SAFE, 6.0)


def test_backups_that_stop_say_how_long_after_what_the_last_one_came():
    story = ManagedStory().goes_on(4).both_gone().goes_on(2)
    story.backs_up = False
    came = outcome(story.goes_on(6).end())
    assert (came.outcome, came.seconds) == (Outcome.BACKUPS_STOPPED, pytest.approx(2.1, abs=0.2))
    assert "after ControlFilesGone, and none in 6." in came.reason


def test_a_cluster_that_was_swapped_says_how_long_after_what():
    came = outcome(swapped().end())
    assert (came.outcome, came.seconds) == (Outcome.RESEEDED, pytest.approx(1.2))
    assert "1.2 s after SpecWrittenAgain" in came.reason


def two_clusters_by_turns(story):
    story.reseeds().goes_on(2)
    story.cluster = FOUNDING
    return story.writes().goes_on(2)


def members_of_two(story):
    story.reseeds().goes_on(2)
    story.lacks = {"m2": (FOUNDING, ())}
    return story


def our_own_id_without_our_writes(story):
    story.lacks = {"m2": (FOUNDING, ("v2",))}
    return story.goes_on(6)


def an_empty_register(story):
    return story.reads(value=None, mod_revision=0).goes_on(6)


@pytest.mark.parametrize(
    "happens", [two_clusters_by_turns, members_of_two, our_own_id_without_our_writes, an_empty_register]
)
def test_wrong_data_is_worse_than_an_empty_cluster(happens):
    story = ManagedStory().goes_on(4).marker_gone()
    assert outcome(happens(story).end()).outcome is Outcome.WRONG_DATA


@pytest.mark.parametrize(
    "story",
    [
        ManagedStory().goes_on(4).marker_gone().goes_on(1),
        ManagedStory().goes_on(4).fault("MarkerGone", bit=False).goes_on(8),
        ManagedStory().goes_on(4).restarted(back=False),
    ],
    ids=["left alone too short", "the fault never bit", "nobody came back"],
)
def test_what_was_not_seen_is_no_outcome(story):
    assert outcome(story.end()).outcome is Outcome.NOT_SEEN


def test_a_cell_is_held_against_the_model():
    for make, name, expected in (
        (stopped, "marker-gone+spec-gone/restart-all", (GREEN, "")),
        (stopped, "marker-gone+spec-there/restart-all", (RED, "came-backups-stopped")),
        (swapped, "marker-gone+spec-gone/restart-all,spec-again", (GREEN, "")),
        (swapped, "marker-there+spec-gone/none", (RED, "came-reseeded")),
        (good, "marker-there+spec-there/restart-leader", (GREEN, "")),
        (good, "nonsense", (UNSEEN, "")),
    ):
        finding = judge("state-as-foretold", make(cell(name)).end())
        assert (finding.verdict, finding.signature) == expected


def test_a_cell_tells_its_seconds():
    finding = judge("state-as-foretold", swapped(cell("marker-gone+spec-gone/restart-all,spec-again")).end())
    assert finding.measures["outcome_seconds"] == pytest.approx(1.2)
    assert OTHER in finding.reason


def test_a_marker_written_again_by_a_new_cluster_changes_nothing():
    story = ManagedStory(cell("marker-gone+spec-there/none")).goes_on(4)
    story.fault("MarkerGone", then=lambda s: s.stored(MARKER), left={MARKER: -1}).reseeds().stored(SPEC).goes_on(6)
    assert judge("state-as-foretold", story.end()).verdict is GREEN
