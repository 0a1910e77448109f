"""A browser, and pages for it: of a run that is played here, and of the one that AFTERFAULT_PAGES_RUN names."""

import contextlib
import functools
import http.server
import os
import threading
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.plugin.options import required
from tests.pages.page_tools import build, chromium
from tests.pages.played import play

REAL_RUN = "AFTERFAULT_PAGES_RUN"


@contextlib.contextmanager
def pages_needed(config):
    """A test is skipped where something is missing; under ``--require pages`` that is an error, as everywhere."""
    try:
        yield
    except MachineError as error:
        if "pages" in required(config):
            raise
        pytest.skip(f"no browser tests here: {error}")


@pytest.fixture(scope="session")
def browser(pytestconfig):
    with pages_needed(pytestconfig):
        program = chromium()
        try:
            from playwright.sync_api import sync_playwright
        except ImportError as error:
            raise MachineError("Playwright is missing", mend="nox -s tests") from error
    with sync_playwright() as playwright:
        # root may not use Chromium's own sandbox; a container's /dev/shm is small
        words = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        one = playwright.chromium.launch(executable_path=str(program), args=words)
        yield one
        one.close()


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """The run's folder."""
    if os.environ.get(REAL_RUN):
        return Path(os.environ[REAL_RUN]).absolute()
    return play(tmp_path_factory.mktemp("pages"), "told", seed=1)


@pytest.fixture(scope="session")
def allure_page(pytestconfig, played, tmp_path_factory):
    """The address of Allure's report of it."""
    with pages_needed(pytestconfig):
        index = build(played / "allure-results", tmp_path_factory.mktemp("allure") / "page")
    with served(index.parent) as address:
        yield address


@contextlib.contextmanager
def served(folder):
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join(5)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(params=["light", "dark"])
def theme(request):
    return request.param


@pytest.fixture(params=[(1280, 900), (360, 740)], ids=["wide", "narrow"])
def size(request):
    return dict(zip(("width", "height"), request.param, strict=True))


@pytest.fixture
def page(browser, theme, size):
    """A page that remembers each complaint of the browser, and everything that was asked of another machine."""
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    one = context.new_page()
    one.set_default_timeout(60_000)
    one.complaints, one.asked = [], []
    one.on("console", lambda said: one.complaints.append(said.text) if said.type in ("error", "warning") else None)
    one.on("pageerror", lambda error: one.complaints.append(str(error)))
    one.on("request", lambda asked: one.asked.append(asked.url))
    yield one
    context.close()
