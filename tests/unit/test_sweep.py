"""How a sweep goes about it, on a stage that only pretends: what is cut, from which state, and what a problem does."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import sweep
from harness.errors import ClusterError
from harness.journal import Journal
from harness.judging import Verdict
from harness.sweep import Choice, Sweep
from harness.tools.deploy_tool import ToolRun

CALLS = ("kind get clusters", "kind create cluster", "kind load app", "api create things t")
IDS = [f"{call.replace(' ', ':')}:1:{moment}" for call in CALLS for moment in ("before", "after")]
BIRTH = "kind:load:app:1:before"


class Stage:
    """Each start makes all its calls up to its cut; the cluster is there from the second on."""

    def __init__(self, tmp_path):
        self.work = tmp_path
        (tmp_path / "site").mkdir()
        self.journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
        self.settings = SimpleNamespace(ownership=SimpleNamespace(lease=SimpleNamespace(label="x", mark=None)))
        self.setup = SimpleNamespace(engine=None)
        self.world, self.cluster = None, self
        self.kubeconfig, self.names = None, ["made"]
        self.evidence = SimpleNamespace(gather=lambda why: self.done.append(f"evidence: {why}"))
        self.ends, self.done, self.images = ("exited", 0), [], {"base"}

    def step(self, text):
        self.done.append(text)

    def remove(self):
        self.done.append("nothing")

    def running(self):
        return [SimpleNamespace(name="node", execute=self.execute)]

    def execute(self, *words):
        if "rm" in words:
            self.images -= set(words[words.index("rm") + 1 :])
        return SimpleNamespace(exit_code=0, stdout="\n".join(self.images).encode())

    def call(self, request):
        cut = request.cut.point if request.cut else None
        self.done.append(f"start until {cut.id}" if cut else "start")
        for call in CALLS:
            if cut and call == cut.call and cut.moment == "before":
                return ToolRun("signalled", 137, 1.0, Path("tool.log"))
            now = float(len(self.journal.entries()))
            self.journal.append("tap.command", call=call, began=now, ended=now + 0.5)
            if "load" in call:
                self.images.add("app")
            if cut and call == cut.call:
                return ToolRun("signalled", 137, 1.0, Path("tool.log"))
        return ToolRun(*self.ends, 1.0, Path("tool.log"))


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.journal.seal()


@pytest.fixture(autouse=True)
def golden(monkeypatch):
    """A golden reset that can be told to fail."""
    made = SimpleNamespace(resets=0, fail_at=0, verdict=Verdict.RECOVERED)

    def reset(stage):
        made.resets += 1
        stage.done.append(f"golden, with {'+'.join(sorted(stage.images))}")
        if made.resets == made.fail_at:
            raise ClusterError("it differs")

    monkeypatch.setattr(sweep.Golden, "take", lambda _: SimpleNamespace(reset=reset))
    monkeypatch.setattr(sweep, "await_ready", lambda *_: None)
    monkeypatch.setattr(sweep, "owned_processes", lambda _: [])
    monkeypatch.setattr(Sweep, "_note_mounts", lambda _: {})
    monkeypatch.setattr(sweep, "under_way", lambda _: made.verdict)
    monkeypatch.setattr(Sweep, "_look", lambda self, role, _: self._stage.done.append(f"look {role}"))
    return made


def swept(stage, words):
    Sweep(stage, Choice(words, 1)).go()
    return stage.done


def entries(stage, kind):
    return [entry.data for entry in stage.journal.entries() if entry.kind == kind]


def test_before_there_is_a_cluster_each_cut_begins_from_nothing_and_then_from_the_golden_state(stage):
    assert swept(stage, "all")[:12] == [
        "start", "look reference",
        f"cut: {IDS[0]}", "nothing", f"start until {IDS[0]}", "start", "look recovered",
        f"cut: {IDS[1]}", "nothing", f"start until {IDS[1]}", "start", "look recovered",
    ]  # fmt: skip
    later = stage.done[stage.done.index(f"cut: {BIRTH}") :]
    assert later == [
        f"cut: {BIRTH}", "nothing", f"start until {BIRTH}", "start", "look recovered",
        "cut: control", "golden, with app+base", "start", "look recovered",
        "cut: kind:load:app:1:after", "golden, with app+base", "start until kind:load:app:1:after", "start",
        "look recovered",
        "cut: api:create:things:t:1:before", "golden, with app+base", "start until api:create:things:t:1:before",
        "start", "look recovered",
        "cut: api:create:things:t:1:after", "golden, with app+base", "start until api:create:things:t:1:after",
        "start", "look recovered",
    ]  # fmt: skip
    [learnt] = entries(stage, "sweep.learnt")
    assert (learnt["points"], learnt["cuts"]) == (IDS, "all")
    assert [told["id"] for told in entries(stage, "sweep.cut")] == [*IDS[:5], "control", *IDS[5:]]
    assert entries(stage, "sweep.cut")[5]["like"] == BIRTH
    assert not [told for told in entries(stage, "sweep.ended") if told["problem"]]


def test_one_cut_costs_the_control_and_no_other(stage):
    swept(stage, IDS[7])
    assert [told["id"] for told in entries(stage, "sweep.cut")] == [BIRTH, "control", IDS[7]]


def test_the_cut_that_makes_the_golden_state_is_played_once(stage):
    swept(stage, BIRTH)
    assert [told["id"] for told in entries(stage, "sweep.cut")] == [BIRTH, "control"]


def test_images_that_the_tool_loaded_go(stage):
    swept(stage, IDS[7])
    assert stage.images == {"base", "app"}, "by the last start"
    Sweep._remove_new_images(
        SimpleNamespace(_images={"node": {"base"}}, _images_now=lambda: images_of(stage), _stage=stage)
    )
    assert stage.images == {"base"}


def images_of(stage):
    return {"node": set(stage.images)}


def test_where_the_cluster_does_not_come_back_there_is_a_new_one(stage, golden):
    golden.fail_at = 2
    swept(stage, IDS[7])
    began = stage.done.index(f"cut: {IDS[7]}")
    assert stage.done[began + 1 :] == [
        "golden, with app+base", "nothing", f"start until {BIRTH}", f"start until {IDS[7]}", "start", "look recovered"
    ]  # fmt: skip
    assert entries(stage, "sweep.renewed") == [{"why": "it differs"}]


def test_a_problem_ends_one_cut_only(stage, monkeypatch):
    looks = iter([None, None, ClusterError("the node is gone"), *[None] * 7])

    def look(*_):
        if problem := next(looks):
            raise problem

    monkeypatch.setattr(Sweep, "_look", look)
    swept(stage, "all")
    problems = [told["problem"] for told in entries(stage, "sweep.ended")]
    assert problems == ["", "ClusterError: the node is gone", *[""] * 7]


def test_without_a_good_uncut_start_there_is_no_sweep(stage):
    stage.ends = ("exited", 1)
    with pytest.raises(ClusterError, match="nobody cut exited with 1"):
        swept(stage, "all")


def test_evidence_of_a_red_cut_is_gathered_while_its_cluster_is_there(stage, golden):
    golden.verdict = Verdict.NOT_RECOVERED
    swept(stage, IDS[-1])
    at = stage.done.index(f"cut: {IDS[-1]}")
    assert stage.done[at + 1 :][-2:] == ["look recovered", "evidence: red"]
    assert stage.done.count("evidence: red") == len(entries(stage, "sweep.ended"))
