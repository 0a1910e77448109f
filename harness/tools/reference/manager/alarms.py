"""What a person is told: log lines at warning or above, and a file that a monitoring agent can read."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.tools.reference.manager.folder import write_whole
from harness.tools.reference.manager.klog import LOG

_AGAIN_INTERVALS, _VANISHED_INTERVALS = 3, 10


class Alarms:
    """Alarms of a leader; each is told when it begins, from time to time while it lasts, and when it is over.

    Args:
        file: `status.json`; its numbers are `last_snapshot_time` (Unix seconds), `last_snapshot`,
            `control_files` (name -> there, gone, empty, unreadable), `cluster_id` and `alarms`.
        backup_seconds: the interval that other times are reckoned in.
    """

    def __init__(self, file: Path, backup_seconds: float) -> None:
        self._file, self._interval = file, backup_seconds
        self._now: dict[str, str] = {}
        self._told: dict[str, float] = {}
        self._status: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        last = self._status.get("last_snapshot")
        self._known = {last} if last else set()
        self._vanished: tuple[float, str] = (0.0, "")

    def set(self, about: str, text: str) -> None:
        """Something is wrong, or with an empty text no longer."""
        if text:
            self._now[about] = text
        else:
            self._now.pop(about, None)

    def note(self, **status: Any) -> None:
        """Facts for the status file."""
        self._status |= status

    def note_backups(self, names: Sequence[str], removed: Sequence[str] = ()) -> None:
        """Compare the store's backups with those that were there, but for the ones we removed."""
        gone = sorted(self._known - set(names) - set(removed))
        if gone:
            text = f"{len(gone)} of {len(self._known)} backups vanished from the store, {gone[0]} first"
            self._vanished = (time.monotonic() + _VANISHED_INTERVALS * self._interval, text)
        self._known = set(names)
        self.set("vanished", self._vanished[1] if time.monotonic() < self._vanished[0] else "")

    def tell(self) -> None:
        """At the end of a pass: log what is new or still so, write the status file."""
        for about in self._told.keys() - self._now.keys():
            LOG.info("no longer alarmed about %s", about)
            del self._told[about]
        for about, text in self._now.items():
            if time.monotonic() - self._told.get(about, float("-inf")) > _AGAIN_INTERVALS * self._interval:
                LOG.warning("alarm: %s", text)
                self._told[about] = time.monotonic()
        status = self._status | {"alarms": sorted(self._now.values())}
        text = json.dumps(status, indent=2)
        if not self._file.exists() or self._file.read_text() != text:
            write_whole(self._file, text)
