"""Certificates for mutual TLS between members and clients, made by trustme."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trustme

from harness.waiting import SYSTEM_CLOCK, Clock, until

_END = b"-----END "
_COPY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class NodeCertificate:
    """Files of one node: certificate chain and key, PEM."""

    cert: Path
    key: Path


class ClusterAuthority:
    """A throw-away certificate authority for one cluster.

    Args:
        folder: where the PEM files go.

    Leaves behind: ``ca.pem`` and a pair of files for each name issued.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)
        self.client = self.issue("client", "127.0.0.1")

    def issue(self, name: str, address: str) -> NodeCertificate:
        """A certificate good for server and client use at that IP address.

        127.0.0.1 is named too: a connection between two loopback addresses leaves from there, and
        etcd holds a peer's source address against its certificate.
        """
        leaf = self._authority.issue_cert(address, "127.0.0.1", common_name=name)
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}-key.pem"
        leaf.private_key_pem.write_to_path(key)
        for index, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(cert, append=index > 0)
        key.chmod(0o600)
        return NodeCertificate(cert, key)

    def client_context(self) -> ssl.SSLContext:
        """What a client needs to talk to the members."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.client.cert, self.client.key)
        return context


def copy_pem(what: str, read: Callable[[], bytes], file: Path, clock: Clock = SYSTEM_CLOCK) -> None:
    """Copy a PEM file from elsewhere, as a whole; on a busy engine a read was seen to end well and say nothing.

    Args:
        what: it is, for people.
        read: gives its content; what it raises is not caught.
        file: to be written.
        clock: where time comes from.

    Raises:
        WaitTimeout: it was never whole within 20 s; tells nothing of its content.
    """

    def is_whole() -> bool:
        content = read()
        file.write_bytes(content)
        return _END in content

    until(is_whole, what=f"{what} to be read whole", deadline_seconds=_COPY_SECONDS, every_seconds=0.2, clock=clock)
