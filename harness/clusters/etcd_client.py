"""A thin typed client of etcd's JSON gateway.

It tells apart what a witness has to tell apart: a call that was surely not carried out
(`CallFailed`), and one that may have been (`CallUnknown`). docs/decisions/0003 says why no ready
client serves. Source of the calls: etcd's API reference (``/v3/kv``, ``/v3/cluster``,
``/v3/maintenance``).
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util import SKIP_HEADER

from harness.errors import HarnessError


class CallFailed(HarnessError):
    """The call was never carried out: no connection, or refused before it was proposed."""


class CallUnknown(HarnessError):
    """No answer, or one that leaves open whether the call was (or will be) carried out."""


@dataclass(frozen=True, slots=True)
class Header:
    """Who answered, and at which point of history.

    Args:
        cluster_id, member_id: 16 hex digits, as etcdctl prints them.
        revision: the store's revision when it answered.
    """

    cluster_id: str
    member_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class ListedMember:
    """One row of the member list.

    Args:
        member_id: 16 hex digits.
        name: empty until the member has started once; never proof of life afterwards.
        peer_urls: advertised peer URLs.
        learner: True for a non-voting member.
    """

    member_id: str
    name: str
    peer_urls: tuple[str, ...]
    learner: bool

    def to_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {
            "id": self.member_id,
            "name": self.name,
            "peer_urls": list(self.peer_urls),
            "learner": self.learner,
        }


@dataclass(frozen=True, slots=True)
class Status:
    """What one member says of itself.

    Args:
        header: who answered.
        leader: member ID of its leader, empty when it has none.
        raft_term, raft_index: where its log stands.
        learner: True while it does not vote.
        version: its etcd version.
    """

    header: Header
    leader: str
    raft_term: int
    raft_index: int
    learner: bool
    version: str


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key as read: its value and the revision of its last change."""

    key: str
    value: str
    mod_revision: int


# Threads that may ask at the same time over connections that are kept.
_KEPT = 4
# Each header is checked by Python's library before it goes out, and etcd reads neither.
_HEADERS = {"user-agent": SKIP_HEADER, "accept-encoding": SKIP_HEADER}


class EtcdClient:
    """Talks to one member.

    Args:
        client_url: as ``http://127.3.4.1:2379``.
        context: for mutual TLS; None for plain HTTP.
        timeout_seconds: for each call.

    Raises (every call):
        CallFailed: surely not carried out.
        CallUnknown: may have been carried out.
    """

    def __init__(self, client_url: str, context: ssl.SSLContext | None = None, timeout_seconds: float = 1.0) -> None:
        self.client_url = client_url
        words = {"ssl_context": context} if context else {}
        self._http = urllib3.connection_from_url(
            client_url, timeout=timeout_seconds, retries=False, maxsize=_KEPT, headers=_HEADERS, **words
        )

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; the client can't be used afterwards."""
        self._http.close()

    def healthy(self) -> bool:
        """Whether ``/health`` says so: a leader, no alarm, and a linearizable read came through.

        The plain HTTP handler, not the gateway: the gateway's own connection to its gRPC server
        backs off for a second when tried too early.
        """
        try:
            return self._http.request("GET", "/health").status == HTTPStatus.OK
        except HTTPError:
            return False

    def put(self, items: dict[str, str]) -> Header:
        """Write all items in one transaction, hence under one revision."""
        puts = [{"request_put": {"key": _b64(key), "value": _b64(value)}} for key, value in items.items()]
        return _header(self._call("/v3/kv/txn", {"success": puts}))

    def get(self, key: str) -> tuple[Header, KeyValue | None]:
        """Linearizable read of one key."""
        answer = self._call("/v3/kv/range", {"key": _b64(key)})
        items = [_key_value(item) for item in answer.get("kvs", [])]
        return _header(answer), items[0] if items else None

    def keys(self, prefix: str, *, linearizable: bool = True) -> tuple[Header, list[KeyValue]]:
        """All keys under a prefix, without their values."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        body = {"key": _b64(prefix), "range_end": _b64(end), "serializable": not linearizable, "keys_only": True}
        answer = self._call("/v3/kv/range", body)
        return _header(answer), [_key_value(item) for item in answer.get("kvs", [])]

    def members(self, *, linearizable: bool = False) -> tuple[Header, list[ListedMember]]:
        """The member list; by default this member's own copy, which it tells without quorum too."""
        answer = self._call("/v3/cluster/member/list", {"linearizable": linearizable})
        return _header(answer), [_listed(row) for row in answer.get("members", [])]

    def member_add(self, peer_url: str, *, learner: bool = False) -> str:
        """Add a member; returns its new ID."""
        answer = self._call("/v3/cluster/member/add", {"peerURLs": [peer_url], "isLearner": learner})
        return _hex(answer["member"]["ID"])

    def member_remove(self, member_id: str) -> None:
        """Remove a member; a running one stops itself."""
        self._call("/v3/cluster/member/remove", {"ID": str(int(member_id, 16))})

    def member_promote(self, member_id: str) -> None:
        """Make a learner a voter."""
        self._call("/v3/cluster/member/promote", {"ID": str(int(member_id, 16))})

    def lease_grant(self, seconds: int) -> str:
        """A lease that lasts that long; returns its ID."""
        return _hex(self._call("/v3/lease/grant", {"TTL": str(seconds)})["ID"])

    def leases(self) -> list[str]:
        """IDs of all leases there are."""
        return [_hex(row["ID"]) for row in self._call("/v3/lease/leases", {}).get("leases", [])]

    def status(self) -> Status:
        """What the member says of itself; needs no quorum."""
        answer = self._call("/v3/maintenance/status", {})
        leader = int(answer.get("leader", 0))
        return Status(
            header=_header(answer),
            leader=_hex(leader) if leader else "",
            raft_term=int(answer.get("raftTerm", 0)),
            raft_index=int(answer.get("raftIndex", 0)),
            learner=bool(answer.get("isLearner", False)),
            version=answer.get("version", ""),
        )

    def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._http.request("POST", path, json=body)
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise CallFailed(f"{path}: {error}") from error
        except HTTPError as error:
            raise CallUnknown(f"{path}: {type(error).__name__} {error}") from error
        if response.status != HTTPStatus.OK:
            # Any server-side error may come after the proposal was made: never count it as not done.
            raise CallUnknown(f"{path}: {response.status} {response.data[:200].decode(errors='replace').strip()}")
        answer: dict[str, Any] = response.json()
        return answer


def _header(answer: dict[str, Any]) -> Header:
    header = answer["header"]
    return Header(_hex(header["cluster_id"]), _hex(header["member_id"]), int(header.get("revision", 0)))


def _listed(row: dict[str, Any]) -> ListedMember:
    return ListedMember(
        _hex(row["ID"]), row.get("name", ""), tuple(row.get("peerURLs", ())), bool(row.get("isLearner", False))
    )


def _key_value(item: dict[str, Any]) -> KeyValue:
    return KeyValue(_text(item["key"]), _text(item.get("value", "")), int(item["mod_revision"]))


def _hex(number: str | int) -> str:
    return f"{int(number):016x}"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
