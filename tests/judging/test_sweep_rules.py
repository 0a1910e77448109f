"""A sweep is judged cut by cut, and says nothing where an uncut start ends otherwise too."""

import pytest

from harness.cuts import Moment
from harness.journal import Entry
from harness.judging import Finding, Verdict, judge
from harness.judging.ledger import KnownDefect, Ledger
from harness.judging.sweep import CONTROL, cut_points, under_way
from harness.spec import CaseSpec, DeploymentSpec, Target
from tests.judging.state_cluster import Cluster
from tests.judging.story import Story
from tests.judging.test_after_cut import state_entry, traces_entry

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE
GOOD = {"status": 200, "text": ""}


POINT = "api:create:namespaces:shop:1:before"


class Swept(Story):
    """A reference, and then cuts; each takes ten seconds."""

    def __init__(self):
        super().__init__()
        self.say(1, "stage.ready")
        self.look(5, "reference")
        self.say(6, "sweep.learnt", points=[POINT])
        self.at = 10.0

    def look(self, at, role, spoilt=False, app=GOOD):
        self.say(at, "probe.app", http=app, https=GOOD, certificate="", data="", data_status=404)
        cluster = Cluster(1 if role == "reference" else 2)
        if spoilt:
            cluster.without("secrets")
        self.say(at, "probe.k8s.state", role=role, **state_entry(cluster))
        return self.say(at, "probe.traces", role=role, **traces_entry())

    def start(self, at, until, code=0, outcome="exited", **more):
        self.say(at, "tool.started", tool="t", task="start", old="", new="", argv=[], timeout_seconds=60, **more)
        return self.say(
            until, "tool.ended", task="start", old="", new="", outcome=outcome, exit_code=code, seconds=1.0,
            output="ready", output_path="tool.log", announced=[],
        )  # fmt: skip

    def cut(self, name=POINT, bit=True, code=0, problem="", like="", **look):
        at = self.at
        self.at += 10
        self.say(at, "sweep.cut", id=name, like=like)
        if name != CONTROL:
            self.start(at + 1, at + 2, 137, "signalled", cut=f"{name}/sigkill-group")
            if bit is not None:
                self.say(at + 2, "tool.cut", cut=f"{name}/sigkill-group", call="x", moment="before", bit=bit)
        self.start(at + 3, at + 5, code).look(at + 7, "recovered", **look)
        return self.say(at + 10, "sweep.ended", id=name, problem=problem)

    def judged(self):
        return judge("every-cut-recovers", self.say(self.at, "case.ended").entries)


def call(at, name, *, mutating=True, took=0.1):
    data = {"call": name, "mutating": mutating, "began": at, "ended": at + took}
    return Entry(0, at + took, "tap.api_call", data)


def test_a_cut_point_lies_before_and_after_each_call_that_changes_something():
    points = cut_points(
        [
            call(3.0, "api create namespaces shop"),
            call(1.0, "api get /version", mutating=False),
            Entry(0, 2.9, "tap.command", {"call": "kind create cluster", "began": 2.0, "ended": 2.9}),
            call(4.0, "api create namespaces shop"),
        ]
    )
    assert [point.id for point in points] == [
        "kind:create:cluster:1:before",
        "kind:create:cluster:1:after",
        "api:create:namespaces:shop:1:before",
        "api:create:namespaces:shop:1:after",
        "api:create:namespaces:shop:2:before",
        "api:create:namespaces:shop:2:after",
    ]


def test_a_point_is_called_the_same_in_the_next_run():
    calls = (
        "api create namespaces caddy",
        "api create namespaces af-1",
        "api create things af-1/af-1-a",
        "kind load af-1",
    )
    one, other = (
        cut_points([call(at, name.replace("af-1", run)) for at, name in enumerate(calls)], [run, f"/site/{run}"])
        for run in ("af-1", "af-22")
    )
    assert one == other
    assert [point.id for point in one][1::2] == [
        "api:create:namespaces:caddy:1:after",
        "api:create:namespaces:*:2:after",
        "api:create:things:*/*-a:1:after",
        "kind:load:*:1:after",
    ]


def test_calls_at_the_same_time_lie_between_each_other():
    points = cut_points([call(1.0, "api create a x", took=1.0), call(1.5, "api create b y", took=1.0)])
    assert [(point.call[-1], point.moment) for point in points] == [
        ("x", Moment.BEFORE),
        ("y", Moment.BEFORE),
        ("x", Moment.AFTER),
        ("y", Moment.AFTER),
    ]


def test_all_cuts_survived():
    finding = Swept().cut(CONTROL).cut().cut("other").judged()
    assert (finding.verdict, finding.reason) == (GREEN, "all 2 cuts are survived")
    assert finding.measures == {"cuts": 2, "cuts_red": 0, "cuts_unclear": 0, "cuts_an_hour": 360}


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"code": 1}, "restart-succeeds: start-failed"),
        ({"app": {"status": 502, "text": "Bad Gateway"}}, "app-reachable: no-http"),
        ({"spoilt": True}, "same-state-as-uncut: object-missing"),
    ],
)
def test_one_cut_that_is_not_survived_is_named_with_what_broke(spoilt, why):
    finding = Swept().cut(CONTROL).cut("fine").cut(**spoilt).judged()
    assert (finding.verdict, finding.signature) == (RED, "cut-not-survived")
    assert finding.reason == f"1 of 2 cuts are not survived: {POINT} ({why})"


@pytest.mark.parametrize("unclear", [{"bit": False}, {"bit": None}, {"problem": "ResetFailed: it differs"}])
def test_a_cut_of_which_nothing_is_known_is_never_green(unclear):
    assert Swept().cut(CONTROL).cut("fine").cut(**unclear).judged().verdict is UNSEEN


def test_red_outweighs_what_is_not_known():
    assert Swept().cut(CONTROL).cut(bit=False).cut("red", code=1).judged().verdict is RED


@pytest.mark.parametrize("control", [None, {"spoilt": True}, {"code": 1}])
def test_without_a_good_control_nothing_is_said(control):
    story = Swept()
    if control is not None:
        story.cut(CONTROL, **control)
    assert story.cut(code=1).judged().verdict is UNSEEN


def test_a_tool_that_cant_bear_having_been_cut_is_red_at_the_control_too():
    story = Swept().cut("first", code=1).cut(CONTROL, code=1, like="first").cut("fine")
    assert story.judged().cuts == {"first": "start-failed", "fine": ""}
    assert story.judged().verdict is RED


@pytest.mark.parametrize("first", [{}, {"spoilt": True}, {"bit": False}])
def test_what_is_red_only_after_a_golden_reset_is_the_harness_own(first):
    assert (
        Swept().cut("first", **first).cut(CONTROL, code=1, like="first").cut("red", code=1).judged().verdict is UNSEEN
    )


def test_a_control_of_which_nothing_is_known_says_nothing():
    story = Swept().cut("first", problem="x").cut(CONTROL, problem="x", like="first").cut("red", code=1)
    assert story.judged().verdict is UNSEEN


def test_a_sweep_without_a_cut_is_none():
    assert Swept().cut(CONTROL).judged().verdict is UNSEEN


def test_a_finding_tells_of_each_cut_how_it_broke():
    story = Swept().cut(CONTROL).cut("fine").cut("red", code=1).cut("unclear", bit=False)
    assert story.judged().cuts == {"fine": "", "red": "start-failed", "unclear": "?"}


KNOWN = KnownDefect(
    id="skips", tool="reference", variant="skips", scenario="every_cut", guarantee="every-cut-recovers",
    signature="cut-not-survived", cuts={"api:create:*": "start-failed"}, cuts_at_times={"late": "start-failed"},
    why="w", link="l",
)  # fmt: skip
SKIPS = CaseSpec(
    "every_cut", "i.txt", Target("reference", "skips"), DeploymentSpec(in_use=False), ("every-cut-recovers",)
)


@pytest.mark.parametrize(
    ("cuts", "explained", "missing"),
    [
        ({"api:create:a:1:after": "start-failed", "fine": ""}, True, False),
        ({"api:create:a:1:after": "start-failed", "late": "start-failed"}, True, False),
        ({"fine": ""}, False, False),
        ({"late": "start-failed"}, True, False),
        ({"api:create:a:1:after": "object-missing"}, False, True),
        ({"api:create:a:1:after": "start-failed", "api:create:b:1:after": ""}, True, True),
        ({"api:create:a:1:after": "start-failed", "other": "start-failed"}, False, False),
        ({"api:create:a:1:after": "start-failed", "other": "?"}, False, False),
    ],
)
def test_a_known_defect_shows_at_its_own_cuts_whichever_were_tried(cuts, explained, missing):
    red = any(told not in ("", "?") for told in cuts.values())
    finding = Finding("every-cut-recovers", RED if red else GREEN, "", "cut-not-survived" if red else "", cuts=cuts)
    ledger = Ledger((KNOWN,))
    assert (ledger.explain(SKIPS, finding) is not None) == explained
    assert bool(ledger.missing(SKIPS, [finding])) == missing


@pytest.mark.parametrize(("last", "verdict"), [({}, GREEN), ({"spoilt": True}, RED), ({"code": 1}, RED)])
def test_a_cut_can_be_told_red_before_it_has_ended(last, verdict):
    story = Swept().cut(CONTROL).cut(spoilt=True).cut(**last)
    assert under_way(story.entries[:-1]) is verdict
