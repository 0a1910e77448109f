"""Runs over nights: ``history.jsonl``, a line a run, only ever appended to.

A line says what a run came to, not how it was judged: that is in its journals. It is read by trends, by the
gate and by the ledger's rules. A line that is not whole is an error with its number; nothing is left out.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path

import msgspec

from harness.errors import MachineError, UsageError
from harness.judging.verdict import Verdict
from reports.gate import Decision
from reports.recovery import recovery
from reports.run import CaseResult, RunResult

SCHEMA = 1
_PLAY_NUMBER = re.compile(r"~\d+$")


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """What one play of a case came to.

    Args:
        standing: ``kept``, ``known``, ``broken`` or ``inconclusive``.
        verdict: the gravest of its findings.
        seconds: how long it took.
        tool, version: who was under test, as far as it said.
        known: IDs of ledger lines that explain its reds.
        missing: IDs of ledger lines that should have shown, and did not.
        broken: by guarantee that was broken, the signature.
        recovery: by guarantee that was kept, seconds until it was, where there is such a figure.
    """

    standing: str
    verdict: Verdict
    seconds: float = 0.0
    tool: str = ""
    version: str = ""
    known: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    broken: Mapping[str, str] = msgspec.field(default_factory=dict)
    recovery: Mapping[str, float] = msgspec.field(default_factory=dict)


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Args:
        schema: of this line.
        run_id, started_at, seconds, seed: which run; `started_at` is UTC, ISO 8601.
        target, etcd, kubernetes: what was under test on what, as the run's facts say it.
        harness_version: whose rules judged it, and whose reference tools were played.
        exit_code: what the run came to.
        leg: of a night; empty for a run by itself.
        ended_early: why it stopped before its end; empty if it did not.
        cases: by play: a case's ID, with ``~2`` and so on from its second play on.
    """

    schema: int = SCHEMA
    run_id: str
    started_at: str
    seconds: float = 0.0
    target: str = ""
    etcd: str = ""
    kubernetes: str = ""
    harness_version: str = ""
    seed: int = 0
    exit_code: int
    leg: str = ""
    ended_early: str = ""
    cases: Mapping[str, Play]

    @classmethod
    def of(cls, run: RunResult, decision: Decision, leg: str = "") -> HistoryLine:
        """The line of a run.

        Args:
            run: judged.
            decision: what the gate said of it.
            leg: of a night.
        """
        facts = run.facts
        return cls(
            run_id=facts.run_id,
            started_at=facts.started_at,
            seconds=facts.seconds,
            target=facts.target,
            etcd=facts.etcd,
            kubernetes=facts.kubernetes,
            harness_version=facts.harness_version,
            seed=facts.seed,
            exit_code=decision.exit_code,
            leg=leg,
            ended_early=facts.ended_early,
            cases={case.spec.play_id: _play(case) for case in run.cases},
        )


class _Schema(msgspec.Struct):
    schema: int


def case_of(play_id: str) -> str:
    """The case that was played: its ID without the number of the play."""
    return _PLAY_NUMBER.sub("", play_id)


def load(path: Path) -> tuple[HistoryLine, ...]:
    """All lines, in the order in which they were added; none if there is no such file yet.

    Raises:
        UsageError: the file can't be read, or a line is not whole, not of this schema, or not a run's; which is named.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(f"history {path}: {error.strerror}") from error
    return tuple(_parsed(path, text))


def append(path: Path, line: HistoryLine) -> bool:
    """Add a line, whole or not at all, also while others add theirs; returns whether it was new.

    A run that is there already (the same ID and the same beginning) is not added twice.

    Raises:
        UsageError: what is there is not a history; it is not written to.
        MachineError: the file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # goes with the file
            file.seek(0)
            known = {(known.run_id, known.started_at) for known in _parsed(path, file.read())}
            if (line.run_id, line.started_at) in known:
                return False
            _write(file, msgspec.json.encode(line) + b"\n")
    except OSError as error:
        raise MachineError(f"history {path} can't be written: {error.strerror}") from error
    return True


def _write(file: FileIO, line: bytes) -> None:
    """All of it, on the disk; what a full disk took of it is taken back."""
    before = file.seek(0, os.SEEK_END)
    try:
        written = file.write(line)
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise
    if written != len(line):
        file.truncate(before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _parsed(path: Path, text: bytes) -> Sequence[HistoryLine]:
    if not text:
        return ()
    *lines, rest = text.split(b"\n")
    if rest:
        raise _broken(path, len(lines) + 1, "it has no end")
    return [_one(path, number, line) for number, line in enumerate(lines, 1)]


def _one(path: Path, number: int, line: bytes) -> HistoryLine:
    try:
        schema = msgspec.json.decode(line, type=_Schema).schema
        if schema != SCHEMA:
            raise _broken(path, number, f"its schema is {schema}, not {SCHEMA}")
        return msgspec.json.decode(line, type=HistoryLine)
    except msgspec.DecodeError as error:
        raise _broken(path, number, str(error)) from error


def _broken(path: Path, number: int, why: str) -> UsageError:
    return UsageError(
        f"history {path}:{number}: not a run's line: {why}",
        mend=f"look at line {number}; `afterfault history add RUN --file {path}` makes it again once it is removed",
    )


def _play(case: CaseResult) -> Play:
    return Play(
        standing=case.standing,
        verdict=case.verdict,
        seconds=round(case.seconds, 2),
        tool=case.spec.target.tool,
        version=case.spec.target.version,
        known=tuple(sorted(set(case.known.values()))),
        missing=tuple(defect.id for defect in case.missing),
        broken={f.guarantee: f.signature for f in case.findings if f.verdict is Verdict.NOT_RECOVERED},
        recovery=recovery(case),
    )
