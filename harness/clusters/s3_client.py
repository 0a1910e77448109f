"""A thin typed client of S3's REST interface: one bucket, the calls a backup store needs.

docs/decisions/0009 says why no ready client serves. Source of the calls and of the signature: the S3 API
reference, "Signature Version 4". Path style only, as kops asks S3 servers other than AWS's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import urllib3

from harness.clusters.backup_path import StoreError
from harness.clusters.s3_signature import S3Login, sign

_DONE = range(200, 300)
_DENIED = (401, 403)
# What a listing answers at once; S3 itself gives no more.
PAGE_KEYS = 1000
# Sent by the server's own replication: the modification time an upload is to have.
_SOURCE_TIME = "x-minio-source-mtime"
_REPLICATED_MARKER = {"x-minio-source-deletemarker": "true", "x-minio-source-replication-request": "true"}


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or a delete marker.

    Args:
        key: its name.
        version: its ID; ``null`` in a bucket without versioning.
        bytes: its size; 0 for a delete marker.
        modified: Unix seconds.
        latest: whether it is the one a plain read sees.
        deleted: whether it is a delete marker.
    """

    key: str
    version: str
    bytes: int
    modified: float
    latest: bool = True
    deleted: bool = False

    def renamed(self, key: str) -> ObjectVersion:
        """The same under another name."""
        return replace(self, key=key)


class S3Client:
    """Calls on one bucket; from several threads too.

    Args:
        login: how the server is reached.
        bucket: its name.
        timeout_seconds: for each call.

    Raises (every call):
        StoreError: no answer, or one that is an error.
    """

    def __init__(self, login: S3Login, bucket: str, timeout_seconds: float) -> None:
        self.login, self.bucket = login, bucket
        self._timeout_seconds = timeout_seconds

    def get(self, key: str) -> bytes | None:
        """An object's content; None when there is none."""
        answer = self._call("GET", key, absent=("NoSuchKey",))
        return None if answer is None else answer.data

    def put(self, key: str, content: bytes) -> None:
        """Upload an object."""
        self._call("PUT", key, content=content)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._call("DELETE", key, absent=("NoSuchKey",))

    def backdate(self, version: ObjectVersion, then: datetime) -> None:
        """Give a version another modification time, as MinIO's replication does; nothing else of it changes.

        A delete marker is gone for a moment, so newer versions have to be there.
        """
        headers = {_SOURCE_TIME: then.isoformat(timespec="microseconds").replace("+00:00", "Z")}
        query = {"versionId": version.version}
        if version.deleted:
            self._call("DELETE", version.key, query)
            self._call("DELETE", version.key, query, headers=headers | _REPLICATED_MARKER)
            return
        now = self._call("GET", version.key, query, absent=("NoSuchVersion",))
        if now is not None:  # else a rule was quicker
            self._call("PUT", version.key, query, now.data, headers=headers)

    def list(self, prefix: str) -> list[ObjectVersion]:
        """Current versions whose keys begin with `prefix`, by key."""
        found = []
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(PAGE_KEYS)}
        while query:
            page = self._ask("GET", query)
            found += [_version(row) for row in page.iterfind("{*}Contents")]
            more = page.findtext("{*}NextContinuationToken")
            query = query | {"continuation-token": more} if more else {}
        return found

    def versions(self, prefix: str) -> Sequence[ObjectVersion]:
        """All versions and delete markers whose keys begin with `prefix`, by key, newest first."""
        found = []
        query = {"versions": "", "prefix": prefix, "max-keys": str(PAGE_KEYS)}
        while query:
            page = self._ask("GET", query)
            found += [_version(row) for row in page if _name(row) in ("Version", "DeleteMarker")]
            marker, version = page.findtext("{*}NextKeyMarker"), page.findtext("{*}NextVersionIdMarker")
            query = query | {"key-marker": marker, "version-id-marker": version or ""} if marker else {}
        return found

    def make_bucket(self) -> None:
        """Make the bucket; one that is there already is fine."""
        self._call("PUT", "", absent=("BucketAlreadyOwnedByYou",))

    def switch_versioning_on(self) -> None:
        """From now on no upload and no removal takes an older version away."""
        self._setting("versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")

    def set_expiry(self, days_of: Mapping[str, int]) -> None:
        """Replace the bucket's lifecycle rules: key prefix to age in days."""
        if not days_of:
            self._call("DELETE", "", {"lifecycle": ""}, absent=("NoSuchLifecycleConfiguration",))
            return
        rules = "".join(
            f"<Rule><ID>{number}</ID><Status>Enabled</Status>"
            f"<Filter><Prefix>{escape(prefix, quote=False)}</Prefix></Filter>"
            f"<Expiration><Days>{days}</Days></Expiration></Rule>"
            for number, (prefix, days) in enumerate(days_of.items())
        )
        self._setting("lifecycle", f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>")

    def _setting(self, what: str, text: str) -> None:
        content = text.encode()
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        self._call("PUT", "", {what: ""}, content, headers={"content-md5": digest})

    def _ask(self, method: str, query: Mapping[str, str]) -> ElementTree.Element:
        answer = self._call(method, "", query)
        try:
            return ElementTree.fromstring(answer.data if answer is not None else b"")
        except ElementTree.ParseError as error:
            raise StoreError(f"{self.login.endpoint}: its answer is not XML: {error}") from error

    def _call(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        content: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        absent: tuple[str, ...] = (),
    ) -> urllib3.BaseHTTPResponse | None:
        """One signed call; None where it answers an error code of `absent`."""
        path = quote(f"/{self.bucket}/{key}" if key else f"/{self.bucket}", safe="/-_.~")
        words = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted((query or {}).items())
        )
        signed = sign(self.login, (method, path, words, content), headers or {}, datetime.now(UTC))
        url = f"{self.login.endpoint}{path}" + (f"?{words}" if words else "")
        try:
            # a connection that was kept would tell of a server that went and came back since
            with urllib3.PoolManager(timeout=self._timeout_seconds, retries=False) as http:
                answer = http.request(method, url, body=content, headers=signed)
        except urllib3.exceptions.HTTPError as error:
            raise StoreError(
                f"{self.login.endpoint} does not answer: {type(error).__name__} {error}".rstrip()
            ) from error
        if answer.status in _DONE:
            return answer
        code, message = _error(answer)
        if code in absent:
            return None
        raise StoreError(
            f"{method} s3://{self.bucket}/{key}: {answer.status} {code} {message}".rstrip(),
            denied=answer.status in _DENIED,
        )


def _version(row: ElementTree.Element) -> ObjectVersion:
    def text(name: str, other: str = "") -> str:
        return row.findtext(f"{{*}}{name}") or other

    modified = datetime.fromisoformat(text("LastModified")).timestamp()
    latest, deleted = text("IsLatest", "true") == "true", _name(row) == "DeleteMarker"
    return ObjectVersion(text("Key"), text("VersionId", "null"), int(text("Size", "0")), modified, latest, deleted)


def _name(row: ElementTree.Element) -> str:
    return row.tag.rpartition("}")[2]


def _error(answer: urllib3.BaseHTTPResponse) -> tuple[str, str]:
    """S3's own error code and message; the status where there is none."""
    try:
        told: Any = ElementTree.fromstring(answer.data)
    except ElementTree.ParseError:
        return str(answer.status), answer.reason or ""
    return told.findtext("{*}Code") or "", told.findtext("{*}Message") or ""
