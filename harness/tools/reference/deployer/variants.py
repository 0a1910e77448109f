"""What the tool can be told to be: strategies, each with the other half faithful, and defects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.tools.reference.deployer import ingress, persistence
from harness.tools.reference.deployer.deployment import Deployment
from harness.tools.reference.deployer.persistence import Persistence
from harness.tools.reference.deployer.programs import Programs
from harness.tools.reference.deployer.start import Start
from harness.tools.reference.deployer.stop import stop, stop_by_notes

Step = Callable[[Start], None]
Stop = Callable[[Deployment, Persistence, Programs, Path], None]
S = Start

STEPS: tuple[Step, ...] = (
    S.ensure_cluster, S.load_images, S.install_ingress, S.restore_secrets, S.await_ingress, S.apply_app, S.await_app,
    S.save_secrets,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to be.

    Args:
        persistence: what outlives a cluster.
        install: how the ingress is installed.
        steps: of a start, in order.
        stop: the other call.
    """

    persistence: Persistence = persistence.BACKUP_SECRETS
    install: ingress.Install = ingress.apply
    steps: tuple[Step, ...] = STEPS
    stop: Stop = stop


STRATEGIES: dict[str, Variant] = {
    "faithful": Variant(),
    # persistence, incident 000
    "keep-caddy": Variant(persistence.KEEP_CADDY),
    "keep-caddy-exact": Variant(persistence.KEEP_CADDY_EXACT),
    "keep-core": Variant(persistence.KEEP_CORE),
    "wipe": Variant(persistence.WIPE),
    "backup-secrets": Variant(persistence.BACKUP_SECRETS),
    # ingress, incident 001
    "ingress-create": Variant(install=ingress.plain_create),
    "ingress-skip": Variant(install=ingress.skip_if_exists),
    "ingress-conflict-ok": Variant(install=ingress.conflict_is_success),
    "ingress-apply": Variant(install=ingress.apply),
}

DEFECTS: dict[str, Variant] = {
    "corrupts-binary": Variant(persistence.BACKUP_AS_TEXT),
    "trusts-backup": Variant(persistence.BACKUP_UNLISTED),
    "restores-once": Variant(
        steps=(
            S.ensure_cluster, S.load_images, S.install_ingress, S.restore_secrets_once, S.await_ingress, S.apply_app,
            S.await_app, S.save_secrets,
        )
    ),
    "deletes-dead": Variant(steps=(S.delete_dead, *STEPS)),
    "drops-rbac": Variant(persistence.DROP_RBAC),
    "drops-cni": Variant(persistence.DROP_CNI),
    "other-etcd": Variant(persistence.OTHER_ETCD),
    "says-ready-too-early": Variant(
        steps=(S.ensure_cluster, S.load_images, S.install_ingress, S.restore_secrets, S.apply_app)
    ),
    "leaves-child": Variant(steps=(*STEPS, S.leave_child)),
    "forgets-after-interruption": Variant(
        steps=(
            S.note_start, S.ensure_cluster, S.load_images, S.install_ingress, S.restore_secrets, S.await_ingress,
            S.apply_app_forgetfully, S.await_app, S.save_secrets, S.note_end,
        )
    ),
    "stop-trusts-notes": Variant(stop=stop_by_notes),
    "deletes-foreign": Variant(steps=(S.delete_foreign, *STEPS)),
    "never-returns": Variant(steps=(*STEPS, S.wait_for_ever)),
}  # fmt: skip

VARIANTS = STRATEGIES | DEFECTS
