"""What legs need, looked for on this machine: words for pytest, or what is missing and the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from harness.clusters.etcd_release import find_releases, load_release
from harness.errors import HarnessError, MachineError, UsageError
from harness.nightly.legs import Leg
from harness.nodeimage import pins
from harness.nodeimage.etcd_build import built_releases
from harness.nodeimage.images import NodeImage, find_node_images, pick_node_image
from harness.nodeimage.s3_server import find_s3_server
from harness.nodeimage.tools import tool_paths

_ETCD, _KUBERNETES, _LACONIC_SO = "etcd-", "kubernetes-", "laconic-so-"


@dataclass(frozen=True, slots=True)
class Missing:
    """A need that this machine does not meet.

    Args:
        need: as the matrix names it.
        why: what was found instead.
        mend: what brings it.
    """

    need: str
    why: str
    mend: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.need}: {self.why}" + (f"; mend: {self.mend}" if self.mend else "")


@dataclass(frozen=True)
class Given:
    """What the caller named.

    Args:
        etcd_dirs: folders with etcd, etcdctl and etcdutl.
        node_images: node images for kind.
        laconic_sos: builds of laconic-so by their label.
    """

    etcd_dirs: Sequence[Path] = ()
    node_images: Sequence[str] = ()
    laconic_sos: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Equipped:
    """A leg, and what its needs came to.

    Args:
        leg: which.
        words: what the needs add to pytest's words.
        missing: needs that are not met.
    """

    leg: Leg
    words: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()


def equip(legs: Sequence[Leg], given: Given) -> tuple[Equipped, ...]:
    """Look for what each leg needs; every need once.

    Raises:
        UsageError: what the caller named is not what it should be, or a leg names a need that nobody knows.
    """
    look = cache(lambda need: _look(need, given))
    found = []
    for leg in legs:
        seen = [look(need) for need in leg.needs]
        missing = tuple(each for each in seen if isinstance(each, Missing))
        words = tuple(word for each in seen if not isinstance(each, Missing) for word in each)
        found.append(Equipped(leg, words, missing))
    return tuple(found)


def labelled(words: Sequence[str], legs: Sequence[Leg]) -> dict[str, Path]:
    """Builds of laconic-so by label, from ``LABEL=PATH``.

    Args:
        words: as the caller gave them.
        legs: of the matrix; a label that none of them needs is a slip of the pen.

    Raises:
        UsageError: one is of another form, has a label twice or one that no leg needs, or names no file.
    """
    known = sorted(
        {need.removeprefix(_LACONIC_SO) for leg in legs for need in leg.needs if need.startswith(_LACONIC_SO)}
    )
    found: dict[str, Path] = {}
    for word in words:
        label, separator, path = word.partition("=")
        if not separator or not path.strip():
            raise UsageError(f"--laconic-so {word}: not a LABEL=PATH", mend=f"the labels are {', '.join(known)}")
        if label not in known or label in found:
            why = "given twice" if label in found else "no leg needs it"
            raise UsageError(f"--laconic-so {label}: {why}", mend=f"the labels are {', '.join(known)}")
        if not Path(path).is_file():
            raise UsageError(
                f"--laconic-so {word}: there is no such program", mend="docs/laconic-so.md says which it is"
            )
        found[label] = Path(path).absolute()
    return found


def _look(need: str, given: Given) -> tuple[str, ...] | Missing:
    for prefix, seek in ((_ETCD, _etcd), (_KUBERNETES, _kubernetes), (_LACONIC_SO, _laconic_so)):
        if need.startswith(prefix):
            return _sought(need, partial(seek, need.removeprefix(prefix), given))
    if need == "kind":
        return _sought(need, partial(_kind, given))
    if need == "s3":
        return _sought(need, _s3)
    raise UsageError(f"the matrix names a need that nobody knows: {need}")


def _sought(need: str, seek: Callable[[], tuple[str, ...]]) -> tuple[str, ...] | Missing:
    try:
        return seek()
    except UsageError:
        raise
    except HarnessError as error:
        return Missing(need, str(error).partition("\n")[0], error.mend)


def _etcd(minor: str, given: Given) -> tuple[str, ...]:
    """The first release of that minor, those that were named before others."""
    releases = [*find_releases(given.etcd_dirs), *(load_release(place, "built here") for place in built_releases())]
    for release in releases:
        if release.version.startswith(f"{minor}."):
            return ("--etcd-dir", str(release.etcd.parent))
    have = ", ".join(release.version for release in releases)
    built = [version for version in pins.ETCD if version.startswith(f"{minor}.")]
    mend = f"afterfault images etcd --version {built[0]}" if built else f"--etcd-dir DIR of etcd {minor}"
    raise MachineError(f"there is no etcd {minor} here (there is {have})", mend=mend)


def _kubernetes(minor: str, given: Given) -> tuple[str, ...]:
    """A node image of that minor, those that were named before others."""
    images = _images(given)
    tool_paths()
    for image in images:
        if image.kubernetes.startswith(f"{minor}."):
            return ("--node-image", image.reference)
    have = ", ".join(image.reference for image in images) or "none"
    mend = f"--node-image REF of Kubernetes {minor}, or afterfault images build --all"
    raise MachineError(f"there is no node image of Kubernetes {minor} here (there is {have})", mend=mend)


def _laconic_so(label: str, given: Given) -> tuple[str, ...]:
    if label not in given.laconic_sos:
        raise MachineError("nobody said where it is", mend=f"--laconic-so {label}=PATH (docs/laconic-so.md)")
    return ("--laconic-so", str(given.laconic_sos[label]))


def _kind(given: Given) -> tuple[str, ...]:
    """Anything kind clusters can be made of; the first image that was named, if one was."""
    image = pick_node_image(given.node_images[0] if given.node_images else "")
    tool_paths()
    return ("--node-image", image.reference) if given.node_images else ()


def _s3() -> tuple[str, ...]:
    find_s3_server()
    return ()


def _images(given: Given) -> list[NodeImage]:
    named = [pick_node_image(reference) for reference in given.node_images]
    return named + [image for image in find_node_images() if image.reference not in given.node_images]
