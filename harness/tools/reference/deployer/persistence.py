"""What outlives a cluster, and what is done with it before the next one is created over it.

The fix options of incident 000, and its bug: `KEEP_CADDY` keeps one prefix and loses the rest; `KEEP_CORE`
is the widened list (option 1), `WIPE` option 2, `BACKUP_SECRETS` option 3 with a copy of the secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness.tools.reference.deployer import store_keys
from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.store_cleanup import StoreCleanup

_CADDY_SECRETS = "/registry/secrets/caddy-system"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of persisted data when a cluster is about to be created over it.

    Args:
        has_cni: kind's network agent is in it, and kind is to leave it out.
        lost: what is gone, as ``KIND NAMESPACE/NAME``, as far as the strategy knows.
    """

    has_cni: bool = False
    lost: tuple[str, ...] = ()


Prepare = Callable[[StoreCleanup, Deployment], Prepared]


@dataclass(frozen=True, slots=True)
class Persistence:
    """One strategy.

    Args:
        mounts: whether etcd's data and the PKI lie in the deployment folder.
        prepare: called before a cluster is created over existing data.
        backup: what is copied of secrets: ``""`` nothing, ``exact``, ``text``, which is right for text only, or
            ``unlisted``, without a list of what has to be there.
    """

    mounts: bool
    prepare: Prepare
    backup: str = ""


def _keep_caddy(cleanup: StoreCleanup, _: Deployment, script: str = "keep_caddy") -> Prepared:
    cleanup.run(script, _CADDY_SECRETS)
    return Prepared()


def _keep_core(
    cleanup: StoreCleanup, deployment: Deployment, more: tuple[str, ...] = (), image: str = "etcd_tools"
) -> Prepared:
    dropped = (*store_keys.NODE_BOUND, *store_keys.own_workloads(deployment.namespace), *more)
    printed = cleanup.run("keep_core", *dropped, image=image, CNI_KEY=store_keys.CNI_KEY, CNI=" ".join(store_keys.CNI))
    keys = [line for line in printed.splitlines() if line]
    gone = store_keys.lost(keys, dropped, deployment.namespace)
    return Prepared(store_keys.has_cni(keys), tuple(gone))


def _wipe(cleanup: StoreCleanup, _: Deployment) -> Prepared:
    cleanup.run("wipe")
    return Prepared()


def leave_alone(_: StoreCleanup, deployment: Deployment) -> Prepared:
    """What is there is not mounted, and stays as it is."""
    print(f"note: {deployment.cluster_data} holds another strategy's data, which is not used", flush=True)
    return Prepared()


KEEP_CADDY = Persistence(mounts=True, prepare=_keep_caddy)
KEEP_CADDY_EXACT = Persistence(mounts=True, prepare=partial(_keep_caddy, script="keep_caddy_exact"))
KEEP_CORE = Persistence(mounts=True, prepare=_keep_core)
WIPE = Persistence(mounts=True, prepare=_wipe)
BACKUP_SECRETS = Persistence(mounts=False, prepare=leave_alone, backup="exact")

# Defects.
BACKUP_AS_TEXT = Persistence(mounts=False, prepare=leave_alone, backup="text")
BACKUP_UNLISTED = Persistence(mounts=False, prepare=leave_alone, backup="unlisted")
DROP_RBAC = Persistence(mounts=True, prepare=partial(_keep_core, more=store_keys.RBAC))
DROP_CNI = Persistence(mounts=True, prepare=partial(_keep_core, more=store_keys.CNI))
OTHER_ETCD = Persistence(mounts=True, prepare=partial(_keep_core, image="other_etcd_tools"))
