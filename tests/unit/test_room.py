"""A case on a kind cluster that is big for its cores has no other beside it, and is not kept out by small ones."""

import os
import subprocess
import sys
import threading

import pytest

from harness import room
from harness.errors import MachineError
from harness.room import room_for
from harness.shapes import DeploymentSpec, EtcdSpec, KindSpec
from tests.unit.test_waiting import FakeClock

NONE, SMALL, BIG = 0, 2, 3


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.fixture
def cases(tmp_path):
    return tmp_path / "run" / "cases"


def heard(nodes, cases, said):
    """Come in as another worker, with time that flies."""
    with room_for(nodes, cases, said.append, FakeClock()):
        return said


def test_small_ones_stand_side_by_side(cases):
    with room_for(SMALL, cases, pytest.fail), room_for(NONE, cases, pytest.fail), room_for(SMALL, cases, pytest.fail):
        pass


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        (SMALL, BIG, "waiting until no other case is played"),
        (NONE, BIG, "waiting until no other case is played"),
        (BIG, BIG, "waiting until no other case is played"),
        (BIG, SMALL, "waiting until a big kind cluster is gone"),
        (BIG, NONE, "waiting until a big kind cluster is gone"),
    ],
)
def test_beside_a_big_one_stands_none(cases, first, then, why, monkeypatch):
    monkeypatch.setattr(room, "_LOOK_SECONDS", 600)
    said = []
    with room_for(first, cases, pytest.fail), pytest.raises(MachineError, match="not within six hours") as refused:
        heard(then, cases, said)
    assert said == [why]
    assert "by themselves: -k control_plane" in str(refused.value)
    assert heard(then, cases, []) == [], "it is free again"


def test_small_ones_that_come_later_let_a_big_one_go_first(cases):
    order, waits = [], threading.Event()

    def big():
        with room_for(BIG, cases, lambda _: waits.set()):
            order.append("big")

    def small():
        with room_for(SMALL, cases, lambda _: None):
            order.append("small")

    with room_for(SMALL, cases, pytest.fail):
        threads = [threading.Thread(target=big), threading.Thread(target=small)]
        threads[0].start()
        assert waits.wait(20)
        threads[1].start()
    for thread in threads:
        thread.join(20)
    assert order == ["big", "small"]


def test_runs_do_not_wait_for_each_other(tmp_path):
    with room_for(BIG, tmp_path / "a" / "cases", pytest.fail), room_for(BIG, tmp_path / "b" / "cases", pytest.fail):
        pass


def test_a_killed_holder_holds_nothing(cases):
    script = f"""
import pathlib, sys
from harness.room import room_for
with room_for(99, pathlib.Path({str(cases)!r}), print):
    print("in", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "in\n"
        holder.kill()
        holder.wait(20)
    assert heard(BIG, cases, []) == []


def test_a_folder_that_can_t_be_locked_is_told(cases, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(room.fcntl, "flock", refuse)
    with pytest.raises(MachineError, match=r"can't be locked: No locks available(?s:.*)--run-dir"):
        heard(SMALL, cases, [])


def test_how_many_nodes_each_shape_has():
    assert KindSpec(control_planes=3, workers=2).kind_nodes == 5
    assert DeploymentSpec().kind_nodes == 1
    assert EtcdSpec().kind_nodes == 0


def test_so_is_one_that_can_t_be_made(tmp_path):
    (tmp_path / "run").write_text("no folder")
    with pytest.raises(MachineError, match=r"can't be locked: File exists(?s:.*)--run-dir"):
        heard(SMALL, tmp_path / "run" / "cases", [])
