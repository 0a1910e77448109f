"""Plays of one case: their names, their seeds, and what is told of them; no play changes what another came to."""

import json
from datetime import date

import pytest

from harness.errors import UsageError
from harness.journal import Journal
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from harness.spec import CaseSpec
from harness.stages.stage import folder_name
from reports import verdicts
from reports.flakes import flakes
from reports.gate import decide
from reports.html import to_html
from reports.run import load_run
from reports.summary import to_markdown
from tests.unit.test_reports import bad_story, blind_story, good_story, spec


def plays(tmp_path, *stories):
    """A run of one case, a play a story."""
    folder = RunFolder(tmp_path / "run-1")
    for number, entries in enumerate(stories, start=1):
        played = spec("good").play(number)
        moments = iter([0.0, *(entry.at for entry in entries), entries[-1].at])
        path = folder.cases / folder_name(played.play_id) / "journal.jsonl"
        journal = Journal(path, lambda moments=moments: next(moments))
        for entry in entries:
            data = {**entry.data, "spec": played.to_json()} if entry.kind == "case.opened" else entry.data
            journal.append(entry.kind, **data)
        journal.seal()
    return folder, load_run(folder, Ledger((), date(2026, 1, 1)))


def test_the_first_play_is_the_case_itself():
    case = spec("good")
    assert case.play(1) is case
    assert case.play_id == case.case_id == "rolling_replacement/good/3-strict"


def test_later_plays_have_names_and_seeds_of_their_own_and_the_same_each_time():
    case = spec("good")
    later = [case.play(number) for number in range(1, 51)]
    assert len({play.seed for play in later}) == 50
    assert [play.play_id for play in later[:3]] == [case.case_id, f"{case.case_id}~2", f"{case.case_id}~3"]
    assert {play.case_id for play in later} == {case.case_id}
    assert {play.label for play in later} == {case.label}
    assert later == [case.play(number) for number in range(1, 51)]
    assert all(0 <= play.seed < 2**32 for play in later)


def test_a_play_survives_its_journal_and_an_old_journal_is_a_first_play():
    play = spec("good").play(7)
    assert CaseSpec.from_json(json.loads(json.dumps(play.to_json()))) == play
    old = play.to_json()
    del old["repetition"]
    assert CaseSpec.from_json(old).repetition == 1


def test_plays_are_counted_from_one():
    with pytest.raises(UsageError, match="from 1"):
        spec("good").play(0)


def test_plays_are_told_apart_and_told_together(tmp_path):
    stories = [good_story(), bad_story("good"), good_story(), *[good_story()] * 7, blind_story()]
    folder, run = plays(tmp_path, *stories)
    assert not run.unreadable
    assert [case.spec.repetition for case in run.cases] == list(range(1, 12)), "~10 comes after ~9"
    (flake,) = flakes(run)
    name = "rolling_replacement/good/3-strict"
    said = "9 of 11 kept, 1 red (no-ghost-member, quorum-kept), 1 inconclusive (no-ghost-member, quorum-kept)"
    assert flake.sentence == f"case {name}: {said}"
    assert flake.is_flaky
    assert f"| {name} | {said} |" in to_markdown(run)
    assert len({case.anchor for case in run.cases}) == 11
    assert to_html(run).count('id="case-') == len(set(to_html(run).split('id="case-')[1:])), "no place twice"
    saved = verdicts.to_json(run)
    assert saved["repeats"][0]["standings"] == {"kept": 9, "broken": 1, "inconclusive": 1}
    assert [case["play_id"] for case in saved["cases"]][:2] == [name, f"{name}~2"]
    verdicts.save(folder, run)
    assert verdicts.differences(verdicts.load(folder), run) == []


def test_one_red_play_of_many_is_red(tmp_path):
    _, run = plays(tmp_path, *[good_story()] * 9, bad_story("good"))
    assert decide(run).exit_code == 1
    assert [case.standing for case in run.cases].count("broken") == 1


def test_verdicts_of_before_there_were_plays_are_compared_still(tmp_path):
    folder, run = plays(tmp_path, good_story())
    saved = verdicts.to_json(run)
    for case in saved["cases"]:
        del case["play_id"], case["repetition"], case["seed"]
    del saved["repeats"]
    (folder.path / "verdicts.json").write_text(json.dumps(saved, default=str))
    assert verdicts.differences(verdicts.load(folder), run) == []
    assert flakes(run) == ()


def test_two_journals_of_one_play_are_told(tmp_path):
    folder, _ = plays(tmp_path, good_story(), good_story())
    (folder.cases / "again").mkdir()
    second = next(folder.cases.glob("*~2"))
    (folder.cases / "again" / "journal.jsonl").write_bytes((second / "journal.jsonl").read_bytes())
    run = load_run(folder, Ledger((), date(2026, 1, 1)))
    assert len(run.unreadable) == 1
    assert "second journal of rolling_replacement/good/3-strict~2" in run.unreadable[0]
