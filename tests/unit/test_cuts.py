"""A tool is cut where it was asked for, by what was asked for, and the journal tells whether that bit."""

import contextlib
import subprocess
import sys
import threading
import time

import psutil
import pytest

from harness.clusters.living import pid_lives
from harness.cuts import Cut, CutPoint, Means, Moment
from harness.errors import UsageError
from harness.journal import Journal
from harness.tools.cutting import Cutter
from harness.waiting import until

CREATE = "api create deployments.apps shop/app"
# Says when it is ready; a second process of its group outlives it, if only the tool is killed.
TOOL = """
import subprocess, sys, time
try:
    child = subprocess.Popen(["sleep", "30"])
    print(child.pid, flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    sys.exit(130)
"""
DEAF = """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print(0, flush=True)
time.sleep(30)
"""


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
    yield journal
    journal.seal()


@pytest.fixture
def start():
    with contextlib.ExitStack() as started:

        def run(source):
            command = [sys.executable, "-c", source]
            process = started.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True))
            child = int(process.stdout.readline())
            started.callback(end, process.pid, child)
            return process, child

        yield run


def end(*pids):
    """Whatever the cut left of them."""
    for pid in filter(None, pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


@pytest.mark.parametrize("moment", list(Moment))
def test_the_call_it_is_cut_at_is_dropped_and_all_others_pass(journal, start, moment):
    cutter, (process, _) = Cutter(journal), start(TOOL)
    cutter.begin(Cut(Means.SIGKILL_GROUP, CutPoint(CREATE, moment, 2)), process)
    for call in ("api create namespaces shop", CREATE):
        assert cutter.passes(call, Moment.BEFORE)
        assert cutter.passes(call, Moment.AFTER)
    assert cutter.passes(CREATE, Moment.BEFORE) is (moment is Moment.AFTER)
    if moment is Moment.AFTER:
        assert process.poll() is None, "it is not cut yet"
        assert not cutter.passes(CREATE, Moment.AFTER)
    assert process.poll() == -9
    cutter.end()
    (told,) = [entry for entry in journal.entries() if entry.kind == "tool.cut"]
    assert told.data["bit"] is True
    assert (told.data["call"], told.data["moment"]) == (CREATE, moment)
    assert told.data["cut"] == f"api:create:deployments.apps:shop/app:2:{moment}/sigkill-group"


@pytest.mark.parametrize(
    ("by", "code", "child_lives"),
    [
        (Means.SIGINT_GROUP, 130, False),
        (Means.SIGTERM, -15, True),
        (Means.SIGKILL_TOOL, -9, True),
        (Means.SIGKILL_GROUP, -9, False),
    ],
)
def test_what_ends_it_reaches_the_tool_alone_or_its_whole_group(journal, start, by, code, child_lives):
    cutter, (process, child) = Cutter(journal), start(TOOL)
    cutter.begin(Cut(by, CutPoint("kind create cluster", Moment.BEFORE)), process)
    assert not cutter.passes("kind create cluster", Moment.BEFORE)
    assert process.wait(20) == code
    if child_lives:
        assert pid_lives(child)
    else:
        until(lambda: not pid_lives(child), what="the rest of the group to end", deadline_seconds=30)


def test_it_is_cut_some_time_into_a_call(journal, start):
    cutter, (process, _) = Cutter(journal), start(TOOL)
    cutter.begin(Cut(Means.SIGKILL_GROUP, CutPoint("kind create *", Moment.BEFORE), after_seconds=0.3), process)
    assert cutter.passes("kind create cluster", Moment.BEFORE)
    assert process.poll() is None
    assert process.wait(20) == -9
    cutter.end()
    assert [entry.data["bit"] for entry in journal.entries() if entry.kind == "tool.cut"] == [True]


def test_a_timeout_counts_from_the_start_and_is_called_off_by_the_end(journal, start):
    cutter, (process, _) = Cutter(journal), start(TOOL)
    cutter.begin(Cut(Means.TIMEOUT, after_seconds=30), process)
    began = time.monotonic()
    cutter.end()
    assert time.monotonic() - began < 20
    assert process.poll() is None
    cutter.begin(Cut(Means.TIMEOUT, after_seconds=0.2), process)
    assert process.wait(20) == -9
    cutter.end()


def test_a_tool_that_takes_no_notice_goes_on_and_that_is_told(journal, start, monkeypatch):
    monkeypatch.setattr("harness.tools.cutting._END_SECONDS", 0.5)
    cutter, (process, _) = Cutter(journal), start(DEAF)
    cutter.begin(Cut(Means.SIGTERM, CutPoint(CREATE, Moment.BEFORE)), process)
    assert cutter.passes(CREATE, Moment.BEFORE), "nothing was cut, so nothing is dropped"
    assert [entry.data["bit"] for entry in journal.entries() if entry.kind == "tool.cut"] == [False]


def test_two_calls_at_once_are_cut_once(journal, start):
    cutter, (process, _) = Cutter(journal), start(TOOL)
    cutter.begin(Cut(Means.SIGKILL_GROUP, CutPoint("api create *", Moment.BEFORE, 1)), process)
    passed = []
    threads = [
        threading.Thread(target=lambda name=name: passed.append(cutter.passes(f"api create {name}", Moment.BEFORE)))
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(passed) == [False, True]
    assert len([entry for entry in journal.entries() if entry.kind == "tool.cut"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CutPoint("", Moment.BEFORE),
        lambda: CutPoint(CREATE, Moment.BEFORE, 0),
        lambda: Cut(Means.SIGTERM),
        lambda: Cut(Means.SIGTERM, after_seconds=-1),
    ],
)
def test_a_cut_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()
