"""Unpacks a gzipped tar that somebody else made, and trusts nothing in it.

Plain files below one folder, each once, and no more of them than was agreed on; everything else is refused before it
is written. Nothing is ever made but plain files and the folders they lie in, so nothing can lead out of the target.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import MachineError, UsageError

# What is read at once; tar's own extra headers are a few kilobytes.
_AT_ONCE = 2**20
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
# What `tarfile` raises on bytes that are none: the last for headers that go on in headers that go on.
_NO_TAR = (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is unpacked at most.

    Args:
        bytes: of all files together, and of the tar itself.
        files: how many.
    """

    bytes: int
    files: int


def unpack(archive: Path, into: Path, limits: Limits) -> dict[str, str]:
    """Unpack an archive into an empty folder; returns the SHA-256 of each file by its path.

    Raises:
        UsageError: it is damaged, or holds what it must not: a path outside, a link, too much.
        MachineError: the disk is full.

    Leaves behind: after an error, what was unpacked until then.
    """
    with tempfile.TemporaryDirectory(prefix="afterfault-tar-") as folder:
        plain = Path(folder) / "plain.tar"
        try:
            _gunzip(archive, plain, limits)
            with _Bounded(plain) as file, tarfile.open(fileobj=file, mode="r:") as tar:
                return {name: _write(tar, member, into / name) for name, member in _members(tar, limits)}
        except (gzip.BadGzipFile, zlib.error, *_NO_TAR) as error:
            raise UsageError(f"{archive.name} is damaged, or no gzipped tar: {str(error)!a}") from error
        except OSError as error:
            if error.errno in _FULL:
                raise MachineError(f"no room to unpack {archive.name}: {error.strerror}") from error
            raise UsageError(f"{archive.name} can't be unpacked: {error.strerror}") from error


class _Bounded(io.FileIO):
    """Refuses to read much at once: a header that claims to be a gigabyte long is not read into memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to a megabyte.

        Raises:
            tarfile.ReadError: more was asked for, or everything.
        """
        if size is None or not 0 <= size <= _AT_ONCE:
            raise tarfile.ReadError("a header is too long")
        return super().read(size) or b""


def _gunzip(archive: Path, plain: Path, limits: Limits) -> None:
    written = 0
    with gzip.open(archive, "rb") as packed, plain.open("wb") as file:
        while chunk := packed.read(_AT_ONCE):
            written += len(chunk)
            # beside its files a tar has a header or three for each, fills up each one, and itself at the end
            if written > limits.bytes + 2**11 * limits.files + tarfile.RECORDSIZE:
                raise UsageError(f"{archive.name} holds more than {limits.bytes // 2**20} MiB")
            file.write(chunk)


def _members(tar: tarfile.TarFile, limits: Limits) -> Iterator[tuple[str, tarfile.TarInfo]]:
    size, names = 0, set[str]()
    for member in tar:
        name = str(PurePosixPath(member.name))
        if member.type not in _PLAIN or member.issparse():
            raise UsageError(f"{name!a} in it is no plain file")
        if name != member.name or name.startswith("/") or {"..", "."} & set(name.split("/")) or "\0" in name:
            raise UsageError(f"{member.name!a} in it is no path inside of it")
        if name in names:
            raise UsageError(f"{name!a} is in it twice")
        names.add(name)
        size += member.size
        if member.size < 0 or size > limits.bytes or len(names) > limits.files:
            raise UsageError(f"it holds more than {limits.files} files or {limits.bytes // 2**20} MiB")
        yield name, member


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    source = tar.extractfile(member)
    assert source is not None, "a plain file has a content"
    with source, target.open("xb") as file:
        while chunk := source.read(_AT_ONCE // 2):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
