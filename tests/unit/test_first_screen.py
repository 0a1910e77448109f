"""The first screen: ship or not, why, and since when; and what Allure is told of the same."""

import json
import re
from datetime import date

import pytest

from harness.journal import Entry
from harness.judging import Verdict, judge
from harness.judging.guarantees import GUARANTEES
from harness.judging.ledger import Ledger
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from reports import allure, allure_run
from reports.first_screen import first_screen
from reports.gate import decide
from reports.history import HistoryLine, Play
from reports.html import to_html
from reports.run import RunFacts, load_run
from reports.severity import LEVELS, SEVERITIES, gravity, severity
from reports.since import since
from tests.unit.test_reports_stories import documented, incident, play  # noqa: F401 - a fixture

RED = "rolling_replacement/incident/3-relaxed"
LEDGER = """
- {id: loses-quorum, tool: mine, scenario: rolling_replacement, guarantee: quorum-kept, signature: quorum-lost,
   also: [write-gap-bounded, no-ghost-member, replacement-complete], why: nobody removes it, link: "#1",
   since: 2026-10-01}
"""


def mine(entries):
    """The same story, of a build under test."""
    spec = CaseSpec.from_json(entries[0].data["spec"]).to_json()
    spec["target"] |= {"tool": "mine", "version": "1.2"}
    entries[0].data["spec"] = spec
    return entries


def line(number, standing="broken", broken=("quorum-kept",), **named):
    told = Play(standing=standing, verdict=Verdict.RECOVERED, broken=dict.fromkeys(broken, "x"), **named)
    return HistoryLine(
        run_id=f"night-{number}", started_at=f"2026-11-0{number}T00:00:00+00:00", target=f"mine 1.{number}",
        exit_code=0, cases={RED: told},
    )  # fmt: skip


def screen(run, history=()):
    return first_screen(run, decide(run), history)


def test_a_build_that_breaks_something_is_not_shipped(play):  # noqa: F811
    _, run = play(mine(incident()), mine(documented()))
    told = screen(run)
    assert (told.tone, told.answer, told.tested) == ("broken", "Do not ship", "mine 1.2")
    assert told.reasons[0].severity == "blocker"
    assert told.reasons[0].anchor == run.cases[1].anchor
    assert [gravity(one.words.split()[0]) for one in told.reasons] == sorted(
        gravity(one.words.split()[0]) for one in told.reasons
    )
    assert told.counts == [("kept", 1, "kept"), ("broken", 1, "not as expected")]
    assert told.since == ""


def test_a_build_ships_with_its_known_defects(play, tmp_path):  # noqa: F811
    folder, _ = play(mine(incident()), mine(documented()))
    (tmp_path / "ledger.yaml").write_text(LEDGER)
    ledger = Ledger.load(tmp_path / "ledger.yaml", date(2026, 11, 22))
    run = load_run(RunFolder(folder.path), Ledger(ledger.defects, ledger.today))
    missing = [case for case in run.cases if case.missing]
    assert missing, "the kept case should have shown it"
    (folder.cases / "case-1" / "journal.jsonl").unlink()
    (folder.cases / "case-1").rmdir()
    told = screen(load_run(folder, ledger))
    assert (told.tone, told.answer) == ("ok", "Ship")
    assert [(one.id, one.cases, one.since, one.why) for one in told.known] == [
        ("loses-quorum", 1, "2026-10-01", "nobody removes it")
    ]
    assert "Quorum kept" in told.known[0].titles


@pytest.mark.parametrize(("stories", "answer"), [((documented,), "As expected"), ((incident,), "Not as expected")])
def test_reference_tools_alone_say_nothing_of_a_build(play, stories, answer):  # noqa: F811
    _, run = play(*(story() for story in stories))
    told = screen(run)
    assert (told.answer, told.tested) == (answer, "")
    assert "says nothing of a build" in told.why


def test_an_order_walked_by_the_harness_is_no_build(play):  # noqa: F811
    order = documented()
    spec = CaseSpec("order_exploration", "002.txt", Target("stepwise", "SAT"), EtcdSpec(3), ("quorum-kept",))
    order[0].data["spec"] = spec.to_json()
    assert screen(play(order)[1]).tested == ""


def test_nothing_that_ran_is_no_answer(tmp_path):
    (tmp_path / "run-1" / "cases").mkdir(parents=True)
    told = screen(load_run(RunFolder(tmp_path / "run-1"), Ledger()))
    assert (told.tone, told.answer, told.sentence) == ("unclear", "Can't tell", "Nothing ran")


def test_since_when_is_told_by_the_history(play):  # noqa: F811
    _, run = play(mine(incident()))
    told = screen(run, [line(1, "kept", ()), line(2), line(3), line(4, "inconclusive", ())])
    quorum = next(one for one in told.reasons if one.words.startswith("quorum-kept"))
    assert quorum.since == "bad since night-2 (2026-11-02, mine 1.2), in 2 runs; good in night-1 (2026-11-01, mine 1.1)"
    assert told.since == quorum.since
    gap = next(one for one in told.reasons if one.words.startswith("write-gap-bounded"))
    assert gap.since == "new in this run; good in night-3 (2026-11-03, mine 1.3)"
    assert "Since when." in to_html(run, history=[line(1, "kept", ()), line(2)])
    assert "Since when." not in to_html(run)


def test_a_run_is_not_its_own_past():
    assert since([], RED, lambda _: True) is None
    assert since([line(1, "inconclusive", ())], RED, lambda _: True) is None
    assert since([line(1)], "another", lambda _: True) is None
    assert since([line(1)], RED, lambda _: True).words.endswith("never seen good")


def test_against_a_baseline_regressions_and_fixes_are_told(play, tmp_path):  # noqa: F811
    folder, before = play(mine(documented("incident")))
    (folder.path).rename(tmp_path / "old")
    _, run = play(mine(incident()))
    told = first_screen(run, decide(run, baseline=before))
    assert [name for name, _ in told.compared.groups] == ["regressions"]
    assert "Against run-1 (mine 1.2)" in to_html(run, decide(run, baseline=before))
    back = first_screen(before, decide(before, baseline=run))
    assert [name for name, _ in back.compared.groups] == ["fixes"]


def test_every_guarantee_has_a_severity_with_a_reason():
    assert set(SEVERITIES) == set(GUARANTEES)
    assert all(level in LEVELS and why for level, why in SEVERITIES.values())
    assert severity("of-tomorrow") == "normal"


def test_a_message_fits_the_category_of_its_sort():
    entries = incident()
    red = judge("quorum-kept", entries)
    ledger = Ledger.of(LEDGER, date(2026, 11, 22))
    green = judge("quorum-kept", documented())
    told = [
        allure.standing(green, None, ledger.defects),
        allure.standing(red, ledger.defects[0], ()),
        allure.standing(red, None, ()),
        allure.standing(judge("quorum-kept", entries[:-1]), None, ()),
    ]
    assert [one.is_known for one in told] == [False, True, False, False]
    for number, one in enumerate(told):
        fits = [
            place for place, sort in enumerate(allure_run.CATEGORIES)
            if one.status in sort["matchedStatuses"] and re.fullmatch(sort["messageRegex"], one.message)
        ]  # fmt: skip
        assert fits == [number], one
    assert allure.standing(green, None, ()).message == ""


def test_what_differs_from_run_to_run_is_no_part_of_a_case():
    spec = CaseSpec("a", "002.txt", Target("mine", "x", "1.2"), EtcdSpec(3), ("quorum-kept",), seed=7, repetition=2)
    told = list(allure.parameters(spec, {"etcd": "3.6.6", "empty": ""}))
    assert [name for name, _, tells in told if tells] == ["tool", "variant", "cluster", "play"]
    assert [(name, value) for name, value, tells in told if not tells] == [
        ("seed", "7"), ("version", "1.2"), ("etcd", "3.6.6")
    ]  # fmt: skip


def test_the_red_step_is_where_it_went_wrong():
    entries = incident()
    finding = judge("quorum-kept", entries)
    at = next(entry.at for entry in entries if entry.seq == finding.evidence[0])
    moments = (0.0, at, at + 1)
    marks = [Entry(1000 + number, when, "case.step", {"text": str(number)}) for number, when in enumerate(moments)]
    told = list(allure.steps([entries[0], *marks, *entries[1:]], finding))
    assert [step.status for step in told] == ["passed", "failed", "passed"]
    assert told[0].ended == told[1].began
    assert list(allure.steps(entries, finding)) == []


def test_a_run_tells_allure_what_it_was_and_who_played_it(play):  # noqa: F811
    folder, run = play(documented())
    allure_run.save(folder, run, {})
    assert not (folder.path / "allure-results").exists()
    (folder.path / "allure-results").mkdir()
    allure_run.save(folder, run, {"GITHUB_ACTIONS": "true", "GITHUB_RUN_NUMBER": "12", "GITHUB_SERVER_URL": "https://h",
                                  "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "99"})  # fmt: skip
    told = json.loads((folder.path / "allure-results" / "executor.json").read_text())
    assert (told["buildOrder"], told["buildUrl"]) == (12, "https://h/o/r/actions/runs/99")
    assert json.loads((folder.path / "allure-results" / "categories.json").read_text())
    assert allure_run.executor("r", {})["type"] == "local"
    facts = RunFacts("r", seed=3, etcd="3.5 from C:\\x\ny", target="mine 1")
    lines = allure_run.environment(type(run)(facts, ())).splitlines()
    assert "tested = mine 1" in lines
    assert "seed = 3" in lines


def test_an_incidents_page_is_linked_where_it_can_be_read(tmp_path):
    seed = "002_638ead7455fd6626.txt"
    assert allure_run.incident_page(seed, tmp_path, {}) == (tmp_path / "incident-002.md").as_uri()
    github = {"GITHUB_SERVER_URL": "https://h", "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "abc"}
    assert allure_run.incident_page(seed, tmp_path, github) == "https://h/o/r/blob/abc/docs/incident-002.md"
