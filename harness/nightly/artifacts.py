"""What a night leaves for others: reports, journals, a failure bundle for every red; in one folder to carry away."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.nightly.outcome import Outcome
from harness.replay import bundle
from harness.run_folder import RunFolder
from reports.run import RunResult

_FILES = ("report.html", "summary.md", "verdicts.json", "run.json", "junit.xml", "known_defects.yaml", "progress.log")
_JOURNALS = "journals.tar.gz"
# GitHub's limit for one step is 1 MiB; what is longer is refused as a whole.
_MOST_SUMMARY_BYTES = 900_000


def collect(folder: Path, outcomes: Sequence[Outcome]) -> list[str]:
    """Fill `folder` with one folder a leg; returns a sentence for each bundle that could not be packed.

    Raises:
        OSError: the disk does not take it.
    """
    told: list[str] = []
    for outcome in outcomes:
        if outcome.folder is None or not outcome.folder.path.is_dir():
            continue
        place = folder / outcome.leg.name
        place.mkdir(parents=True)
        for name in _FILES:
            if (outcome.folder.path / name).is_file():
                shutil.copy2(outcome.folder.path / name, place / name)
        _pack_journals(outcome.folder, place / _JOURNALS)
        if outcome.run is not None:
            told += _pack_reds(outcome.folder, outcome.run, place / "bundles")
    return told


def tell_step(text: str) -> None:
    """Add a night's summary to the step summary of a CI job, where there is one."""
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    cut = text.encode()[:_MOST_SUMMARY_BYTES].decode(errors="ignore")
    with Path(place).open("a", encoding="utf-8") as file:
        file.write(cut + ("\n\n(cut here; summary.md has all of it)\n" if len(cut) < len(text) else "\n"))


def _pack_journals(folder: RunFolder, target: Path) -> None:
    """Journals are the evidence: everything else can be made again from them."""
    with tarfile.open(target, "w:gz") as archive:
        for journal in sorted(folder.cases.glob("*/journal.jsonl")):
            archive.add(journal, journal.relative_to(folder.path).as_posix())


def _pack_reds(folder: RunFolder, run: RunResult, place: Path) -> Iterator[str]:
    """Of every case that is not as expected."""
    for case in run.cases:
        if case.standing not in ("broken", "inconclusive"):
            continue
        place.mkdir(exist_ok=True)
        try:
            bundle.pack(folder, case.spec.play_id, place)
        except HarnessError as error:
            yield f"no bundle of {case.spec.play_id}: {error}"
