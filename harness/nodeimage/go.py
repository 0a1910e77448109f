"""Go programs from the module proxy, every byte held against a sum.

What we name ourselves is held against ``files/sums``; everything below it against the ``go.sum`` that
those modules bring along. So no checksum database is asked, and Go refuses what has no sum.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.nodeimage.process import run
from harness.nodeimage.steps import FILES

# The same for every build, so that Go's own cache serves all of them.
ENVIRONMENT: Mapping[str, str] = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    "GOWORK": "off",
    "GO111MODULE": "on",
    "GOOS": "linux",
    "GOARCH": "amd64",
}


@dataclass(frozen=True, slots=True)
class GoPrograms:
    """Programs of modules that are published together.

    Args:
        sums: name of the file in ``files/sums``.
        modules: module paths named by us.
        version: of those modules, with the v.
        programs: binary name to package path.
        variables: package variable to value, set by the linker.
    """

    sums: str
    modules: tuple[str, ...]
    version: str
    programs: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)

    def inputs(self) -> dict[str, str]:
        """What decides the outcome, besides the sums file."""
        return {
            "version": self.version,
            "programs": json.dumps(dict(self.programs), sort_keys=True),
            "variables": json.dumps(dict(self.variables), sort_keys=True),
            "environment": json.dumps(dict(ENVIRONMENT), sort_keys=True),
        }


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """The parts of a ``go.mod`` that matter here.

    Args:
        go: its language version.
        requires: module path to version.
        siblings: modules that it takes from folders beside itself.
    """

    go: str
    requires: Mapping[str, str]
    siblings: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> ModuleFile:
        """Read what ``go mod edit -json`` says."""
        raw = json.loads(text)
        local = {r["Old"]["Path"] for r in raw.get("Replace") or [] if r["New"]["Path"].startswith(".")}
        requires = {r["Path"]: r["Version"] for r in raw.get("Require") or []}
        return cls(raw["Go"], requires, frozenset(local))


def build(programs: GoPrograms, folder: Path) -> None:
    """Build into `folder`, one static binary for each program.

    Raises:
        CommandError: the proxy does not serve it, a sum differs, or it does not compile.
    """
    work = folder / "module"
    work.mkdir()
    sums = (FILES / "sums" / programs.sums).read_text()
    named = dict.fromkeys(programs.modules, programs.version)
    (work / "go.mod").write_text(module_text("1.21", named, {}))
    (work / "go.sum").write_text(sums)
    sources = [_download(work, path, programs.version) for path in programs.modules]
    files = [ModuleFile.parse(run(["go", "mod", "edit", "-json", str(source / "go.mod")])) for source in sources]
    (work / "go.mod").write_text(wrapper_text(named, files, pinned_versions(sums)))
    (work / "go.sum").write_text(sums + "".join((source / "go.sum").read_text() for source in sources))
    flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in programs.variables.items())])
    (folder / "bin").mkdir()
    command = ["go", "build", "-ldflags", flags, "-o", f"{folder / 'bin'}/", *programs.programs.values()]
    run(command, folder=work, extra=ENVIRONMENT)
    for name, package in programs.programs.items():
        (folder / "bin" / default_name(package)).rename(folder / "bin" / name)


def default_name(package: str) -> str:
    """What Go calls the program of a package: its last part, a major version does not count."""
    parts = package.split("/")
    return parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]


def build_own(names: Sequence[str], folder: Path, files: Path = FILES) -> None:
    """Build our own programs in ``files/<name>``, which use nothing but Go's library."""
    (folder / "bin").mkdir()
    for name in names:
        work = folder / "module" / name
        work.mkdir(parents=True)
        (work / "go.mod").write_text(module_text("1.21", {}, {}, name=f"afterfault.local/{name}"))
        for source in (files / name).glob("*.go"):
            (work / source.name).write_text(source.read_text())
        run(["go", "build", "-ldflags", "-s -w", "-o", str(folder / "bin" / name), "."], folder=work, extra=ENVIRONMENT)


def wrapper_text(named: Mapping[str, str], files: Sequence[ModuleFile], pinned: Mapping[str, str]) -> str:
    """A ``go.mod`` that builds published modules as their authors did.

    Args:
        named: the modules to build, with versions.
        files: their ``go.mod`` files.
        pinned: versions of the modules in our sums file: what a module takes from the folder beside
            itself is taken in this version.
    """
    siblings = {path: version for path, version in pinned.items() if any(path in file.siblings for file in files)}
    requires: dict[str, str] = {}
    for file in files:
        for path, version in file.requires.items():
            if path in file.siblings and path not in siblings:
                continue  # examples: published, but no program of ours needs them
            requires[path] = max(requires.get(path, version), version, key=version_order)
    go = max((file.go for file in files), key=version_order)
    return module_text(go, requires | siblings | dict(named), siblings)


def module_text(
    go: str, requires: Mapping[str, str], replaced: Mapping[str, str], name: str = "afterfault.local/build"
) -> str:
    """The text of a ``go.mod``; `replaced` modules are taken in that version whatever others ask for."""
    lines = [f"module {name}", f"go {go}"]
    lines += [f"require {path} {version}" for path, version in sorted(requires.items())]
    lines += [f"replace {path} => {path} {version}" for path, version in sorted(replaced.items())]
    return "\n".join(lines) + "\n"


def pinned_versions(sums: str) -> dict[str, str]:
    """Module path to version, of a sums file."""
    words = [line.split() for line in sums.splitlines() if line.strip()]
    return {path: version for path, version, _ in words if not version.endswith("/go.mod")}


def version_order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sorts versions as Go does: numbers first, a pre-release before its release, then by text."""
    core, _, rest = version.removeprefix("v").partition("-")
    numbers = tuple(int(number) for number in re.findall(r"\d+", core.partition("+")[0]))
    return numbers, not rest, rest


def _download(work: Path, path: str, version: str) -> Path:
    said = run(["go", "mod", "download", "-json", f"{path}@{version}"], folder=work, extra={"GOFLAGS": "-mod=mod"})
    return Path(json.loads(said)["Dir"])
