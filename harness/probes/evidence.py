"""Why it broke: what a person needs, looked at before a tool, kind or the harness removes the node.

Nothing here is judged. What can't be had is told (``problem``) and never raised: the tool waits meanwhile, and
must not be able to tell that somebody looked. What Secrets hold is in no line and in no file.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import docker.errors
import requests.exceptions

from harness.clusters.kube_api import KubeApi, KubernetesCluster
from harness.errors import HarnessError
from harness.journal import Journal
from harness.probes import node_logs
from harness.probes.kubernetes.eyes import eyes_on, machines
from harness.probes.kubernetes.failing import api_health, failing_pods, warning_events
from harness.probes.node_logs import ContainerLog
from harness.probes.redaction import Redaction
from harness.probes.secrecy import OF_THIS_PROCESS
from harness.probes.stored_values import contents_of, is_secret, why_undecodable
from harness.waiting import SYSTEM_CLOCK, Clock

KIND = "probe.evidence"
MOST_LINES, LONGEST_LINE = 20, 400
_MOST_FILE_BYTES = 2**18
_MOST_OF_A_SORT = 8
_MOST_RAW_BYTES = 256
_KUBELET_LINES = 300
# How Go programs and klog begin their last words.
_DEATH = re.compile(r"panic: |fatal error: |F\d{4} |Error: ")
_CONTROL_PLANE = ("kube-apiserver", "etcd")
_TROUBLE = (
    HarnessError, OSError, ValueError, LookupError, TypeError, AttributeError, docker.errors.DockerException,
    requests.exceptions.RequestException,
)  # fmt: skip


class Occasion(StrEnum):
    """Why somebody looks."""

    CREATE_FAILED = "create-failed"
    DELETING = "deleting"
    RED = "red"


class EvidenceCluster(KubernetesCluster, Protocol):
    """A cluster whose machines may have ended."""

    def consoles(self) -> Mapping[str, str]:
        """Last words of the machines that are off, by name."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that was seen; the fields are those of the journal's entry.

    Args:
        sort: of evidence.
        subject: whom it is about.
        text: all of it; its last lines go into the journal, and where there are more, all go into a file.
        facts: of the sort.
        problem: why it could not be had.
    """

    sort: str
    subject: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


class Evidence:
    """Gathers what tells why a cluster is as it is; safe to be called from many threads, one after the other.

    Args:
        cluster: whose.
        journal: gets ``probe.evidence``, one for each thing.
        folder: the case's; files go into ``evidence`` there.
        deadline_seconds: nothing new is looked at after that; what is under way has deadlines of its own.
        clock: where time comes from.
    """

    def __init__(
        self,
        cluster: EvidenceCluster,
        journal: Journal,
        folder: Path,
        *,
        deadline_seconds: float = 15.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._cluster, self._journal, self._folder = cluster, journal, folder
        self._deadline_seconds, self._clock = deadline_seconds, clock
        self._lock = threading.Lock()
        self._gathered = 0
        self._known: set[bytes] = set()  # what Secrets held, of clusters that are gone too

    def gather(self, occasion: Occasion) -> None:
        """Look now; of a cluster that is in order, and only deleted, no more is kept than that.

        Raises:
            JournalWriteError: the disk would not take it.

        Leaves behind: files of at most 256 KiB each in the case's folder.
        """
        with self._lock:
            self._gathered += 1
            look = _Look(self._cluster, occasion, self._known, self._deadline_seconds, self._clock)
            for number, piece in enumerate(look.pieces(), 1):
                self._keep(occasion, number, piece, look.redaction)

    def _keep(self, occasion: Occasion, number: int, piece: Piece, redaction: Redaction) -> None:
        text = redaction.of(piece.text)[-_MOST_FILE_BYTES:]
        lines = [line for line in text.splitlines() if line.strip()]
        shown = [line[:LONGEST_LINE] for line in _telling(lines)]
        self._journal.append(
            KIND,
            occasion=occasion.value,
            sort=piece.sort,
            subject=piece.subject,
            lines=shown,
            facts=dict(piece.facts),
            file=self._save(f"{self._gathered}-{occasion}/{number:02}", piece, text) if shown != lines else "",
            problem=redaction.of(piece.problem)[:LONGEST_LINE],
        )

    def _save(self, place: str, piece: Piece, text: str) -> str:
        """A file's path within the case's folder; none where the disk would not take it."""
        name = re.sub(r"[^\w.-]+", "_", f"{piece.sort}-{piece.subject}")[-120:]
        file = self._folder / "evidence" / f"{place}-{name}.txt"
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")
            return str(file.relative_to(self._folder))
        return ""


class _Look:
    """One look, what matters most first."""

    def __init__(
        self, cluster: EvidenceCluster, occasion: Occasion, known: set[bytes], seconds: float, clock: Clock
    ) -> None:
        self._cluster, self._occasion, self._known, self._clock = cluster, occasion, known, clock
        self._ends = clock.monotonic() + seconds
        self._failing: frozenset[str] = frozenset()  # namespace/pod
        self._is_sick = False
        self._api: KubeApi | None = None  # where it lives
        self.redaction = Redaction(known)

    def pieces(self) -> Iterator[Piece]:
        """All that is there to be told."""
        with ExitStack() as opened:
            yield from self._tried("api-health", lambda: self._health(opened))
            yield from self._others()

    def _others(self) -> Iterator[Piece]:
        # Secrets first: what they hold must be known before anything else is kept
        yield from self._tried("undecodable-key", self._store)
        yield from self._tried("failing-pod", self._pods)
        if not self._is_sick and self._occasion is Occasion.DELETING:
            return
        for sort, look in (
            ("warning-events", self._events),
            ("container-log", self._logs),
            ("kubelet-log", self._kubelets),
            ("console", self._consoles),
        ):
            yield from self._tried(sort, look)

    def _tried(self, sort: str, look: Callable[[], Iterable[Piece]]) -> list[Piece]:
        found: list[Piece] = []
        if self._clock.monotonic() > self._ends:
            return [Piece(sort, "", problem="there was no time left")]
        try:
            for piece in islice(look(), _MOST_OF_A_SORT):
                found.append(piece)
                if self._clock.monotonic() > self._ends:
                    break
        except _TROUBLE as error:  # what came before it is kept
            self._is_sick = True
            found.append(Piece(sort, "", problem=f"{type(error).__name__}: {error}"))
        return found

    def _health(self, opened: ExitStack) -> Iterator[Piece]:
        api = opened.enter_context(eyes_on(self._cluster)).api
        for name, status, text in api_health(api):
            # what is good comes first, so that the rest is among the last lines
            lines = sorted(text.splitlines(), key=lambda line: not line.startswith("[+]"))
            failing = [line.split()[0].removeprefix("[-]") for line in lines if line.startswith("[-]")]
            good = status == 200
            self._api = api if status else self._api
            self._is_sick |= not good
            yield Piece("api-health", name, "" if good else "\n".join(lines), {"status": status, "failing": failing})

    def _store(self) -> Iterator[Piece]:
        for node in self._cluster.running()[:1]:
            values = node_logs.stored_values(node)
            secrets = (value for key, value in values.items() if is_secret(key, value))
            self._known.update(content for secret in secrets for content in contents_of(secret))
            self.redaction = Redaction(self._known)
            broken = {key: why for key, value in values.items() if (why := why_undecodable(value))}
            self._is_sick |= bool(broken)
            for key, why in broken.items():
                yield self._broken_key(key, values[key], {"why": why, "keys": len(broken)})

    def _broken_key(self, key: str, value: bytes, told: Mapping[str, Any]) -> Piece:
        why, facts = told["why"], {**told, "bytes": len(value), "raw": ""}
        if is_secret(key, value) or self.redaction.concerns(value):
            return Piece("undecodable-key", key, f"{why}\n{OF_THIS_PROCESS.of(value)}", facts)
        facts["raw"] = value[:_MOST_RAW_BYTES].hex()
        return Piece("undecodable-key", key, f"{why}\n{value[: _MOST_FILE_BYTES // 4]!r}", facts)

    def _pods(self) -> Iterator[Piece]:
        if self._api is None:
            return
        found = failing_pods(self._api)
        self._failing = frozenset(pod.name for pod in found)
        self._is_sick |= bool(found)
        for pod in found:
            yield Piece("failing-pod", pod.name, "\n".join(pod.words), pod.facts)

    def _events(self) -> Iterator[Piece]:
        if self._api and (lines := warning_events(self._api)):
            yield Piece("warning-events", "", "\n".join(lines), {"events": len(lines)})

    def _logs(self) -> Iterator[Piece]:
        for node in machines(self._cluster):
            chosen = [log for log in node_logs.container_logs(node) if self._tells(log)]
            for log in sorted(_two_of_each(chosen), key=lambda log: log.container not in _CONTROL_PLANE):
                facts = {"node": node.name, "restarts": log.restarts}
                yield Piece("container-log", log.whose, node_logs.tail_of(log, _MOST_FILE_BYTES), facts)

    def _tells(self, log: ContainerLog) -> bool:
        """Of pods that fail; with nobody to say which, of what restarted, and of what should have said it."""
        if self._api:
            return f"{log.namespace}/{log.pod}" in self._failing
        return log.restarts > 0 or log.container in _CONTROL_PLANE

    def _kubelets(self) -> Iterator[Piece]:
        for node in machines(self._cluster):
            yield Piece("kubelet-log", node.name, node_logs.kubelet_words(node, _KUBELET_LINES))

    def _consoles(self) -> Iterator[Piece]:
        for name, text in self._cluster.consoles().items():
            yield Piece("console", name, text)


def _telling(lines: list[str]) -> list[str]:
    """The last ones; with the last that says why a program died, where a long trace follows it."""
    last = lines[-MOST_LINES:]
    deaths = [line for line in lines[:-MOST_LINES] if _DEATH.match(line)]
    return last if not deaths or any(map(_DEATH.match, last)) else [deaths[-1], *last[1:]]


def _two_of_each(logs: list[ContainerLog]) -> list[ContainerLog]:
    """The newest run of a container and the one before."""
    seen: dict[str, int] = {}
    kept = []
    for log in logs:
        seen[log.whose] = seen.get(log.whose, 0) + 1
        kept += [log] if seen[log.whose] <= 2 else []
    return kept
