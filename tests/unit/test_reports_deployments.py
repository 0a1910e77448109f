"""The page over hand-written days of deployments: the map of a sweep, fix options, differences, evidence, pictures."""

import itertools
import re
import xml.etree.ElementTree as ET
from datetime import date

import pytest

from harness.journal import Journal
from harness.judging import Case, Verdict, judge
from harness.judging.after_cut import same_state_as_uncut
from harness.judging.departure import Departure
from harness.judging.ledger import Ledger
from harness.judging.sweep import CONTROL
from harness.run_folder import RunFolder
from reports.allure import attachments
from reports.answer import INTERRUPTED, STOPPED, WORKED_AROUND, procedures
from reports.canvas import GUTTER, RIGHT, WIDTH, fitted
from reports.case_page import case_page
from reports.html import to_html
from reports.options import options
from reports.picture import draw, standalone
from reports.run import RunFacts, load_run, save_facts
from reports.summary import to_markdown
from reports.sweep_map import part_of, sweep_map
from reports.telling import tell
from reports.unlike import unlike
from reports.world import played_on
from tests.judging.state_cluster import Cluster
from tests.judging.test_after_cut import FILE, state_entry, traces_entry
from tests.unit.test_reports_why import NAMESPACE, Deployed, cut_and_started_again

SWEPT = "kind:create:cluster:1"
CALLS = (
    SWEPT,
    "api:create:namespaces:caddy-system:1",
    "api:create:deployments.apps:caddy-system/caddy:1",
    "api:create:deployments.apps:app/app:1",
)
POINTS = [f"{call}:{moment}" for call in CALLS for moment in ("before", "after")]


class Swept(Deployed):
    """A sweep: one uncut start, and then cuts, ten seconds each."""

    def __init__(self, variant="x"):
        super().__init__(variant, in_use=False, scenario="every_cut", guarantees=("every-cut-recovers",))
        self.ready(0.5).healthy(1).look(25, "reference").say(26, "sweep.learnt", points=POINTS)
        self.at = 30.0

    def look(self, at, role, spoilt="", status=200):
        cluster, traces = Cluster(1 if role == "reference" else 2), traces_entry()
        if spoilt == "missing":
            cluster.without("secrets")
        if spoilt == "changed":
            cluster.one("pods")["spec"]["containers"][0]["image"] = "app:<i>2"
        if spoilt == "left":
            traces["files"]["home"]["notes.txt"] = FILE
        self.app(at, status).say(at, "probe.k8s.state", role=role, **state_entry(cluster))
        return self.say(at, "probe.traces", role=role, **traces)

    def cut_at(self, point, code=0, status=None, **look):
        at, self.at = self.at, self.at + 10
        self.say(at, "sweep.cut", id=point)
        if point != CONTROL:
            self.started(at, cut=f"{point}/sigkill-group").ended(at + 1, 137, "signalled")
            self.say(at + 1, "tool.cut", cut=f"{point}/sigkill-group", call="x", moment="before", bit=True)
        self.started(at + 2)
        if status:
            self.api(at + 3, NAMESPACE, status)
        self.ended(at + 5, code, output="it broke").look(at + 7, "recovered", **look)
        if code:
            self.say(
                at + 8, "probe.evidence", occasion="red", sort="kubelet-log", subject=f"node of {point}", lines=["woe"],
                facts={}, file="", problem="",
            )  # fmt: skip
        return self.say(at + 9, "sweep.ended", id=point, problem="")


def swept(variant="x"):
    story = Swept(variant).cut_at(CONTROL).cut_at(POINTS[0]).cut_at(POINTS[2], code=1, status=409)
    return story.cut_at(POINTS[3], spoilt="changed").cut_at(POINTS[7], spoilt="left").end(story.at)


def broken(variant="keep-caddy", **named):
    story = Deployed(variant, **named).healthy().ready().started(31).api(35, NAMESPACE, 200).asked(36, 90)
    return story.ended(95, 1, output="it broke").nodes(98, ready=False).app(99, 0).end(100)


def kept(variant="faithful", **named):
    story = Deployed(variant, **named).healthy().ready().started(31).api(35, NAMESPACE, 200)
    return story.ended(40).nodes(41).app(42).end(43)


def interrupted(variant="ingress-create", moment="a", good=False):
    story = cut_and_started_again(variant=variant, moment=moment)
    if not good:
        story.api(20, NAMESPACE, 409)
    return story.ended(25, 0 if good else 1, output="it broke").app(30).end(31)


def gathered():
    story = Deployed("keep-caddy").healthy().ready().started(31).api(35, NAMESPACE, 200)
    story.say(
        60, "probe.evidence", occasion="deleting", sort="undecodable-key", subject="/registry/x", lines=["<b>bad"],
        facts={"raw": "00ff41"}, file="evidence/1-deleting/x.txt", problem="",
    )  # fmt: skip
    story.ended(95, 1).app(99, 0).end(100)
    story.say(
        101, "probe.evidence", occasion="red", sort="console", subject="made-control-plane", lines=["last words"],
        facts={}, file="", problem="",
    )  # fmt: skip
    story.say(
        101, "probe.evidence", occasion="red", sort="api-health", subject="readyz", lines=[], facts={"status": 200},
        file="", problem="",
    )  # fmt: skip
    return story.entries


@pytest.fixture
def play(tmp_path):
    """Writes stories into a run folder and reads it back, held against an empty ledger."""
    numbers = itertools.count(1)

    def written(*stories, ledger=""):
        folder = RunFolder(tmp_path / f"run-{next(numbers)}")
        folder.cases.mkdir(parents=True)
        for number, entries in enumerate(stories):
            moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
            journal = Journal(folder.cases / f"case-{number}" / "journal.jsonl", lambda moments=moments: next(moments))
            for entry in entries:
                journal.append(entry.kind, **entry.data)
            journal.seal()
        save_facts(folder, RunFacts("run-1", etcd="3.5.1 from a wheel"))
        (tmp_path / "ledger.yaml").write_text(ledger)
        return load_run(folder, Ledger.load(tmp_path / "ledger.yaml", date(2026, 11, 21)))

    return written


def test_the_map_has_a_cell_for_each_cut_point_in_the_order_of_the_start(play):
    (case,) = play(swept()).cases
    found = sweep_map(case)
    assert [stage.name for stage in found.stages] == ["cluster", "ingress", "app"]
    spots = [spot for stage in found.stages for pair in stage.pairs for spot in pair.spots]
    assert [spot.id for spot in spots] == POINTS
    assert [spot.kind for spot in spots] == ["kept", "none", "broken", "broken", "none", "none", "none", "broken"]
    assert found.counts == {"kept": 1, "broken": 3, "none": 4}
    assert found.control == "survived"
    assert found.stages[0].began == 2
    assert "restart-succeeds: start exit 1" in spots[2].title
    assert not spots[1].anchor


def test_a_red_that_the_ledger_lists_is_told_from_news(play):
    line = """
- {id: one, tool: reference, variant: x, scenario: every_cut, guarantee: every-cut-recovers,
   signature: cut-not-survived, cuts: {"api:create:namespaces:*": start-failed}, why: because, link: 001.txt}
"""
    (case,) = play(swept(), ledger=line).cases
    assert case.known_cuts == {POINTS[2]}
    assert case.known == {}, "the others are news"
    spots = [spot for stage in sweep_map(case).stages for pair in stage.pairs for spot in pair.spots]
    assert [spot.kind for spot in spots if spot.anchor] == ["known", "broken", "broken"]


def test_a_red_cut_is_told_in_full(play):
    (case,) = play(swept()).cases
    groups = dict(sweep_map(case).reds)
    assert list(groups) == [
        "restart-succeeds: start-failed", "same-state-as-uncut: object-changed", "no-traces-left: file-left",
    ]  # fmt: skip
    (red,) = groups["restart-succeeds: start-failed"]
    assert red.departure.words == f"{NAMESPACE} is answered by 409 (Conflict)"
    assert red.again.startswith(f"afterfault repro every_cut/x/kind-1-new@{POINTS[2]} --run ")
    assert [f"node of {POINTS[2]}" in piece.title for piece in red.evidence] == [True]
    assert list(case_page(play(swept()), case).evidence) == [], "it is told where the cut is"
    (changed,) = groups["same-state-as-uncut: object-changed"]
    assert [(one.sort, one.count) for one in changed.unlike] == [("changed", 1)]
    thing = changed.unlike[0].things[0]
    assert thing.name.startswith("pods ")
    assert any("image" in field and '"app:<i>2"' in field for field in thing.fields)
    (left,) = groups["no-traces-left: file-left"]
    assert [(one.where, one.sort, one.things[0].name) for one in left.unlike] == [
        ("On the machine", "left", "file home/notes.txt")
    ]


def test_the_map_is_on_the_page_with_links_titles_and_no_markup_from_outside(play):
    page = to_html(play(swept(), interrupted(good=True)))
    assert page.count('class="spot ') == len(POINTS) + 5  # and the legend's
    assert page.count('<details class="red is-broken"') == 3
    assert "app:&lt;i&gt;2" in page
    assert "<i>2" not in page
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert "afterfault repro every_cut/x/kind-1-new@api:create:namespaces:caddy-system:1:before" in page


def test_a_start_that_nobody_cut_is_told_where_it_is_red_and_played_again_as_a_whole(play):
    (case,) = play(Swept().cut_at(CONTROL, spoilt="left").cut_at(POINTS[0]).end(60)).cases
    found = sweep_map(case)
    assert found.control == "not survived"
    ((_, (red,)),) = found.reds
    assert red.cell.id == CONTROL
    assert red.again.startswith("afterfault repro every_cut/x/kind-1-new --run ")


def test_the_summary_names_each_cut_that_is_not_survived(play):
    text = to_markdown(play(swept()))
    assert "- every_cut/x/kind-1-new: 1 of 4 cuts survived" in text
    assert f"  - `every_cut/x/kind-1-new@{POINTS[2]}`: start-failed" in text


def test_a_red_of_a_deployment_carries_its_first_sign():
    entries = interrupted()
    by_name = {one.name: one.body.decode() for one in attachments(entries, judge("restart-succeeds", entries))}
    sign = f"{NAMESPACE} is answered by 409 (Conflict)"
    assert f"first sign: at 20.0 s {sign}" in by_name["finding"]
    assert f"20.0 s: {sign}" in by_name["timeline"]


def test_a_story_that_is_no_sweep_has_no_map(play):
    (case,) = play(kept()).cases
    assert sweep_map(case) is None


def test_a_sweep_that_was_cut_short_has_a_map_of_what_there_is(play):
    run = play(Swept().cut_at(CONTROL).cut_at(POINTS[0]).entries)
    assert sweep_map(run.cases[0]).counts == {"kept": 1, "none": 7}
    assert sweep_map(play(Swept().entries).cases[0]).control == ""


def test_a_part_of_a_sweep_is_a_case_with_a_picture():
    case = Case.of(swept())
    part = part_of(case, POINTS[2])
    assert [entry.data["id"] for entry in part if entry.kind == "sweep.cut"] == [POINTS[2]]
    tree = ET.fromstring(standalone(part))
    assert tree.tag.endswith("svg")
    assert "from 50 s" in draw(part)


def test_missing_things_are_told_one_by_one():
    case = Case.of(Swept().cut_at(CONTROL).cut_at(POINTS[0], spoilt="missing").end(60))
    part = Case.of(part_of(case, POINTS[0]))
    (one,) = unlike(part, [same_state_as_uncut(part)])
    assert (one.where, one.sort) == ("In the cluster", "missing")
    assert all(thing.name.startswith("secrets ") for thing in one.things)


def test_fix_options_by_guarantee(play):
    run = play(broken(), kept(), interrupted(moment="a"), interrupted(moment="b", good=True))
    table = options(run, STOPPED)
    assert [row.name for row in table.rows] == ["keep-caddy", "faithful"]
    assert table.rows[0].words.endswith("the incident")
    kinds = {row.name: [cell.kind for cell in row.cells] for row in table.rows}
    assert kinds == {"keep-caddy": ["broken", "broken"], "faithful": ["kept", "kept"]}
    (row,) = options(run, INTERRUPTED).rows
    assert [(cell.kind, cell.count) for cell in row.cells] == [("broken", "1/2"), ("kept", "2/2")]
    assert options(play(), WORKED_AROUND) is None
    text = to_markdown(run)
    assert "| **keep-caddy** etcd persisted, only the ingress's Secrets kept: the incident | ✕ | ✕ |" in text
    assert "✕ 1/2 | ✓ 2/2 |" in text


def test_which_ways_bring_a_deployment_back(play):
    run = play(broken(), kept(), kept("mine"))
    assert {one.name: one.group for one in procedures(run, STOPPED)} == {
        "keep-caddy": "lost", "faithful": "kept", "mine": "kept",
    }  # fmt: skip
    page = to_html(run)
    head = page[: page.index("<main")]
    assert "Which ways to keep state bring a deployment back" in head
    assert "fix option 3" in head
    assert "Which ways to keep state bring a deployment back" in to_markdown(run)


def test_a_workaround_is_a_way_of_its_own(play):
    run = play(kept("ingress-create", scenario="workaround_in_use", moment="cluster-deleted"))
    assert procedures(run, STOPPED) == ()
    assert [one.name for one in procedures(run, WORKED_AROUND)] == ["ingress-create in use, cluster-deleted"]


def test_the_head_names_what_was_played_on(play):
    story = Deployed().started(1).say(
        9, "tap.command", call="kind create cluster", argv=["kind"], changed=["--image=node:v1"], exit_code=0,
        began=2, ended=9, outcome="ran", why="",
    )  # fmt: skip
    run = play(story.ended(10).nodes(11).end(12))
    assert played_on(run) == [("Kubernetes", "v1.34.4"), ("node image", "node:v1")]
    page, text = to_html(run), to_markdown(run)
    assert "3.5.1 from a wheel" not in page + text
    assert "1 case in" in text
    assert "ghost: listed" not in page


def test_why_it_broke_is_told_and_marked(play):
    run = play(broken(), kept())
    case = next(case for case in run.cases if case.verdict is Verdict.NOT_RECOVERED)
    page = case_page(run, case)
    assert page.departure.at == pytest.approx(35.98)
    assert 'class="broken"' in page.picture
    assert "36.0 s: from here on the tool only asks for list pods caddy-system" in page.picture
    notes = {told.title: told.note for told in page.findings}
    assert "first seen at 99.0 s" in notes["App answers"]
    assert "Why it broke" in to_html(run)


def test_evidence_is_shown_where_there_is_some_and_good_health_is_not(play):
    page = to_html(play(gathered()))
    assert "a key in etcd that can&#39;t be decoded, /registry/x (before the cluster was deleted, 60.0 s)" in page
    assert "&lt;b&gt;bad" in page
    assert "00 ff 41" in page
    assert 'href="cases/case-0/evidence/1-deleting/x.txt"' in page
    assert "last words" in page, "gathered when the case was over"
    assert "readyz" not in page
    assert "Evidence" not in to_html(play(kept()))


def test_the_picture_of_a_deployment_tells_its_story():
    svg = draw(interrupted(), Departure(20.0, f"{NAMESPACE} is answered by 409 (Conflict)", (1,)))
    for words in (
        "cluster", "commands", "API writes", "API reads", "app", "start · cut", "start · exit 1",
        "✂ after create namespaces caddy-system (timeout)", "20.0 s: create namespaces caddy-system is answered by 409",
        "made, and cut before its answer", "the app answers, 30.0 s",
    ):  # fmt: skip
        assert words in svg or words in draw(broken()), words
    assert 'class="apiwrite no"' in svg
    assert "start, cut after create namespaces caddy-system (timeout); start: exit 1." in tell(Case.of(interrupted()))


def test_a_cluster_that_somebody_else_removed_does_not_live_on():
    story = Swept().cut_at(CONTROL).command(60, "kind create cluster", took=10).end(70)
    assert "the cluster is there, 10.0 to 50.0 s" in draw(story)


def test_nothing_is_drawn_outside_the_picture():
    for entries in (broken(), kept(), interrupted(), swept(), part_of(Case.of(swept()), POINTS[3])):
        for box in ET.fromstring(standalone(entries)).iter():
            if box.tag.endswith("rect"):
                left, width = float(box.get("x")), float(box.get("width"))
                assert left >= GUTTER - 1.1
                assert left + width <= WIDTH - RIGHT + 2


@pytest.mark.parametrize(
    "story", [broken, kept, interrupted, swept, gathered], ids=["broken", "kept", "interrupted", "swept", "gathered"]
)
def test_a_case_cut_short_anywhere_has_a_picture_and_a_page(story, play):
    """A full disk or a killed run ends a journal after any entry."""
    entries = story()
    kinds = [entry.kind for entry in entries]
    cuts = [n for n in range(1, len(entries)) if kinds[n - 1 : n + 1] != ["tap.api_call"] * 2]
    assert len(cuts) > 8
    for cut in cuts:
        ET.fromstring(standalone(entries[:cut]))
        tell(Case.of(entries[:cut]))
    for cut in cuts[:: max(1, len(cuts) // 6)]:
        assert "<svg" in to_html(play(entries[:cut]))


def test_a_sign_that_has_no_room_is_cut_where_a_part_ends():
    words = "99.7 s: from here on the tool only asks for list pods caddy-system, 846 times, until it gives up at last"
    assert fitted(words, 300, 7.8).endswith("caddy-system, 846 times…")
    assert fitted("short", 500) == "short"
