"""What becomes of a call of kind: foreign clusters are neither seen nor touched, and nodes are made of our image.

Names, flags and sentences are kind's own (v0.30: pkg/cmd/kind).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.taps.command_rules import IMAGE, Answer, Decision, Pass, Refuse, Then, World
from harness.taps.command_words import Call, Parsed, parse

STDIN = "-"
_DEFAULT_NAME = "kind"
_VALUED = frozenset({
    "--name", "-n", "--config", "--image", "--kubeconfig", "--wait", "--nodes", "-v", "--verbosity", "--loglevel",
    "--arch", "--base-image", "--kube-root", "--type",
})  # fmt: skip


def parse_kind(words: tuple[str, ...]) -> Parsed:
    """A command line of kind."""
    return parse(words, _VALUED.__contains__)


def config_source(call: Call) -> str:
    """What ``kind create cluster`` gets its configuration from: a path, `STDIN`, or nothing."""
    parsed = parse_kind(call.words)
    return parsed.value("--config") if parsed.words[:2] == ("create", "cluster") else ""


@dataclass(frozen=True, slots=True)
class KindRules:
    """Decides over calls of kind.

    Args:
        world: the engine.
        node_image: what nodes are made of.
        retired: what they are no longer made of, though a tool's configuration may name it.
    """

    world: World
    node_image: str
    retired: str = ""

    def decide(self, call: Call, config: str = "") -> Decision:
        """What becomes of a call.

        Args:
            call: the tool's.
            config: what `config_source` holds.
        """
        parsed = parse_kind(call.words)
        rules: Mapping[tuple[str, ...], Callable[[], Decision]] = {
            ("create", "cluster"): lambda: self._create(call, parsed, config),
            ("delete", "cluster"): lambda: self._delete(call, parsed),
            ("delete", "clusters"): lambda: self._delete_many(call, parsed),
            ("get", "clusters"): lambda: Pass(call.words, then=Then.SHOW_OWN_CLUSTERS),
            ("get", "nodes"): lambda: self._nodes(call, parsed),
            ("get", "kubeconfig"): lambda: self._kubeconfig(call, parsed, Then.SHOW_KUBECONFIG),
            ("export", "kubeconfig"): lambda: self._kubeconfig(call, parsed, Then.EXPORTED),
            ("export", "logs"): lambda: self._own(call, parsed, 'unknown cluster "{}"'),
            ("load", "docker-image"): lambda: self._load(call, parsed),
            ("load", "image-archive"): lambda: self._load(call, parsed),
        }
        rule = rules.get(parsed.words[:2])
        return Pass(call.words) if rule is None or parsed.has("--help", "-h") else rule()

    def _create(self, call: Call, parsed: Parsed, config: str) -> Decision:
        settings = _settings(config)
        name = parsed.value("--name", "-n") or call.environment.get("KIND_CLUSTER_NAME", "")
        name = name or str(settings.get("name") or _DEFAULT_NAME)
        clusters = self.world.clusters()
        if clusters.get(name) is False:
            said = f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{name}"\n'
            return Refuse(f"the name of foreign cluster {name}", said)
        retain = parsed.has("--retain")
        asked = parsed.values("--image")[-1:] or _node_images(settings)
        fits = all(image and image != self.retired and self.world.whose(IMAGE, image) is not None for image in asked)
        changed = (() if fits else (f"--image={self.node_image}",)) + (() if retain else ("--retain",))
        return Pass(
            (*call.words, *changed), changed, Then.CREATED, (name,), kubeconfig_path(call, parsed),
            existed=name in clusters, retain=retain,
        )  # fmt: skip

    def _delete(self, call: Call, parsed: Parsed) -> Decision:
        name = _name(call, parsed)
        owned = self.world.clusters().get(name)
        if owned is False:
            return _not_deleted(name)
        return Pass(call.words, clusters=(name,) * bool(owned))

    def _delete_many(self, call: Call, parsed: Parsed) -> Decision:
        clusters, named = self.world.clusters(), parsed.words[2:]
        foreign = [name for name in named if clusters.get(name) is False]
        if foreign and not parsed.has("--all", "-A"):
            return _not_deleted(foreign[0])
        own = tuple(sorted(name for name, owned in clusters.items() if owned))
        if not parsed.has("--all", "-A"):
            return Pass(call.words, clusters=tuple(name for name in own if name in named))
        if not own:
            return Answer(stderr="Deleted clusters: []\n")
        kubeconfig = parsed.value("--kubeconfig")
        flags = (f"--kubeconfig={kubeconfig}",) * bool(kubeconfig) + ("--quiet",) * parsed.has("--quiet", "-q")
        return Pass(("delete", "clusters", *flags, *own), changed=own, clusters=own)

    def _nodes(self, call: Call, parsed: Parsed) -> Decision:
        name = _name(call, parsed)
        if not parsed.has("--all-clusters", "-A") and self.world.clusters().get(name) is False:
            return Answer(stderr=f'No kind nodes found for cluster "{name}".\n')
        return Pass(call.words, then=Then.SHOW_OWN_NODES)

    def _kubeconfig(self, call: Call, parsed: Parsed, then: Then) -> Decision:
        words = "could not locate any control plane nodes for cluster named '{}'. "
        words += "Use the --name option to select a different cluster"
        decision = self._own(call, parsed, words)
        if isinstance(decision, Refuse):
            return decision
        return Pass(call.words, then=then, kubeconfig=kubeconfig_path(call, parsed))

    def _load(self, call: Call, parsed: Parsed) -> Decision:
        decision = self._own(call, parsed, 'no nodes found for cluster "{}"')
        if isinstance(decision, Refuse):
            return Refuse(decision.why, decision.stderr, f"cluster {_name(call, parsed)}")
        return decision

    def _own(self, call: Call, parsed: Parsed, not_there: str) -> Decision:
        """A foreign cluster is not there, as kind would put it."""
        name = _name(call, parsed)
        if self.world.clusters().get(name) is False:
            return Refuse(f"foreign cluster {name}", f"ERROR: {not_there.format(name)}\n")
        return Pass(call.words)


def kubeconfig_path(call: Call, parsed: Parsed) -> Path:
    """The file kind merges a kubeconfig into: the one named, the first of ``$KUBECONFIG`` that exists, its last."""
    named = parsed.value("--kubeconfig")
    listed = [named] if named else [path for path in call.environment.get("KUBECONFIG", "").split(":") if path]
    if not listed:
        return Path(call.environment.get("HOME", "")) / ".kube" / "config"
    paths = [call.folder / path for path in listed]
    return next((path for path in paths if path.is_file()), paths[-1])


def _name(call: Call, parsed: Parsed) -> str:
    if parsed.values("--name", "-n"):
        return parsed.value("--name", "-n")
    return call.environment.get("KIND_CLUSTER_NAME", "") or _DEFAULT_NAME


def _not_deleted(name: str) -> Refuse:
    said = f'ERROR: failed to delete cluster "{name}": it does not belong to this run\n'
    return Refuse(f"foreign cluster {name}", said, f"cluster {name}")


def _settings(config: str) -> Mapping[str, object]:
    """What kind can't read, kind complains of."""
    try:
        settings = yaml.safe_load(config)
    except yaml.YAMLError:
        return {}
    return settings if isinstance(settings, dict) else {}


def _node_images(settings: Mapping[str, object]) -> tuple[str, ...]:
    """One for each node; empty for a node of kind's own choice."""
    nodes = settings.get("nodes")
    rows = nodes if isinstance(nodes, list) and nodes else [{}]
    return tuple(str(node.get("image") or "") if isinstance(node, dict) else "" for node in rows)
