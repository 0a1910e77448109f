"""What ends a call: each is one line for the user."""

from __future__ import annotations


class WrongUsage(Exception):
    """The deployment folder or the call is not what it should be; nothing was changed."""


class Failed(Exception):
    """A step could not be done; the message is what the user reads."""
