"""History and trends: a line a run, nothing lost, and what many lines say together."""

import itertools
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import UsageError
from harness.journal import Journal
from harness.judging.ledger import Ledger
from harness.judging.verdict import Verdict
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from reports.gate import decide
from reports.history import HistoryLine, Play, append, case_of, load
from reports.run import RunFacts, load_run, save_facts
from reports.trends import trends
from reports.trends_page import to_html
from reports.trends_table import to_text
from tests.judging.story import Story

ROOT = Path(__file__).parents[2]
KEPT, RED, UNCLEAR = Verdict.RECOVERED, Verdict.NOT_RECOVERED, Verdict.INCONCLUSIVE
STANDINGS = {KEPT: "kept", RED: "broken", UNCLEAR: "inconclusive"}


def play(verdict, standing="", **more):
    broken = {"quorum-kept": "quorum-lost"} if verdict is RED else {}
    return Play(standing=standing or STANDINGS[verdict], verdict=verdict, seconds=10.0, broken=broken, **more)


def line(number, leg="etcd", **more):
    """The run of one night."""
    told = {"etcd": "3.5.1 from wheel", "harness_version": "1", "target": "reference", "exit_code": 0} | more
    return HistoryLine(run_id=f"r{number}", started_at=f"2027-03-{number:02}T02:00:00+00:00", leg=leg, **told)


def trend(*lines):
    ((leg,), (case,)) = (found := trends(lines)), found[0].cases
    return leg, case


@pytest.fixture
def run(tmp_path):
    """A run of one case that was kept and one that is red."""
    folder = RunFolder(tmp_path / "run-1")
    for variant, ends_well in (("good", True), ("bad", False)):
        shape = CaseSpec(
            "rolling_replacement", "002.txt", Target("reference", variant, "7"), EtcdSpec(3), ("quorum-kept",)
        )
        story = Story(spec=shape).write(0.5, "a")
        story = story.replaced(1).write(2, "b") if ends_well else story.asked(1).down(1, "n1").down(1.2, "n2").ended(2)
        entries = story.end(6)
        moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
        journal = Journal(folder.cases / variant / "journal.jsonl", lambda moments=moments: next(moments))
        for entry in entries:
            journal.append(entry.kind, **entry.data)
        journal.seal()
    facts = RunFacts("run-1", seed=5, started_at="2027-03-01T02:00:00+00:00", seconds=30.0, etcd="3.5.1 from wheel")
    save_facts(folder, facts)
    return folder


def test_a_line_says_what_a_run_came_to(run, tmp_path):
    result = load_run(run, Ledger((), date(2027, 3, 1)))
    written = HistoryLine.of(result, decide(result), "etcd-3.5")
    assert append(tmp_path / "h.jsonl", written)
    (read,) = load(tmp_path / "h.jsonl")
    assert read == written
    assert (read.run_id, read.seed, read.exit_code, read.leg) == ("run-1", 5, 1, "etcd-3.5")
    bad, good = (read.cases[f"rolling_replacement/{name}/3-strict"] for name in ("bad", "good"))
    assert (bad.standing, bad.verdict, bad.tool, bad.version) == ("broken", RED, "reference", "7")
    assert list(bad.broken) == ["quorum-kept"]
    assert (good.standing, good.broken) == ("kept", {})


def test_no_history_yet_is_an_empty_one(tmp_path):
    assert load(tmp_path / "none.jsonl") == ()


def test_a_run_is_added_once(tmp_path):
    file = tmp_path / "deep/h.jsonl"
    assert append(file, line(1, cases={}))
    assert not append(file, line(1, cases={}))
    assert append(file, line(2, cases={}))
    assert len(load(file)) == 2


@pytest.mark.parametrize(
    ("spoilt", "number", "words"),
    [
        (lambda text: text[:-20], 3, "it has no end"),
        (lambda text: text[:-1], 3, "it has no end"),
        (lambda text: text.replace('"run_id":"r2"', '"run_id":2'), 2, "Expected `str`"),
        (lambda text: text.replace('"schema":1', '"schema":9', 1), 1, "its schema is 9, not 1"),
        (lambda text: text.replace("\n", "\n\n", 1), 2, "Input data was truncated"),
        (lambda text: text + "hello\n", 4, "malformed"),
    ],
    ids=["cut", "no-newline", "wrong-type", "other-schema", "empty-line", "no-json"],
)
def test_a_broken_line_is_told_by_its_number_and_nothing_is_added(tmp_path, spoilt, number, words):
    file = tmp_path / "h.jsonl"
    for day in (1, 2, 3):
        append(file, line(day, cases={}))
    file.write_text(spoilt(file.read_text()))
    before = file.read_bytes()
    for call in (lambda: load(file), lambda: append(file, line(4, cases={}))):
        with pytest.raises(UsageError, match=f"h.jsonl:{number}: not a run's line: .*{words}"):
            call()
    assert file.read_bytes() == before


def test_many_processes_add_at_the_same_time(tmp_path):
    code = """
import sys
from pathlib import Path
from reports.history import HistoryLine, append
for number in range(20):
    name = f"{sys.argv[1]}-{number}"
    append(Path(sys.argv[2]), HistoryLine(run_id=name, started_at=name, exit_code=0, cases={}, ended_early="x" * 9000))
"""
    file = tmp_path / "h.jsonl"
    adding = [subprocess.Popen([sys.executable, "-c", code, str(n), str(file)], cwd=ROOT) for n in range(4)]
    assert [process.wait(120) for process in adding] == [0] * 4
    assert len({one.run_id for one in load(file)}) == 80


def test_a_case_is_its_plays_without_their_numbers():
    assert case_of("a/b/c~12") == case_of("a/b/c") == "a/b/c"
    assert case_of("a/b~c/d") == "a/b~c/d"


def test_a_flake_is_another_outcome_of_the_same_thing():
    outcomes = [KEPT, KEPT, RED, UNCLEAR]
    leg, case = trend(*(line(day, cases={"a/b/c": play(verdict)}) for day, verdict in enumerate(outcomes, 1)))
    assert (case.flakes, case.flake_rate, leg.flakes) == (2, 0.5, 2)


def test_repeats_of_one_night_flake_as_well():
    _, case = trend(line(1, cases={"a/b/c": play(KEPT), "a/b/c~2": play(KEPT), "a/b/c~3": play(RED)}))
    assert (len(case.plays), case.flakes) == (3, 1)
    assert case.newest.play.verdict is RED, "the gravest stands"


@pytest.mark.parametrize(
    "other",
    [{"etcd": "3.6.6 from here"}, {"kubernetes": "1.34.4"}, {"harness_version": "2"}, {"version": "2"}],
    ids=lambda other: next(iter(other)),
)
def test_another_version_is_no_flake(other):
    more = {"version": other["version"]} if "version" in other else {}
    lines = [
        line(1, cases={"a/b/c": play(KEPT, tool="so", **({"version": "1"} if more else {}))}),
        line(2, cases={"a/b/c": play(RED, tool="so", **more)}, **({} if more else other)),
    ]
    _, case = trend(*lines)
    assert (case.flakes, case.flake_rate) == (0, None)


def test_a_new_line_of_the_ledger_is_no_flake():
    _, case = trend(line(1, cases={"a/b/c": play(RED)}), line(2, cases={"a/b/c": play(RED, "known")}))
    assert (case.flakes, case.flake_rate) == (0, 0.0)


def test_where_an_etcd_comes_from_is_no_other_version():
    lines = [line(day, cases={"a/b/c": play(KEPT)}, etcd=f"3.5.1 from place {day}; a note") for day in (1, 2)]
    assert trend(*lines)[1].flake_rate == 0.0


def test_the_first_bad_version_and_the_last_good_one():
    told = [("1", KEPT), ("2", KEPT), ("3", RED), ("4", UNCLEAR), ("5", RED)]
    lines = [
        line(day, cases={"a/b/c": play(verdict, tool="so", version=version)})
        for day, (version, verdict) in enumerate(told, 1)
    ]
    _, case = trend(*reversed(lines))
    assert (case.first_bad.play.version, case.last_good.play.version) == ("3", "2")
    text = to_text(trends(lines))
    assert "first bad: so 3 (2027-03-03 02:00); last good: so 2 (2027-03-02 02:00)" in text


def test_a_case_that_is_well_again_has_no_first_bad_version():
    _, case = trend(line(1, cases={"a/b/c": play(RED)}), line(2, cases={"a/b/c": play(KEPT)}))
    assert case.first_bad is None


def test_legs_are_kept_apart():
    lines = [line(1, cases={"a/b/c": play(RED)}, leg="known-bad"), line(2, cases={"a/b/c": play(KEPT)}, leg="main")]
    assert [(leg.name, leg.flakes) for leg in trends(lines)] == [("known-bad", 0), ("main", 0)]


def test_time_to_recovery_is_a_median_of_a_run_then_of_runs():
    figures = [(1.0, 3.0), (4.0, 4.0), (9.0, 9.0)]
    lines = [
        line(
            day, cases={name: play(KEPT, recovery={"write-gap-bounded": s}) for name, s in zip("ab", pair, strict=True)}
        )
        for day, pair in enumerate(figures, 1)
    ]
    (leg,) = trends(lines)
    (told,) = leg.recovery()
    assert (told.median, told.newest, len(told.runs)) == (4.0, 9.0, 3)


def test_a_run_that_ended_early_says_nothing_of_how_long_one_takes():
    lines = [line(1, cases={}, seconds=100.0), line(2, cases={}, seconds=5.0, ended_early="its time was up")]
    (leg,) = trends(lines)
    assert leg.seconds == 100.0
    assert "1 ended early" in to_text([leg])


def test_what_needs_a_look_comes_first():
    cases = {"a": play(KEPT), "b": play(RED, "known"), "c": play(UNCLEAR), "d": play(RED)}
    (leg,) = trends([line(1, cases=cases)])
    assert [case.case_id for case in leg.cases] == ["d", "c", "b", "a"]


def test_the_page_is_self_contained_and_text_from_outside_stays_text():
    case = {"<script>alert(1)</script>": play(RED, tool="so", version='"><img src=x>', recovery={})}
    page = to_html(trends([line(1, leg="<b>", cases=case, seconds=3.0), line(2, leg="<b>", cases={}, exit_code=1)]))
    assert "<script" not in page
    assert "<img" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("<svg") == 2
    assert "<h1>1 case is not as expected now</h1>" in page


def test_an_empty_history_has_a_page(tmp_path):
    (tmp_path / "h.jsonl").touch()
    words = ["history", "show", "--file", str(tmp_path / "h.jsonl"), "--html", str(tmp_path / "t.html")]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "the history is empty" in done.output) == (0, True)
    assert "The history is empty" in (tmp_path / "t.html").read_text()


def test_add_and_show(run, tmp_path):
    file = tmp_path / "h.jsonl"
    runner = CliRunner()
    for expected in ("exit code 1, 2 plays", "is there already"):
        done = runner.invoke(main, ["history", "add", str(run.path), "--file", str(file), "--leg", "etcd"])
        assert (done.exit_code, done.output) == (0, f"{file}: run-1: {expected}\n")
    assert json.loads(file.read_text())["leg"] == "etcd"
    done = runner.invoke(main, ["history", "show", "--file", str(file), "--case", "*/bad/*"])
    assert done.exit_code == 0
    assert "leg etcd: 1 run" in done.output
    assert "rolling_replacement/bad/3-strict  BROKEN" in done.output
    assert "rolling_replacement/good" not in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "--file", "none.jsonl"], "there is no history none.jsonl\n  mend: afterfault history add RUN"),
        (["add", "nowhere", "--file", "h.jsonl"], "is no run folder"),
        (["show", "--file", "h.jsonl", "--leg", "x"], "no run of leg x in h.jsonl\n  mend: the legs there are: none"),
        (["show"], "Missing option '--file'"),
        (["add", "--file", "h.jsonl"], "Missing argument 'RUN...'"),
    ],
)
def test_wrong_calls_exit_with_2(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    Path("h.jsonl").touch()
    done = CliRunner().invoke(main, ["history", *words])
    assert done.exit_code == 2
    assert said in done.output
