"""Reports over hand-written days: the incident, a documented replacement, a blind one, files tampered with."""

import itertools
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from harness.errors import UsageError
from harness.journal import Journal
from harness.judging import Case, Verdict, judge
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from reports import verdicts
from reports.allure import attachments
from reports.answer import procedures
from reports.canvas import GUTTER, RIGHT, WIDTH, Label, Scale, in_rows, wide
from reports.gate import decide
from reports.html import to_html
from reports.picture import draw, standalone
from reports.run import load_run
from reports.summary import to_markdown
from reports.telling import breakage, repeat, tell
from tests.judging.story import Story

GUARANTEES = ("quorum-kept", "write-gap-bounded", "no-ghost-member", "replacement-complete")


def spec(variant, tool="reference", cluster=None):
    cluster = cluster or EtcdSpec(3, strict_reconfig_check=False)
    return CaseSpec("rolling_replacement", "002.txt", Target(tool, variant), cluster, GUARANTEES)


def writes(story, start, end, outcome="acknowledged"):
    for number in range(int((end - start) / 0.1)):
        story.write(start + number * 0.1, f"v{start}-{number}", outcome=outcome)


def incident(variant="incident"):
    """n1 gives way to n4 and is never removed; n2 is stopped next: 2 of 4."""
    story = Story(spec=spec(variant))
    writes(story, 0.1, 1)
    story.asked(1).create(1, "n4").touched(1.1, "destroy", "n1", "n1", "n2", "n3").down(1.1, "n1")
    story.say(1.1, "node.destroyed", node="n1").listed(1.2, "n1", "n2", "n3", "n4").up(1.4, "n4").ended(1.5)
    writes(story, 1.5, 3)
    story.asked(3, "n2", "n5").touched(3.2, "destroy", "n2", "n1", "n2", "n3", "n4").down(3.2, "n2")
    story.say(3.2, "node.destroyed", node="n2")
    writes(story, 3.3, 6, outcome="unknown")
    return story.ended(6, "n2", "n5", exit_code=1).end(12, serving=(), lost=("n3", "n4"))


def documented(variant="documented", **named):
    story = Story(spec=spec(variant, **named))
    writes(story, 0.1, 1)
    story.replaced(1)
    writes(story, 1.5, 3)
    return story.end(3, keys=["v0.1-0"])


def blind():
    return [entry for entry in documented("blind") if entry.kind != "case.ended"]


@pytest.fixture
def play(tmp_path):
    """Writes stories into a run folder and reads it back, held against an empty ledger."""
    folder = RunFolder(tmp_path / "run-1")

    def written(*stories):
        for number, entries in enumerate(stories):
            moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
            journal = Journal(folder.cases / f"case-{number}" / "journal.jsonl", lambda moments=moments: next(moments))
            for entry in entries:
                journal.append(entry.kind, **entry.data)
            journal.seal()
        return folder, load_run(folder, Ledger())

    return written


def test_a_case_whose_journal_is_gone_is_told_not_skipped(play):
    folder, _ = play(documented(), incident())
    (folder.cases / "case-1" / "journal.jsonl").unlink()
    run = load_run(folder, Ledger())
    assert "cases/case-1/journal.jsonl" in run.unreadable[0]
    assert decide(run).exit_code == 3


def test_a_case_is_judged_once(play):
    folder, _ = play(documented())
    shutil.copytree(folder.cases / "case-0", folder.cases / "copy")
    run = load_run(folder, Ledger())
    assert len(run.cases) == 1
    assert "is a second journal of rolling_replacement/documented/3-relaxed" in run.unreadable[0]
    assert decide(run).exit_code == 3


@pytest.mark.parametrize("side", ["saved", "now"])
def test_a_finding_that_only_one_side_knows_is_a_difference(play, side):
    folder, run = play(documented())
    verdicts.save(folder, run)
    saved = verdicts.load(folder)
    if side == "saved":
        saved["cases"][0]["findings"].append(
            {"guarantee": "reads-linearizable", "verdict": "RECOVERED", "signature": ""}
        )
    else:
        del saved["cases"][0]["findings"][0]
    (told,) = verdicts.differences(saved, run)
    assert "not judged" in told


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{}", '{"schema":1}', '{"schema":2,"cases":[]}', '{"schema":1,"cases":[{}]}',
             '{"schema":1,"cases":[{"case_id":"x","digest":"y","findings":[{"guarantee":"z"}]}]}'],
)  # fmt: skip
def test_verdicts_that_are_not_whole_are_wrong_usage(tmp_path, text):
    (tmp_path / "verdicts.json").write_text(text)
    with pytest.raises(UsageError, match=r"verdicts\.json"):
        verdicts.load(RunFolder(tmp_path))


def test_text_from_outside_is_escaped_wherever_it_goes(play):
    nasty = '"><script>alert(1)</script>|\nx'
    _, run = play(documented(nasty), incident())
    assert len(run.cases) == 2
    page, summary = to_html(run), to_markdown(run)
    assert "<script" not in page
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert all(re.fullmatch(r"[\w.-]+", name) for name in ids)
    assert len(ids) == len(set(ids))
    assert r"</script>\| x" in summary
    ET.fromstring(standalone(run.cases[0].entries))


def test_the_story_is_told_in_one_line():
    assert tell(Case.of(incident())) == (
        "n1 → n4: exit 0 (done); n2 → n5: exit 1. At 3.2 s quorum lost: 2 of 4 voters serve."
    )
    assert tell(Case.of(documented())) == "n1 → n4: exit 0 (done)."


def test_picture_and_finding_name_the_same_moment():
    found, broken = judge("quorum-kept", incident()), breakage(Case.of(incident()))
    assert found.verdict is Verdict.NOT_RECOVERED
    assert f"from {broken.at:.1f} s on only 2 of 4" in found.reason
    assert breakage(Case.of(documented())) is None


def test_writes_that_stop_are_a_breakage_although_quorum_holds():
    story = Story(spec=spec("slow"))
    writes(story, 0.1, 1)
    story.asked(1).ended(2)
    broken = breakage(Case.of(story.end(9)))
    assert broken.words.startswith("writes stop, for 8.")


def test_the_picture_shows_when_and_why_the_world_broke():
    svg = draw(incident())
    for words in (
        "3.2 s: quorum lost: 2 of 4 voters serve",
        "ghost: destroyed, still listed",
        "2/4 no majority",
        "destroy n2",
        "(allowed: 5 s)",
    ):
        assert words in svg
    calm = draw(documented())
    assert "no majority" not in calm
    assert 'class="broken"' not in calm


def test_paused_learner_and_fault_are_seen():
    story = Story(spec=spec("learner")).fault(0.5).say(0.5, "node.paused", node="n1").create(1, "n4")
    story.say(1, "node.started", node="n4").listed(1.2, "n1", "n2", "n3", "n4", learners=("n4",))
    svg = draw(story.say(2, "fault.healed", fault="NodeGone", node="n1").end(4))
    for words in ("paused", "n4 is listed as a learner", "NodeGone n1", "NodeGone n1 healed", "n4 starting"):
        assert words in svg


def test_the_picture_is_named_and_described():
    tree = ET.fromstring(standalone(incident()))
    inside = {node.get("id"): node.text for node in tree.iter() if node.get("id")}
    name, words = (inside[part] for part in tree.get("aria-labelledby").split())
    assert tree.get("role") == "img"
    assert name == "Timeline of rolling_replacement/incident/3-relaxed"
    assert "2 of 4" in words


def test_nothing_is_drawn_outside_the_picture():
    tree = ET.fromstring(standalone(incident()))
    boxes = [node for node in tree.iter() if node.tag.endswith("rect")]
    assert boxes
    for box in boxes:
        left, width = float(box.get("x")), float(box.get("width"))
        assert left >= GUTTER - 0.1
        assert left + width <= WIDTH - RIGHT + 2


def test_a_long_case_makes_no_larger_picture():
    story = Story(spec=spec("long"))
    for number in range(20_000):
        story.write(number * 0.05, f"v{number}")
    assert len(draw(story.end(1000))) < 60_000


def test_a_case_that_never_began_has_a_picture_too():
    story = Story(spec=spec("early"))
    assert "<svg" in draw(story.entries[:1])
    ET.fromstring(standalone(story.entries[:1]))


@pytest.mark.parametrize("story", [incident, documented], ids=["incident", "documented"])
def test_a_case_cut_short_anywhere_has_a_picture(story):
    """A full disk or a killed run ends a journal after any entry, also before the first member list."""
    entries = story()
    kinds = [entry.kind for entry in entries]
    # writes look alike: the first few of a row are cut after, not all
    cuts = [n for n in range(1, len(entries)) if kinds[n - 1 : n + 1] != ["traffic.call"] * 2]
    assert len(cuts) > 10
    for cut in cuts:
        ET.fromstring(standalone(entries[:cut]))
        tell(Case.of(entries[:cut]))


@pytest.mark.parametrize("end", [0.05, 0.1, 3, 47, 600, 4000, 90_000])
def test_the_axis_has_a_dozen_marks_at_most(end):
    marks = Scale(end).marks()
    assert 1 <= len(marks) <= 13
    assert marks[-1] <= end * 1.000001


def test_words_never_run_into_each_other():
    labels = [Label(GUTTER + 9.0 * number, f"destroy n{number}", "") for number in range(90)]
    ends = [0.0, 0.0]
    for row, label in in_rows(labels, 2):
        if label.text:
            assert label.x >= ends[row]
            ends[row] = label.x + wide(label.text)
    assert max(ends) <= WIDTH


def test_which_procedures_keep_the_cluster_alive(play):
    _, run = play(documented(), incident(), blind(), documented("mine", tool="ours"))
    found = {procedure.name: procedure for procedure in procedures(run)}
    assert {name: procedure.group for name, procedure in found.items()} == {
        "documented": "kept", "incident": "lost", "blind": "unclear", "ours:mine": "kept",
    }  # fmt: skip
    assert found["incident"].broken == ("Quorum kept", "Writes go on")
    assert found["incident"].lost == 1


def test_the_page_answers_on_its_first_screen_and_links_each_reason(play):
    _, run = play(documented(), incident(), blind())
    page = to_html(run)
    head = page[: page.index("<main")]
    assert "Which procedures keep the cluster alive" in head
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert "case-rolling_replacement--incident--3-relaxed" in anchors
    assert anchors <= set(re.findall(r'\bid="([^"]+)"', page))
    assert page.count("<details class") == 3
    assert re.search(r'<details class="case is-broken" open>', page)
    assert re.search(r'<details class="case is-inconclusive" open>', page)
    assert re.search(r'<details class="case is-kept">', page)


def test_many_reasons_leave_room_for_the_answer(play):
    _, run = play(incident("a"), incident("b"), incident("c"))
    page = to_html(run)
    number = len(decide(run).reasons)
    assert f"and {number - 6} more" in page


def test_the_summary_says_how_to_play_it_again(play):
    _, run = play(documented(), incident())
    text = to_markdown(run)
    assert re.search(r"`afterfault repro rolling_replacement/incident/3-relaxed --run \S+`", text)
    assert "| documented | ✓ 1/1 |" in text
    assert "✕ **0/1 unexpected**" in text


@pytest.mark.parametrize(
    ("tool", "own"),
    [
        ("reference", ""),
        ("stepwise", ""),
        ("laconic-so", " -- --laconic-so PATH"),
        ("etcd-manager", " -- --etcd-manager DIR"),
        ("replace-command", " -- --replace-command CMD"),
        ("replace-control-plane-command", " -- --replace-control-plane-command CMD"),
    ],
)
def test_it_is_played_again_by_its_play_its_run_and_whoever_brings_the_tool(tool, own):
    spec = CaseSpec("story", "002.txt", Target(tool, "x y"), EtcdSpec(3), ("model-agrees",)).play(2)
    assert repeat(spec) == f"afterfault repro 'story/x y/3-strict~2'{own}"
    assert repeat(spec, "runs/a b") == f"afterfault repro 'story/x y/3-strict~2' --run 'runs/a b'{own}"
    assert repeat(spec, cut="api:1:after").startswith("afterfault repro 'story/x y/3-strict~2@api:1:after'")


def test_hidden_words_do_not_widen_the_page(play):
    """They are placed absolutely; the table that scrolls has to be what they are placed in."""
    _, run = play(documented())
    assert ".scroll{position:relative;overflow-x:auto" in to_html(run)


def test_a_red_carries_finding_evidence_and_picture():
    entries = incident()
    found = judge("quorum-kept", entries)
    by_name = {attachment.name: attachment for attachment in attachments(entries, found)}
    assert list(by_name) == ["finding", "journal around the evidence", "timeline"]
    assert by_name["timeline"].mime == "image/svg+xml"
    ET.fromstring(by_name["timeline"].body)
    assert "[quorum-lost]" in by_name["finding"].body.decode()
    marked = [line for line in by_name["journal around the evidence"].body.decode().splitlines() if line[0] == ">"]
    assert [int(line.split()[1]) for line in marked] == list(found.evidence)


def test_a_green_carries_no_picture():
    entries = documented()
    names = [attachment.name for attachment in attachments(entries, judge("quorum-kept", entries))]
    assert "timeline" not in names


def test_names_of_faults_and_nodes_are_escaped_in_the_picture():
    story = Story(spec=spec("x")).say(0.5, "fault.injected", fault="<b>&", node='"n1')
    svg = standalone(story.asked(1, "<i>", "<u>").ended(2.5, "<i>", "<u>").end(4)).decode()
    ET.fromstring(svg)
    assert not re.search(r"<[biu]>", svg)
