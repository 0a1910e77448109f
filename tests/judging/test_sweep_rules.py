"""A sweep is judged cut by cut, and says nothing where an uncut start ends otherwise too."""

import pytest

from harness.cuts import Moment
from harness.journal import Entry
from harness.judging import Verdict, judge
from harness.judging.sweep import CONTROL, cut_points
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

    def cut(self, name=POINT, bit=True, code=0, problem="", **look):
        at = self.at
        self.at += 10
        self.say(at, "sweep.cut", id=name)
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


def test_a_sweep_without_a_cut_is_none():
    assert Swept().cut(CONTROL).judged().verdict is UNSEEN
