"""An incident's page leads to its seed, its stories, its guarantees in their own words, and what real tools did."""

import re

import pytest

from harness.judging.guarantees import GUARANTEES
from tests.docs.pages import ROOT, anchors, links, name_of

INCIDENTS = sorted((ROOT / "docs").glob("incident-*.md"))
MODULES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "scenarios").rglob("*.py"))}


def seed_of(page):
    """Its file name, which is how the whole project speaks of it."""
    return re.search(r"^Seed: `(\S+)`", page.read_text(), re.MULTILINE)[1]


def modules_of(page):
    return {path: text for path, text in MODULES.items() if seed_of(page) in text and path.name.startswith("test_")}


def rows(page):
    """The table of guarantees: ID and sentence."""
    section = page.read_text().partition("\n## Guarantees\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([\w-]+)` \| (.*?) \|$", section, re.MULTILINE))


@pytest.mark.parametrize("page", INCIDENTS, ids=name_of)
def test_the_seed_is_named_as_the_stories_name_it(page):
    assert modules_of(page)
    assert seed_of(page).startswith(re.search(r"\d+", page.name)[0])
    assert f"link: {seed_of(page)}" in (ROOT / "scenarios" / "known_defects.yaml").read_text()


@pytest.mark.parametrize("page", INCIDENTS, ids=name_of)
def test_its_stories_are_linked(page):
    folders = {f"../{name_of(path.parent)}/" for path in modules_of(page)}
    assert folders <= set(links(page)), f"{page.name} links not all of {sorted(folders)}"


@pytest.mark.parametrize("page", INCIDENTS, ids=name_of)
def test_its_guarantees_are_there_in_their_own_words(page):
    named = {name for text in modules_of(page).values() for name in re.findall(r'"([\w-]+)"', text)} & set(GUARANTEES)
    assert rows(page) == {name: GUARANTEES[name].sentence for name in named}


@pytest.mark.parametrize("page", INCIDENTS, ids=name_of)
def test_it_leads_to_what_real_tools_did(page):
    there = [link for link in links(page) if link.startswith("track-record.md#")]
    assert there
    assert {link.partition("#")[2] for link in there} <= anchors(ROOT / "docs" / "track-record.md")


def test_every_incident_that_is_played_has_a_page():
    named = {found for text in MODULES.values() for found in re.findall(r"\b\d{3}_\w+\.txt", text)}
    assert named == {seed_of(page) for page in INCIDENTS}
