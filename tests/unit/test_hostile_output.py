"""What a deploy tool prints may be anything: the journal and the reports stay short, readable and whole."""

import time

import pytest

from harness.clusters.living import pid_lives
from harness.journal import Journal, read
from harness.judging import judge
from harness.spec import Target
from harness.tools.deploy_tool import DeployTool, Task
from tests.judging.test_deployment_rules import Deployed

TAIL_LETTERS = 16_000  # 4000 bytes, each told as \xNN at the worst
HOSTILE = {
    "100-MB-without-a-line-end": "head -c 100000000 /dev/zero",
    "100-MB-binary": "head -c 100000000 /dev/urandom",
    "escapes": r"printf '\033[2J\033]0;title\007\033[31mERROR\033[0m\r\b\b'",
    "html": "echo '</script><script>alert(1)</script>&<b>'",
    "half-a-letter": r"printf '\303'",
    "turns-the-text-round": r"printf '\342\200\256dlrow'",
    "lines-without-end": "yes '' | head -c 20000000",
}


@pytest.fixture
def played(tmp_path, ownership):
    """Calls a tool that does this once; the entries of its journal, as read from the file, come back."""

    def play(body, timeout_seconds=60.0, program=None):
        written = tmp_path / "tool"
        written.write_text(f"#!/bin/sh\n{body}\n")
        written.chmod(0o755)
        command = (str(program or written),)
        journal = Journal(tmp_path / "journal.jsonl", time.monotonic)
        tool = DeployTool(Target("laconic-so", "laconic-so", "1"), command, timeout_seconds, loss=r"^lost (\S+)$")
        run = tool.run(Task("start"), ownership, journal, tmp_path / "tool-1.log")
        journal.seal()
        return run, read(journal.path).entries

    yield play
    (tmp_path / "tool-1.log").unlink(missing_ok=True)  # pytest keeps folders of its last runs


def ended_of(entries):
    return next(entry.data for entry in entries if entry.kind == "tool.ended")


@pytest.mark.parametrize("prints", HOSTILE.values(), ids=HOSTILE)
def test_the_journal_keeps_the_end_of_it_in_readable_letters(played, prints):
    run, entries = played(f"{prints}\nexit 7")
    ended = ended_of(entries)
    assert (ended["outcome"], ended["exit_code"]) == ("exited", 7)
    assert len(ended["output"]) <= TAIL_LETTERS
    assert all(char.isprintable() or char in "\n\t" for char in ended["output"])
    assert ended["announced"] == []
    assert run.output.exists()  # every byte of it is beside the journal


@pytest.mark.parametrize("prints", HOSTILE.values(), ids=HOSTILE)
def test_the_verdict_is_one_short_sentence(played, prints):
    _, entries = played(f"{prints}\nexit 7")
    story = Deployed().starts(code=7, output=ended_of(entries)["output"]).say(99, "case.ended")
    finding = judge("restart-succeeds", story.entries)
    assert finding.signature == "start-failed"
    assert "exit 7" in finding.reason
    assert len(finding.reason) < 500
    assert all(char.isprintable() for char in finding.reason)


def test_the_verdict_has_no_tabs():
    story = Deployed().starts(code=7, output="one\ttwo \t three\n\n").say(99, "case.ended")
    assert "one two three" in judge("restart-succeeds", story.entries).reason


def test_a_tool_that_prints_without_end_is_ended_with_its_children(played, tmp_path):
    run, entries = played(f"sleep 300 & echo $! > {tmp_path}/child; yes '<blink>' | head -c 5000000; wait", 3)
    assert (run.outcome, run.exit_code) == ("timed_out", None)
    assert ended_of(entries)["output"].count("<blink>") > 100
    child = int((tmp_path / "child").read_text())
    assert not pid_lives(child)


def test_a_tool_that_is_gone_meanwhile_is_told_as_not_started(played, tmp_path):
    run, _ = played("exit 0", program=tmp_path / "gone")
    assert (run.outcome, run.exit_code) == ("not_started", None)
    assert run.output.read_text() == f"cannot start {tmp_path}/gone: No such file or directory\n"
