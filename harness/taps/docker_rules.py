"""What becomes of a call of docker: what it makes is marked as the run's, what is not the run's it leaves alone.

Verbs that only look pass. Verbs that no rule knows do not: what they leave could not be found again.
Not seen are names that ``docker load`` takes for images out of an archive. Verbs and flags are those of
Docker's command line 20 to 28.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.taps.command_rules import CONTAINER, IMAGE, NETWORK, VOLUME, Answer, Decision, Pass, Refuse, Then, World
from harness.taps.command_words import Call, Parsed, parse

_RUN_LABEL = "afterfault.run"
_NO_RUN = 125  # docker run's exit code for its own errors
_GLOBAL_VALUED = frozenset({
    "--config", "-c", "--context", "-H", "--host", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey",
})  # fmt: skip
_AWAY = ("-c", "--context", "-H", "--host")
_GROUPS = frozenset({"container", "image", "volume", "network", "system", "builder", "buildx", "context", "manifest",
                     "plugin", "compose"})  # fmt: skip
_SHORT_FORMS: Mapping[str, str] = {
    **{f"container {verb}": "ps" for verb in ("ls", "list", "ps")},
    **{f"container {verb}": verb for verb in (
        "attach", "commit", "cp", "create", "diff", "exec", "export", "inspect", "kill", "logs", "pause", "port",
        "rename", "restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait",
    )},
    "container remove": "rm",
    **{f"image {verb}": "images" for verb in ("ls", "list")},
    **{f"image {verb}": "rmi" for verb in ("rm", "remove")},
    **{f"image {verb}": verb for verb in ("build", "history", "import", "inspect", "load", "pull", "save", "tag")},
    "volume remove": "volume rm", "volume list": "volume ls",
    "network remove": "network rm", "network list": "network ls",
    "builder build": "build", "buildx build": "build", "buildx b": "build",
}  # fmt: skip
_LOOKS = frozenset({
    "", "help", "version", "info", "ps", "images", "inspect", "logs", "diff", "events", "export", "history", "load",
    "port", "save", "stats", "top", "wait", "volume ls", "volume inspect", "network ls", "network inspect",
    "system df", "system info", "system events", "context ls", "context show", "context inspect", "buildx version",
    "buildx ls", "buildx inspect", "buildx du", "compose version", "plugin ls", "manifest inspect", "container",
    "image", "volume", "network", "system", "builder", "buildx", "context", "plugin", "manifest",
})  # fmt: skip
_RUN_SWITCHES = frozenset({
    "-d", "--detach", "--disable-content-trust", "--help", "--init", "-i", "--interactive", "--no-healthcheck",
    "--oom-kill-disable", "--privileged", "-P", "--publish-all", "-q", "--quiet", "--read-only", "--rm", "--sig-proxy",
    "-t", "--tty", "--use-api-socket",
})  # fmt: skip
_SWITCHES_OF: Mapping[str, frozenset[str]] = {
    "run": _RUN_SWITCHES,
    "create": _RUN_SWITCHES,
    "exec": frozenset({"--help", "-d", "--detach", "-i", "--interactive", "--privileged", "-t", "--tty"}),
    "build": frozenset({"--help", "--compress", "--disable-content-trust", "--force-rm", "--load", "--no-cache",
                        "--pull", "--push", "-q", "--quiet", "--rm", "--squash", "--check", "-D", "--debug"}),
}  # fmt: skip
# Of all other verbs. One that is missing here makes a word more that could be a name, never one less.
_VALUED = frozenset({
    "-t", "--time", "--timeout", "-s", "--signal", "--detach-keys", "--platform", "--restart", "--alias", "--ip",
    "--ip6", "--driver-opt", "--link", "--link-local-ip", "-c", "--change", "-m", "--message", "--author", "--filter",
    "--memory", "--memory-swap", "--memory-reservation", "--cpus", "--cpu-shares", "--pids-limit",
})  # fmt: skip
_VALUED_OF = {"commit": frozenset({"-a"})}
_IN_ORDER = ("run", "create", "exec")  # flags behind the first word are the container's
# How many of the words name containers.
_CHANGING: Mapping[str, int | None] = {
    "stop": None, "kill": None, "rm": None, "restart": None, "pause": None, "unpause": None, "update": None,
    "start": None, "rename": 1, "exec": 1, "attach": 1,
}  # fmt: skip
_MARKED_PRUNES = ("container prune", "image prune", "volume prune", "network prune")
_NOBODYS_NETWORKS = ("bridge", "host", "none", "default")


@dataclass(frozen=True, slots=True)
class DockerRules:
    """Decides over calls of docker.

    Args:
        world: the engine.
        labels: this run's; asked for when something is going to be made.
        image_missing: may put a stand-in into the engine under the name; returns whether it did.
    """

    world: World
    labels: Callable[[], Mapping[str, str]]
    image_missing: Callable[[str], bool]

    def decide(self, call: Call) -> Decision:
        """What becomes of a call."""
        outer = parse(call.words, _GLOBAL_VALUED.__contains__, mixed=False)
        if outer.values(*_AWAY):
            flags = " and ".join(flag for flag in _AWAY if flag in outer.flags)
            return _kept_out(f"{flags} leads away from the engine that is guarded")
        verb, args = _verb(outer.words)
        line = _Line(call.words, len(call.words) - len(args), verb)
        if verb in _LOOKS or line.parsed.has("--help"):
            return Pass(call.words)
        rule = self._rule(verb)
        return rule(line) if rule else _kept_out(f"`docker {verb}` is not known to it")

    def _rule(self, verb: str) -> Callable[[_Line], Decision] | None:
        if verb in _CHANGING:
            return self._change
        if verb in _MARKED_PRUNES:
            return lambda line: line.with_flags("--filter", f"label={_RUN_LABEL}={self.labels()[_RUN_LABEL]}")
        if verb.endswith(" prune"):
            what = verb.removesuffix(" prune")
            return lambda _: _refused("everything unused", f"`docker {what} prune` takes from everybody")
        rules: Mapping[str, Callable[[_Line], Decision]] = {
            "run": self._make_container,
            "create": self._make_container,
            "volume create": self._make,
            "network create": self._make,
            "build": self._make_image,
            "commit": self._commit,
            "import": self._commit,
            "tag": lambda line: self._named_anew(line.parsed.words[1:2]) or Pass(line.words),
            "pull": self._pull,
            "cp": self._copy,
            "rmi": lambda line: self._own(IMAGE, line.parsed.words) or Pass(line.words),
            "volume rm": lambda line: self._own(VOLUME, line.parsed.words) or Pass(line.words),
            "network rm": lambda line: self._own(NETWORK, line.parsed.words) or Pass(line.words),
            "network connect": self._connect,
            "network disconnect": self._connect,
        }
        return rules.get(verb)

    def _change(self, line: _Line) -> Decision:
        named = line.parsed.words[: _CHANGING[line.verb]]
        going = self.world.own_nodes().intersection(named) if line.verb == "rm" else ()
        return self._own(CONTAINER, named) or Pass(line.words, clusters=tuple(sorted(going)))

    def _make(self, line: _Line) -> Decision:
        return line.with_flags(*self._label_flags())

    def _make_image(self, line: _Line) -> Decision:
        taken = self._named_anew(line.parsed.values("-t", "--tag"))
        return taken or line.with_flags(*self._label_flags())

    def _commit(self, line: _Line) -> Decision:
        source, name = line.parsed.words[:1], line.parsed.words[1:2]
        refused = (self._own(CONTAINER, source) if line.verb == "commit" else None) or self._named_anew(name)
        labels = self.labels().items()
        changes = [word for key, value in labels for word in ("--change", f"LABEL {key}={_quoted(value)}")]
        return refused or line.with_flags(*changes)

    def _make_container(self, line: _Line) -> Decision:
        parsed = line.parsed
        if not parsed.words:
            return Pass(line.words)
        others, networks, volumes = _containers_used(parsed), _networks_used(parsed), _volumes_used(parsed)
        intruded = self._own(CONTAINER, others) or self._own(NETWORK, networks) or self._own(VOLUME, volumes)
        if intruded:
            return intruded
        if missing := self._missing(parsed.words[0], line.verb):
            return missing
        new = tuple(name for name in volumes if self.world.whose(VOLUME, name) is None)
        then = Then.NOTHING if parsed.has("--rm") else Then.NOTE_VOLUMES
        return line.with_flags(*self._label_flags(), "--pull=never", then=then, volumes=new)

    def _missing(self, image: str, verb: str) -> Refuse | None:
        if self.world.whose(IMAGE, image) is not None or self.image_missing(image):
            return None
        prefix, code = ("docker: ", _NO_RUN) if verb == "run" else ("", 1)
        said = f"Unable to find image '{_tagged(image)}' locally\n"
        said += f"{prefix}Error response from daemon: No such image: {_tagged(image)}\n"
        return Refuse(f"image {image} is not in the engine", said, exit_code=code)

    def _pull(self, line: _Line) -> Decision:
        if len(line.parsed.words) != 1:
            return Pass(line.words)  # wrong usage
        name = line.parsed.words[0]
        there = self.world.whose(IMAGE, name) is not None
        if not there and not self.image_missing(name):
            said = f"Error response from daemon: manifest for {_tagged(name)} not found: manifest unknown\n"
            return Refuse(f"image {name} is not in the engine", said)
        if line.parsed.has("-q", "--quiet"):
            return Answer(f"{_tagged(name)}\n")
        state = "Image is up to date" if there else "Downloaded newer image"
        default = "" if _tagged(name) == name else "Using default tag: latest\n"
        return Answer(f"{default}Status: {state} for {_tagged(name)}\n{_tagged(name)}\n")

    def _copy(self, line: _Line) -> Decision:
        """Out of any container, into one's own."""
        container, colon, _ = (line.parsed.words[1:2] or ("",))[0].partition(":")
        into = (container,) if colon and not container.startswith((".", "/")) else ()
        return self._own(CONTAINER, into) or Pass(line.words)

    def _connect(self, line: _Line) -> Decision:
        network, container = line.parsed.words[:1], line.parsed.words[1:2]
        named = tuple(name for name in network if name not in _NOBODYS_NETWORKS)
        return self._own(NETWORK, named) or self._own(CONTAINER, container) or Pass(line.words)

    def _named_anew(self, names: tuple[str, ...]) -> Refuse | None:
        """A name that somebody's image has is not taken away from it."""
        return self._own(IMAGE, names)

    def _own(self, sort: str, names: tuple[str, ...]) -> Refuse | None:
        """Names of nothing at all are left to docker."""
        foreign = [name for name in names if self.world.whose(sort, name) is False]
        return _refused(f"{sort} {foreign[0]}", f"{sort} {foreign[0]} does not belong to this run") if foreign else None

    def _label_flags(self) -> list[str]:
        return [word for key, value in self.labels().items() for word in ("--label", f"{key}={value}")]


class _Line:
    """A command line, from its verb on.

    Args:
        words: all of it.
        start: where the verb's own words begin.
        verb: in its short form.
    """

    def __init__(self, words: tuple[str, ...], start: int, verb: str) -> None:
        self.words, self.verb, self._start = words, verb, start
        switches, valued = _SWITCHES_OF.get(verb), _VALUED | _VALUED_OF.get(verb, frozenset())
        takes_value = valued.__contains__ if switches is None else lambda flag: flag not in switches
        self.parsed = parse(words[start:], takes_value, mixed=verb not in _IN_ORDER)

    def with_flags(self, *flags: str, then: Then = Then.NOTHING, volumes: tuple[str, ...] = ()) -> Pass:
        """With these flags behind all others: the last one counts."""
        own = self.words[self._start :]
        end = self.parsed.first if self.verb in _IN_ORDER else len(own)
        if "--" in own[:end]:
            end = own.index("--")
        at = self._start + end
        return Pass((*self.words[:at], *flags, *self.words[at:]), flags, then, volumes=volumes)


def _verb(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The verb in its short form, and the words behind it."""
    size = 2 if words[:1] and words[0] in _GROUPS and len(words) > 1 and not words[1].startswith("-") else 1
    verb = " ".join(words[:size])
    return _SHORT_FORMS.get(verb, verb), words[size:]


def _containers_used(parsed: Parsed) -> tuple[str, ...]:
    shared = [value.partition(":")[2] for value in parsed.values("--network", "--net", "--pid", "--ipc")
              if value.startswith("container:")]  # fmt: skip
    named = [value.partition(":")[0] for value in parsed.values("--volumes-from", "--link")]
    return (*shared, *named)


def _networks_used(parsed: Parsed) -> tuple[str, ...]:
    names = [_field(value, "name") if "=" in value else value for value in parsed.values("--network", "--net")]
    return tuple(name for name in names if ":" not in name and name not in _NOBODYS_NETWORKS)


def _volumes_used(parsed: Parsed) -> tuple[str, ...]:
    """Those with names; folders of this machine have a slash or a dot, or a home, in front."""
    bound = [value.partition(":")[0] for value in parsed.values("-v", "--volume") if ":" in value]
    mounted = [_field(value, "source", "src") for value in parsed.values("--mount")
               if _field(value, "type") in ("", "volume")]  # fmt: skip
    return tuple(name for name in (*bound, *mounted) if name and name[0] not in "/.~")


def _field(value: str, *names: str) -> str:
    """Of ``name=x,alias=y``."""
    pairs = dict(part.partition("=")[::2] for part in value.split(","))
    return next((pairs[name] for name in names if name in pairs), "")


def _tagged(image: str) -> str:
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refused(thing: str, why: str) -> Refuse:
    return Refuse(why, f"Error response from daemon: {why}\n", thing)


def _kept_out(why: str) -> Refuse:
    return Refuse(why, f"docker: not let through by afterfault's command tap: {why}\n")
