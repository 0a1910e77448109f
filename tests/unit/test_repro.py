"""`afterfault repro` finds what an ID means, and hands it to pytest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import UsageError
from harness.repro import cases_of, find
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, DeploymentSpec, Target

POINTS = ("api:create:namespaces:shop:1:before", "api:create:namespaces:shop:1:after")
SKIP, APPLY = "every_cut/ingress-skip/kind-1-new", "every_cut/ingress-apply/kind-1-new"


def spec(variant, scenario="every_cut", tool="reference"):
    shape = DeploymentSpec(in_use=False, secrets="none")
    return CaseSpec(scenario, "001.txt", Target(tool, variant), shape, ("every-cut-recovers",), seed=7)


def write(run, case, *more, end=""):
    folder = run / "cases" / case.case_id.replace("/", "__")
    folder.mkdir(parents=True)
    entries = [{"kind": "case.opened", "data": {"spec": case.to_json()}}, *more]
    (folder / "journal.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries) + end)


@pytest.fixture
def run(tmp_path):
    """Two sweeps, one of them stopped half-way, and a story."""
    learnt = {"kind": "sweep.learnt", "data": {"points": POINTS, "cuts": "sample:4"}}
    write(tmp_path, spec("ingress-skip"), learnt, end='{"kind": "sweep.le')
    write(tmp_path, spec("ingress-apply"), learnt | {"data": {"points": (POINTS[0], "other"), "cuts": "all"}})
    write(tmp_path, spec("faithful", "stop_and_start"))
    return tmp_path


def found(run, wanted):
    case, cut = find(list(cases_of(RunFolder(run))), wanted)
    return case.words(cut)


def test_a_case_is_played_with_its_seed(run):
    assert found(run, "stop_and_start/faithful/kind-1-new") == [
        "--case", "stop_and_start/faithful/kind-1-new", "--seed", "7"
    ]  # fmt: skip


def test_a_whole_sweep_tries_the_same_points_again(run):
    assert found(run, SKIP) == ["--case", SKIP, "--seed", "7", "--cuts", "sample:4"]


def test_a_cut_is_named_with_its_case(run):
    assert found(run, f"{APPLY}@{POINTS[0]}") == ["--case", APPLY, "--seed", "7", "--cuts", POINTS[0]]


def test_a_cut_that_only_one_case_has_needs_no_case(run):
    assert found(run, POINTS[1])[1] == SKIP
    with pytest.raises(UsageError, match=f"2 cases have.*\n.*{APPLY}@{POINTS[0]}, {SKIP}@"):
        found(run, POINTS[0])


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("every_cut/ingress-skp/kind-1-new", f"no case and no cut point.*\n.*nearest are {SKIP}"),
        (f"{SKIP}@api:create:namespace:shop:1:after", f"no cut point.*\n.*nearest are {SKIP}@{POINTS[1]}"),
        ("stop_and_start/faithful/kind-1-new@x", "no cut point x\n.*a run without a sweep has no cut points"),
        ("api:create:namespaces:shop:1", f"\n.*nearest are {POINTS[1]}, {POINTS[0]}"),
    ],
)
def test_an_unknown_id_names_the_nearest(run, wanted, near):
    with pytest.raises(UsageError, match=near):
        found(run, wanted)


def call(*words):
    return CliRunner().invoke(main, ["repro", *map(str, words)])


def test_the_command_is_printed(run):
    done = call("--dry-run", "--run", run, f"{SKIP}@{POINTS[1]}", "--", "--node-image", "x")
    root = Path(__file__).parents[2]
    expected = (
        f"cd {root} && {sys.executable} -m pytest scenarios -m '' -v --case {SKIP} --seed 7 --cuts {POINTS[1]} "
        "--keep=on-failure --node-image x\n"
    )
    assert (done.exit_code, done.output) == (0, expected)
    assert "--keep" not in call("--dry-run", "--no-keep", "--run", run, SKIP).output


def test_it_ends_as_pytest_does(run, monkeypatch):
    calls = []
    ended = subprocess.CompletedProcess((), 1)
    monkeypatch.setattr("harness.repro.subprocess.run", lambda *words, **_: calls.append(words) or ended)
    assert call("--run", run, SKIP).exit_code == 1
    assert len(calls) == 1


def test_wrong_usage_ends_with_2(run, tmp_path):
    for words in (["--run", run, "nothing"], ["--run", tmp_path / "none", SKIP], []):
        assert call(*words).exit_code == 2


def test_a_users_tool_has_to_be_named(run):
    write(run, spec("laconic-so", "stop_and_start", "laconic-so"))
    case = "stop_and_start/laconic-so/kind-1-new"
    done = call("--dry-run", "--run", run, case)
    assert done.exit_code == 2
    assert "-- --laconic-so PATH" in done.output
    assert call("--dry-run", "--run", run, case, "--", "--laconic-so", "./x").exit_code == 0
