"""nox -s scenarios | nightly | images | tests | pages | lint | types | bench: environments from requirements.lock."""

from __future__ import annotations

import os

import nox

nox.options.sessions = ["scenarios"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"

# Cases wait more than they compute (elections, etcd's five seconds of the strict check); more workers than these keep
# kind's pods from starting in time.
WORKERS = str(2 * (os.cpu_count() or 1))


def install(session: nox.Session) -> None:
    """The locked packages, hashes checked, and this project without asking for more."""
    # bytecode is made when it is needed: a third of an installation went into all of it at once
    session.install("--no-compile", "--require-hashes", "-r", "requirements.lock")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")


def install_pages(session: nox.Session) -> None:
    """Node and Playwright, which no other session needs: 365 MB."""
    session.install("--no-compile", "--no-deps", "--require-hashes", "-r", "requirements-pages.lock")


@nox.session
def scenarios(session: nox.Session) -> None:
    """The main job: every scenario this machine can run; the report is in runs/."""
    install(session)
    words = session.posargs
    spread = [] if "-n" in words or "-s" in words else ["-n", WORKERS]
    session.run("pytest", "scenarios", *spread, *words)


@nox.session
def nightly(session: nox.Session) -> None:
    """Everything this machine can play, unattended, within a time; docs/nightly.md."""
    install(session)
    session.run("afterfault", "nightly", *session.posargs)


@nox.session
def images(session: nox.Session) -> None:
    """What kind clusters are made of, without an image registry, as root, once; and the S3 server."""
    install(session)
    session.run("afterfault", "images", "build", *session.posargs)
    session.run("afterfault", "images", "s3-server")


@nox.session
def tests(session: nox.Session) -> None:
    """The proofs that the harness itself is right."""
    install(session)
    install_pages(session)
    # two workers are held by kind clusters, which mostly wait
    session.run("pytest", "tests", "-n", "3", "--ignore=tests/bench", "--durations=20", *session.posargs)


@nox.session
def pages(session: nox.Session) -> None:
    """A run's pages in a browser, and Allure's report of it: nox -s pages -- RUN [pytest words]."""
    install(session)
    install_pages(session)
    run, *words = session.posargs or session.error("which run? nox -s pages -- runs/<run-id>")
    session.run("python", "-m", "tests.pages", run)
    session.run("pytest", "tests/pages", "--require", "pages", *words, env={"AFTERFAULT_PAGES_RUN": run})


@nox.session
def lint(session: nox.Session) -> None:
    """Style, as pre-commit checks it too."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict."""
    install(session)
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Speed, as ratios to a baseline in the same run."""
    install(session)
    session.run("python", "-m", "tests.bench", *session.posargs)
