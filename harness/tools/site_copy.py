"""A copy of a deployment's folder, to which the folder can be brought back."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path


class SiteCopy:
    """What a folder held at one moment.

    Args:
        folder: which.
        to: where the copy goes; what is there is removed.
        leave: folders in it that somebody has open, as a node its etcd's: neither copied nor brought back.
    """

    def __init__(self, folder: Path, to: Path, leave: Collection[Path] = ()) -> None:
        self._folder, self._copy = folder, to
        self._leave = frozenset(path.relative_to(folder) for path in leave)
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        self._write(folder, to)

    def restore(self) -> None:
        """Make the folder what it was; folders stay the same ones, for a node may have them mounted."""
        for name in sorted(self._names(self._folder), reverse=True):
            path, kept = self._folder / name, self._copy / name
            is_folder, was_folder = (each.is_dir() and not each.is_symlink() for each in (path, kept))
            if is_folder and not was_folder:
                path.rmdir()  # it comes after all that was in it
            elif not is_folder and (was_folder or path.is_symlink() or not kept.exists()):
                path.unlink()
        self._write(self._copy, self._folder)

    def _write(self, folder: Path, to: Path) -> None:
        for name in sorted(self._names(folder)):
            path, place = folder / name, to / name
            if path.is_dir() and not path.is_symlink():
                place.mkdir(exist_ok=True)
                shutil.copystat(path, place)
            else:
                shutil.copy2(path, place, follow_symlinks=False)

    def _names(self, folder: Path, below: Path = Path()) -> Iterator[Path]:
        """All that is in it, without what is left alone."""
        for path in (folder / below).iterdir():
            name = below / path.name
            if name not in self._leave:
                yield name
                if path.is_dir() and not path.is_symlink():
                    yield from self._names(folder, name)
