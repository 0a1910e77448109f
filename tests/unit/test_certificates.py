"""Certificates as they are copied from a busy machine."""

import pytest

from harness.clusters.certificates import copy_pem
from harness.errors import WaitTimeout

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_a_read_that_said_nothing_is_made_again(tmp_path):
    answers = iter([b"", PEM[:30], PEM])
    copy_pem("ca.crt", lambda: next(answers), tmp_path / "ca.crt", Clock())
    assert (tmp_path / "ca.crt").read_bytes() == PEM


def test_one_that_is_never_whole_is_told_without_its_content(tmp_path):
    with pytest.raises(WaitTimeout, match=r"ca\.crt of n1 to be read whole; last seen: False"):
        copy_pem("ca.crt of n1", lambda: b"-----BEGIN", tmp_path / "ca.crt", Clock())
