"""nox -s scenarios | nightly | images | tests | pages | lint | types | bench: one environment, requirements.lock."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

import nox

# the first that knows `requires`
nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["scenarios"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"

# Cases wait more than they compute (elections, etcd's five seconds of the strict check); more workers than these keep
# kind's pods from starting in time.
WORKERS = str(2 * (os.cpu_count() or 1))


def place(session: nox.Session) -> Path:
    """Of the one environment; nox would make one a session, and each took a minute to fill."""
    return session.cache_dir.parent / "environment"


def is_made_of(folder: Path, *files: str) -> bool:
    """Whether these very files were installed there last: it keeps copies."""
    return all((folder / file).exists() and filecmp.cmp(file, folder / file, shallow=False) for file in files)


def run(session: nox.Session, program: str, *words: str, env: dict[str, str] | None = None) -> None:
    """Run a program of the environment.

    Bytecode is kept even where the shell says otherwise: else each of thousands of starts compiles all anew.
    """
    programs = place(session) / "bin"
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    always = {"PATH": path, "PYTHONDONTWRITEBYTECODE": None}
    session.run(str(programs / program), *words, env={**always, **(env or {})}, external=True)


@nox.session
def environment(session: nox.Session) -> None:
    """What the other sessions run in: the locked packages, hashes checked, and this project without asking for more."""
    asked = ("requirements.lock", "pyproject.toml")
    if not is_made_of(place(session), *asked):
        # bytecode is made when it is needed: a third of an installation went into all of it at once
        session.install("--no-compile", "--require-hashes", "-r", "requirements.lock")
        session.install("--no-deps", "--no-build-isolation", "-e", ".")
        session.run_install("cp", *asked, str(place(session)), external=True)


@nox.session(venv_backend="none", requires=["environment"])
def browser(session: nox.Session) -> None:
    """Node and Playwright, which only tests and pages need: 365 MB."""
    asked = "requirements-pages.lock"
    if not is_made_of(place(session), asked):
        pip = str(place(session) / "bin" / "pip")
        words = ("install", "--no-compile", "--no-deps", "--require-hashes", "-r", asked)
        session.run_install(pip, *words, external=True)
        session.run_install("cp", asked, str(place(session)), external=True)


@nox.session(venv_backend="none", requires=["environment"])
def scenarios(session: nox.Session) -> None:
    """The main job: every scenario this machine can run; the report is in runs/."""
    words = session.posargs
    spread = [] if "-n" in words or "-s" in words else ["-n", WORKERS]
    run(session, "pytest", "scenarios", *spread, *words)


@nox.session(venv_backend="none", requires=["environment"])
def nightly(session: nox.Session) -> None:
    """Everything this machine can play, unattended, within a time; docs/nightly.md."""
    run(session, "afterfault", "nightly", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def images(session: nox.Session) -> None:
    """What kind clusters are made of, without an image registry, as root, once; and the S3 server."""
    run(session, "afterfault", "images", "build", *session.posargs)
    run(session, "afterfault", "images", "s3-server")


@nox.session(venv_backend="none", requires=["browser"])
def tests(session: nox.Session) -> None:
    """The proofs that the harness itself is right."""
    # two workers are held by kind clusters, which mostly wait
    run(session, "pytest", "tests", "-n", "3", "--ignore=tests/bench", "--durations=20", *session.posargs)


@nox.session(venv_backend="none", requires=["browser"])
def pages(session: nox.Session) -> None:
    """A run's pages in a browser, and Allure's report of it: nox -s pages -- RUN [pytest words]."""
    folder, *words = session.posargs or session.error("which run? nox -s pages -- runs/<run-id>")
    run(session, "python", "-m", "tests.pages", folder)
    run(session, "pytest", "tests/pages", "--require", "pages", *words, env={"AFTERFAULT_PAGES_RUN": folder})


@nox.session(venv_backend="none", requires=["environment"])
def lint(session: nox.Session) -> None:
    """Style, as pre-commit checks it too."""
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")


@nox.session(venv_backend="none", requires=["environment"])
def types(session: nox.Session) -> None:
    """mypy --strict."""
    run(session, "mypy")


@nox.session(venv_backend="none", requires=["environment"])
def bench(session: nox.Session) -> None:
    """Speed, as ratios to a baseline in the same run."""
    run(session, "python", "-m", "tests.bench", *session.posargs)
