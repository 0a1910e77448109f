"""Why a red case is red: the first sign of it, told against a healthy story, over hand-written days of a deployment."""

import pytest

from harness.journal import Entry
from harness.judging import Case, judge_all
from harness.judging.departure import first_departure, healthy_start
from harness.spec import CaseSpec, DeploymentSpec, Target

GUARANTEES = ("restart-succeeds", "app-reachable")
NAMESPACE = "create namespaces caddy-system"
PODS = "list pods caddy-system"


class Deployed:
    """A hand-written journal of a deployment: a healthy start before `ready`, and what comes after it."""

    def __init__(self, variant="x", in_use=True, scenario="stop_and_start", guarantees=GUARANTEES, moment=""):
        shape = DeploymentSpec(in_use=in_use, secrets="none")
        spec = CaseSpec(
            scenario,
            "000.txt" if in_use else "001.txt",
            Target("reference", variant),
            shape,
            guarantees,
            traffic=None,
            moment=moment,
        )
        self.entries = []
        self.say(0, "case.opened", spec=spec.to_json())

    def say(self, at, kind, **data):
        self.entries.append(Entry(len(self.entries), float(at), kind, data))
        return self

    def started(self, at, task="start", **more):
        return self.say(at, "tool.started", tool="t", task=task, old="", new="", argv=["t", task], **more)

    def ended(self, at, code=0, outcome="exited", output="", task="start"):
        return self.say(
            at, "tool.ended", task=task, old="", new="", outcome=outcome, exit_code=code, output=output, seconds=1.0
        )

    def api(self, at, call, status=200, outcome="answered", took=0.02):
        verb = call.split()[0]
        return self.say(
            at, "tap.api_call", call=f"api {call}", verb=verb, mutating=verb not in ("get", "list", "watch"),
            status=status, outcome=outcome, began=at - took, ended=at,
        )  # fmt: skip

    def command(self, at, call, exit_code=0, took=0.5, outcome="ran"):
        return self.say(
            at, "tap.command", call=call, argv=call.split(), changed=[], exit_code=exit_code, outcome=outcome,
            began=at - took, ended=at, why="",
        )  # fmt: skip

    def asked(self, since, until, call=PODS, every=1.0):
        for number in range(int((until - since) / every)):
            self.api(since + number * every, call)
        return self

    def healthy(self, at=1):
        self.started(at).command(at + 9, "kind create cluster", took=8).api(at + 10, NAMESPACE, 201)
        self.api(at + 11, "create deployments.apps caddy-system/caddy", 201).asked(at + 12, at + 15)
        return self.api(at + 16, "create deployments.apps app/app", 201).ended(at + 20)

    def ready(self, at=30):
        return self.say(at, "stage.ready")

    def cut(self, at, moment="after", call=NAMESPACE):
        return self.say(at, "tool.cut", cut=f"x:{moment}/timeout", call=f"api {call}", moment=moment, bit=True)

    def app(self, at, status=200):
        good = {"status": status, "text": "" if status else "no answer"}
        return self.say(at, "probe.app", http=good, https=good, certificate="", data="", data_status=status)

    def nodes(self, at, ready=True):
        rows = {"made-control-plane": {"ready": ready, "reason": "", "version": "v1.34.4"}}
        return self.say(at, "probe.k8s.nodes", nodes=rows, expected=["made-control-plane"], seen_as="admin")

    def end(self, at):
        return self.say(at, "case.ended").entries


def cut_and_started_again(**named):
    """The namespace is there when a start is cut; what the next one does is for the test to say."""
    story = Deployed(in_use=False, scenario="interrupted_start", **named).ready(0.5).started(1, cut="x:after/timeout")
    return story.api(11, NAMESPACE, 201, "dropped-after").ended(11, 137, "signalled").cut(11).started(11)


def sign(entries, healthy=None):
    case = Case.of(entries)
    healthy = healthy_start(entries) if healthy is None else healthy
    return first_departure(case, judge_all(entries), healthy)


def test_a_call_that_fails_is_the_sign_and_not_how_the_tool_ends():
    story = cut_and_started_again().api(20, NAMESPACE, 409).api(21, "create services caddy-system/caddy", 409)
    found = sign(story.ended(25, 1, output="FailToCreateError").app(30).end(31))
    assert (found.at, found.words) == (20, f"{NAMESPACE} is answered by 409 (Conflict)")
    assert story.entries[found.evidence[0]].data["status"] == 409


def test_a_command_that_fails_is_a_sign():
    story = cut_and_started_again().command(20, "kind load docker-image", 1)
    found = sign(story.ended(25, 1).app(30).end(31))
    assert (found.at, found.words) == (20, "kind load docker-image ends with exit 1")


@pytest.mark.parametrize(
    "harmless",
    [
        lambda story: story.api(20, "get configmaps app/app", 404),
        lambda story: story.api(20, NAMESPACE, 503).api(21, NAMESPACE, 201),
        lambda story: story.command(20, "docker inspect", 1),
    ],
    ids=["asking-whether-it-is-there", "tried-again-with-success", "as-in-the-healthy-story"],
)
def test_what_harms_nobody_is_no_sign(harmless):
    story = harmless(cut_and_started_again().api(19, NAMESPACE, 201))
    healthy = Deployed().started(1).command(2, "docker inspect", 1).ended(3).entries
    found = sign(story.ended(25, 1, output="it broke").app(30).end(31), healthy)
    assert (found.at, found.words) == (25, "start gives up with exit 1: it broke")


def test_asking_for_ever_is_a_sign_from_its_beginning():
    story = Deployed().healthy().ready().started(31).api(35, NAMESPACE, 200).asked(36, 90)
    found = sign(story.ended(95, 1).app(99, 0).end(100))
    assert found.at == pytest.approx(35.98)
    assert found.words.startswith(f"from here on the tool only asks for {PODS}, 54 times, until it gives up with")
    assert found.words.endswith("at 95.0 s (a healthy start: for 2 s)")


def test_silence_is_a_sign_too():
    story = Deployed().healthy().ready().started(31).api(35, NAMESPACE, 200)
    found = sign(story.ended(330, None, "timed_out").app(340, 0).end(341))
    assert (found.at, found.words) == (
        35, f"after {NAMESPACE} nothing is seen of the tool, until it is killed, for it never ends at 330.0 s",
    )  # fmt: skip


def test_what_a_start_passes_over_is_a_sign():
    story = cut_and_started_again().api(20, "get namespaces caddy-system").api(21, "patch deployments.apps app/app")
    found = sign(story.ended(25).app(30, 0).end(31), Deployed().healthy().entries)
    words = "the start goes on to deployments.apps app/app without deployments.apps caddy-system/caddy"
    assert (found.at, found.words) == (21, f"{words}, which a healthy start makes")


def test_what_somebody_made_or_found_there_is_not_passed_over():
    story = cut_and_started_again().api(20, "create deployments.apps caddy-system/caddy", 409)
    story.api(21, "patch deployments.apps app/app").ended(25).app(30, 0)
    found = sign(story.end(31), Deployed().healthy().entries)
    assert (found.at, found.words) == (20, "create deployments.apps caddy-system/caddy is answered by 409 (Conflict)")


def test_a_look_is_a_sign_from_which_on_it_stays_red():
    story = Deployed().healthy().ready().started(31).ended(40).app(41, 0).app(43).app(45, 0).app(47, 0)
    found = sign(story.end(50))
    assert (found.at, found.words) == (45, "the first look that shows it: over http the app gives: no answer no answer")


def test_what_failed_before_it_was_mended_by_hand_is_no_sign():
    story = cut_and_started_again().api(20, NAMESPACE, 409).ended(21, 1)
    story.started(22, "by-hand").command(23, "kubectl delete", 1).ended(23, task="by-hand")
    found = sign(story.started(24).command(25, "kind load docker-image", 1).ended(26, 1).app(30).end(31))
    assert (found.at, found.words) == (25, "kind load docker-image ends with exit 1")


def test_a_start_that_was_cut_is_not_blamed():
    story = cut_and_started_again().api(20, NAMESPACE, 200).ended(25)
    assert sign(story.app(30).end(31)) is None
    assert sign(story.entries[:5]) is None


@pytest.mark.parametrize("outcome", ["refused", "answered"])
def test_reaching_for_what_is_others_is_a_sign(outcome):
    story = cut_and_started_again().command(20, "kind delete cluster", 1, outcome=outcome)
    words = sign(story.ended(25, 1).app(30).end(31)).words
    assert words.startswith("kind delete cluster ")
    assert ("refused" in words) == (outcome == "refused")
