"""Where a managed etcd cluster's control files and backups are kept: a folder, or a prefix in an S3 bucket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from harness.clusters.backup_path import BackupStore, StoredFile, StoreError, checked_name
from harness.clusters.file_store import FileStore
from harness.clusters.s3_client import ObjectVersion
from harness.clusters.s3_signature import S3Login
from harness.clusters.s3_store import S3Store
from harness.errors import UsageError

__all__ = [
    "BackupStore",
    "FileStore",
    "ObjectVersion",
    "S3Login",
    "S3Store",
    "StoreError",
    "StoredFile",
    "checked_name",
    "open_store",
]


def open_store(url: str, environment: Mapping[str, str]) -> BackupStore:
    """The store behind an address; nothing is asked yet.

    Args:
        url: ``file:///folder``, a folder, or ``s3://bucket/prefix``.
        environment: ``S3_ENDPOINT``, ``S3_REGION``, ``S3_ACCESS_KEY_ID`` and ``S3_SECRET_ACCESS_KEY`` as etcd-manager
            takes them (kops ``util/pkg/vfs``); without an endpoint ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``,
            ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``, for S3 of AWS.

    Raises:
        UsageError: another kind of address, or no credentials.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        if not parts.netloc:
            raise UsageError(f"{url!r} names no bucket", mend="write s3://BUCKET/PATH")
        return S3Store(parts.netloc, parts.path, S3Login.from_environment(environment))
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise UsageError(f"{url!r} is a file of another machine", mend="write file:///FOLDER, with three slashes")
        # kops takes it as it stands, percent signs and all
        return FileStore(Path(url.removeprefix(f"file://{parts.netloc}")))
    if "://" in url or not url:
        raise UsageError(f"{url!r} is no store", mend="give a folder, file:///FOLDER or s3://BUCKET/PATH")
    return FileStore(Path(url))
