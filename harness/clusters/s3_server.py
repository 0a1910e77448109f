"""A real S3 server on loopback: MinIO, one process, one folder.

Its lifecycle rules are carried out by itself: its scanner goes over all objects about once a second. The clock that
decides is the machine's; objects are made older instead (`S3Store.age`). docs/decisions/0009 says why this one.
"""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
from pathlib import Path

import psutil

from harness.clusters.backup_store import S3Login, S3Store, StoreError
from harness.clusters.logged import last_lines, start_logged
from harness.clusters.ownership import Ownership
from harness.clusters.s3_client import S3Client
from harness.errors import ClusterError
from harness.waiting import until

REGION = "us-east-1"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ASK_SECONDS = 2.0
_TRIES = 3


class S3Server:
    """Started when made.

    Args:
        program: the server's binary.
        work: its folder, data and log; made here.
        ownership: of the run it belongs to.
        address: of loopback.

    Raises:
        ClusterError: it does not start; with the end of its log.

    Leaves behind: a process, until `stop`, and the folder; there is a bucket ``ready`` in it.
    """

    def __init__(self, program: Path, work: Path, ownership: Ownership, address: str = "127.0.0.1") -> None:
        self.work, self.log = work, work / "s3-server.log"
        self._program, self._ownership, self._address = program, ownership, address
        self._secret = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        (work / "data").mkdir(parents=True)
        self.start()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://{self._address}:{self.port}"

    @property
    def login(self) -> S3Login:
        """Of its one user, who may do all."""
        return S3Login(self.endpoint, "afterfault", self._secret, REGION)

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def memory_mib(self) -> float:
        """Its resident memory."""
        return psutil.Process(self._process.pid).memory_info().rss / 2**20 if self._process and self.running else 0.0

    def store(self, bucket: str, prefix: str) -> S3Store:
        """A backup store in it; makes the bucket, versioned, where it is not there yet."""
        store = S3Store(bucket, prefix, self.login)
        store.make_bucket()
        return store

    def start(self) -> None:
        """Start it, or start it again on the port it had.

        Raises:
            ClusterError: it does not start.
        """
        for _ in range(_TRIES):
            self.port = self.port or _free_port(self._address)
            self._process = self._spawn()
            until(self._is_ready_or_gone, what="the S3 server to be ready", deadline_seconds=_START_SECONDS)
            if self.running:
                return
            self.port = 0  # somebody else was quicker on that port
        raise ClusterError("the S3 server does not start", log_tail=self.log_tail())

    def stop(self) -> None:
        """End it; the folder stays."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
        self._process = None

    def log_tail(self) -> str:
        """The last lines of its log."""
        return last_lines(self.log)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [str(self._program), "server", "--quiet", f"--address={self._address}:{self.port}", "data"]
        return start_logged(command, self.log, self._ownership.environment(**self._settings()))

    def _settings(self) -> dict[str, str]:
        return {
            "HOME": str(self.work),
            "MINIO_ROOT_USER": "afterfault",
            "MINIO_ROOT_PASSWORD": self._secret,
            "MINIO_REGION": REGION,
            # it asks nobody on the network, and shows no page
            "MINIO_UPDATE": "off",
            "MINIO_BROWSER": "off",
            # rules are looked at once a second
            "MINIO_SCANNER_SPEED": "fastest",
            # etcd-manager asks for encryption at rest of every S3 server it meets
            "MINIO_KMS_SECRET_KEY": f"afterfault:{_KEY}",
            # the folder may be on the machine's own disk
            "MINIO_CI_CD": "1",
            "GOGC": "30",
            "GOMEMLIMIT": "80MiB",
            "GOMAXPROCS": "2",
        }

    def _is_ready_or_gone(self) -> bool:
        if not self.running:
            return True
        try:
            # its own page says it is ready before it takes a signed call
            S3Client(self.login, "ready", _ASK_SECONDS).make_bucket()
        except StoreError:
            return False
        return self.running


# Keeps nothing secret: test data, encrypted because a client may ask for it.
_KEY = "YWZ0ZXJmYXVsdC1hZnRlcmZhdWx0LWFmdGVyZmF1bHQ="


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
