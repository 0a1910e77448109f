"""One call of ``kind``, ``docker`` or ``kubectl`` by a tool: from the gate, past the rules, into the journal."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.cuts import Moment
from harness.errors import HarnessError
from harness.journal import Journal
from harness.taps import kind_rules
from harness.taps.command_rules import Answer, Decision, Pass, Refuse, Then, World
from harness.taps.command_shim import DIE, ENDED, LEAVE, READ, RUN, STDIN, Line, TapGoneError
from harness.taps.command_words import Call, masked
from harness.taps.gate import Gate

KIND, DOCKER, KUBECTL = "kind", "docker", "kubectl"
_TROUBLE_EXIT = 125
_CAPTURED = (Then.SHOW_OWN_CLUSTERS, Then.SHOW_OWN_NODES, Then.SHOW_KUBECONFIG)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the harness does around calls of the tool; the tool waits meanwhile.

    Each may raise HarnessError: the call then ends with 125 and the journal has ``tap.trouble``.

    Args:
        created: a kind cluster was made; gets its name and the kubeconfig kind wrote.
        create_failed: kind could not; gets the name. The nodes are still there, and go afterwards.
        deleting: a cluster of the run, or a node of one, is going to be deleted; gets its name.
        kubeconfig_written: kind has exported a kubeconfig into this file.
        kubeconfig_text: kind is asked for a kubeconfig; gets and returns its text.
        image_missing: the tool asks for an image that the engine has not; may put a stand-in there under that
            name, and returns whether it did.
    """

    created: Callable[[str, Path], None] = lambda _name, _path: None
    create_failed: Callable[[str], None] = lambda _name: None
    deleting: Callable[[str], None] = lambda _name: None
    kubeconfig_written: Callable[[Path], None] = lambda _path: None
    kubeconfig_text: Callable[[str], str] = lambda text: text
    image_missing: Callable[[str], bool] = lambda _reference: False


class Rules(Protocol):
    """What the tap decides by, and what it gives to the programs."""

    world: World
    hooks: Hooks
    journal: Journal
    gate: Gate

    def decide(self, call: Call, config: str) -> Decision:
        """What becomes of a call."""

    def program(self, name: str) -> Path:
        """The real one."""

    def environment_of(self, call: Call) -> dict[str, str]:
        """What the real one is run with."""

    def note_volumes(self) -> None:
        """Containers may have been made."""

    def scratch(self) -> Path:
        """A file that does not exist yet."""


@dataclass(slots=True)
class Course:
    """How one call went.

    Args:
        call: of the tool.
        line: to the shim.
        rules: of the tap.
    """

    call: Call
    line: Line
    rules: Rules
    outcome: str = ""
    why: str = ""
    exit_code: int | None = None
    changed: tuple[str, ...] = ()
    began: float = 0.0
    stdin: Path | None = None
    stdout: bytes = b""
    stderr: bytes = b""

    def play(self) -> None:
        """From the first word of the shim to its last; in the journal before the tool goes on."""
        self.began = self.rules.journal.now()
        try:
            passed = self._passes(Moment.BEFORE) and self._carry_out() and self._passes(Moment.AFTER)
        except TapGoneError:
            self.outcome, passed = "cut", False
        self._write_down()
        if passed:
            self.line.say(LEAVE, str(self.exit_code).encode(), self.stdout, self.stderr)
        else:
            self.line.say(DIE)

    def _passes(self, moment: Moment) -> bool:
        passed = self.rules.gate.passes(self.call.name, moment)
        if not passed:
            self.outcome = f"dropped-{moment}"
        return passed

    def _carry_out(self) -> bool:
        try:
            self._follow(self.rules.decide(self.call, self._config()))
        except HarnessError as error:
            self.outcome, self.why, self.exit_code = "trouble", str(error), _TROUBLE_EXIT
            self.stderr += f"{self.call.program}: trouble in afterfault's command tap: {error}\n".encode()
        return True

    def _follow(self, decision: Decision) -> None:
        match decision:
            case Answer(stdout, stderr, exit_code):
                self.outcome, self.exit_code = "answered", exit_code
                self.stdout, self.stderr = stdout.encode(), stderr.encode()
            case Refuse(why, stderr, thing, exit_code):
                self.outcome, self.exit_code = "refused", exit_code
                self.why, self.stderr = why, stderr.encode()
                if thing:
                    self.rules.journal.append("tap.refused", call=self.call.name, thing=thing, why=why)
            case Pass():
                self._run(decision)

    def _run(self, decision: Pass) -> None:
        for volume in decision.volumes:
            self.rules.world.claim_volume(volume)
        if decision.then is not Then.CREATED:
            for cluster in decision.clusters:
                self.rules.hooks.deleting(cluster)
        self.outcome, self.changed = "ran", decision.changed
        self.exit_code, said = self._ask_shim(decision.words, capture=decision.then in _CAPTURED)
        if decision.then is Then.CREATED:
            self._created(decision)
        elif decision.then is Then.NOTE_VOLUMES:
            self.rules.note_volumes()
        elif decision.then is Then.EXPORTED and self.exit_code == 0:
            self.rules.hooks.kubeconfig_written(decision.kubeconfig)
        elif decision.then in _CAPTURED:
            self.stdout = self._shown(decision.then, said)

    def _created(self, decision: Pass) -> None:
        """What follows a create; one that failed ends as kind would have ended it, only later."""
        (name,) = decision.clusters
        if self.exit_code == 0:
            self.rules.note_volumes()
            self.rules.hooks.created(name, decision.kubeconfig)
            return
        if decision.existed or not self.rules.world.clusters().get(name):
            return
        self.rules.note_volumes()
        self.rules.hooks.create_failed(name)
        # kind keeps the nodes when it was killed, and when all it could not do was to write the kubeconfig
        killed = self.exit_code is not None and self.exit_code < 0
        if not (killed or decision.retain or _cannot_be_written(decision.kubeconfig)):
            parsed = kind_rules.parse_kind(self.call.words)
            kubeconfig = parsed.value("--kubeconfig")
            flags = (f"--kubeconfig={kubeconfig}",) * bool(kubeconfig)
            self._ask_shim(("delete", "cluster", f"--name={name}", *flags))

    def _shown(self, then: Then, said: bytes) -> bytes:
        """What the tool may see of what the real program said."""
        if then is Then.SHOW_KUBECONFIG:
            text = said.decode(errors="surrogateescape")
            return self.rules.hooks.kubeconfig_text(text).encode(errors="surrogateescape") if text else b""
        clusters = then is Then.SHOW_OWN_CLUSTERS
        world = self.rules.world
        own = {name for name, ours in world.clusters().items() if ours} if clusters else world.own_nodes()
        lines = said.decode(errors="surrogateescape").splitlines(keepends=True)
        shown = "".join(one for one in lines if one.strip() in own)
        if said.strip() and not shown:
            self.stderr = b"No kind clusters found.\n" if clusters else b"No kind nodes for any cluster.\n"
        return shown.encode(errors="surrogateescape")

    def _ask_shim(self, words: tuple[str, ...], *, capture: bool = False) -> tuple[int, bytes]:
        """Have the real program run, as the tool's own child; returns its code, and its output when captured."""
        environment = self.rules.environment_of(self.call)
        self.line.say(
            RUN, os.fsencode(self.rules.program(self.call.program)), b"1" if capture else b"",
            os.fsencode(self.stdin or ""), str(len(words) + 1).encode(), os.fsencode(self.call.program),
            *map(os.fsencode, words), *(os.fsencode(f"{name}={value}") for name, value in environment.items()),
        )  # fmt: skip
        code, said = self._hear(ENDED)
        return int(code), said

    def _config(self) -> str:
        """What kind is going to read as its configuration; from stdin it is read here, and given on as a file."""
        source = kind_rules.config_source(self.call) if self.call.program == KIND else ""
        if source == kind_rules.STDIN:
            self.line.say(READ)
            (text,) = self._hear(STDIN)
            self.stdin = self.rules.scratch()
            self.stdin.write_bytes(text)
            return text.decode(errors="replace")
        try:
            return (self.call.folder / source).read_text(errors="replace") if source else ""
        except OSError:
            return ""  # kind says so itself

    def _hear(self, expected: bytes) -> list[bytes]:
        kind, *parts = self.line.hear()
        if kind != expected:
            raise TapGoneError
        return parts

    def _write_down(self) -> None:
        journal = self.rules.journal
        shown = {
            "call": self.call.name,
            "argv": [self.call.program, *masked(self.call.words)],
            "changed": masked(self.changed),
            "exit_code": self.exit_code,
            "began": self.began,
            "ended": journal.now(),
            "outcome": self.outcome,
            "why": self.why,
        }
        if self.outcome == "trouble":
            journal.append("tap.trouble", call=self.call.name, why=self.why)
        journal.append("tap.command", **shown)


def call_from(parts: list[bytes]) -> Call:
    """What the shim says first.

    Raises:
        ValueError: nothing a shim would say.
    """
    _, program, folder, _pid, count, *rest = map(os.fsdecode, parts)
    words, pairs = rest[: int(count)], rest[int(count) :]
    environment = dict(pair.partition("=")[::2] for pair in pairs)
    return Call(program, tuple(words), Path(folder), environment)


def _cannot_be_written(kubeconfig: Path) -> bool:
    """Kind holds a lock beside it while it writes; a kind that was killed leaves it there."""
    lock = kubeconfig.with_name(f"{kubeconfig.name}.lock")
    folder = kubeconfig.parent
    return lock.exists() or (folder.exists() and not os.access(folder, os.W_OK)) or kubeconfig.is_dir()
