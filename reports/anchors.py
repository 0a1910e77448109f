"""Names for places on a page; free text (a user's own label of a tool) never gets into an attribute as it is."""

from __future__ import annotations

import re


def slug(case_id: str) -> str:
    """A case's ID as an HTML ID, as ``rolling_replacement--incident--3-relaxed``."""
    return re.sub(r"[^A-Za-z0-9_.~-]+", "-", case_id.replace("/", "--"))
