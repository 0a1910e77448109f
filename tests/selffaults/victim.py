"""A whole run in a process of its own, to which something happens that is not the tool's doing."""

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.errors import WaitTimeout
from harness.run_folder import RunFolder
from harness.waiting import until
from tests.contract.leftovers import left_of

ROOT = Path(__file__).parents[2]
STORY = "scenarios/node_replacement/test_rolling_replacement.py"
CASE = "rolling_replacement/documented/3-relaxed"
# On a busy machine a run takes half a minute before it plays anything.
BEGUN_SECONDS, ENDED_SECONDS, GONE_SECONDS = 400, 600, 60


@dataclass
class Ended:
    """How a run ended.

    Args:
        code: exit code; negative for a signal.
        said: everything it printed.
        verdicts: of all findings, as its reports have them; none where it has none.
        left: what is left of it after a minute.
    """

    code: int
    said: str
    verdicts: set[str]
    left: list[str]

    def sentence(self, pattern):
        """The first line that has the pattern."""
        lines = (line.strip() for line in self.said.splitlines())
        return next((line for line in lines if re.search(pattern, line)), "")


@dataclass
class Victim:
    """A run of the faithful procedure, in which nothing breaks by itself.

    Args:
        run: its folder.
        words: more words for pytest.
        prefix: program and words to start it with.
        more: environment variables.
        story, case: what is played.
    """

    run: Path
    words: tuple = ()
    prefix: tuple = ()
    more: dict = field(default_factory=dict)
    story: str = STORY
    case: str = CASE

    def __enter__(self):
        command = [
            *self.prefix,
            sys.executable,
            "-m",
            "pytest",
            self.story,
            "-m",
            "",
            "-v",
            "--tb=line",
            "-p",
            "no:cacheprovider",
        ]
        command += ["--case", self.case, "--run-dir", str(self.run), *self.words]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        with (self.run.parent / "said.txt").open("wb") as said:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment | self.more, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def await_step(self, words):
        """Until the story has come there.

        Raises:
            WaitTimeout: it ended before, or takes too long.
        """
        log = RunFolder(self.run).progress
        until(
            lambda: (log.exists() and words in log.read_text()) or self.process.poll() is not None,
            what=f"the step {words!r}",
            deadline_seconds=BEGUN_SECONDS,
            every_seconds=0.2,
        )
        assert self.process.poll() is None, f"ended before {words!r}: {self.said[-2000:]}"

    def tree(self):
        """All living processes of the run: the harness, its reaper, etcd, the tool."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def named(self, word):
        """Those of them with a word in their command."""
        found = []
        for process in self.tree():
            with contextlib.suppress(psutil.Error):
                if any(word in part for part in process.cmdline()):
                    found.append(process)
        return found

    @property
    def said(self):
        return (self.run.parent / "said.txt").read_text(errors="replace")

    def await_end(self):
        """Its exit code."""
        return self.process.wait(ENDED_SECONDS)

    def end(self):
        """Wait for its end, and for what is left to go."""
        code = self.await_end()
        with contextlib.suppress(WaitTimeout):
            until(lambda: not left_of(self.run), what="it all to go", deadline_seconds=GONE_SECONDS, every_seconds=1.0)
        file = self.run / "verdicts.json"
        cases = json.loads(file.read_text())["cases"] if file.exists() else []
        return Ended(code, self.said, {f["verdict"] for case in cases for f in case["findings"]}, left_of(self.run))
