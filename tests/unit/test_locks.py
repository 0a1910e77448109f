"""The lock files agree, and pin what pyproject names."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pinned(name):
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text(), re.M))


def test_the_pages_lock_adds_to_the_other_and_repeats_nothing_in_another_version():
    main, pages = pinned("requirements.lock"), pinned("requirements-pages.lock")
    assert {name: pages[name] for name in main.keys() & pages.keys() if main[name] != pages[name]} == {}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["pages"]
    assert dict(one.split("==") for one in extras).items() <= pages.items()


def test_no_lock_names_where_packages_come_from():
    for name in ("requirements.lock", "requirements-pages.lock", "tests/pages/package-lock.json"):
        assert not re.search(r'"resolved"|--index-url|--extra-index-url', (ROOT / name).read_text()), name
