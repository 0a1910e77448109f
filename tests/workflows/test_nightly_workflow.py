"""The nightly workflow without GitHub: a linter reads it, and every ``run:`` of every job is executed as a dry run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.plugin.options import required
from tests.workflows.workflow_linter import built_linter

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".github/workflows/nightly.yml"
JOB = yaml.safe_load(FILE.read_text())["jobs"]["night"]
NIGHTS = JOB["strategy"]["matrix"]["include"]
STEPS = [step for step in JOB["steps"] if "run" in step]

# What a step calls, in front on PATH: what would install or need root is written down and done for show.
SHOWN = {
    "afterfault": f"""
        case "$1" in
          nightly) exec "{sys.executable}" -c 'from harness.cli import main; main()' "$@" --dry-run ;;
          history) exec "{sys.executable}" -c 'from harness.cli import main; main()' "$@" ;;
          *) exec "{sys.executable}" -c 'from harness.cli import main; main()' "$1" "$2" --help ;;
        esac
    """,
    "python": """
        [ "$1 $2" = "-m venv" ] || exit 0
        mkdir -p "$3/bin"
        printf '#!/bin/sh\\ntouch "$(dirname "$0")/laconic-so"; chmod +x "$(dirname "$0")/laconic-so"\\n' > "$3/bin/pip"
        chmod +x "$3/bin/pip"
    """,
    "sudo": 'case "$1" in scripts/*) test -x "$ROOT/$1" ;; esac',
}


@pytest.fixture
def job(tmp_path):
    """Runs the steps of one night of the matrix one after another, as a runner does; returns what each said."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in SHOWN.items():
        (programs / name).write_text(f"#!/bin/bash\necho \"${{0##*/}} $*\" >> '{tmp_path}/called'\n{text}\n")
        (programs / name).chmod(0o755)
    work = tmp_path / "work"
    (work / "runs").mkdir(parents=True)
    (work / "runs/history.jsonl").touch()

    def run(night, **environment):
        told = {}
        for step in STEPS:
            if step.get("if", "").startswith("matrix.needs") and night["needs"] not in step["if"]:
                continue
            if step.get("if", "").startswith("matrix.night ==") and night["night"] not in step["if"]:
                continue
            known = {
                "MINUTES": "60",
                "LEGS": night["legs"],
                "REQUIRE": night["require"],
                "RELEASE": "",
                "MAIN": "",
                "KNOWN_BAD": "",
            }
            path = f"{programs}:{os.environ['PATH']}"
            home = {
                "HOME": str(tmp_path),
                "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            }
            (tmp_path / ".cache/afterfault").mkdir(parents=True, exist_ok=True)
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=work,
                env=os.environ
                | known
                | home
                | {"PATH": path, "PYTHONPATH": str(ROOT), "ROOT": str(ROOT)}
                | environment,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            told[step.get("name")] = (done.returncode, done.stdout + done.stderr)
        return told

    return run


def test_the_linter_finds_nothing(pytestconfig):
    linter = built_linter(pytestconfig)
    words = [str(linter), "-no-color", "-shellcheck=", "-pyflakes=", str(FILE)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_linter_would_find_something(pytestconfig, tmp_path):
    (tmp_path / "bad.yml").write_text(FILE.read_text().replace("matrix.legs", "matrix.lags", 1))
    words = [str(built_linter(pytestconfig)), "-no-color", str(tmp_path / "bad.yml")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "lags" in done.stdout


def test_nothing_from_outside_is_pasted_into_a_script():
    assert not [step for step in STEPS if "${{" in step["run"]]


def test_every_action_is_named_with_its_major_version():
    used = [step["uses"] for step in JOB["steps"] if "uses" in step]
    assert used
    assert all(name.partition("@")[2].removeprefix("v").isdigit() for name in used)


def is_made_before(lack, called):
    """Whether a step called the command that mends it; here it was done for show."""
    mends = re.findall(r"afterfault images [a-z0-9-]+(?: --all)?", lack)
    return any(mend in called for mend in mends)


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night["night"])
def test_every_step_is_a_dry_run_away(night, job, tmp_path, pytestconfig):
    builds = {"RELEASE": "a", "MAIN": "b", "KNOWN_BAD": "c"} if night["night"] == "laconic-so" else {}
    told = job(night, **builds)
    code, said = told.pop("The night")
    assert not {name: what for name, what in told.items() if what[0]}, told
    assert night["legs"].rstrip("*") in said
    lacking = re.findall(r"NOT HERE .*", said)
    unmade = [lack for lack in lacking if not is_made_before(lack, (tmp_path / "called").read_text())]
    if unmade and not required(pytestconfig):
        pytest.skip(f"not here: {unmade[-1]}")
    assert not unmade, "no step before it makes what the night says it lacks"
    assert code == (4 if lacking and night["require"] else 0), said
    assert " -m pytest " in said or "NOT HERE" in said


def test_builds_are_handed_over_by_their_labels(job):
    (night,) = [night for night in NIGHTS if night["night"] == "laconic-so"]
    _, said = job(night, MAIN="laconic-so @ git+https://example.org/main")["The night"]
    assert "laconic-so-main" in said
    assert "laconic-so-release: nobody said where it is" in said
    assert "laconic-so-main: nobody said where it is" not in said
