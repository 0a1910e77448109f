"""How long is waited for a world to settle: each expectation up to its own deadline, and not for what is known."""

import itertools

import pytest

from harness.expectations import Expectation, World
from harness.lab import _Settling
from tests.judging.story import Story

LOOK_SECONDS = 1.0


class Ticking:
    """A clock that goes on by itself, a second a reading of a probe."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Settled:
    """A world whose app and fresh pods become well at given seconds; counts what is asked."""

    def __init__(self, app_at, pods_at, no_certificate_for=0):
        self.clock, self.story, self.pods_asked = Ticking(), Story(), 0
        self.story.say(0, "users.came", certificate="c1")
        self.no_certificate_for = no_certificate_for
        self.app_at, self.pods_at = app_at, pods_at
        self.ats = itertools.count(100)

    def entries(self):
        return self.story.entries

    def probe_app(self, _):
        self.clock.sleep(LOOK_SECONDS)
        told = {"status": 200 if self.clock.now >= self.app_at else 502, "text": ""}
        shown = "other" if self.clock.now < self.app_at + self.no_certificate_for else "c1"
        self.story.say(next(self.ats), "probe.app", http=told, https=told, certificate=shown, data="", data_status=200)

    def probe_pods(self, _):
        self.pods_asked += 1
        well = self.clock.now >= self.pods_at
        answers = {name: {"ran": well, "ok": well, "text": ""} for name in ("environment", "dns", "api", "storage")}
        self.story.say(next(self.ats), "probe.k8s.fresh_pod", answers=answers, seconds=1.0, removed=True)

    def seconds(self, app_deadline, pods_deadline, idle=0.0):
        """How long it takes until nothing is waited for."""
        expectations = (
            Expectation("app-reachable", self.probe_app, app_deadline),
            Expectation("fresh-pod-works", self.probe_pods, pods_deadline, once=True),
        )
        settling = _Settling(expectations, World(None, self, lambda: None), self.clock, idle)
        next(number for number in itertools.count() if settling.is_over() or number > 500)
        return self.clock.now


def test_a_world_that_is_well_is_looked_at_once():
    world = Settled(app_at=0, pods_at=0)
    assert (world.seconds(60, 60), world.pods_asked) == (1, 1)


def test_what_costs_is_asked_when_the_rest_is_well():
    world = Settled(app_at=7, pods_at=0)
    assert (world.seconds(60, 60), world.pods_asked) == (7, 1)


def test_what_was_met_once_is_not_asked_again():
    world = Settled(app_at=0, pods_at=5)
    assert (world.seconds(60, 60), world.pods_asked) == (5, 5)


def test_nobody_waits_for_what_is_late():
    world = Settled(app_at=1000, pods_at=0)
    assert (world.seconds(10, 60), world.pods_asked) == (10, 1)


@pytest.mark.parametrize(("idle", "waited"), [(0, 20), (15, 5), (100, 1)])
def test_the_world_settles_while_the_tool_only_waits(idle, waited):
    assert Settled(app_at=1000, pods_at=1000).seconds(20, 20, idle) == waited


def test_a_world_that_moves_is_given_its_whole_time():
    world = Settled(app_at=5, pods_at=0, no_certificate_for=10)
    assert world.seconds(20, 20, idle=14) == 15
