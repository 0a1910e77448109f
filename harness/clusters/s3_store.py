"""A backup store that is a prefix in an S3 bucket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from harness.clusters.backup_path import BackupStore, StoredFile, checked_name
from harness.clusters.s3_client import ObjectVersion, S3Client
from harness.clusters.s3_signature import S3Login

# What else the AWS library in a manager would look at: this user's own settings, and a machine's metadata service.
_NOTHING_ELSE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


class S3Store(BackupStore):
    """A prefix in a bucket; the bucket has to be there.

    Args:
        bucket: its name.
        prefix: of every key, without slashes at its ends; may be empty.
        login: how the server is reached.
        timeout_seconds: for each call.
    """

    def __init__(self, bucket: str, prefix: str, login: S3Login, timeout_seconds: float = 10.0) -> None:
        self._client, self._timeout = S3Client(login, bucket, timeout_seconds), timeout_seconds
        self.bucket, self.prefix = bucket, prefix.strip("/")
        self.url = f"s3://{bucket}/{self.prefix}".rstrip("/")
        self.environment = login.environment() | _NOTHING_ELSE

    def list(self, prefix: str = "") -> list[StoredFile]:
        """Current versions."""
        base = self._key("")
        listed = self._client.list(base + prefix)
        return [StoredFile(item.key.removeprefix(base), item.bytes, item.modified) for item in listed]

    def read(self, name: str) -> bytes | None:
        """The current version's content."""
        return self._client.get(self._key(checked_name(name)))

    def write(self, name: str, content: bytes) -> None:
        """In a versioned bucket this adds a version."""
        self._client.put(self._key(checked_name(name)), content)

    def delete(self, *names: str) -> None:
        """In a versioned bucket this adds a delete marker."""
        for name in names:
            self._client.delete(self._key(checked_name(name)))

    def below(self, name: str) -> S3Store:
        """A longer prefix in the same bucket."""
        return S3Store(self.bucket, self._key(checked_name(name)), self._client.login, self._timeout)

    def make_bucket(self) -> None:
        """Make the bucket where it is not there yet, and switch versioning on."""
        self._client.make_bucket()
        self._client.switch_versioning_on()

    def versions(self, name: str = "") -> Sequence[ObjectVersion]:
        """All versions and delete markers of a file, or of all; newest first, keys relative to the backup path."""
        base = self._key("")
        wanted = {base + name} if name else None
        return [
            version.renamed(version.key.removeprefix(base))
            for version in self._client.versions(base + name)
            if wanted is None or version.key in wanted
        ]

    def set_lifecycle(self, prefix: str, days: int) -> None:
        """Have the server itself expire files below `prefix` that are older; replaces the bucket's rules.

        Args:
            prefix: relative to the backup path; empty for everything on it, as the incident had it.
            days: at least 1.
        """
        self._client.set_expiry({self._key(prefix): days})

    def clear_lifecycle(self) -> None:
        """Take all rules of the bucket away."""
        self._client.set_expiry({})

    def age(self, prefix: str, days: float) -> Sequence[str]:
        """Make files look as if all their versions had been written `days` earlier; returns the files' names.

        Each version is uploaded again with its own ID and a modification time of the past, as the server's
        replication does it: content, IDs and number of versions stay (docs/decisions/0009). Files that are gone
        are left alone.
        """
        versions = self._client.versions(self._key(prefix))
        keys = [version.key for version in versions if version.latest and not version.deleted]
        # the oldest first: which version is the latest goes by these times
        for version in reversed([version for version in versions if version.key in keys]):
            self._client.backdate(version, datetime.fromtimestamp(version.modified, UTC) - timedelta(days=days))
        return [key.removeprefix(self._key("")) for key in keys]

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name
