"""A backup store that is a folder."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.clusters.backup_path import BackupStore, StoredFile, StoreError, checked_name

# A file that is being written; it gets its name when it is whole.
_UNFINISHED = ".writing-"


class FileStore(BackupStore):
    """A folder; it need not be there.

    Args:
        folder: the backup path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.url, self.environment = f"file://{self.folder}", {}  # kops takes what follows as it stands

    def list(self, prefix: str = "") -> list[StoredFile]:
        """Regular files only; what vanishes meanwhile is left out."""
        found = []
        with _told(self.url):
            for at, _, files in os.walk(self.folder, onerror=_raise_unless_gone):
                paths = [Path(at) / name for name in files if not name.startswith(_UNFINISHED)]
                found += [(path.relative_to(self.folder).as_posix(), path) for path in paths]
            stored = [_stored(name, path) for name, path in sorted(found) if name.startswith(prefix)]
        return [file for file in stored if file is not None]

    def read(self, name: str) -> bytes | None:
        """As every store does; a folder is no file."""
        try:
            return self._path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise _store_error(self.url, error) from error

    def write(self, name: str, content: bytes) -> None:
        """As every store does; makes folders as needed."""
        path = self._path(name)
        with _told(self.url):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as file:
                file.write(content)
            try:
                Path(file.name).replace(path)
            except OSError:
                Path(file.name).unlink()
                raise

    def delete(self, *names: str) -> None:
        """As every store does; folders stay."""
        with _told(self.url):
            for name in names:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._path(name).unlink()

    def below(self, name: str) -> FileStore:
        """A folder within the folder."""
        return FileStore(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / checked_name(name)


def _stored(name: str, path: Path) -> StoredFile | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return StoredFile(name, facts.st_size, facts.st_mtime)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _store_error(url, error) from error


def _store_error(url: str, error: OSError) -> StoreError:
    return StoreError(f"{url}: {error.strerror or error}", denied=isinstance(error, PermissionError))
