"""Fingerprints of what must not be read in a journal: Secrets, and the bytes of a tool's files.

A plain hash of a short password is found by guessing. So the fingerprint is an HMAC under a random
key that lives in the memory of this process and is written nowhere: who holds the journal can tell
whether two fingerprints of one run are equal, and nothing else. Fingerprints of two runs, or of two
workers of a run that were not given the same key, can't be compared: each observation says whose key
it was (`Fingerprints.key_id`), and judging gives no opinion on secrets across keys.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

_KEY_BYTES = 32
# 128 bits: nobody finds two contents with one fingerprint.
_HEX_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Makes fingerprints under one key.

    Args:
        key: 32 random bytes; kept out of every text, this object's own included.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)

    @property
    def key_id(self) -> str:
        """16 hex digits that tell keys apart and say nothing of them."""
        return hmac.new(self.key, b"which key this is", hashlib.sha256).hexdigest()[:16]

    def of(self, content: bytes) -> str:
        """``hmac-sha256 <32 hex digits>, <n> bytes``: equal for equal contents."""
        return self.of_chunks((content,))

    def of_chunks(self, chunks: Iterable[bytes]) -> str:
        """The same of a content that comes piece by piece."""
        digest, size = hmac.new(self.key, b"content ", hashlib.sha256), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
        return f"hmac-sha256 {digest.hexdigest()[:_HEX_DIGITS]}, {size} bytes"


# Of this process; what is to be compared is most often looked at by one.
OF_THIS_PROCESS = Fingerprints()
