"""`afterfault new scenario` writes a story into a clone, or nothing at all; tests/docs plays what it writes."""

import ast
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.judging.guarantees import GUARANTEES
from harness.judging.ledger import Ledger
from harness.scaffold import FAMILIES, INCIDENTS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The stories of this project, and nothing else of it."""
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*words):
    done = CliRunner().invoke(main, ["new", "scenario", *words])
    return done.exit_code, done.output


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_story_and_its_defect_are_written(clone, family):
    before = files(clone)
    code, said = new("node_upgraded", "--family", family)
    assert code == 0, said
    story = clone / "scenarios" / "node_upgraded" / "test_node_upgraded.py"
    after = files(clone)
    ledger = Path("scenarios/known_defects.yaml")
    assert set(after) - set(before) == {story.relative_to(clone)}
    assert {path for path in before if before[path] != after[path]} == {ledger}
    assert after[ledger].startswith(before[ledger]), "what was there stays, to the byte"
    line = Ledger.load(clone / ledger, date(2027, 1, 1)).defects[-1]
    assert (line.scenario, line.link, line.tool) == ("node_upgraded", INCIDENTS[family], "reference")
    text = story.read_text()
    assert f'judge("{line.guarantee}")' in text
    assert f'"{line.variant}"' in text
    assert set(strings_of(text)) & set(GUARANTEES)


def strings_of(text):
    return [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_keeps_to_the_rules(clone, family):
    name = "a" * 40
    assert new(name, "--family", family, "--incident", "004_" + "b" * 16 + ".txt")[0] == 0
    (clone / "harness").symlink_to(ROOT / "harness")  # or its imports would be a stranger's
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, f"scenarios/{name}"],
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("clone")
def test_the_next_three_commands_are_told():
    said = new("node_upgraded")[1]
    told = said.partition("next:\n")[2].splitlines()
    assert [line.split()[0] for line in told] == ["pytest", "scripts/expected-cases", "afterfault"]
    assert all("node_upgraded" in line for line in (told[0], told[2]))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["Bad-Name"], "can't be the name of a story"),
        (["x"], "can't be the name of a story"),
        (["a" * 41], "can't be the name of a story"),
        (["class"], "can't be the name of a story"),
        (["../escape"], "can't be the name of a story"),
        (["test_me"], "it would be taken for something else"),
        (["expected"], "it would be taken for something else"),
        (["persisted_etcd"], "is there already"),
        (["rolling_replacement"], "there is a story rolling_replacement already: scenarios/known_defects.yaml:"),
        (["node_killed"], "there is a story node_killed already: scenarios/node_replacement/test_lost_node.py:"),
        (["fine", "--incident", "notes.txt"], "can't be the name of an incident's file"),
        (["fine", "--incident", 'a_"b.txt'], "can't be the name of an incident's file"),
        (["fine", "--incident", "/nowhere/004_ab.txt"], "is not there"),
        (["fine", "--family", "mainframe"], "is not one of"),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_bad_words_are_clear_errors_and_nothing_is_written(clone, words, sentence):
    before = files(clone)
    code, said = new(*words)
    assert code == 2
    assert sentence in said
    assert files(clone) == before


def test_nothing_is_overwritten(clone):
    assert new("node_upgraded")[0] == 0
    before = files(clone)
    code, said = new("node_upgraded")
    assert (code, files(clone)) == (2, before)
    assert "nothing was changed" in said


def test_of_a_seed_only_its_name_is_kept(clone, tmp_path):
    seed = tmp_path / "004_5f1c0b2a.txt"
    seed.write_text("a secret\n")
    assert new("node_upgraded", "--incident", str(seed))[0] == 0
    text = (clone / "scenarios" / "node_upgraded" / "test_node_upgraded.py").read_text()
    assert 'INCIDENT = "004_5f1c0b2a.txt"' in text
    assert "secret" not in text
    assert str(tmp_path) not in text


def test_outside_of_a_clone_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said = new("node_upgraded")
    assert code == 2
    assert "cd into your clone first" in said


def test_a_folder_of_the_clone_will_do(clone, monkeypatch):
    monkeypatch.chdir(clone / "scenarios" / "control_files")
    assert new("node_upgraded")[0] == 0
    assert (clone / "scenarios" / "node_upgraded").is_dir()
