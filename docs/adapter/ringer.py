"""ringer as a tool under test: it reads an inventory where others read their environment."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clusters.ownership import Ownership
from harness.errors import MachineError, UsageError
from harness.journal import Journal
from harness.spec import Target
from harness.tools.bounded_answer import ask
from harness.tools.deploy_tool import DeployTool, Task, ToolRun
from harness.waiting import SYSTEM_CLOCK, Clock

NAME = "ringer"
_VERSION = re.compile(r"^ringer (\d+\.\d+\.\d+)$", re.MULTILINE)
_MEND = f"give the path of {NAME}, as BUILD/bin/{NAME}"


@dataclass(frozen=True)
class Ringer(DeployTool):
    """A build of ringer under test; see `DeployTool` for its fields."""

    @classmethod
    def examine(cls, path: str, answer_seconds: float = 30.0) -> Ringer:
        """Find out what a program is, by asking it; no cluster is touched.

        Args:
            path: what the user gave.
            answer_seconds: for its one question.

        Raises:
            UsageError: it is not there, not executable, or another program.
            MachineError: it can't be started here, or does not answer in time.
        """
        program = shutil.which(path)
        if program is None:
            raise UsageError(f"{path!r} is not there, or not executable", mend=_MEND)
        answer = ask((program, "version"), {"PATH": os.environ.get("PATH", os.defpath)}, answer_seconds)
        if answer.flaw:
            raise MachineError(f"{program}: `version` {answer.flaw}", mend=f"see why: {program} version")
        version = _VERSION.search(answer.text)
        if version is None:
            raise UsageError(f"{program} is not {NAME}: `version` said {answer.first_words!r}", mend=_MEND)
        return cls(Target(NAME, NAME, version[1]), (str(Path(program).absolute()),), timeout_seconds=120.0)

    def run(
        self, task: Task, ownership: Ownership, journal: Journal, output: Path, clock: Clock = SYSTEM_CLOCK
    ) -> ToolRun:
        """Write the inventory beside what it prints, and call it by its own words."""
        inventory = output.with_suffix(".inventory.json")
        inventory.parent.mkdir(parents=True, exist_ok=True)
        inventory.write_text(json.dumps(_inventory(task.environment)), encoding="utf-8")
        words = (*self.command, "swap", task.old, task.new, "--inventory", str(inventory))
        return super().run(replace(task, command=words), ownership, journal, output, clock)


def _inventory(told: dict[str, str]) -> dict[str, object]:
    """The task's variables (docs/your-own-tool.md), as this tool wants to read them."""
    up = told["AFTERFAULT_CLIENT_URLS"].split(",")
    return {
        "nodes": {
            told[f"AFTERFAULT_{role}_NAME"]: {
                "peer": told[f"AFTERFAULT_{role}_PEER_URL"],
                "client": told[f"AFTERFAULT_{role}_CLIENT_URL"],
            }
            for role in ("OLD", "NEW")
        },
        "endpoints": ",".join(url for url in up if url != told["AFTERFAULT_OLD_CLIENT_URL"]),
        "power": told["AFTERFAULT_NODE"].split(),
        "snapshot": str(Path(told["AFTERFAULT_SNAPSHOTS"]) / "before.db"),
    }
