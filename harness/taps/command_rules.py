"""What the command tap may decide over a call, and what its rules ask of the engine. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

CONTAINER, NETWORK, VOLUME, IMAGE = "container", "network", "volume", "image"
_USAGE = 1


class World(Protocol):
    """The engine as the rules see it; `harness.taps.engine_view` is the real one.

    Each method may raise MachineError: the engine does not answer.
    """

    def clusters(self) -> dict[str, bool]:
        """The kind clusters there are, by name, with whether they are this run's."""

    def own_nodes(self) -> set[str]:
        """Names of the containers of this run's kind clusters."""

    def whose(self, sort: str, reference: str) -> bool | None:
        """Whether a container, network, volume or image is this run's; None when there is none of that name."""

    def claim_volume(self, name: str) -> None:
        """Make a volume that does not exist yet, marked as this run's."""


class Then(StrEnum):
    """What is to be done when the real program has ended."""

    NOTHING = "nothing"
    CREATED = "created"  # a kind cluster, or it failed
    EXPORTED = "exported"  # a kubeconfig into a file
    SHOW_OWN_CLUSTERS = "show-own-clusters"
    SHOW_OWN_NODES = "show-own-nodes"
    SHOW_KUBECONFIG = "show-kubeconfig"
    NOTE_VOLUMES = "note-volumes"


@dataclass(frozen=True, slots=True)
class Pass:
    """The real program is run.

    Args:
        words: its arguments.
        changed: those of them that are not the tool's.
        then: what follows.
        clusters: kind clusters it makes or deletes, or nodes of them that it removes.
        kubeconfig: the file it writes.
        existed: whether the cluster it makes was there before.
        retain: whether the tool itself asked that nodes of a failed create stay.
        volumes: names of volumes it is going to make on the way, without a label.
    """

    words: tuple[str, ...]
    changed: tuple[str, ...] = ()
    then: Then = Then.NOTHING
    clusters: tuple[str, ...] = ()
    kubeconfig: Path = Path()
    existed: bool = False
    retain: bool = False
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Answered without running anything.

    Args:
        stdout, stderr: what the tool gets to read.
        exit_code: and what for an exit code.
    """

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not let through.

    Args:
        why: as it should read in the journal.
        stderr: what the tool gets to read.
        thing: what is not this run's and would have been changed, as ``cluster other``; empty when
            nothing of anybody's would have been.
        exit_code: the tool gets.
    """

    why: str
    stderr: str
    thing: str = ""
    exit_code: int = _USAGE


Decision: TypeAlias = Pass | Answer | Refuse
