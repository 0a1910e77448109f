"""What is given as laconic-so may be anything: a clear sentence, a documented exit code, and nothing is left."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELP = "printf 'Commands:\\n  deploy  a stack\\n  deployment  manage one\\n'"
TOO_OLD = f"#!/bin/sh\ncase $1 in version) echo 1.0.3;; --help) {HELP};; *) echo no such command >&2; exit 2;; esac\n"


@pytest.fixture
def given(tmp_path):
    """Makes the program of a test; the path it gets as an option comes back."""

    def make(content, mode=0o755):
        path = tmp_path / "laconic-so"
        path.write_bytes(content.encode("latin-1"))
        path.chmod(mode)
        return str(path)

    return make


def refused(tmp_path, path):
    """Exit code and words of a run with it; nothing of it is left, neither files nor a run's folder."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    words = ["scenarios", "-q", "-p", "no:cacheprovider", "--run-dir", str(tmp_path / "run"), f"--laconic-so={path}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT, env=plain | {"TMPDIR": str(temporary)}, capture_output=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert not (tmp_path / "run").exists()
    assert list(temporary.iterdir()) == []
    said = (done.stdout + done.stderr).decode()  # whatever it printed, ours is text
    assert "Traceback" not in said
    assert len(said) < 1500
    assert all(char.isprintable() or char in "\n\t" for char in said)
    return done.returncode, said


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "--laconic-so is empty"),
        ("/nowhere/laconic-so", "/nowhere/laconic-so is not there"),
        (".", "--laconic-so . is a folder"),
        ("./README.md", "README.md is not executable"),
        ("/bin/true", "/bin/true is not laconic-so: `version` ended with 0"),
    ],
)
def test_a_wrong_path_is_wrong_usage(tmp_path, path, sentence):
    code, said = refused(tmp_path, path)
    assert code == 2
    assert sentence in said
    assert "mend: " in said


def test_a_build_that_is_too_old_is_told_so(tmp_path, given):
    code, said = refused(tmp_path, given(TOO_OLD))
    assert code == 2
    assert "(1.0.3) is too old" in said
    assert "mend: take a build" in said


@pytest.mark.parametrize(
    "prints",
    [
        "head -c 100000000 /dev/zero",
        "head -c 100000000 /dev/urandom",
        "printf '\\033[2J\\033]0;title\\007\\033[31mERROR'",
        "echo '<html><body><script>alert(1)</script>502 Bad Gateway</body></html>'",
    ],
    ids=["100-MB-without-a-line-end", "100-MB-binary", "escapes", "html"],
)
def test_hostile_words_are_wrong_usage_in_a_short_sentence(tmp_path, given, prints):
    code, said = refused(tmp_path, given(f"#!/bin/sh\n{prints}\n"))
    assert code == 2
    assert re.search(r"laconic-so is not laconic-so: `version` (ended with|printed more than)", said)


def test_a_program_without_its_interpreter_is_the_machines_fault(tmp_path, given):
    code, said = refused(tmp_path, given("#!/nowhere/python\n"))
    assert code == 4
    assert "can't be started" in said
    assert "install the tool anew" in said
