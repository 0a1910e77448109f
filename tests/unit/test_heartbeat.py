"""Gaps and jumps are noticed at the next beat, told once, and not where a machine is only slow."""

import resource
import time

import pytest

from harness.heartbeat import AWAKE, CLOCK_JUMP, EVERY_SECONDS, GAP, LIMIT_SECONDS, SHORT, Heartbeat
from harness.journal import Journal
from harness.waiting import until


class Clocks:
    def __init__(self):
        self.monotonic, self.wall = 100.0, 1_800_000_000.0

    def pass_by(self, seconds, wall=None):
        self.monotonic += seconds
        self.wall += seconds if wall is None else wall


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def heart(tmp_path, clocks):
    journal = Journal(tmp_path / "journal.jsonl", lambda: clocks.monotonic)
    yield Heartbeat(journal, lambda: clocks.monotonic, lambda: clocks.wall)
    journal.seal()


def told(heart):
    return [(entry.kind, entry.data["seconds"]) for entry in heart._journal.entries()]


@pytest.mark.parametrize("late", [0.0, 0.3, LIMIT_SECONDS - 0.01])
def test_a_slow_machine_is_no_gap(heart, clocks, late):
    clocks.pass_by(EVERY_SECONDS + late)
    heart.beat()
    assert told(heart) == []


def test_a_gap_is_told_once_with_its_length(heart, clocks):
    clocks.pass_by(70)
    heart.beat()
    clocks.pass_by(EVERY_SECONDS)
    heart.beat()
    assert told(heart) == [(GAP, 70)]


@pytest.mark.parametrize("jump", [3600, -7200])
def test_a_clock_that_is_set_is_told_with_its_sign(heart, clocks, jump):
    clocks.pass_by(EVERY_SECONDS, wall=jump)
    heart.beat()
    ((kind, seconds),) = told(heart)
    assert kind == CLOCK_JUMP
    assert seconds == jump - EVERY_SECONDS


def test_a_clock_that_is_slewed_is_no_jump(heart, clocks):
    for _ in range(100):
        clocks.pass_by(EVERY_SECONDS, wall=EVERY_SECONDS * 1.1)
        heart.beat()
    assert told(heart) == []


def test_a_machine_that_slept_is_a_jump(heart, clocks):
    clocks.pass_by(EVERY_SECONDS, wall=900)
    heart.beat()
    assert [kind for kind, _ in told(heart)] == [CLOCK_JUMP]


def test_a_gap_before_the_end_is_told_before_the_end(heart, clocks):
    clocks.pass_by(9)
    heart.attest()
    last = [(entry.kind, entry.data) for entry in heart._journal.entries()][-1]
    assert [entry.kind for entry in heart._journal.entries()] == [GAP, AWAKE]
    assert last == (AWAKE, {"beats": 1, "worst_seconds": 9 - EVERY_SECONDS})


def test_it_beats_by_itself_until_it_is_stopped(tmp_path):
    heart = Heartbeat(Journal(tmp_path / "journal.jsonl", time.monotonic))
    heart.start()
    until(lambda: heart._beats, lambda beats: beats >= 2, what="beats", deadline_seconds=20)
    heart.stop()
    beats = heart._beats
    assert not heart._thread.is_alive()
    heart.attest()
    assert heart._journal.entries()[-1].data["beats"] == beats + 1
    heart._journal.seal()


def test_a_journal_that_takes_no_more_ends_the_thread_and_nothing_else(tmp_path, clocks):
    journal = Journal(tmp_path / "journal.jsonl", lambda: clocks.monotonic)
    heart = Heartbeat(journal, lambda: clocks.monotonic, lambda: clocks.wall)
    journal.seal()
    heart.start()
    clocks.pass_by(60)
    until(lambda: not heart._thread.is_alive(), what="the thread to end", deadline_seconds=20)
    heart.stop()


def test_who_can_open_no_file_is_told_so_once(heart):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        heart.beat()
        heart.beat()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [(entry.kind, entry.data["what"]) for entry in heart._journal.entries()] == [
        (SHORT, "no file can be opened: Too many open files")
    ]
