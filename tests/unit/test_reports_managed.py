"""The page over hand-written days of managed clusters: lanes of the picture, the state table, ways back, a summary."""

import itertools
import re
import xml.etree.ElementTree as ET
from datetime import date

import pytest

from harness.control_cells import Outcome, all_cells
from harness.journal import Journal
from harness.judging import Case
from harness.judging.control_model import foretold
from harness.judging.ledger import Ledger
from harness.judging.managed import Managed
from harness.run_folder import RunFolder
from reports import managed_lanes
from reports.anchors import slug
from reports.answer import BROUGHT_BACK, MANAGED, procedures
from reports.canvas import GUTTER, RIGHT, WIDTH
from reports.control_files import draw_table, state_table
from reports.html import to_html
from reports.options import options
from reports.picture import draw, standalone
from reports.run import RunFacts, load_run, save_facts
from reports.summary import to_markdown
from reports.telling import repeat, tell
from tests.judging.managed_story import (
    MARKER,
    OTHER,
    SPEC,
    ManagedStory,
    good,
    restored,
    spec_of,
    stopped,
    swapped,
    warned,
)

STORIES = {"good": good, "warned": warned, "stopped": stopped, "swapped": swapped, "restored": restored}
SHOWN = ("no-unasked-seed", "writes-accounted", "backups-fresh", "loss-alarmed")


def cell_story(cell, outcome=None, tool="reference", variant="etcd-manager"):
    """A short day that comes to what the model foretells, or to something else."""
    outcome = outcome or foretold(cell.marker, cell.spec, cell.events)
    story = ManagedStory(spec_of(variant, "state_table", ("state-as-foretold",), cell.id, tool)).goes_on(4)
    story.fault("MarkerGone", then=lambda s: s.stored(MARKER), left={MARKER: -1})
    if outcome is Outcome.RESEEDED:
        return story.reseeds().goes_on(4).end()
    story.backs_up = outcome is not Outcome.BACKUPS_STOPPED
    return story.goes_on(5).end()


@pytest.fixture
def play(tmp_path):
    """Writes stories into a run folder and reads it back."""
    numbers = itertools.count(1)

    def write(*stories):
        folder = RunFolder(tmp_path / f"run-{next(numbers)}")
        for entries in stories:
            moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
            name = slug(Case.of(entries).spec.case_id)
            journal = Journal(folder.cases / name / "journal.jsonl", lambda moments=moments: next(moments))
            for entry in entries:
                journal.append(entry.kind, **entry.data)
            journal.seal()
        save_facts(folder, RunFacts("run-1"))
        return load_run(folder, Ledger(today=date(2026, 1, 1)))

    return write


# the picture


@pytest.mark.parametrize("name", STORIES)
def test_every_story_has_a_picture_that_stays_inside(name):
    entries = STORIES[name]().end()
    root = ET.fromstring(standalone(entries))
    boxes = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(boxes) > 20
    for box in boxes:
        assert float(box.get("x")) >= GUTTER - 0.1
        assert float(box.get("x")) + float(box.get("width")) <= WIDTH - RIGHT + 2
    for lane in ("store", "backups", "m1", "m2", "m3", "cluster", "writes"):
        assert f">{lane}<" in draw(entries)


def test_a_swap_is_marked_where_the_new_cluster_answers_first():
    drawn = draw(swapped().end())
    assert f"21.0 s: a new cluster answers: {OTHER[:8]}" in drawn
    assert 'class="cluster foreign"' in drawn
    assert 'class="cluster restored"' in draw(restored().end())
    assert "marker gone" in drawn


def test_backups_that_stop_are_marked_where_one_was_due():
    drawn = draw(stopped().end())
    assert "9.6 s: a backup was due, and none came" in drawn
    assert re.search(r"no backup for \d+\.\d s", drawn)
    assert managed_lanes.breakage(Managed.of(Case.of(good().end()))) is None


def test_a_marker_that_its_manager_put_back_at_once_shows_that_it_was_gone():
    story = ManagedStory().goes_on(4).fault("MarkerGone", left={MARKER: -1}).goes_on(3)
    assert f"{MARKER} gone" in draw(story.end())


def test_control_files_kept_elsewhere_are_drawn_as_well():
    story = ManagedStory()
    story.vanished(MARKER, SPEC).stored(f"@{MARKER}", f"@{SPEC}").goes_on(4)
    drawn = draw(story.end())
    assert drawn.count('class="file there"') >= 2


@pytest.mark.parametrize("make", [swapped, restored], ids=["swapped", "restored"])
def test_a_case_cut_short_anywhere_has_a_picture(make):
    entries = make().end()
    kinds = [entry.kind for entry in entries]
    for cut in range(1, len(entries)):
        if kinds[cut - 1] != kinds[cut]:
            ET.fromstring(standalone(entries[:cut]))
            tell(Case.of(entries[:cut]))


def test_a_long_case_makes_no_larger_picture():
    story = swapped().goes_on(1200)
    story.alarms()
    assert len(draw(story.end())) < 120_000


def test_hostile_words_of_a_manager_stay_words():
    story = ManagedStory().goes_on(2).marker_gone().alarms("<script>alert(1)</script>").goes_on(4)
    assert "<script>" not in draw(story.end())


# the state table


@pytest.fixture
def table(play):
    cells = all_cells()
    stories = [cell_story(cell) for cell in cells[:40:3]]
    stories.append(cell_story(cells[1], Outcome.RESEEDED))
    stories += [cell_story(cell, tool="etcd-manager", variant="real") for cell in cells[:6]]
    return play(*stories)


def test_the_state_table_has_a_cell_for_each_damage_and_order(table):
    made = state_table(table, {case.anchor for case in table.cases})
    assert made.managers == ["etcd-manager", "etcd-manager:real"]
    assert (len(made.rows), {len(row.cells) for row in made.rows}) == (6, {17})
    assert sum(made.counts["etcd-manager"].values()) == 15
    first = made.rows[0].cells[0]
    assert [one.kind for one in first] == ["safe", "safe"]
    assert first[0].anchor == "case-" + slug("state_table/etcd-manager/managed-3-file/marker-there+spec-there/none")
    assert made.rows[5].cells[16][0].kind == ""


def test_what_differs_is_named_once_for_model_and_once_for_managers(table):
    made = state_table(table, ())
    told = [(one.cell, one.words) for one in made.differences]
    name = "marker-there+spec-there/restart-leader"
    assert told == [
        (name, "etcd-manager came to reseeded, and safe is foretold"),
        (name, "etcd-manager came to reseeded; etcd-manager:real came to safe"),
    ]


def test_the_table_is_a_picture_with_links_and_a_table_to_read(table):
    page = to_html(table)
    made = state_table(table, {case.anchor for case in table.cases})
    drawn = draw_table(made)
    root = ET.fromstring(drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    links = [a.get("href") for a in root.iter("{http://www.w3.org/2000/svg}a")]
    assert len(links) == len(table.cases) == 21
    for link in links:
        assert f'id="{link[1:]}"' in page
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.get("x")) + float(box.get("width")) <= WIDTH
    assert "state table as a picture" in page
    assert page.count("not played") > 100
    assert "swapped for an empty cluster, 1.2 s" in page
    assert "(not foretold)" in page


def test_a_run_without_cells_has_no_table(play):
    run = play(good(spec_of(guarantees=SHOWN)).end())
    assert state_table(run, ()) is None
    assert "state table" not in to_html(run)
    assert "State table" not in to_markdown(run)


def test_a_cell_that_can_t_be_judged_says_so(play):
    cell = all_cells()[20]
    entries = [entry for entry in cell_story(cell) if entry.kind != "case.ended"]
    made = state_table(play(entries), ())
    assert made.counts["etcd-manager"] == {"not-seen": 1}
    assert made.differences == []


# the rest of the page


@pytest.fixture
def family(play):
    def of(make, variant, scenario="control_files_gone", moment="both-gone", guarantees=SHOWN):
        return make(spec_of(variant, scenario, guarantees, moment)).end()

    return play(
        of(warned, "wishes"),
        of(swapped, "etcd-manager", moment="both-gone.kops"),
        of(stopped, "etcd-manager"),
        of(restored, "etcd-manager", "after_reseed", "trash-can", ("restore-complete", "writes-accounted")),
        of(restored, "wishes", "restore_backup", "restore-backup@oldest", ("restore-complete", "archive-kept")),
        of(restored, "etcd-manager", "restore_backup", "tells-nothing", ("restore-complete", "archive-kept")),
        cell_story(all_cells()[0]),
    )


def test_managers_and_ways_back_are_two_questions(family):
    managers = {one.name: one.group for one in procedures(family, MANAGED)}
    assert managers == {"wishes": "kept", "etcd-manager": "lost"}
    ways = {one.name for one in procedures(family, BROUGHT_BACK)}
    assert ways == {"trash-can (etcd-manager)", "tells-nothing (etcd-manager)"}


def test_the_kill_matrix_counts_each_guarantee(family):
    made = options(family, MANAGED)
    rows = {row.name: dict(zip((g.id for g in made.guarantees), row.cells, strict=True)) for row in made.rows}
    assert rows["etcd-manager"]["no-unasked-seed"].count == "1/2"
    assert rows["etcd-manager"]["loss-alarmed"].kind == "broken"
    assert rows["wishes"]["backups-fresh"].kind == "kept"
    assert "the incident" in made.rows[-1].words or "wishes" in made.rows[-1].words


def test_the_page_tells_each_story_and_how_to_play_it_again(family):
    page = to_html(family)
    assert "Which managers keep a cluster whose control files vanish?" in page
    assert "Control files vanish or break beneath the backup path" in page
    assert "for one nobody asked for" in page
    assert "<script" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for link in re.findall(r'href="#([^"]+)"', page):
        assert link in ids
    case = next(one for one in family.cases if one.spec.moment == "both-gone.kops")
    assert repeat(case.spec) == f"afterfault repro {case.spec.case_id}"
    assert "ControlFilesGone; " in tell(Case.of(case.entries))


def test_the_summary_has_the_table_and_the_matrix(family, table):
    words = to_markdown(table)
    assert "## State table of control files" in words
    assert "| marker kept, spec kept | etcd-manager | ✓ 5.0 | **✕ 1.2 ≠** |" in words
    assert "Which managers keep a cluster whose control files vanish" in to_markdown(family)
