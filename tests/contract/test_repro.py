"""One red case from nothing to gone: played, packed, moved, judged, reported, played again from the bundle alone."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.clusters.lease import lease_files
from harness.clusters.ownership import LABEL_VARIABLE, owned_processes
from harness.waiting import until

ROOT = Path(__file__).parents[2]
CASE = "rolling_replacement/incident/3-relaxed"
FILE = "rolling_replacement__incident__3-relaxed.afterfault.tar.gz"
# What a checkout has that a run needs.
SOURCES = ("harness", "reports", "scenarios", "conftest.py", "pyproject.toml")
pytestmark = pytest.mark.etcd


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another checkout, without any run in it; leases of its own."""
    place = tmp_path_factory.mktemp("elsewhere")
    for name in SOURCES:
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__", ".mypy_cache")
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=ignore)
        else:
            shutil.copyfile(source, place / name)
    return place


@pytest.fixture(scope="module")
def environment(elsewhere):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", LABEL_VARIABLE))}
    return kept | {"PYTHONPATH": str(elsewhere), "XDG_CACHE_HOME": str(elsewhere / "cache"), "SHELL": "/bin/sh"}


@pytest.fixture(scope="module")
def call(environment, elsewhere):
    def run(*words, typed=None, cwd=elsewhere, seconds=600):
        code = "from harness.cli import main; main()"
        command = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(
            command, cwd=cwd, env=environment, input=typed, capture_output=True, text=True, timeout=seconds, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def packed(elsewhere, environment, call, tmp_path_factory):
    """A bundle, alone in a folder; the run that it is from is gone."""
    run = elsewhere / "first"
    words = ["scenarios", "-m", "", "--case", CASE, "--seed", "11", "--run-dir", str(run), "-q"]
    said = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider"],
        cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    line = (run / "cases" / CASE.replace("/", "__") / "repro.txt").read_text()
    assert line == f"afterfault repro {CASE} --run first\n"
    assert line.strip() in (run / "summary.md").read_text() or "red as known" in said.stdout
    assert call("bundle", run, CASE) == (0, f"{FILE}\n")
    alone = tmp_path_factory.mktemp("alone")
    shutil.move(elsewhere / FILE, alone)
    before = (run / "verdicts.json").read_text()
    shutil.rmtree(run)
    return alone / FILE, json.loads(before)


def test_it_is_judged_and_reported_elsewhere(packed, call):
    bundle, _ = packed
    assert call("rejudge", FILE, cwd=bundle.parent) == (0, "1 case, 12 findings judged again: 0 differ\n")
    assert call("gate", FILE, cwd=bundle.parent)[0] == 0, "red as known"
    code, said = call("report", FILE, cwd=bundle.parent)
    assert code == 0
    assert CASE in Path(said.strip()).read_text()


def reds(verdicts):
    [case] = verdicts["cases"]
    return {finding["guarantee"]: finding["verdict"] for finding in case["findings"]}


def assert_as_it_was(said):
    """Each guarantee as it was then, and the named one by the same sign too.

    Whether the new node was not put in yet or not serving yet, when patience ended, is a matter of the moment.
    """
    [line] = re.findall(r"^then: .*$", said, re.MULTILINE)
    assert re.match("then: the same($|, seen otherwise: )", line), line
    assert "no-ghost-member" not in line


def run_of(said):
    return Path(re.search(r"--run-dir (\S+)", said).group(1))


def nothing_is_left(environment, run):
    """No process of it, no lease of this checkout, no data."""
    places = list((Path(environment["XDG_CACHE_HOME"]) / "afterfault" / "leases").glob("*"))
    labels = [name for name in (path.stem for path in lease_files()) if name.startswith(run.name)]
    return not (places or labels or (run / "work").exists() or list(run.glob("cases/*/kept.json")))


def test_it_is_played_again_and_kept_until_it_is_removed(packed, call, environment):
    bundle, before = packed
    code, said = call("repro", FILE, "--keep", cwd=bundle.parent)
    run = run_of(said)
    assert code == 0, said
    assert reds(json.loads((run / "verdicts.json").read_text())) == reds(before)
    assert "broken: no-ghost-member: " in said
    assert_as_it_was(said)
    assert Path(re.search(r"^journal: (.*)$", said, re.MULTILINE).group(1)).exists()
    [kept] = [json.loads(path.read_text()) for path in run.glob("cases/*/kept.json")]
    label = kept["label"]
    assert owned_processes(label)

    way_in = said[said.index("to get in:\n") + len("to get in:\n") : said.index("to remove it:")]
    got_in = subprocess.run(["/bin/sh", "-e"], input=way_in, capture_output=True, text=True, timeout=60, check=False)
    assert "ENDPOINT" in got_in.stdout, got_in.stderr

    removal = shlex.split(said[said.index("to remove it:\n") :].splitlines()[1])
    assert removal[:3] == ["afterfault", "gc", "--run"]
    code, told = call(*removal[1:], cwd=bundle.parent)
    assert code == 0, told
    until(lambda: not owned_processes(label), what="nothing to be left", deadline_seconds=30)
    assert nothing_is_left(environment, run)
    assert call(*removal[1:], cwd=bundle.parent) == (0, "nothing to remove\n")
    assert call("gc", "--run", run.name) == (
        2,
        f"afterfault: no run {run.name} left anything here\n  mend: give its folder; those that did: none\n",
    )


def test_a_shell_is_opened_in_it_and_the_cluster_goes_with_the_shell(packed, call, environment):
    bundle, _ = packed
    typed = "pwd\netcdctl endpoint status --write-out=fields\necho in: $ETCDCTL_ENDPOINTS\nexit 3\n"
    code, said = call("repro", FILE, "--shell", typed=typed, cwd=bundle.parent)
    run = run_of(said)
    assert code == 0, "pytest's, not the shell's"
    assert f"{run}\n" in said
    assert '"Endpoint"' in said
    assert re.search(r"^in: http://127\.", said, re.MULTILINE)
    assert "removing" in said
    assert nothing_is_left(environment, run)


def test_no_keep_leaves_nothing(packed, call, environment):
    bundle, _ = packed
    code, said = call("repro", FILE, "--no-keep", cwd=bundle.parent)
    assert code == 0, said
    assert_as_it_was(said)
    assert "to get in" not in said
    assert nothing_is_left(environment, run_of(said))
