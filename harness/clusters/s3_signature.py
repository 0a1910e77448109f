"""Who calls an S3 server, and how a call is signed: Signature Version 4, after the S3 API reference."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from harness.errors import UsageError

_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Login:
    """How a server is reached.

    Args:
        endpoint: as ``http://127.0.0.1:9000``.
        key_id, secret: credentials; never shown.
        region: part of every signature.
        token: of temporary credentials; most often empty.
    """

    endpoint: str
    key_id: str
    secret: str
    region: str = _DEFAULT_REGION
    token: str = ""

    def __repr__(self) -> str:
        return f"S3Login({self.endpoint})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> S3Login:
        """What etcd-manager would take from these variables; see `open_store`.

        Raises:
            UsageError: the credentials are missing; says which variables.
        """
        endpoint, get = environment.get("S3_ENDPOINT", ""), environment.get
        family = "S3" if endpoint else "AWS"
        key_id, secret = get(f"{family}_ACCESS_KEY_ID", ""), get(f"{family}_SECRET_ACCESS_KEY", "")
        if not (key_id and secret):
            mend = "export them" if endpoint else 'eval "$(aws configure export-credentials --format env)"'
            for_whom = endpoint or "S3 of AWS (S3_ENDPOINT is not set)"
            raise UsageError(
                f"{family}_ACCESS_KEY_ID and {family}_SECRET_ACCESS_KEY are not both set, for {for_whom}", mend=mend
            )
        if endpoint:
            return cls(_with_scheme(endpoint), key_id, secret, get("S3_REGION") or _DEFAULT_REGION)
        region = get("AWS_REGION") or get("AWS_DEFAULT_REGION") or _DEFAULT_REGION
        host = f"https://s3.{region}.amazonaws.com"
        return cls(host, key_id, secret, region, get("AWS_SESSION_TOKEN", ""))

    def environment(self) -> dict[str, str]:
        """The same, as variables for a process."""
        pairs = {"ACCESS_KEY_ID": self.key_id, "SECRET_ACCESS_KEY": self.secret, "REGION": self.region}
        both = {f"{family}_{name}": value for family in ("S3", "AWS") for name, value in pairs.items()}
        return both | {"S3_ENDPOINT": self.endpoint} | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})


def sign(
    login: S3Login, call: tuple[str, str, str, bytes], headers: Mapping[str, str], now: datetime
) -> dict[str, str]:
    """All headers of a call, signed (Signature Version 4).

    Args:
        login: whose credentials.
        call: method, encoded path, encoded and sorted query, content.
        headers: further ones, names in lower case.
        now: time of the call; servers refuse one that is 15 minutes off.
    """
    method, path, query, content = call
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{login.region}/s3/aws4_request"
    digest = hashlib.sha256(content).hexdigest()
    own = {"host": urlsplit(login.endpoint).netloc, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    every = {**headers, **own} | ({"x-amz-security-token": login.token} if login.token else {})
    names = ";".join(sorted(every))
    lines = "".join(f"{name}:{every[name].strip()}\n" for name in sorted(every))
    request = "\n".join((method, path, query, lines, names, digest))
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{login.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    proof = f"AWS4-HMAC-SHA256 Credential={login.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return every | {"authorization": proof}


def _with_scheme(endpoint: str) -> str:
    return (endpoint if "://" in endpoint else f"https://{endpoint}").rstrip("/")
