"""Pages from templates: self-contained, and strict about what is missing."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"
# How a case or a guarantee stands.
STANDING_WORDS = {
    "kept": "all kept",
    "known": "red as known",
    "broken": "not as expected",
    "inconclusive": "can't be judged",
}


def template(name: str) -> jinja2.Template:
    """Escapes what it is given; what it is not given is an error, not nothing."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def styles(*names: str) -> Markup:
    """Style sheets, one after another, to be put into the page."""
    return Markup("".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names))
