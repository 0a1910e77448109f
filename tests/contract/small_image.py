"""An image of some hundred bytes whose only program waits for ever: no registry, no compiler, no package needed."""

import contextlib
import io
import os
import platform
import struct
import tarfile
import uuid

import docker
import pytest

from harness.clusters.docker_engine import open_engine
from harness.errors import MachineError

# Of this test run alone, and known to the processes it starts.
SMALL = os.environ.setdefault("AFTERFAULT_TEST_IMAGE", f"afterfault-test/wait:{uuid.uuid4().hex[:8]}")

# A loop around one system call that returns at signals only: pause on x86-64, ppoll without anything on arm64.
_PROGRAMS = {
    "x86_64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    "aarch64": (183, bytes.fromhex("000080d2 010080d2 020080d2 030080d2 040080d2 280980d2 010000d4 f9ffff17")),
}
_BASE = 0x400000
_HEADERS = 64 + 56


def wait_program() -> bytes:
    """A static ELF file."""
    machine, code = _PROGRAMS[platform.machine()]
    size = _HEADERS + len(code)
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000) + code


@contextlib.contextmanager
def small_image(client: docker.DockerClient, disk_mib: int):
    """The image, as long as it is needed; it has its disk at /var, which a volume put there is filled from."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, content in (("wait", wait_program()), ("var/disk", bytes(disk_mib * 2**20))):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    repository, _, tag = SMALL.partition(":")
    client.api.import_image_from_data(
        archive.getvalue(), repository=repository, tag=tag, changes=['ENTRYPOINT ["/wait"]']
    )
    try:
        yield
    finally:
        client.api.remove_image(SMALL, force=True)


@contextlib.contextmanager
def engine_with_small_image(disk_mib: int):
    """A client of the engine, which has the image meanwhile; the tests are skipped where there is no engine."""
    try:
        client = open_engine()
    except MachineError as error:
        pytest.skip(str(error))
    with contextlib.closing(client), small_image(client, disk_mib):
        yield client
