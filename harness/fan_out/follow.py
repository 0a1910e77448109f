"""Looks after the shards of a Job: what they are at, their run folders when done, a word for each that died."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from harness.errors import ClusterError, MachineError, WaitTimeout
from harness.fan_out.engine import NoAnswer, PodState
from harness.fan_out.job import MARGIN_SECONDS, Order
from harness.fan_out.shard import DONE, FETCHED, PACKED
from harness.waiting import SYSTEM_CLOCK, Clock, until

# A case that ended, as a run tells it on the screen.
_ENDED_CASE = re.compile(r"^(\d\d:\d\d:\d\d)  (\S.*)$")
_LOOK_SECONDS = 2.0
# Requests a second that looking at all shards may make.
_LOOKS_A_SECOND = 5
_TRIES = 3
# A busy API server, or one that is started anew, is not one that is gone.
_SILENCE_SECONDS = 180.0
_TAIL_LINES = 20
_OVER = ("Succeeded", "Failed")


class Cluster(Protocol):
    """What is asked of the cluster; `harness.fan_out.engine.Engine` is one."""

    def pods(self, selector: str) -> list[PodState]:
        """The Job's pods."""

    def log(self, pod: str) -> str:
        """What a pod said so far."""

    def run(self, pod: str, *command: str) -> bytes:
        """What a command in a pod says."""

    def job_ended(self, name: str) -> str:
        """Why the Job failed; empty while it did not."""


@dataclass
class _Shard:
    """What is known of one shard."""

    uid: str = ""
    pod: str = ""
    told: str = ""
    lines: int = 0
    tries: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """A shard that did not come back.

    Args:
        name: of its folder, had it come.
        reason: in a sentence.
        log: all that its pod said.
    """

    name: str
    reason: str
    log: str

    @property
    def sentence(self) -> str:
        """With its last words."""
        last = "; ".join(line.strip() for line in self.log.splitlines()[-3:] if line.strip())
        return f"{self.reason}; its last words: {last or 'none'}"

    @property
    def tail(self) -> str:
        """The end of what it said."""
        return "\n".join(self.log.splitlines()[-_TAIL_LINES:])


@dataclass(frozen=True, slots=True)
class Back:
    """What came of a fan-out.

    Args:
        folders: run folders, the first shard's first.
        lost: shards without one.
    """

    folders: tuple[Path, ...]
    lost: tuple[Lost, ...]


@dataclass
class Following:
    """One fan-out, from the moment its Job is there.

    Args:
        cluster: that plays it.
        order: what was asked.
        into: where run folders go.
        say: takes a line of progress.
        clock: where time comes from.
    """

    cluster: Cluster
    order: Order
    into: Path
    say: Callable[[str], object]
    clock: Clock = SYSTEM_CLOCK
    _shards: dict[int, _Shard] = field(init=False)
    _folders: dict[int, Path] = field(default_factory=dict)
    _lost: dict[int, Lost] = field(default_factory=dict)
    _logs: dict[int, str] = field(default_factory=dict)
    _silent_since: float | None = None

    def __post_init__(self) -> None:
        self._shards = {index: _Shard() for index in range(self.order.shards)}

    def follow(self) -> Back:
        """Look until every shard has come back or is lost.

        Raises:
            MachineError: the image can't be had there; or no cluster answers any more.
        """
        every = max(_LOOK_SECONDS, self.order.shards / _LOOKS_A_SECOND)
        with contextlib.suppress(WaitTimeout):
            until(
                self._look_patiently,
                what="all shards",
                deadline_seconds=self.order.seconds + MARGIN_SECONDS,
                every_seconds=every,
                clock=self.clock,
            )
        for index in self._open():
            self._lose(index, "came to no end in the time there was")
        folders = tuple(folder for _, folder in sorted(self._folders.items()))
        return Back(folders, tuple(lost for _, lost in sorted(self._lost.items())))

    def _look_patiently(self) -> bool:
        """A look, or none where the cluster does not answer just now.

        Raises:
            NoAnswer: it has not for three minutes.
        """
        try:
            done = self._look()
        except NoAnswer as error:
            now = self.clock.monotonic()
            if self._silent_since is None:
                self._silent_since = now
                self.say(f"the cluster does not answer; asking on: {str(error).splitlines()[0]}")
            if now - self._silent_since > _SILENCE_SECONDS:
                raise
            return False
        self._silent_since = None
        return done

    def _look(self) -> bool:
        """One look at all shards; whether none is open any more."""
        pods: dict[int, PodState] = {}
        for pod in self.cluster.pods(self.order.selector):
            known = self._shards[pod.index].uid if pod.index in self._shards else None
            if known in ("", pod.uid):
                pods[pod.index] = pod
        failed = ""
        for index in self._open():
            if index in pods:
                self._look_at(index, pods[index])
            elif self._shards[index].uid:
                why = self.cluster.job_ended(self.order.name) or "somebody deleted it"
                self._lose(index, f"is gone with its pod {self._shards[index].pod}: {why}")
            else:
                failed = failed or self.cluster.job_ended(self.order.name)
                if failed:
                    self._lose(index, f"never began: {failed}")
        return not self._open()

    def _look_at(self, index: int, pod: PodState) -> None:
        shard = self._shards[index]
        shard.uid, shard.pod = pod.uid, pod.name
        if pod.blocked:
            raise MachineError(
                f"pod {pod.name} on {pod.node} can't start: {pod.blocked}", mend=_mend(self.order.image, pod.node)
            )
        self._tell(index, _where(pod))
        if pod.phase not in ("Pending", ""):
            self._read_log(index, pod.name)
        if pod.is_ready:
            self._fetch(index, pod)
        elif pod.phase in _OVER:
            self._lose(index, f"died in pod {pod.name} on {pod.node}: {pod.ended or pod.phase}")

    def _fetch(self, index: int, pod: PodState) -> None:
        """Its run folder; what breaks off on the way is fetched anew, at most three times."""
        shard = self._shards[index]
        try:
            told = json.loads(self.cluster.run(pod.name, "cat", str(DONE)))
            packed = self.cluster.run(pod.name, "cat", str(PACKED))
            folder = unpack(packed, told["sha256"], self.into / self._name(index))
            self.cluster.run(pod.name, "touch", str(FETCHED))
        except (ClusterError, ValueError, KeyError, TypeError) as error:
            shutil.rmtree(self.into / self._name(index), ignore_errors=True)
            shard.tries += 1
            if shard.tries == _TRIES:
                self._lose(index, f"is done in pod {pod.name}, and its run folder can't be fetched: {error}")
            return
        self._folders[index] = folder
        self._tell(index, f"is done (exit code {told['exit_code']}), {len(packed) / 2**20:.1f} MiB fetched")

    def _read_log(self, index: int, pod: str) -> None:
        """Pass on which cases ended since the last look."""
        if log := self.cluster.log(pod):
            self._logs[index] = log
        lines = self._logs.get(index, "").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        for line in whole[self._shards[index].lines :]:
            if found := _ENDED_CASE.match(line.rstrip()):
                self.say(f"{found[1]}  [{index + 1}/{self.order.shards}] {found[2]}")
        self._shards[index].lines = len(whole)

    def _lose(self, index: int, reason: str) -> None:
        if self._shards[index].pod:
            self._read_log(index, self._shards[index].pod)
        told = f"shard {index + 1} of {self.order.shards} {reason}"
        self._lost[index] = Lost(self._name(index), told, self._logs.get(index, ""))
        self._tell(index, f"LOST: {reason}")

    def _tell(self, index: int, text: str) -> None:
        if text and text != self._shards[index].told:
            self._shards[index].told = text
            self.say(f"shard {index + 1} of {self.order.shards}: {text}")

    def _open(self) -> list[int]:
        return [index for index in self._shards if index not in self._folders and index not in self._lost]

    def _name(self, index: int) -> str:
        return f"shard-{index + 1}-of-{self.order.shards}"


def unpack(packed: bytes, digest: str, folder: Path) -> Path:
    """Put what a pod packed into a folder: files and folders, none of them outside.

    Raises:
        ClusterError: it is not what was sent, there is something else in it, or it is no archive.
    """
    if hashlib.sha256(packed).hexdigest() != digest:
        raise ClusterError(f"the {len(packed)} bytes that came are not what was sent")
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                    raise ClusterError(f"{member.name} has no place in a run folder")
                place = folder / path
                if member.isdir():
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None
                with source, place.open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ClusterError(f"a run folder that can't be unpacked: {error}") from error
    return folder


def _where(pod: PodState) -> str:
    if pod.waiting:
        return f"waits for a place: {pod.waiting}"
    return f"pod {pod.name} on {pod.node}" if pod.node else ""


def _mend(image: str, node: str) -> str:
    return (
        f"put {image} where {node} can pull it and name it with --image; "
        f"into a kind cluster: kind load docker-image {image} --name NAME"
    )
