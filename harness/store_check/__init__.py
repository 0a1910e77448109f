"""``afterfault etcd-store check``: what a backup store would do to its etcd cluster, asked before."""

from __future__ import annotations

from harness.store_check.check import Limits, check_store
from harness.store_check.findings import BackupSeen, ControlSeen, Danger, StoreReport

__all__ = ["BackupSeen", "ControlSeen", "Danger", "Limits", "StoreReport", "check_store"]
