"""A new story, ready to be played: what ``afterfault new scenario`` writes into a clone.

The templates are whole stories with one faithful variant and one defect, so that what is written is two-sided
from its first run on; they are data of this package.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from harness.errors import MachineError, UsageError

# The incident each family was built for, where no other is named.
INCIDENTS = {
    "etcd": "002_638ead7455fd6626.txt",
    "kind": "000_ef3e953d37b9f50a.txt",
    "managed": "003_dc68aa53602124f8.txt",
}
FAMILIES = tuple(INCIDENTS)
_LEDGER = Path("scenarios/known_defects.yaml")
_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
_INCIDENT = re.compile(r"\w[\w.-]{0,50}_[\w.-]{1,50}\.txt", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scaffold:
    """A story that is still to be written.

    Args:
        root: of the clone.
        name: of story, folder and module, as ``node_upgraded``.
        incident: file name of the seed it replays.
        family: what it is played on: ``etcd``, ``kind`` or ``managed``.
    """

    root: Path
    name: str
    incident: str
    family: str

    @property
    def story(self) -> Path:
        """The module, from the clone's root on."""
        return Path("scenarios") / self.name / f"test_{self.name}.py"

    def check(self) -> None:
        """Whether it can be written here without touching what is there.

        Raises:
            UsageError: a name that won't do, or that is taken; nothing was written.
        """
        _check_words(self.name, self.incident)
        if (self.root / self.story.parent).exists():
            raise UsageError(f"{self.story.parent} is there already", mend="take another name; nothing was changed")
        for place in self._mentions():
            raise UsageError(f"there is a story {self.name} already: {place}", mend="take another name")

    def write(self) -> list[str]:
        """Write the story, and the ledger's line.

        Raises:
            MachineError: a file can't be written.

        Returns the places written, as ``path:line`` from the clone's root on.
        """
        try:
            folder = self.root / self.story.parent
            folder.mkdir()
            (self.root / self.story).write_text(self._filled(f"{self.family}.py.txt"), encoding="utf-8")
            line = self._append(_LEDGER, self._filled(f"{self.family}.yaml.txt"))
        except OSError as error:
            raise MachineError(f"{error.filename}: {error.strerror}", mend="make the clone writable") from error
        return [str(self.story), line]

    def _append(self, path: Path, text: str) -> str:
        file = self.root / path
        before = file.read_text(encoding="utf-8")
        gap = "" if before.endswith("\n") else "\n"
        file.write_text(before + gap + text, encoding="utf-8")
        return f"{path}:{(before + gap).count(chr(10)) + 1}"

    def _filled(self, template: str) -> str:
        text = (files(__package__) / "templates" / template).read_text(encoding="utf-8")
        dashed = self.name.replace("_", "-")
        return Template(text).substitute(name=self.name, dashed=dashed, incident=self.incident)

    def _mentions(self) -> Iterator[str]:
        """Stories may be several in a module, and go by any constant: the quoted name gives them away."""
        quoted = re.compile(rf"""["']{self.name}["']|^\s*scenario: ["']?{self.name}["']?\s*$""", re.MULTILINE)
        for path in sorted([*(self.root / "scenarios").rglob("*.py"), self.root / _LEDGER]):
            text = path.read_text(encoding="utf-8")
            if found := quoted.search(text):
                yield f"{path.relative_to(self.root)}:{text.count(chr(10), 0, found.start()) + 1}"


def clone_above(folder: Path) -> Path:
    """The clone that a folder belongs to.

    Raises:
        UsageError: it belongs to none.
    """
    for place in (folder, *folder.parents):
        if (place / _LEDGER).is_file():
            return place
    raise UsageError(f"{folder} is in no clone of afterfault: there is no {_LEDGER}", mend="cd into your clone first")


def incident_file(word: str, family: str) -> str:
    """The seed's file name, which is all that goes into the project: seeds themselves are kept elsewhere.

    Args:
        word: a name or a path, as the user gave it; empty for the family's own incident.
        family: one of FAMILIES.

    Raises:
        UsageError: a path leads to nothing.
    """
    if not word:
        return INCIDENTS[family]
    path = Path(word)
    if len(path.parts) > 1 and not path.is_file():
        raise UsageError(f"--incident {word} is not there", mend="give the seed's path, or its file name alone")
    return path.name


def _check_words(name: str, incident: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        mend = "2 to 40 of a-z, 0-9 and _, a letter first, as node_upgraded"
        raise UsageError(f"{name!r} can't be the name of a story", mend=mend)
    if name.startswith("test_") or name == "expected":
        raise UsageError(f"{name!r} can't be the name of a story: it would be taken for something else")
    if not _INCIDENT.fullmatch(incident):
        mend = f"name it as the others are, for example {INCIDENTS['etcd']}"
        raise UsageError(f"{incident!r} can't be the name of an incident's file", mend=mend)
