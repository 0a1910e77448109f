"""Reads a bucket of an etcd database file: enough to tell whose database it is, and which keys are in it.

After bbolt's own description of its file (package bbolt, ``internal/common``): fixed pages, two of them meta pages
of which the one with the higher transaction counts, the rest trees of branch and leaf pages. etcd keeps its members
in the bucket ``members``, by ID, and every change of a key in ``key``, by revision (``server/storage/mvcc``); no
program of an etcd release prints them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

_MAGIC, _VERSION = 0xED0CDAED, 2
_PAGE = struct.Struct("<QHHI")
_META = struct.Struct("<IIIIQQQQQQ")
_BRANCH, _LEAF = struct.Struct("<IIQ"), struct.Struct("<IIII")
_BUCKET = struct.Struct("<QQ")
_IS_BRANCH, _IS_LEAF, _HOLDS_BUCKET = 1, 2, 1
_USUAL_PAGE_BYTES = 4096
_DEEPEST = 32
# Main and sub revision with a _ between.
_REVISION_BYTES = 17

Item = tuple[int, bytes, bytes]


class BoltError(ValueError):
    """The file is no whole database."""


def bucket_items(file: Path, bucket: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a top bucket, in order; nothing where there is no such bucket.

    Raises:
        BoltError: the file is no database, or not whole.
    """
    try:
        with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
            page_bytes, root = _root(data)
            for flags, key, value in _items(data, page_bytes, root):
                if flags & _HOLDS_BUCKET and key == bucket:
                    yield from ((key, value) for _, key, value in _bucket(data, page_bytes, value))
    except (struct.error, ValueError, IndexError) as error:
        raise BoltError(f"no whole etcd database: {error}") from error


def live_keys(file: Path) -> int:
    """How many keys a store holds, deleted ones left out.

    Raises:
        BoltError: the file is no database, or not whole.
    """
    living: set[bytes] = set()
    for revision, change in bucket_items(file, b"key"):
        key = _key_of(change)
        if len(revision) > _REVISION_BYTES:  # marked as a deletion
            living.discard(key)
        else:
            living.add(key)
    return len(living)


def _key_of(change: bytes) -> bytes:
    """The first field of a ``mvccpb.KeyValue``: its tag, its length in sevens of bits, the key."""
    if change[:1] != b"\x0a":
        raise BoltError("a change names no key")
    length, shift, at = 0, 0, 1
    while True:
        length |= (change[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if change[at - 1] < 0x80:
            return change[at : at + length]


def _root(data: mmap) -> tuple[int, int]:
    found = []
    for at in (_PAGE.size, _PAGE.size + _page_bytes(data)):
        magic, version, page_bytes, _, root, _, _, pages, transaction, _ = _META.unpack_from(data, at)
        if (magic, version) == (_MAGIC, _VERSION):
            found.append((transaction, page_bytes, root, pages))
    if not found:
        raise BoltError("it has no meta page")
    _, page_bytes, root, pages = max(found)
    if len(data) < pages * page_bytes:  # also where all that is missing was free
        raise BoltError(f"it is cut short: {len(data)} of {pages * page_bytes} bytes")
    return page_bytes, root


def _page_bytes(data: mmap) -> int:
    """As the first meta page has it; where that one is torn, the size that nearly all machines use."""
    magic, _, page_bytes, *_ = _META.unpack_from(data, _PAGE.size)
    return page_bytes if magic == _MAGIC else _USUAL_PAGE_BYTES


def _bucket(data: mmap, page_bytes: int, value: bytes) -> Iterator[Item]:
    root, _ = _BUCKET.unpack_from(value)
    # a small bucket's only page lies right behind its header
    return _items(data, page_bytes, root) if root else _leaf_items(value, _BUCKET.size)


def _items(data: mmap, page_bytes: int, page: int, depth: int = 0) -> Iterator[Item]:
    start = page * page_bytes
    _, flags, count, _ = _PAGE.unpack_from(data, start)
    if flags & _IS_LEAF:
        yield from _leaf_items(data, start)
    elif flags & _IS_BRANCH and depth < _DEEPEST:
        for number in range(count):
            _, _, below = _BRANCH.unpack_from(data, start + _PAGE.size + number * _BRANCH.size)
            yield from _items(data, page_bytes, below, depth + 1)
    else:
        raise BoltError(f"page {page} belongs to no tree")


def _leaf_items(data: mmap | bytes, start: int) -> Iterator[Item]:
    _, _, count, _ = _PAGE.unpack_from(data, start)
    for number in range(count):
        element = start + _PAGE.size + number * _LEAF.size
        flags, position, key_bytes, value_bytes = _LEAF.unpack_from(data, element)
        key_at = element + position
        value_at, end = key_at + key_bytes, key_at + key_bytes + value_bytes
        if end > len(data):
            raise BoltError("an item reaches over its end")
        yield flags, bytes(data[key_at:value_at]), bytes(data[value_at:end])
