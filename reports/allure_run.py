"""What Allure is told of a whole run: sorts of reds, what it was played on, and who played it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.run_folder import RunFolder
from reports.allure import BROKEN, DID_NOT_SHOW, FAILED, KNOWN, SHOWS
from reports.run import RunResult
from reports.world import played_on, target_of

RESULTS = "allure-results"
# Patterns have to match the whole message, and without flags: both Allure 2 (Java) and 3 (JavaScript) read them.
_REST = r"[\s\S]*"
# The first that fits counts.
CATEGORIES = (
    {
        "name": "Known defect that did not show",
        "description": "The ledger of known defects announces a red that is not there: as red as a new one.",
        "matchedStatuses": [FAILED],
        "messageRegex": rf"^{KNOWN} \S+ {DID_NOT_SHOW}{_REST}",
    },
    {
        "name": "Known defect",
        "description": "Broken just as the ledger of known defects says.",
        "matchedStatuses": [FAILED],
        "messageRegex": rf"^{KNOWN} \S+ {SHOWS}{_REST}",
    },
    {
        "name": "Broken guarantee",
        "description": "The world did not come back, and nobody knew.",
        "matchedStatuses": [FAILED],
        "messageRegex": rf"^(?!{KNOWN} ){_REST}",
    },
    {
        "name": "Inconclusive",
        "description": "Nothing can be said of the tool: a problem of the harness or of the machine.",
        "matchedStatuses": [BROKEN],
        "messageRegex": _REST,
    },
)


def save(folder: RunFolder, run: RunResult, environ: Mapping[str, str] = os.environ) -> None:
    """Write ``categories.json``, ``environment.properties`` and ``executor.json``, where a run has Allure results.

    Raises:
        OSError: they can't be written.
    """
    results = folder.path / RESULTS
    if results.is_dir():
        _write(results / "categories.json", json.dumps(CATEGORIES, indent=1))
        _write(results / "environment.properties", environment(run))
        _write(results / "executor.json", json.dumps(executor(run.facts.run_id, environ), indent=1))


def environment(run: RunResult) -> str:
    """What it was played on, as Java's properties."""
    facts = run.facts
    pairs = [
        ("tested", facts.target or target_of(run)),
        *played_on(run),
        ("seed", str(facts.seed)),
        ("shard", facts.shard),
        ("begun", facts.started_at),
        ("afterfault", facts.harness_version),
        ("ended early", facts.ended_early),
    ]
    lines = [f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)} = {_property(value)}" for name, value in pairs if value]
    return "\n".join(lines)


def executor(run_id: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Who played it: a job of GitHub's, of another CI, or a person."""
    told = {"reportName": f"afterfault {run_id}", "buildName": run_id}
    if environ.get("GITHUB_ACTIONS") != "true":
        return told | {"name": "CI" if environ.get("CI") else "local", "type": "local"}
    number, job = environ.get("GITHUB_RUN_NUMBER", ""), environ.get("GITHUB_WORKFLOW", "workflow")
    place = f"{environ.get('GITHUB_SERVER_URL', '')}/{environ.get('GITHUB_REPOSITORY', '')}"
    github = {"name": "GitHub Actions", "type": "github", "buildName": f"{job} #{number}", "url": place}
    order: dict[str, Any] = {"buildOrder": int(number)} if number.isdecimal() else {}
    return told | github | {"buildUrl": f"{place}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"} | order


def incident_page(incident: str, docs: Path, environ: Mapping[str, str]) -> str:
    """The address of an incident's page: where the job's source is, else beside this program.

    Args:
        incident: file name of the seed, as ``002_638ead7455fd6626.txt``.
        docs: folder of the pages on this machine.
        environ: of the process.
    """
    page = f"incident-{incident.partition('_')[0]}.md"
    server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
    if server and repository:
        return f"{server}/{repository}/blob/{environ.get('GITHUB_SHA', 'HEAD')}/docs/{page}"
    return (docs / page).absolute().as_uri()


def _property(value: str) -> str:
    return " ".join(value.replace("\\", "\\\\").split())


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
