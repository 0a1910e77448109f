"""A story over a deployment with a tool that makes no cluster and prints what it likes: judged, told, cleaned up."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from harness.spec import KindSpec
from harness.stages.kind import kind_setup
from harness.stages.stage import KindWords
from tests.kind.needs import kind_needed
from tests.unit.test_laconic_so import PROGRAM, script

pytestmark = [pytest.mark.kind, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
STORY = "scenarios/interrupted_start/test_interrupted_start.py"
# A hundred megabytes of any bytes, half of a letter, escapes and a page, and no line end at all.
HOSTILE = """
elif words[0] == "deployment" and "--help" not in words:
    import os
    for _ in range(100):
        sys.stdout.buffer.write(os.urandom(10**6).replace(b"\\n", b""))
    sys.stdout.buffer.write(b"\\xc3\\x1b[2J\\x1b]0;title\\x07</script><script>alert(1)</script>")
elif words[0] == "deployment":"""


def test_the_world_is_judged_and_nothing_is_left(tmp_path, pytestconfig):
    with kind_needed(pytestconfig):
        kind_setup(KindWords(), KindSpec()).engine.close()
    text = PROGRAM.format(python=sys.executable, generation="new")
    path = script(tmp_path, text.replace('elif words[0] == "deployment":', HOSTILE.strip(), 1))
    run = tmp_path / f"hostile-{os.getpid()}"  # its things in the engine are labelled by that name
    words = [STORY, "-m", "", "-k", "creating-tool-killed", "-q", "-p", "no:cacheprovider", "-n", "0"]
    words += [f"--laconic-so={path}", f"--run-dir={run}", "--require=docker,kind"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, env=plain, capture_output=True, timeout=900, check=False
    )
    said = done.stdout.decode()
    (case,) = json.loads((run / "verdicts.json").read_text())["cases"]
    verdicts = {finding["guarantee"]: finding["verdict"] for finding in case["findings"]}
    # nothing was cut, for the tool never called kind: that blames nobody
    assert set(verdicts.values()) == {"INCONCLUSIVE"}, said[-3000:]
    assert done.returncode == 3
    assert len(said) < 100_000
    assert "<script>alert" not in (run / "report.html").read_text()
    with contextlib.closing(docker.from_env()) as engine:
        left = engine.containers.list(all=True, filters={"label": "afterfault.run"}, ignore_removed=True)
        assert not [one.name for one in left if str(one.labels["afterfault.run"]).startswith(run.name + "-")]
    assert not (run / "work").exists() or not list((run / "work").rglob("*"))
