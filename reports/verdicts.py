"""``verdicts.json``: the findings for machines, and the proof that judging again gives the same."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.judging import Verdict
from harness.run_folder import RunFolder
from reports.flakes import flakes
from reports.run import RunResult

SCHEMA = 1


class _Schema(msgspec.Struct):
    schema: int


class _Finding(msgspec.Struct):
    guarantee: str
    verdict: Verdict
    signature: str


class _Case(msgspec.Struct):
    case_id: str
    digest: str
    findings: list[_Finding]
    play_id: str = ""


class _Saved(msgspec.Struct):
    """What `differences` leans on; the rest of the file is for others to read."""

    cases: list[_Case]


def to_json(run: RunResult) -> dict[str, Any]:
    """The whole run as plain JSON values."""
    return {
        "schema": SCHEMA,
        "run": asdict(run.facts),
        "unreadable": list(run.unreadable),
        "repeats": [flake.to_json() for flake in flakes(run)],
        "cases": [
            {
                "case_id": case.spec.case_id,
                "play_id": case.spec.play_id,
                "repetition": case.spec.repetition,
                "seed": case.spec.seed,
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
        UsageError: it is not there, not of this schema, or a case in it is not whole.
    """
    path = folder.path / "verdicts.json"
    try:
        saved: Any = json.loads(path.read_text(encoding="utf-8"))
        schema = msgspec.convert(saved, _Schema).schema
        if schema != SCHEMA:
            raise UsageError(f"{path.name} of {folder.run_id} has schema {schema}, not {SCHEMA}")
        msgspec.convert(saved, _Saved)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} of {folder.run_id} can't be read: {error}") from error
    return dict(saved)


def differences(saved: dict[str, Any], run: RunResult) -> list[str]:
    """Where judging again came to something else than what was saved; empty when all is the same."""
    # a run of before there were repeats has one play of each case
    before = {case.get("play_id") or case["case_id"]: case for case in saved["cases"]}
    now = {case["play_id"]: case for case in json.loads(json.dumps(to_json(run)))["cases"]}
    told = [f"{name}: judged then, its journal is gone or unreadable now" for name in before if name not in now]
    told += [f"{name}: not among the saved verdicts" for name in now if name not in before]
    for name in sorted(before.keys() & now.keys()):
        if before[name]["digest"] != now[name]["digest"]:
            told.append(f"{name}: the journal is another one than was judged then")
        old = {finding["guarantee"]: finding for finding in before[name]["findings"]}
        new = {finding["guarantee"]: finding for finding in now[name]["findings"]}
        told += [
            f"{name}: {guarantee} was {_said(old.get(guarantee))}, is {_said(new.get(guarantee))}"
            for guarantee in sorted(old.keys() | new.keys())
            if _said(old.get(guarantee)) != _said(new.get(guarantee))
        ]
    return told


def _said(finding: dict[str, Any] | None) -> str:
    return f"{finding['verdict']} {finding['signature']}".strip() if finding else "not judged"
