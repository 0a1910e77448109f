import pytest

from harness.errors import WaitTimeout
from harness.waiting import until


class FakeClock:
    """Time passes only when somebody sleeps."""

    def __init__(self):
        self.now = 50.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.now += seconds


@pytest.fixture
def clock():
    return FakeClock()


def test_what_is_true_at_once_takes_no_time(clock):
    assert until(lambda: "seen", what="it", deadline_seconds=9, clock=clock) == "seen"
    assert clock.now == 50.0


def test_it_polls_until_the_observation_is_liked(clock):
    found = until(
        lambda: clock.now, lambda now: now >= 52, what="52", deadline_seconds=9, every_seconds=0.5, clock=clock
    )
    assert found == 52.0


def test_a_deadline_carries_the_last_observation_and_the_wait(clock):
    with pytest.raises(WaitTimeout, match=r"waited 2.0 s for rain; last seen: 52.0") as caught:
        until(lambda: clock.now, lambda _: False, what="rain", deadline_seconds=2, every_seconds=0.7, clock=clock)
    assert caught.value.waited_seconds == pytest.approx(2.0)
    assert caught.value.last == 52.0, "the last poll is at the deadline itself"


def test_what_a_probe_raises_is_not_swallowed(clock):
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 / 0, what="sense", deadline_seconds=5, clock=clock)
