"""Cases as they were played, read from a run's journals: which they are, what they were played with, how to again."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, ManagedSpec

AT = "@"
_NEAR = 3
_LEAST_ALIKE = 0.3
# What is read of a journal, and where a kind comes more than once: the first of them.
_OPENED, _LEARNT, _STARTED, _CREATING, _COMMAND = (
    "case.opened", "sweep.learnt", "cluster.started", "cluster.creating", "tap.command",
)  # fmt: skip
_TOLD = (_OPENED, _LEARNT, _STARTED, _CREATING)
_CREATE = "kind create cluster"
_IMAGE = "--image="


@dataclass(frozen=True, slots=True)
class Versions:
    """What a case was played with; empty where the case has none, or ended before it was said.

    Args:
        afterfault: the harness's own version; the reference tools have the same.
        etcd: release of bare etcd.
        node_image: reference of what the nodes were made of.
        tool: what the tool under test says of itself.
    """

    afterfault: str = ""
    etcd: str = ""
    node_image: str = ""
    tool: str = ""

    def told(self) -> dict[str, str]:
        """Those there are, by name."""
        return {name.replace("_", " "): value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Played:
    """A case as it was played.

    Args:
        spec: which case.
        points: IDs of the cut points that its sweep knew; none where it was no sweep.
        cuts: which of them it was told to try.
        versions: what it was played with.
        folder: the case's own.
    """

    spec: CaseSpec
    points: tuple[str, ...] = ()
    cuts: str = ""
    versions: Versions = field(default_factory=Versions)
    folder: Path = Path()

    def words(self, cut: str) -> list[str]:
        """The options that make pytest play it again; with one cut only if one is named."""
        chosen = cut or self.cuts
        return [
            "--case",
            self.spec.case_id,
            "--seed",
            str(self.spec.seed),
            *(["--cuts", chosen] if chosen else []),
        ]


def find(cases: Sequence[Played], wanted: str) -> tuple[Played, str]:
    """The play that is meant, and the cut point; empty where the whole case is.

    Raises:
        UsageError: there is none such, or more than one; names those there are.
    """
    play_id, _, cut = wanted.partition(AT)
    if named := next((case for case in cases if case.spec.play_id == play_id), None):
        if cut and cut not in named.points:
            raise UsageError(f"{play_id} has no cut point {cut}", mend=_near(cut, named.points, f"{play_id}{AT}"))
        return named, cut
    cutting = [case for case in cases if wanted in case.points]
    if len(cutting) > 1:
        told = ", ".join(f"{case.spec.play_id}{AT}{wanted}" for case in cutting)
        raise UsageError(f"{len(cutting)} cases have the cut point {wanted}", mend=f"say which: {told}")
    if cutting:
        return cutting[0], wanted
    known = [*(case.spec.play_id for case in cases), *(point for case in cases for point in case.points)]
    if meant := [name for name in dict.fromkeys(known) if wanted and wanted in name]:
        told = ", ".join(meant[:_NEAR]) + (f" and {len(meant) - _NEAR} more" if len(meant) > _NEAR else "")
        raise UsageError(f"{wanted} is a part of {len(meant)} names here, and none of them", mend=f"say which: {told}")
    raise UsageError(f"this run has no case and no cut point {wanted}", mend=_near(wanted, known))


def cases_of(folder: RunFolder) -> Iterator[Played]:
    """The cases of a run, also of one that was stopped half-way: nothing is judged by what is read here.

    Raises:
        UsageError: this is no run folder.
    """
    if not folder.cases.is_dir():
        raise UsageError(f"{folder.path} is no run folder", mend="give --run the folder of one, as runs/<run-id>")
    for journal in sorted(folder.cases.glob("*/journal.jsonl")):
        found = _told(journal)
        if _OPENED in found:
            learnt = found.get(_LEARNT, {})
            spec = CaseSpec.from_json(found[_OPENED]["spec"])
            points, cuts = tuple(learnt.get("points", ())), learnt.get("cuts", "")
            yield Played(spec, points, cuts, _versions(spec, found), journal.parent)


def _told(journal: Path) -> Mapping[str, Any]:
    """Data of the entries that tell what was played, by their kind."""
    found: dict[str, Any] = {}
    with journal.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            kind, data = _entry(line) if any(f'"{kind}"' in line for kind in (*_TOLD, _COMMAND)) else ("", {})
            if kind in _TOLD or (data.get("call") == _CREATE and _IMAGE in line):
                found.setdefault(kind, data)
    return found


def _entry(line: str) -> tuple[str, dict[str, Any]]:
    try:
        entry = json.loads(line)
        return str(entry["kind"]), dict(entry["data"])
    except (ValueError, KeyError, TypeError):
        return "", {}  # cut in the middle of a line


def _versions(spec: CaseSpec, found: Mapping[str, Any]) -> Versions:
    is_bare = isinstance(spec.cluster, EtcdSpec | ManagedSpec)
    create = found.get(_COMMAND, {})
    words = [str(word) for word in (*create.get("changed", ()), *create.get("argv", ()))]
    images = [word.removeprefix(_IMAGE) for word in words if word.startswith(_IMAGE)]
    image = str(found.get(_CREATING, {}).get("image") or (images[0] if images else ""))
    return Versions(
        str(found[_OPENED].get("harness_version") or ""),
        str(found.get(_STARTED, {}).get("release") or "") if is_bare else "",
        "" if is_bare else image,
        spec.target.version,
    )


def _near(wanted: str, known: Sequence[str], before: str = "") -> str:
    if not known:
        return "a run without a sweep has no cut points"
    near = difflib.get_close_matches(wanted, dict.fromkeys(known), _NEAR, _LEAST_ALIKE) or sorted(known)[:_NEAR]
    return "the nearest are " + ", ".join(f"{before}{name}" for name in near)
