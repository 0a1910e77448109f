"""`afterfault gate` and `afterfault ledger` as they are called: exit codes, files, and what to do about an error."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from harness.cli import main
from reports.history import HistoryLine, append
from tests.judging.saved_run import LINE, blind, kept, lost, save

ROOT = Path(__file__).parents[2]


def afterfault(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture
def run(tmp_path):
    def made(name, *stories, **facts):
        return save(tmp_path / name, *stories, **facts).path

    return made


@pytest.mark.parametrize(
    ("stories", "code", "told"),
    [
        ([kept()], 0, "the only case is as expected (0 red as known)"),
        ([lost()], 1, "things not as expected"),
        ([blind()], 3, "1 thing could not be judged"),
        ([], 3, "nothing ran"),
    ],
)
def test_the_exit_code_is_the_answer(run, stories, code, told):
    said = afterfault("gate", run("now", *stories))
    assert said[0] == code
    assert told in said[1]


def test_a_baseline_a_manifest_and_a_count_are_held_against_a_run(run, tmp_path):
    (tmp_path / "wanted.txt").write_text("rolling_replacement/*/3-strict >= 2\n")
    now, before = run("now", kept()), run("before", lost("good"))
    words = ["--baseline", before, "--expect", tmp_path / "wanted.txt", "--at-least", 2]
    code, said = afterfault("gate", now, *words)
    assert code == 3
    assert "fix: rolling_replacement/good/3-strict: quorum-kept is kept, and was broken by quorum-lost" in said
    assert "not run: rolling_replacement/*/3-strict (1 of 2)" in said
    assert "1 case played, and at least 2 have to be" in said


def test_the_answer_is_written_for_a_release_page_and_for_machines(run, tmp_path):
    page, told = tmp_path / "release.md", tmp_path / "gate.json"
    code, _ = afterfault("gate", run("now", lost(), ledger=LINE), "--markdown", page, "--json", told)
    assert code == 0
    assert page.read_text().startswith("# Ship: now (reference)\n")
    assert "| loses-quorum | known_defects.yaml:2 | 1 | - | - | two of three are gone | 002.txt |" in page.read_text()
    assert json.loads(told.read_text())["answer"] == "ship"
    assert not list(tmp_path.glob("*.new"))
    code, said = afterfault("gate", tmp_path / "now", "--json", "-")
    assert json.loads(said)["schema"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--expect", "/nowhere.txt"], "manifest nowhere.txt can't be read"),
        (["--expect", ROOT / "README.md"], "is no line of a manifest"),
        (["--history", "/nowhere.jsonl"], "afterfault history add RUN --file /nowhere.jsonl"),
        (["--baseline", "/nowhere"], "mend:"),
        (["--ledger", ROOT / "README.md"], "README.md:"),
        (["--at-least", "-1"], "--at-least"),
        (["--json", "x", "--markdown", "x"], "give each a file of its own"),
        (["--json", "/nowhere/x.json"], "can't be written"),
    ],
)
def test_wrong_words_exit_with_two_and_say_what_mends_it(run, words, told):
    code, said = afterfault("gate", run("now", kept()), *words)
    assert code == 2
    assert told in said


def test_no_run_folder_exits_with_two(tmp_path):
    assert afterfault("gate", tmp_path / "nowhere")[0] == 2


@pytest.fixture
def ledger(tmp_path):
    """A ledger beside its manifests."""

    def made(text):
        (tmp_path / "expected").mkdir(exist_ok=True)
        (tmp_path / "expected" / "nightly.txt").write_text("rolling_replacement/bad/3-strict\n")
        path = tmp_path / "known_defects.yaml"
        path.write_text(text)
        return path

    return made


def test_a_sound_ledger_exits_with_nought(ledger):
    assert afterfault("ledger", "check", ledger(LINE)) == (0, "1 known defects: no lines are to be changed\n")


def test_a_ledger_with_a_line_to_change_exits_with_one(ledger):
    text = LINE + LINE.replace("loses-quorum", "old").replace("3-strict", "9-strict") + "  expires: 2020-01-01\n"
    code, said = afterfault("ledger", "check", ledger(text))
    assert code == 1
    assert "expired: known_defects.yaml:13: old has expired on 2020-01-01" in said
    assert "unknown: known_defects.yaml:13: old names no cluster of rolling_replacement/bad: 9-strict" in said


def test_what_is_no_ledger_exits_with_two(ledger):
    code, said = afterfault("ledger", "check", ledger("- id: one\n  colour: red\n"))
    assert code == 2
    assert "known_defects.yaml:2: one: no field is called colour" in said
    assert afterfault("ledger", "check", "/nowhere.yaml")[0] == 2
    assert afterfault("ledger", "check", ledger(LINE), "--history", "/nowhere.jsonl")[0] == 2


def test_a_ledger_is_held_against_a_history(ledger, tmp_path):
    file = tmp_path / "history.jsonl"
    play = {"standing": "kept", "verdict": "RECOVERED", "tool": "reference"}
    for number in range(2):
        cases = {"rolling_replacement/bad/3-strict": play}
        append(file, _line(run_id=f"r{number}", started_at=f"2027-03-0{number + 1}", exit_code=0, cases=cases))
    assert afterfault("ledger", "check", ledger(LINE), "--history", file)[0] == 0, "five runs are asked for"
    code, said = afterfault("ledger", "check", ledger(LINE), "--history", file, "--runs", 2)
    assert code == 1
    assert "stale: known_defects.yaml:2: loses-quorum matched nothing in the last 2 runs that played its cases" in said


def _line(**told):
    return msgspec.convert(told, HistoryLine)


def test_suggest_prints_and_writes_only_when_asked(ledger, run):
    path, now = ledger(LINE), run("now", lost("new"), kept("bad"))
    code, said = afterfault("ledger", "suggest", now, "--ledger", path)
    assert code == 0
    assert "- id: new-rolling-replacement-quorum-lost\n" in said
    assert "-- id: loses-quorum\n" in said
    assert path.read_text() == LINE
    assert afterfault("ledger", "suggest", now, "--ledger", path, "--write")[0] == 0
    assert "new-rolling-replacement" in path.read_text()
    assert "what the incident's author did" in path.read_text()
    assert afterfault("gate", now, "--ledger", path)[0] == 0
    assert afterfault("ledger", "suggest", now, "--ledger", path)[1] == "# known_defects.yaml says all of this run\n"


def test_the_project_s_own_ledger_is_sound():
    code, said = afterfault("ledger", "check")
    assert code == 0, said
