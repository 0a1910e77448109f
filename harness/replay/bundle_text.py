"""``README.txt`` of a bundle: what it is about, and the commands that make something of it."""

from __future__ import annotations

from harness.replay.played import AT, Played
from harness.run_folder import RunFolder
from reports import verdicts
from reports.telling import own_tool


def readme(folder: RunFolder, played: Played, cut: str, name: str) -> str:
    """The text.

    Args:
        folder: what is packed, its verdicts among it.
        played: the case.
        cut: the one cut point that is meant; empty for all.
        name: of the bundle.
    """
    saved = verdicts.load(folder)
    red = [
        f"  {finding['guarantee']}: {finding['verdict']}: {finding.get('reason', '')}"
        for case in saved["cases"]
        for finding in case["findings"]
        if finding["verdict"] != "RECOVERED"
    ]
    own = own_tool(played.spec)
    tail = f" -- {own}" if own else ""
    versions = ", ".join(f"{what} {value}" for what, value in played.versions.told().items())
    return "\n".join(
        [
            f"{played.spec.play_id}{AT if cut else ''}{cut}",
            f"of run {folder.run_id}, seed {played.spec.seed}, played with {versions or 'nobody knows what'}",
            "",
            *(["What is not as it was promised:", *red] if red else ["All guarantees were kept, as they were judged."]),
            "",
            "Where afterfault is installed, in the folder of this file:",
            "",
            "  # judge its journal again; needs no etcd and no cluster",
            f"  afterfault rejudge {name}",
            "  # its page, in a folder beside it",
            f"  afterfault report {name}",
            "  # play it again, and leave the cluster up",
            f"  afterfault repro {name} --keep{tail}",
            "",
            f"The journal is cases/{played.folder.name}/journal.jsonl; bundle.json says what each file was.",
            "",
        ]
    )
