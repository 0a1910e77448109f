"""What becomes of a test on kind where something that it needs is missing."""

import contextlib

import pytest

from harness.errors import MachineError
from harness.plugin.options import required


@contextlib.contextmanager
def kind_needed(config):
    """It is skipped; under ``--require kind`` that is an error, as everywhere."""
    try:
        yield
    except MachineError as error:
        if "kind" in required(config):
            raise
        pytest.skip(f"kind is not ready here: {error}")
