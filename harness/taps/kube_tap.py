"""The kube API tap: sits between a deploy tool and the API server, in the kubeconfig the tool is given.

The tool's connections end in a small Go program (``files/kube-tap``, docs/decisions/0008), which passes
every call on and tells of it here, one JSON object a line; before a call that changes something, and
again before its answer, it asks the `Gate`. Bodies and header values stay in that program.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from pathlib import Path
from typing import Any

import trustme

from harness.clusters.ownership import Ownership
from harness.errors import ClusterError, MachineError
from harness.journal import Journal
from harness.taps.gate import Gate, Moment, OpenGate
from harness.taps.kubeconfig import Upstream, led_to, replace_file
from harness.waiting import SYSTEM_CLOCK, Clock

_LOOPBACK = "127.0.0.1"
_ANSWER_SECONDS = 10.0
_TOLD = ("call", "verb", "mutating", "status", "request_bytes", "response_bytes", "user", "protocol", "outcome")
_OPEN = OpenGate()


class KubeTap:
    """Serves the API servers that kubeconfigs lead to, each at an address of its own on loopback.

    Args:
        program: the Go program, from `harness.nodeimage.tools.find_kube_tap`.
        work: folder for its messages and for kubeconfigs as they were; made here.
        ownership: whose process it is.
        journal: gets ``tap.api_call``, one for each call at its end.
        gate: asked on a thread of its own for each mutating call.
        clock: where time comes from.

    Raises:
        MachineError: the program does not start.

    Leaves behind: a process and its listeners, until `close` or the end of this process.
    """

    def __init__(
        self,
        program: Path,
        work: Path,
        ownership: Ownership,
        journal: Journal,
        gate: Gate = _OPEN,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._work, self._journal, self._gate, self._clock = work, journal, gate, clock
        self._authority = trustme.CA()
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._ends: dict[Upstream, str] = {}  # our URL for each
        self._orders = 0
        self._replies: dict[int, Future[str]] = {}
        self._opened = float("inf")  # the program's time 0 on our clock, at the latest
        self._closed = False
        self._messages = work / "kube-tap.log"
        self._process = self._start(program, ownership)
        self._reader = threading.Thread(target=self._read, name="kube-tap", daemon=True)
        self._reader.start()

    def attach(self, kubeconfig: Path) -> None:
        """Lead a kubeconfig's current context here; nothing happens when it leads here already.

        Raises:
            ClusterError: the file leads nowhere, or to what the tap can't stand in front of.

        Leaves behind: the file rewritten at once, mode and owner kept; as it was, in
            ``untapped-<n>.kubeconfig`` in the work folder, for nobody but this user.
        """
        try:
            text = kubeconfig.read_text(encoding="utf-8")
            led = self._led(text, kubeconfig.resolve().parent)
            if led == text:
                return
            self._keep(text)
            replace_file(kubeconfig, led)
        except OSError as error:
            raise ClusterError(f"cannot lead {kubeconfig} to the tap: {error.strerror}") from error

    def lead(self, text: str) -> str:
        """The same for a kubeconfig's text; files it names are relative to the work folder.

        Raises:
            ClusterError: as `attach`.
        """
        return self._led(text, self._work)

    def close(self) -> None:
        """Cut what is still connected, wait until every call is in the journal, end the program.

        A second call does nothing.

        Raises:
            ClusterError: the program had ended before, or would not end; with its last words.
        """
        if self._closed:
            return
        self._closed = True
        crashed = self._process.poll() is not None
        self._say(do="end")
        try:
            self._process.wait(_ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            crashed = True
        self._reader.join(_ANSWER_SECONDS)
        with suppress(BrokenPipeError), self._writing:
            self._input.close()
        if crashed or self._process.returncode:
            raise ClusterError(f"the kube API tap ended with {self._process.returncode}", log_tail=self._last_words())

    @property
    def _input(self) -> Any:
        return self._process.stdin

    def _start(self, program: Path, ownership: Ownership) -> subprocess.Popen[str]:
        with self._messages.open("ab") as messages:
            try:
                return subprocess.Popen(
                    [str(program)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=messages,
                    env=ownership.environment(),
                    cwd=self._work,
                    start_new_session=True,
                    encoding="utf-8",
                )
            except OSError as error:
                raise MachineError(
                    f"cannot start {program}: {error.strerror}", mend="afterfault images build"
                ) from error

    def _led(self, text: str, folder: Path) -> str:
        upstream = Upstream.of(text, folder)
        with self._lock:
            if upstream.server in self._ends.values():
                return text
            if upstream not in self._ends:
                self._ends[upstream] = self._listen(upstream)
            return led_to(text, self._ends[upstream], self._authority.cert_pem.bytes().decode())

    def _listen(self, upstream: Upstream) -> str:
        names = [name for name in (_LOOPBACK, "localhost", upstream.server_name) if name]
        serving = self._authority.issue_cert(*names)
        chain = "".join(blob.bytes().decode() for blob in serving.cert_chain_pems)
        self._orders += 1
        reply = self._replies[self._orders] = Future()
        self._say(
            do="listen",
            id=self._orders,
            server=upstream.server,
            server_name=upstream.server_name,
            insecure=upstream.insecure,
            authority=upstream.authority,
            certificate=upstream.certificate,
            key=upstream.key,
            serving=chain,
            serving_key=serving.private_key_pem.bytes().decode(),
        )
        try:
            address = reply.result(_ANSWER_SECONDS)
        except NoAnswer as error:
            raise ClusterError("the kube API tap does not answer", log_tail=self._last_words()) from error
        _, slash, path = upstream.server.removeprefix("https://").partition("/")
        return f"https://{address}{slash}{path}"

    def _keep(self, text: str) -> None:
        with self._lock:
            number = 1 + sum(1 for _ in self._work.glob("untapped-*.kubeconfig"))
            kept = self._work / f"untapped-{number}.kubeconfig"
            kept.touch(mode=0o600)
        kept.write_text(text, encoding="utf-8")

    def _say(self, **order: Any) -> None:
        """A program that is gone hears nothing; whoever waits for it is told by the reader, and `close` tells why."""
        with suppress(BrokenPipeError), self._writing:
            if not self._input.closed:  # a gate may hold a call beyond our end
                self._input.write(json.dumps(order) + "\n")
                self._input.flush()

    def _read(self) -> None:
        try:
            assert self._process.stdout is not None
            with self._process.stdout as lines:
                for line in lines:
                    self._hear(json.loads(line))
        finally:
            # ended, or the journal takes no more: then no call may hang for ever either
            if not self._closed:
                self._process.kill()
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(ClusterError("the kube API tap ended", log_tail=self._last_words()))

    def _hear(self, told: Mapping[str, Any]) -> None:
        # every message takes a while to come, so the earliest guess is the best
        self._opened = min(self._opened, self._clock.monotonic() - told["at"])
        match told["say"]:
            case "listening":
                self._replies[told["id"]].set_result(told["address"])
            case "refused":
                trouble = ClusterError(f"the kube API tap can't stand in front of that: {told['why']}")
                self._replies[told["id"]].set_exception(trouble)
            case "question":
                threading.Thread(target=self._ask, args=(told,), name="kube-tap-gate", daemon=True).start()
            case "call":
                times = {name: self._journal.elapsed(self._opened + told[name]) for name in ("began", "ended")}
                self._journal.append("tap.api_call", **{name: told[name] for name in _TOLD}, **times)

    def _ask(self, question: Mapping[str, Any]) -> None:
        passes = False  # when the gate breaks, too: a call that nobody decided on must not go through
        try:
            passes = self._gate.passes(question["call"], Moment(question["moment"]))
        finally:
            self._say(do="answer", id=question["id"], passes=passes)

    def _last_words(self) -> str:
        return self._messages.read_text(errors="replace")[-2000:]
