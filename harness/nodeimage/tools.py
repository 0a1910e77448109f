"""kind and kubectl: those built here, or fitting ones on PATH; and the kube API tap, built here."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.clusters.ownership import cache_folder
from harness.errors import MachineError
from harness.nodeimage import pins
from harness.nodeimage.process import CommandError, run
from harness.nodeimage.recipe import Recipe, kube_tap_step
from harness.nodeimage.steps import Step

_ASK_SECONDS = 15.0
_MEND = "afterfault images build"


@dataclass(frozen=True, slots=True)
class ToolPaths:
    """Where the two programs are.

    Args:
        kind: of the pinned minor.
        kubectl: at most one minor away from the default Kubernetes.
    """

    kind: Path
    kubectl: Path


def tool_paths() -> ToolPaths:
    """What `images build` made, or what is on PATH and fits.

    Raises:
        MachineError: neither.
    """
    return ToolPaths(find_kind(), _find_kubectl())


def find_kind() -> Path:
    """A kind of the pinned minor: others ask for another load balancer.

    Raises:
        MachineError: there is none.
    """
    if _kind_place().exists():
        return _kind_place()
    found = shutil.which("kind")
    if found and _minor(_version(found, "version")) == _minor(pins.KIND):
        return Path(found)
    raise MachineError(f"there is no kind {_minor_text(pins.KIND)}.x here", mend=_MEND)


def install_kind(recipe: Recipe) -> Path:
    """Put the kind that was built where `tool_paths` finds it."""
    return install(recipe.kind.folder / "bin/kind", _kind_place())


def install_kubectl(recipe: Recipe) -> Path:
    """Put the kubectl that was built where `tool_paths` finds it."""
    return install(recipe.kubernetes.folder / "bin/kubectl", _kubectl_place(recipe.pair.kubernetes))


def find_kube_tap() -> Path:
    """The kube API tap's program, of today's sources.

    Raises:
        MachineError: there is none.
    """
    place = _kube_tap_place(kube_tap_step())
    if place.exists():
        return place
    raise MachineError("the kube API tap of these sources was not built here", mend=_MEND)


def install_kube_tap(step: Step) -> Path:
    """Put the tap that was built where `find_kube_tap` finds it."""
    return install(step.folder / "bin/kube-tap", _kube_tap_place(step))


def has_tools(recipe: Recipe) -> bool:
    """Whether all of them were put there for this recipe before."""
    places = (_kind_place(), _kubectl_place(recipe.pair.kubernetes), _kube_tap_place(recipe.kube_tap))
    return all(place.exists() for place in places)


def _find_kubectl() -> Path:
    for version in pins.KUBERNETES:
        if _kubectl_place(version).exists():
            return _kubectl_place(version)
    found = shutil.which("kubectl")
    if found:
        seen, wanted = _minor(_version(found, "version", "--client")), _minor(pins.KUBERNETES[0])
        if seen[0] == wanted[0] and abs(seen[1] - wanted[1]) <= 1:
            return Path(found)
    raise MachineError(f"there is no kubectl near {_minor_text(pins.KUBERNETES[0])} here", mend=_MEND)


def install(source: Path, place: Path) -> Path:
    """Put a program where it is looked for, whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.partial")
    shutil.copy2(source, partial)
    partial.rename(place)  # one that runs keeps its file
    return place


def _kind_place() -> Path:
    return cache_folder() / "tools" / f"kind-v{pins.KIND}" / "kind"


def _kubectl_place(version: str) -> Path:
    return cache_folder() / "tools" / f"kubectl-v{version}" / "kubectl"


def _kube_tap_place(step: Step) -> Path:
    return cache_folder() / "tools" / f"kube-tap-{step.key}" / "kube-tap"


def _version(program: str, *words: str) -> str:
    try:
        said = run([program, *words], timeout_seconds=_ASK_SECONDS)
    except CommandError:
        return "0.0"
    found = re.search(r"v(\d+\.\d+)", said)
    return found.group(1) if found else "0.0"


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _minor_text(version: str) -> str:
    return ".".join(map(str, _minor(version)))
