"""What this machine can run, and the command that mends what it can't."""

from __future__ import annotations

from harness.doctor.etcd import examine_etcd
from harness.doctor.examined import ETCD, KIND, S3, Examined, Group, refuse_what_is_missing
from harness.doctor.kind import KindSources, examine_kind
from harness.doctor.s3 import examine_s3

__all__ = [
    "ETCD",
    "KIND",
    "S3",
    "Examined",
    "Group",
    "KindSources",
    "examine_etcd",
    "examine_kind",
    "examine_s3",
    "refuse_what_is_missing",
]
