"""``verdicts.json``: the findings for machines, and the proof that judging again gives the same."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from harness.errors import UsageError
from harness.run_folder import RunFolder
from reports.run import RunResult

SCHEMA = 1


def to_json(run: RunResult) -> dict[str, Any]:
    """The whole run as plain JSON values."""
    return {
        "schema": SCHEMA,
        "run": asdict(run.facts),
        "unreadable": list(run.unreadable),
        "cases": [
            {
                "case_id": case.spec.case_id,
                "scenario": case.spec.scenario,
                "target": case.spec.target.label,
                "cluster": case.spec.cluster.label,
                "incident": case.spec.incident,
                "verdict": case.verdict,
                "standing": case.standing,
                "seconds": round(case.seconds, 2),
                "journal": case.journal,
                "digest": case.digest,
                "known": case.known,
                "missing": [defect.id for defect in case.missing],
                "findings": [asdict(finding) for finding in case.findings],
            }
            for case in run.cases
        ],
    }


def save(folder: RunFolder, run: RunResult) -> None:
    """Write ``verdicts.json``."""
    (folder.path / "verdicts.json").write_text(json.dumps(to_json(run), indent=1) + "\n", encoding="utf-8")


def load(folder: RunFolder) -> dict[str, Any]:
    """Read ``verdicts.json``.

    Raises:
        UsageError: it is not there, or not of this schema.
    """
    path = folder.path / "verdicts.json"
    try:
        saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} of {folder.run_id} can't be read: {error}") from error
    if saved.get("schema") != SCHEMA:
        raise UsageError(f"{path.name} of {folder.run_id} has schema {saved.get('schema')}, not {SCHEMA}")
    return saved


def differences(saved: dict[str, Any], run: RunResult) -> list[str]:
    """Where judging again came to something else than what was saved; empty when all is the same."""
    before = {case["case_id"]: case for case in saved["cases"]}
    now = {case["case_id"]: case for case in json.loads(json.dumps(to_json(run)))["cases"]}
    told = [f"{name}: judged then, its journal is gone or unreadable now" for name in before if name not in now]
    told += [f"{name}: not among the saved verdicts" for name in now if name not in before]
    for name in sorted(before.keys() & now.keys()):
        if before[name]["digest"] != now[name]["digest"]:
            told.append(f"{name}: the journal is another one than was judged then")
        old = {finding["guarantee"]: finding for finding in before[name]["findings"]}
        new = {finding["guarantee"]: finding for finding in now[name]["findings"]}
        told += [
            f"{name}: {guarantee} was {old[guarantee]['verdict']} {old[guarantee]['signature']}, "
            f"is {new[guarantee]['verdict']} {new[guarantee]['signature']}"
            for guarantee in sorted(old.keys() & new.keys())
            if any(old[guarantee][part] != new[guarantee][part] for part in ("verdict", "signature"))
        ]
    return told
