"""The two programs kind clusters are made with: ``kind`` and ``kubectl``; named by a user, they are tried at once."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from harness.errors import MachineError, UsageError

_KIND = re.compile(r"^kind v(\d+\.\d+\.\d+\S*)", re.MULTILINE)
_KUBECTL = re.compile(r'"gitVersion": "v(\d+\.\d+\.\d+[^"]*)"')
_ANSWER_SECONDS = 20


def kind_version(binary: Path) -> str:
    """The version of a kind binary, as ``0.30.0``.

    Raises:
        MachineError: it does not run, or is not kind.
    """
    return _ask(binary, ("version",), _KIND, "kind")


def kubectl_version(binary: Path) -> str:
    """The version of a kubectl binary, as ``1.34.4``.

    Raises:
        MachineError: it does not run, or is not kubectl.
    """
    return _ask(binary, ("version", "--client", "--output=json"), _KUBECTL, "kubectl")


def named_kind(word: str) -> Path:
    """The binary that ``--kind`` names.

    Raises:
        UsageError: empty, not there, a folder, not executable, or something else than kind.
    """
    path = _named("--kind", word)
    try:
        kind_version(path)
    except MachineError as error:
        raise UsageError(f"--kind {word}: {error}") from error
    return path


def named_kubectl(word: str) -> Path:
    """The binary that ``--kubectl`` names.

    Raises:
        UsageError: empty, not there, a folder, not executable, or something else than kubectl.
    """
    path = _named("--kubectl", word)
    try:
        kubectl_version(path)
    except MachineError as error:
        raise UsageError(f"--kubectl {word}: {error}") from error
    return path


def _named(option: str, word: str) -> Path:
    mend = f"give the path of the binary, or leave {option} out"
    if not word.strip():
        raise UsageError(f"{option} is empty", mend=mend)
    path = Path(word)
    wrong = (
        "is not there" if not path.exists()
        else "is a folder" if path.is_dir()
        else "is not executable" if not os.access(path, os.X_OK)
        else ""
    )  # fmt: skip
    if wrong:
        raise UsageError(f"{option} {word} {wrong}", mend=mend)
    return path.resolve()


def _ask(binary: Path, words: tuple[str, ...], form: re.Pattern[str], name: str) -> str:
    try:
        done = subprocess.run(
            [str(binary), *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=_ANSWER_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{binary} does not run: {error}") from error
    found = form.search(done.stdout)
    if done.returncode != 0 or found is None:
        said = (done.stdout + done.stderr).strip()[:80]
        raise MachineError(f"{binary} is not {name}: it does not say a version (exit {done.returncode}, {said!r})")
    return found[1]
