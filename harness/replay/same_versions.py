"""Whether this machine has what a case was played with, and the options of pytest that choose just that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import __version__
from harness.clusters.etcd_release import find_releases
from harness.errors import MachineError, UsageError
from harness.nodeimage import pick_node_image
from harness.nodeimage.engine import image_present
from harness.replay.played import Played
from harness.shapes import DeploymentSpec, KindSpec
from harness.spec import EtcdSpec
from harness.tools.etcd_manager import NAME as ETCD_MANAGER
from harness.tools.etcd_manager import EtcdManager
from harness.tools.laconic_so import NAME as LACONIC_SO
from harness.tools.laconic_so import LaconicSo
from reports.telling import own_tool

_ETCD_DIR, _NODE_IMAGE, _STACK = "--etcd-dir", "--node-image", "--laconic-so-stack"
_OF_IMAGE = re.compile(r":v([\d.]+)-etcd([\d.]+)-")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not here as it was there.

    Args:
        what: in a sentence's part, as ``etcd 3.6.6 (here it is 3.5.1)``.
        mend: how to get the right one.
    """

    what: str
    mend: str


@dataclass(slots=True)
class SameVersions:
    """What is held against this machine.

    Args:
        played: the case as it was played.
        more: options of pytest that the user gave.
        words: options that choose what the case was played with, where it is here and not the preferred one.
        differences: what is not here.
    """

    played: Played
    more: Sequence[str]
    words: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @classmethod
    def of(cls, played: Played, more: Sequence[str]) -> SameVersions:
        """Look at everything.

        Raises:
            UsageError: the user's own tool was not named, or is none.
            MachineError: there is no etcd, no engine or no node image here at all.
        """
        same = cls(played, more)
        same._look_at_harness()
        if played.versions.etcd and played.spec.target.tool != ETCD_MANAGER:  # that one brings its own
            same._look_at_etcd(played.versions.etcd)
        if played.versions.node_image:
            same._look_at_node_image(played.versions.node_image)
        if option := own_tool(played.spec):
            same._look_at_tool(option)
        return same

    def require(self) -> None:
        """Refuse where there are differences.

        Raises:
            MachineError: naming each of them, and how to get the right one.
        """
        if self.differences:
            told = "; ".join(one.what for one in self.differences)
            mends = "; ".join(one.mend for one in self.differences)
            name = self.played.spec.play_id
            raise MachineError(
                f"{name} was played with {told}", mend=f"{mends}; or play it with what is here: --any-version"
            )

    def _look_at_harness(self) -> None:
        then = self.played.versions.afterfault
        if then and then != __version__:
            mend = f"take the sources of afterfault {then}"
            self.differences.append(Difference(f"afterfault {then} (here it is {__version__})", mend))

    def _look_at_etcd(self, then: str) -> None:
        named = list(values(_ETCD_DIR, self.more))
        releases = find_releases([Path(folder) for folder in named])
        shape = self.played.spec.cluster
        if releases[0].version == then or (isinstance(shape, EtcdSpec) and shape.release):
            return  # a story that asks for its release gets it, or says what is missing
        found = next((release for release in releases if release.version == then), None)
        if found is not None and not named:
            self.words += [_ETCD_DIR, str(found.etcd.parent)]
            return
        mend = f"-- {_ETCD_DIR} DIR, with etcd, etcdctl and etcdutl of {then}"
        self.differences.append(Difference(f"etcd {then} (here it is {releases[0].version})", mend))

    def _look_at_node_image(self, then: str) -> None:
        named = next(values(_NODE_IMAGE, self.more), "")
        here = self._usual_image(named)
        if here == then:
            return
        if not named and image_present(then):
            self.words += [_NODE_IMAGE, then]
            return
        versions, usual = _OF_IMAGE.search(then), _OF_IMAGE.search(here)
        mend = f"-- {_NODE_IMAGE} {then}, once the engine has it"
        if versions and usual and versions.groups() == usual.groups():
            mend = f"another recipe made it: `afterfault images build` in the sources of that run, then {mend}"
        elif versions:
            mend = f"afterfault images build --kubernetes {versions.group(1)} --etcd {versions.group(2)}"
        self.differences.append(Difference(f"the node image {then} (here it is {here or 'none'})", mend))

    def _usual_image(self, named: str) -> str:
        shape = self.played.spec.cluster
        wanted = (shape.kubernetes, shape.etcd) if isinstance(shape, KindSpec | DeploymentSpec) else ("", "")
        try:
            return pick_node_image(named, *wanted).reference
        except MachineError:
            if named:
                raise
            return ""

    def _look_at_tool(self, option: str) -> None:
        spec = self.played.spec
        place = next(values(option.split(maxsplit=1)[0], self.more), "")
        if not place:
            raise UsageError(f"{spec.play_id} is a case of {spec.target.label}", mend=f"say where it is: -- {option}")
        then, here = spec.target.version, ""
        if spec.target.tool == LACONIC_SO:
            here = LaconicSo.examine(place).version
            self._choose_stack(spec.target.variant.removeprefix(f"{LACONIC_SO}-"))
        if spec.target.tool == ETCD_MANAGER:
            releases = find_releases([Path(folder) for folder in values(_ETCD_DIR, self.more)])
            then, here = spec.target.variant, EtcdManager.examine(place, releases).release.version
        if then != here:
            mend = f"-- {option} of that version"
            self.differences.append(Difference(f"{spec.target.tool} {then} (here it is {here or 'unknown'})", mend))

    def _choose_stack(self, stack: str) -> None:
        """What it deployed is part of its name, where that is not our own smallest."""
        if stack != LACONIC_SO and not list(values(_STACK, self.more)):
            self.words += [_STACK, stack]


def values(option: str, words: Sequence[str]) -> Iterator[str]:
    """What an option is given in these words, each time it is there."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == option:
            yield following
        elif word.startswith(f"{option}="):
            yield word.removeprefix(f"{option}=")
