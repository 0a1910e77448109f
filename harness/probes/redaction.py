"""Takes secrets out of texts that are to be kept: what Secrets hold, and what looks like a key by itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

MASK = "(secret)"
# Shorter ones would take common words with them, as the "true" in a bootstrap token.
_SHORTEST = 6
_BY_LOOKS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|(?<=Bearer )\S+"
    r"|(?<=password=)\S+|(?<=token=)\S+",
    re.IGNORECASE,
)


class Redaction:
    """What must not be read in a text.

    Args:
        contents: values of Secrets; those of under six characters are left in.
    """

    def __init__(self, contents: Iterable[bytes] = ()) -> None:
        needles = {needle for content in contents for needle in _forms(content)}
        self._contents = sorted(needles, key=len, reverse=True)  # the longest first: some hold others

    def of(self, text: str) -> str:
        """The text without them."""
        shown = _BY_LOOKS.sub(MASK, text)
        for needle in self._contents:  # one by one: hundreds in one expression take a hundred times as long
            shown = shown.replace(needle, MASK)
        return shown

    def concerns(self, value: bytes) -> bool:
        """Whether bytes hold some of it."""
        text = value.decode(errors="replace")
        return self.of(text) != text


def _forms(content: bytes) -> Iterator[str]:
    """As it stands in logs: line by line, and as the API shows it."""
    lines = (line.strip() for line in content.decode(errors="replace").splitlines())
    encoded = base64.b64encode(content).decode()
    return (form for form in (*lines, encoded) if len(form) >= _SHORTEST)
