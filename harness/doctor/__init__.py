"""What this machine can run, and the command that mends what it can't."""

from __future__ import annotations

from harness.doctor.etcd import examine_etcd
from harness.doctor.examined import ETCD, KIND, Examined, Group, refuse_what_is_missing
from harness.doctor.kind import KindSources, examine_kind

__all__ = ["ETCD", "KIND", "Examined", "Group", "KindSources", "examine_etcd", "examine_kind", "refuse_what_is_missing"]
