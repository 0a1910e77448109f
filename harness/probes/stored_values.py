r"""Values as a Kubernetes API server keeps them in etcd: whether anybody can decode them, and what Secrets hold.

Source: ``k8s.io/apimachinery`` (``runtime.Unknown``: the four bytes ``k8s\0``, then a protobuf message with
``typeMeta`` 1, ``raw`` 2, ``contentEncoding`` 3, ``contentType`` 4; custom resources are JSON), and
``k8s.io/api/core/v1`` (``Secret``: ``metadata`` 1, ``data`` 2, a map of ``key`` 1 to ``value`` 2).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator

SECRETS = "/registry/secrets/"
_PROTOBUF, _ENCRYPTED = b"k8s\x00", b"k8s:enc:"
_RAW, _METADATA, _DATA, _KEY, _VALUE = 2, 1, 2, 1, 2
# Stands in tokens of service accounts, and everywhere.
_NO_SECRET = b"namespace"
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10
_REPLACED = "\N{REPLACEMENT CHARACTER}".encode()


class BrokenValueError(ValueError):
    """Bytes that are not what they should be; says where."""


def why_undecodable(value: bytes) -> str:
    """What is wrong with a stored value, with the offset where it shows; empty where nothing is.

    Names of fields and their types are not known here: what is well formed may still be refused by the API.
    """
    if value.startswith(_ENCRYPTED):
        return ""
    if value.startswith(b"{"):
        try:
            json.loads(value)
        except ValueError as error:
            return f"JSON: {error}"
        return ""
    if not value.startswith(_PROTOBUF):
        return f"begins neither as protobuf (k8s\\x00) nor as JSON{_likely(value)}"
    try:
        raw = _raw(value)
        for number, inner in _fields(raw):
            if number == _METADATA:
                list(_fields(inner))
    except BrokenValueError as error:
        return f"protobuf: {error}{_likely(value)}"
    return ""


def _likely(value: bytes) -> str:
    """What may have been done to it; tells nothing of what it holds."""
    if value.startswith(_PROTOBUF[:3]) and b"\0" not in value:
        return "; it has no NUL any more, as what a shell has held"
    if _REPLACED in value:
        return "; it holds U+FFFD, as bytes that were taken for text"
    try:
        inner = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        return ""
    return "; it is base64 of what does decode" if inner and not why_undecodable(inner) else ""


def is_secret(key: str, value: bytes) -> bool:
    """Whether a value is a Secret's, by its key or, wherever it lies, by what it says of itself."""
    return key.startswith(SECRETS) or b"Secret" in value[:256]


def contents_of(value: bytes) -> list[bytes]:
    """What a Secret holds; nothing where it does not decode."""
    try:
        entries = [dict(_fields(inner)) for number, inner in _fields(_raw(value)) if number == _DATA]
    except BrokenValueError:
        return []
    return [entry.get(_VALUE, b"") for entry in entries if entry.get(_KEY) != _NO_SECRET]


def _raw(value: bytes) -> bytes:
    """The object within its envelope."""
    if not value.startswith(_PROTOBUF):
        raise BrokenValueError("no protobuf")
    found = [inner for number, inner in _fields(value[len(_PROTOBUF) :]) if number == _RAW]
    if not found:
        raise BrokenValueError("there is no object in the envelope")
    return found[-1]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field; those of numbers are empty."""
    at = 0
    while at < len(message):
        began = at
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (_VARINT, _LENGTH, *_FIXED):
            raise BrokenValueError(f"no field at byte {began} of {len(message)}")
        if wire == _VARINT:
            _, at = _varint(message, at)
            yield number, b""
            continue
        size, at = _varint(message, at) if wire == _LENGTH else (_FIXED[wire], at)
        if at + size > len(message):
            raise BrokenValueError(f"field {number} at byte {began} goes beyond the end, {len(message)}")
        yield number, message[at : at + size] if wire == _LENGTH else b""
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for index in range(_LONGEST_VARINT):
        if at + index >= len(message):
            break
        byte = message[at + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, at + index + 1
    raise BrokenValueError(f"a number at byte {at} has no end")
