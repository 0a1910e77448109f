"""Log lines in the shape of klog, `W1121 13:02:04.989764 4711 loop.py:88] text`, on stderr."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

LOG = logging.getLogger("afterfault.manager")


class _Klog(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        place = f"{record.process} {record.filename}:{record.lineno}]"
        return f"{record.levelname[0]}{moment:%m%d %H:%M:%S.%f} {place} {record.getMessage()}"


def set_up() -> None:
    """Log to stderr from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Klog())
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
