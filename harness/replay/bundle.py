"""A failure bundle: one file with all that another machine needs to judge, report and play a case again.

A gzipped tar of a run's folder with nothing in it but one case: always the same bytes for the same run. Whoever opens
one trusts nothing in it (`harness.replay.careful_tar`), and takes every file only as it was packed.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness import __version__, kept
from harness.errors import UsageError
from harness.replay.bundle_text import readme
from harness.replay.careful_tar import Limits, unpack
from harness.replay.played import AT, Played, cases_of, find
from harness.run_folder import RunFolder
from reports import verdicts
from reports.run import RunResult, load_judged

ENDING = ".afterfault.tar.gz"
SCHEMA = 1
# Far above what a case leaves, the logs of all its nodes included.
LIMITS = Limits(bytes=2**30, files=20_000)
_MANIFEST, _RUN_JSON, _README = "bundle.json", "run.json", "README.txt"
_LONGEST_NAME = 180


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``bundle.json``: what is in it.

    Args:
        schema: 1.
        case_id: ID of the play.
        cut: the one cut point of a sweep that is meant; empty for all of them.
        seed: of the play.
        versions: what it was played with, by name.
        made_by: release of afterfault that packed it.
        left_out: what in the case's folder was not packed: links, and how to get into a cluster that was left up.
        files: SHA-256 of every other file, by its path.
    """

    schema: int
    case_id: str
    cut: str = ""
    seed: int = 0
    versions: Mapping[str, str] = {}
    made_by: str = ""
    left_out: tuple[str, ...] = ()
    files: Mapping[str, str]


def pack(run: RunFolder, case_id: str, target: Path) -> Path:
    """Pack one case of a run; returns the file.

    Args:
        run: the run; one that was stopped half-way will do.
        case_id: of the case, or of one play of it; with ``@`` and a cut point, only that is to be played again.
        target: the file to make, or the folder to make it in; a bundle there is overwritten.

    Raises:
        UsageError: the run has no such case, the case is too large, or the file is not called as a bundle is.
        OSError: it can't be written.
    """
    played, cut = find(list(cases_of(run)), case_id)
    file = target / _file_name(played, cut) if target.is_dir() else target
    if not file.name.endswith(ENDING):
        raise UsageError(f"{file} is no name for a bundle", mend=f"let it end in {ENDING}")
    with tempfile.TemporaryDirectory(prefix="afterfault-bundle-") as place:
        folder = RunFolder(Path(place) / run.run_id)
        left_out = _copy_case(played.folder, folder.cases / played.folder.name)
        if run.ledger.exists():
            shutil.copyfile(run.ledger, folder.ledger)
        _write_json(folder.path / _RUN_JSON, _facts_of(run, played))
        _keep_verdicts(run, folder, played)
        (folder.path / _README).write_text(readme(folder, played, cut, _file_name(played, cut)), encoding="utf-8")
        manifest = Manifest(
            schema=SCHEMA,
            case_id=played.spec.play_id,
            cut=cut,
            seed=played.spec.seed,
            versions=played.versions.told(),
            made_by=__version__,
            left_out=left_out,
            files={name: _digest(folder.path / name) for name in _names(folder.path)},
        )
        _write_json(folder.path / _MANIFEST, msgspec.to_builtins(manifest))
        _refuse_too_large(folder.path, played)
        _write_tar(folder.path, file)
    return file


@contextlib.contextmanager
def opened(path: Path) -> Iterator[RunFolder]:
    """A run's folder as it is, or a bundle unpacked into a folder that goes at the end.

    Raises:
        UsageError: the file is no bundle, or a damaged one, or holds what it must not.
        MachineError: the disk is full.
    """
    if not path.is_file():
        yield RunFolder(path.resolve())
        return
    with tempfile.TemporaryDirectory(prefix="afterfault-bundle-") as place:
        yield _unpacked(path, Path(place))


def judged(path: Path, ledger: Path | None = None) -> RunResult:
    """A run's folder or a bundle, judged by today's rules.

    Args:
        path: of either.
        ledger: as for `load_judged`.

    Raises:
        UsageError, MachineError: as `opened` and `load_judged`.
    """
    with opened(path) as folder:
        return load_judged(folder, ledger)


def manifest_of(folder: RunFolder) -> Manifest | None:
    """What an opened bundle is about; None for a run's own folder.

    Raises:
        UsageError: it is not what a bundle has.
    """
    path = folder.path / _MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = msgspec.convert(json.loads(path.read_text(encoding="utf-8")), Manifest)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{_MANIFEST} is broken: {str(error)!a}") from error
    if manifest.schema != SCHEMA:
        raise UsageError(
            f"the bundle has schema {manifest.schema}, not {SCHEMA}",
            mend=f"take afterfault {manifest.made_by!a}, which made it",
        )
    return manifest


def lay_out(bundle: Path, folder: RunFolder, wanted: Path | None) -> RunFolder:
    """Put an opened bundle where it stays; returns the folder.

    Args:
        bundle: the file; its folder is called as it is, beside it, unless another is wanted.
        folder: the bundle, opened.
        wanted: new, empty, or the very same bundle laid out before.

    Raises:
        UsageError: there is something else.
    """
    place = wanted or bundle.with_name(bundle.name.removesuffix(ENDING) + ".afterfault")
    told = place / _MANIFEST
    same = told.is_file() and told.read_bytes() == (folder.path / _MANIFEST).read_bytes()
    if place.exists() and not same and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{place} holds something else", mend="name a new folder: --output DIR")
    shutil.copytree(folder.path, place, dirs_exist_ok=True)
    return RunFolder(place.resolve())


def _unpacked(path: Path, place: Path) -> RunFolder:
    found = unpack(path, place, LIMITS)
    tops = {name.partition("/")[0] for name in found}
    folder = RunFolder(place / next(iter(tops), ""))
    manifest = manifest_of(folder) if len(tops) == 1 and folder.path.is_dir() else None
    if manifest is None:
        raise UsageError(f"{path.name} is no bundle of afterfault: it has no {_MANIFEST}")
    seen = {name.partition("/")[2]: digest for name, digest in found.items()}
    seen.pop(_MANIFEST)
    for name in sorted(seen.keys() | manifest.files.keys()):
        if seen.get(name) != manifest.files.get(name):
            raise UsageError(f"{path.name} is damaged: {name!a} is not as it was packed", mend="get it again")
    if not folder.cases.is_dir():
        raise UsageError(f"{path.name} is no bundle of afterfault: it has no cases/")
    return folder


def _file_name(played: Played, cut: str) -> str:
    name = re.sub(r"[^\w.+~@-]+", "_", f"{played.folder.name}{AT if cut else ''}{cut}")
    return name[:_LONGEST_NAME] + ENDING


def _copy_case(source: Path, target: Path) -> tuple[str, ...]:
    """Plain files only; returns what was left out."""
    left_out = []
    for place, folders, files in os.walk(source):
        here = target / Path(place).relative_to(source)
        here.mkdir(parents=True)
        for name in sorted([*folders, *files]):
            path = Path(place) / name
            is_kept = path == source / kept.NAME
            if path.is_symlink() or is_kept or not (path.is_file() or path.is_dir()):
                left_out.append(path.relative_to(source).as_posix())
            elif path.is_file():
                shutil.copyfile(path, here / name)
    return tuple(sorted(left_out))


def _facts_of(run: RunFolder, played: Played) -> dict[str, Any]:
    """``run.json`` as if the run had been this case only: nothing else is here, and nothing else is missing."""
    spec = played.spec
    facts: dict[str, Any] = {"run_id": run.run_id, "seed": spec.seed, "harness_version": played.versions.afterfault}
    path = run.path / _RUN_JSON
    if path.is_file():
        facts |= _json_of(path)
    label = f"{spec.label}~{spec.repetition}]" if spec.repetition > 1 else f"{spec.label}]"
    problems = [text for text in facts.get("problems", ()) if label in text]
    return facts | {"planned": [spec.play_id], "skipped": [], "ended_early": "", "problems": problems}


def _keep_verdicts(run: RunFolder, folder: RunFolder, played: Played) -> None:
    """What was judged then; what is judged now where the run never came to it."""
    path = run.path / "verdicts.json"
    saved = verdicts.load(run) if path.is_file() else {}
    cases = [case for case in saved.get("cases", ()) if _is_play(case, played.spec.play_id)]
    if cases:
        mine = saved | {"run": _json_of(folder.path / _RUN_JSON), "unreadable": [], "repeats": [], "cases": cases}
        _write_json(folder.path / path.name, mine)
    else:
        verdicts.save(folder, load_judged(folder))


def _is_play(case: Mapping[str, Any], play_id: str) -> bool:
    return (case.get("play_id") or case.get("case_id")) == play_id


def _json_of(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is broken: {error}") from error


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_too_large(folder: Path, played: Played) -> None:
    names = _names(folder)
    size = sum((folder / name).stat().st_size for name in names)
    if size > LIMITS.bytes or len(names) > LIMITS.files:
        most = f"{LIMITS.bytes // 2**20} MiB in {LIMITS.files} files"
        raise UsageError(
            f"{played.spec.play_id} left {size // 2**20} MiB in {len(names)} files; a bundle holds {most}",
            mend=f"remove what nobody needs from {played.folder}",
        )


def _write_tar(folder: Path, file: Path) -> None:
    """Sorted, of nobody, from the beginning of time: the same run, the same bytes. Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    try:
        with (
            partial.open("wb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name in _names(folder):
                with (folder / name).open("rb") as source:
                    member = tarfile.TarInfo(f"{folder.name}/{name}")
                    member.size = os.fstat(source.fileno()).st_size
                    tar.addfile(member, source)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
