"""Calling kind and docker."""

from __future__ import annotations

import subprocess

from harness.tools.reference.deployer.errors import Failed


class Programs:
    """The programs on PATH.

    Args:
        held: file descriptor that each program inherits. It carries the deployment folder's lock, so that a
            kind that outlives a killed call still holds it.
    """

    def __init__(self, held: int) -> None:
        self._held = held

    def run(self, *words: str) -> str:
        """Run a program to its end; returns what it printed.

        Raises:
            Failed: it is not there, or ended with another code than 0; with its last words.
        """
        done = self.attempt(*words)
        if done.returncode != 0:
            raise Failed(f"{' '.join(words[:2])}: {_last_words(done)}")
        return done.stdout

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, whatever its exit code.

        Raises:
            Failed: it is not there.
        """
        try:
            return subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                pass_fds=(self._held,),
                check=False,
            )
        except OSError as error:
            raise Failed(f"cannot run {words[0]}: {error.strerror}") from error


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """What it says went wrong: kind puts that before pages of its own, others last."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines[-1:] or [f"exit {done.returncode}"])[0]
