"""Make Allure's report of a run: python -m tests.pages RUN [FOLDER]."""

import sys
from pathlib import Path

from harness.errors import HarnessError
from tests.pages.page_tools import build


def main(words):
    if not 1 <= len(words) <= 2 or not (Path(words[0]) / "allure-results").is_dir():
        print("usage: python -m tests.pages RUN [FOLDER]; RUN is a run's folder", file=sys.stderr)
        return 2
    run = Path(words[0])
    try:
        index = build(run / "allure-results", Path(words[1]) if words[1:] else run / "allure-report")
    except HarnessError as error:
        print(f"afterfault: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{index}\nto read it: python -m http.server --bind 127.0.0.1 --directory {index.parent}")
    return 0


sys.exit(main(sys.argv[1:]))
