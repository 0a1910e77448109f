"""The rules over a deployment: kept where all is well, each flaw under its own name, silent without a look."""

import pytest

from harness.judging import Verdict, judge
from tests.judging.story import Story

RED, GREEN, UNSEEN = Verdict.NOT_RECOVERED, Verdict.RECOVERED, Verdict.INCONCLUSIVE
GOOD = {"status": 200, "text": ""}
BAD = {"status": 502, "text": "Bad Gateway"}
NONE = {"status": 0, "text": "ConnectError"}
GIVEN = {"shop/app-tls": {"tls.crt": "aa", "tls.key": "bb"}, "caddy-system/binary": {"value": "cc"}}


class Deployed(Story):
    """Users came at 5, the trouble began at 10; a start of the tool ran from 20 to 30."""

    def __init__(self):
        super().__init__()
        self.say(1, "tool.started", tool="t", task="start", old="", new="", argv=[], timeout_seconds=60)
        self.ended(4, task="start")
        self.say(5, "users.came", secrets=GIVEN, certificate="c1", data="d1", namespace="neighbours")
        self.say(9, "stage.ready")

    def starts(self, at=20, until=30, outcome="exited", code=0, output="ready", announced=(), **more):
        self.say(at, "tool.started", tool="t", task="start", old="", new="", argv=[], timeout_seconds=60, **more)
        return self.ended(until, task="start", outcome=outcome, code=code, output=output, announced=announced)

    def ended(self, at, task, outcome="exited", code=0, output="ready", announced=()):
        return self.say(
            at, "tool.ended", task=task, old="", new="", outcome=outcome, exit_code=code, seconds=1.0,
            output=output, output_path="tool.log", announced=list(announced),
        )  # fmt: skip

    def app(self, at=40, **spoilt):
        told = {"http": GOOD, "https": GOOD, "certificate": "c1", "data": "d1", "data_status": 200} | spoilt
        return self.say(at, "probe.app", **told)

    def secrets(self, found, at=40):
        return self.say(at, "probe.k8s.secrets", secrets=found, seen_as="admin")

    def judged(self, guarantee):
        finding = judge(guarantee, self.say(99, "case.ended").entries)
        return finding.verdict, finding.signature


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        ({}, (GREEN, "")),
        ({"http": NONE}, (RED, "no-http")),
        ({"https": BAD}, (RED, "no-https")),
        ({"certificate": "c2"}, (RED, "other-certificate")),
    ],
)
def test_app_reachable(spoilt, expected):
    assert Deployed().starts().app(**spoilt).judged("app-reachable") == expected


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        ({}, (GREEN, "")),
        ({"data": "", "data_status": 404}, (RED, "data-lost")),
        ({"data": "d2"}, (RED, "data-changed")),
        ({"data": "", "data_status": 0}, (RED, "data-unreachable")),
        ({"data": "", "data_status": 502}, (RED, "data-unreachable")),
    ],
)
def test_app_data_kept(spoilt, expected):
    assert Deployed().starts().app(**spoilt).judged("app-data-kept") == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, (GREEN, "")),
        ({"status": 200, "text": "", "right": True}, (GREEN, "")),
        ({"status": 200, "text": "", "right": False}, (RED, "config-changed")),
        ({"status": 404, "text": "Not Found", "right": False}, (RED, "config-missing")),
    ],
)
def test_app_configured(told, expected):
    assert Deployed().starts().app(config=told).judged("app-configured") == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (GIVEN, (GREEN, "")),
        (GIVEN | {"shop/another": {}}, (GREEN, "")),
        ({"shop/app-tls": GIVEN["shop/app-tls"]}, (RED, "secret-missing")),
        (GIVEN | {"caddy-system/binary": {"value": "cd"}}, (RED, "secret-changed")),
        (GIVEN | {"shop/app-tls": {"tls.crt": "aa"}}, (RED, "secret-changed")),
    ],
)
def test_secrets_kept(found, expected):
    assert Deployed().starts().secrets(found).judged("secrets-kept") == expected


LESS = {"shop/app-tls": GIVEN["shop/app-tls"]}


@pytest.mark.parametrize(
    ("found", "ended", "expected"),
    [
        (GIVEN, {}, (GREEN, "")),
        (LESS, {}, (RED, "lost-in-silence")),
        (LESS, {"announced": ["caddy-system/binary"]}, (GREEN, "")),
        (LESS, {"announced": ["*"]}, (GREEN, "")),
        (LESS, {"announced": ["caddy-system/other"]}, (RED, "lost-in-silence")),
        (GIVEN | {"caddy-system/binary": {"value": "cd"}}, {}, (RED, "lost-in-silence")),
        (LESS, {"code": 1}, (GREEN, "")),
        (None, {}, (UNSEEN, "")),
    ],
)
def test_secret_loss_told(found, ended, expected):
    story = Deployed().starts(**ended)
    assert (story if found is None else story.secrets(found)).judged("secret-loss-told") == expected


@pytest.mark.parametrize("guarantee", ["app-reachable", "app-configured", "app-data-kept", "secrets-kept"])
def test_a_look_from_before_the_last_call_says_nothing(guarantee):
    assert Deployed().app(15).secrets(GIVEN, 15).starts().judged(guarantee)[0] is UNSEEN


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ({}, (GREEN, "")),
        ({"code": 1, "output": "Traceback\nFailToCreateError: Conflict"}, (RED, "start-failed")),
        ({"outcome": "timed_out", "code": None}, (RED, "start-never-ended")),
        ({"outcome": "signalled", "code": 139}, (RED, "start-died")),
        ({"outcome": "not_started", "code": None}, (UNSEEN, "")),
    ],
)
def test_restart_succeeds(ended, expected):
    assert Deployed().starts(**ended).judged("restart-succeeds") == expected


def test_a_start_that_fails_between_two_stops_is_not_made_good_by_a_later_one():
    story = Deployed().starts(10, 12, code=1, output="failed: waited")
    story.say(13, "tool.started", tool="t", task="stop", old="", new="", argv=[], timeout_seconds=60)
    story.ended(14, task="stop")
    assert story.starts().judged("restart-succeeds") == (RED, "start-failed")


def test_a_start_that_fails_and_is_tried_again_is_judged_by_the_last_try():
    story = Deployed().starts(10, 12, code=1, output="failed: waited")
    assert story.starts().judged("restart-succeeds") == (GREEN, "")


def test_a_start_that_was_cut_is_not_held_against_the_tool():
    story = Deployed().starts(10, 12, "signalled", 137, cut="x/sigkill-group")
    story.say(11, "tool.cut", cut="x/sigkill-group", call="x", moment="before", bit=True)
    assert story.starts().judged("restart-succeeds") == (GREEN, "")


@pytest.mark.parametrize("told", [[], [False]])
def test_a_cut_that_did_not_bite_proves_nothing(told):
    story = Deployed().starts(10, 12, cut="x/sigkill-group")
    for bit in told:
        story.say(11, "tool.cut", cut="x/sigkill-group", call="x", moment="before", bit=bit)
    assert story.starts().judged("restart-succeeds")[0] is UNSEEN


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([{"claims": True, "ready": True}], (GREEN, "")),
        ([{"claims": True, "ready": True}, {"claims": True, "ready": False}], (RED, "not-ready")),
        ([{"claims": False, "ready": False}], (GREEN, "")),
        ([], (UNSEEN, "")),
    ],
)
def test_ready_when_done(looks, expected):
    story = Deployed().starts()
    for look in looks:
        story.say(31, "probe.app_at_exit", text="502", **look)
    assert story.judged("ready-when-done") == expected


@pytest.mark.parametrize(
    ("code", "clusters", "expected"),
    [(0, [], (GREEN, "")), (0, ["shop"], (RED, "cluster-left")), (1, [], (RED, "stop-failed"))],
)
def test_stopped_is_gone(code, clusters, expected):
    story = Deployed().say(10, "tool.started", tool="t", task="stop", old="", new="", argv=[], timeout_seconds=60)
    story.ended(15, task="stop", code=code).say(15, "probe.nodes_at_exit", clusters=clusters)
    assert story.starts().judged("stopped-is-gone") == expected


def test_a_stop_nobody_looked_after_or_none_at_all_proves_nothing():
    story = Deployed().say(10, "tool.started", tool="t", task="stop", old="", new="", argv=[], timeout_seconds=60)
    assert story.ended(15, task="stop").judged("stopped-is-gone")[0] is UNSEEN
    assert Deployed().starts().judged("stopped-is-gone")[0] is UNSEEN


def test_attempts_are_counted_from_the_trouble_on():
    story = Deployed().starts(10, 12, code=1).starts(13, 15, code=1).starts(16, 20)
    assert judge("restart-succeeds", story.say(99, "case.ended").entries).measures["restart_attempts"] == 3


def test_a_start_that_failed_before_a_person_helped_is_judged_by_the_next_one():
    story = Deployed().starts(10, 12, code=1)
    story.say(13, "tool.started", tool="t", task="by-hand", old="", new="", argv=[], timeout_seconds=60)
    assert story.ended(15, task="by-hand").starts(16, 20).judged("restart-succeeds") == (GREEN, "")


def test_a_start_that_fails_claims_nothing():
    assert Deployed().starts(code=1).judged("ready-when-done") == (GREEN, "")


def test_nothing_started_is_nothing_judged():
    assert Deployed().judged("ready-when-done")[0] is UNSEEN


def test_reaching_for_a_foreign_cluster_is_told_even_when_it_was_refused():
    story = Deployed()
    story.say(9.5, "bystanders.seen", containers={})
    story.starts().say(
        25, "tap.refused", call="kind delete cluster", thing="foreign-a", why="foreign cluster foreign-a"
    )
    assert story.say(40, "bystanders.seen", containers={}).judged("foreign-untouched") == (RED, "foreign-reached-for")


def test_what_happened_before_the_story_began_is_no_trouble():
    story = Deployed()
    story.say(9.5, "bystanders.seen", containers={}).starts()
    assert story.say(40, "bystanders.seen", containers={}).judged("foreign-untouched") == (GREEN, "")
