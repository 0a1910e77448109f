"""Links, anchors, pictures and files that the docs speak of are there."""

import ast
import re

import pytest

from tests.docs.pages import ALL_PAGES, ROOT, anchors, blocks, links, name_of, prose, spans

# Paths of the project as prose has them, not those of a run's folder or of other projects.
_PROJECT_PATH = re.compile(r"(?:harness|reports|scenarios|tests|docs|scripts|\.ci|\.github)/[\w./~-]*[\w/]")
# Not in a clone: what a story that is still to be written is called.
_EXAMPLES = ("scenarios/node_upgraded", "scenarios/NAME", "tests/test_")


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    wrong = []
    for link in links(page):
        if re.match(r"[a-z]+://|mailto:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or not path.is_relative_to(ROOT):
            wrong.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(path):
            wrong.append(f"{link}: no such heading; there are {', '.join(sorted(anchors(path)))}")
    assert not wrong


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_files_named_in_prose_are_there(page):
    named = {path for span in spans(page) for path in _PROJECT_PATH.findall(span) if span.startswith(path)}
    named |= set(re.findall(r"(?<![\w/])docs/[\w-]+\.md", prose(page)))
    missing = [path for path in sorted(named) if not path.startswith(_EXAMPLES) and not _is_there(path)]
    assert not missing


def _is_there(path):
    """``harness/clusters/`` and ``harness/judging/control_model.py``, but also a module without its ending."""
    return (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_python_in_the_docs_is_python(page):
    for line, body in blocks(page, "python"):
        ast.parse(body, f"{name_of(page)}:{line}")


def test_every_page_is_reached_from_the_readme():
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        near = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
        ahead += [path for path in near if path.suffix == ".md" and path.exists() and path not in seen]
    pages = {path for path in ALL_PAGES if path.parent.name != "decisions"}
    assert not {name_of(path) for path in pages - seen}
