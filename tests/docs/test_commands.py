"""Every command that README.md and docs/ tell people to type is played, or is in a table with the reason why not.

What is not played is looked at all the same: its program, its options, its session, its files are there.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Command, blocks, commands, name_of, spans
from tests.docs.plan import LONG_PAGES, NOT_PLAYED, PLACEHOLDERS, PLAYED, PLAYED_CASE, RUN, Play
from tests.docs.words import WordsWrong, check

ALL = [command for page in PAGES for command in commands(page)]
PAGES_PLAYED = sorted({command.page for command in ALL if command.text in PLAYED.get(command.page, {})})
SLOW = [page for page in PAGES_PLAYED if any(play.slow for play in PLAYED[page].values())]
_SECONDS = 600
_OURS = ("afterfault ", "pytest ", "nox ", "sudo scripts/", "scripts/")
# Left out of a copy: results, and what tools keep for themselves.
_NOT_COPIED = shutil.ignore_patterns(
    ".git", "runs", ".nox", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "dist", "node_modules"
)


@pytest.mark.parametrize("command", ALL, ids=str)
def test_no_command_is_forgotten(command):
    tables = [name for name, table in (("PLAYED", PLAYED), ("NOT_PLAYED", NOT_PLAYED)) if _is_in(command, table)]
    assert len(tables) == 1, f"{command}: put it into PLAYED or NOT_PLAYED of tests/docs/plan.py; it is in {tables}"


def _is_in(command, table):
    return command.text in table.get(command.page, {})


def test_the_tables_name_only_what_is_in_the_docs():
    there = {(command.page, command.text) for command in ALL}
    planned = [(page, text) for table in (PLAYED, NOT_PLAYED) for page, rows in table.items() for text in rows]
    assert not [f"{page}: {text}" for page, text in planned if (page, text) not in there]
    assert len(planned) == len(set(planned))


def test_whatever_is_left_out_or_trimmed_says_why():
    assert all(reason for rows in NOT_PLAYED.values() for reason in rows.values())
    assert all(play.why for rows in PLAYED.values() for play in rows.values() if play.add)


@pytest.mark.parametrize("command", ALL, ids=str)
def test_commands_can_be_typed(command, pytestconfig):
    check(command.text, pytestconfig)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_prose_can_be_typed(page, pytestconfig):
    wrong = []
    for span in spans(page):
        if span.startswith(_OURS) and "..." not in span:
            try:
                check(span, pytestconfig)
            except WordsWrong as error:
                if "Missing " in str(error):  # it is named there, not called
                    continue
                wrong.append(f"`{span}`: {error}")
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_our_commands_are_nowhere_but_in_console_blocks(page):
    """A block of another sort would not be looked at."""
    indented = re.findall(r"(?<=\n\n) {4}(\S.*)", _without_fences(page))
    others = [
        line
        for sort in ("", "sh", "bash", "shell", "text")
        for _, body in blocks(page, sort)
        for line in body.split("\n")
    ]
    assert not [line for line in [*indented, *others] if line.removeprefix("$ ").startswith(_OURS)]


def _without_fences(page):
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder of runs with one of one case, and the history that it is in."""
    copy = Copy(tmp_path_factory.mktemp("finished") / "clone")
    code, said = copy.type(f"pytest scenarios --case {PLAYED_CASE} --run-dir {RUN} --seed 7")
    assert code == 0, said
    code, said = copy.type(f"afterfault history add {RUN} --file runs/history.jsonl")
    assert code == 0, said
    return copy.folder / "runs"


@pytest.mark.etcd
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page in LONG_PAGES)) for page in PAGES_PLAYED]
)
def test_the_commands_of_a_page_do_what_it_says(page, finished, tmp_path):
    play_page(page, finished, tmp_path, slow=False)


@pytest.mark.etcd
@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_the_long_commands_of_a_page_too(page, finished, tmp_path):
    play_page(page, finished, tmp_path, slow=True)


def play_page(page, finished, tmp_path, *, slow):
    """All its commands in order, in one copy of the project that has a finished run and a script of the reader's."""
    copy = Copy(tmp_path / "clone")
    shutil.copytree(finished, copy.folder / "runs", dirs_exist_ok=True)
    (copy.folder / "store").mkdir()
    copy.write_script()
    for command in (command for command in ALL if command.page == page):
        play = PLAYED[page].get(command.text)
        if play is not None and (slow or not play.slow):
            code, said = copy.type(trimmed(command.text, play))
            assert code in play.exits, f"{command}\nended with {code}, said:\n{said[-6000:]}"
            if play.told:
                assert_told(command, said)


def trimmed(text, play):
    """By the rules of tests/docs/plan.py, and by no others."""
    text = re.sub(r"^nox -s (scenarios|tests)( --(?= |$))?", r"pytest \1", f"{text} {play.add}".strip())
    return re.sub(rf"(?<![\w-])({'|'.join(PLACEHOLDERS)})(?![\w-])", lambda found: PLACEHOLDERS[found[1]], text)


def assert_told(command, said):
    """Each line below a command is in what it prints, in that order; `...` is any text, and figures may differ."""
    at = 0
    for line in filter(str.strip, command.told):
        pattern = ".*?".join(_any_figure(part) for part in line.strip().split("..."))
        found = re.search(pattern, said[at:])
        assert found, f"{command}\nthe page shows {line!r}, and it said:\n{said[-6000:]}"
        at += found.end()


def _any_figure(text):
    return r"\d+(?:\.\d+)?".join(re.escape(part) for part in re.split(r"\d+(?:\.\d+)?", text))


class Copy:
    """What a fresh clone is like: the files of the project, this environment in front on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
        (folder / "runs").mkdir()

    def type(self, text: str) -> tuple[int, str]:
        """Run a line of shell there; its exit code and all that it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "AFTERFAULT_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = kept | {"PATH": path, "PYTHONPATH": str(self.folder), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            ["bash", "-c", text], cwd=self.folder, env=environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            said = process.communicate(timeout=_SECONDS)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return -1, process.communicate()[0]
        return process.returncode, said

    def write_script(self) -> None:
        """The script that docs/your-own-tool.md begins with, as pages call it."""
        (body,) = [body for _, body in blocks(ROOT / "docs" / "your-own-tool.md", "sh") if body.startswith("#!")]
        script = self.folder / "replace-node.sh"
        script.write_text(body)
        script.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "play", "typed"),
    [
        ("nox -s scenarios", Play("--case A"), "pytest scenarios --case A"),
        ("nox -s scenarios -- -k x", Play(), "pytest scenarios -k x"),
        ("afterfault gate RUN", Play(), f"afterfault gate {RUN}"),
        (
            "afterfault history add RUN --history DIR/RUNS",
            Play(),
            f"afterfault history add {RUN} --history runs/made/RUNS",
        ),
    ],
)
def test_trimming_keeps_to_its_rules(text, play, typed):
    assert trimmed(text, play) == typed


def test_what_is_told_is_held_to_its_order_and_words():
    command = Command("page", 1, "say", ("at 3.1 s: done", "...kept"))
    assert_told(command, "at 17 s: done\nall kept\n")
    for said in ("at 17 s: failed\nkept", "kept\nat 17 s: done"):
        with pytest.raises(AssertionError, match="the page shows"):
            assert_told(command, said)


@pytest.mark.parametrize(
    "text",
    [
        "afterfault juggle", "afterfault gate", "afterfault gate RUN --fast", "pytest scenarios --fast",
        "pytest nowhere", "nox -s nothing", "nox", "nox -s scenarios -- --fast", "sudo scripts/docker-engine --fast",
        "scripts/nothing", "no-such-program", "true && afterfault juggle", "afterfault 'rejudge",
    ],
)  # fmt: skip
def test_words_that_cannot_be_typed_are_seen(text, pytestconfig):
    with pytest.raises(WordsWrong):
        check(text, pytestconfig)


@pytest.mark.parametrize(
    "text",
    [
        "afterfault gate RUN", "A=b afterfault doctor --only etcd", "sudo scripts/docker-engine --check", "nox -s lint",
        'nox -s scenarios -- --replace-command "./my --yes"', "afterfault doctor && ls", "./mine --whatever",
        "afterfault repro ID -- --laconic-so ./laconic-so", "cat docs/tutorial.md | head",
    ],
)  # fmt: skip
def test_words_that_can_be_typed_pass(text, pytestconfig):
    check(text, pytestconfig)
