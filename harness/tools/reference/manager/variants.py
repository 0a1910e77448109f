"""What a manager does where managers differ: strategies, wishes switched off, and defects.

Source: incident 003. `etcd-manager` is what its reporter ran, `wishes` what the reporter asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one variant behaves; the defaults are the reporter's wishes.

    Args:
        seeds: founds a new cluster whenever marker is gone and spec there, instead of an alarm.
        rereads: reads spec and commands in each pass, instead of when it begins to lead.
        control_apart: keeps control files out of the backup path.
        backs_up_always: backs up without a spec and whatever control files look like, too.
        alarms: goes on when control files are gone or can't be read, and tells; else a pass ends there.
        whole_snapshots: restores by giving each member the snapshot, instead of writing its keys into an empty cluster.
        checks_backup: looks at the named backup before anything is stopped.

        seeds_when_unsure: takes a marker that is empty or can't be read for one that is gone.
        serves_at_once: lets clients in before the backup's data are there.
        purges: removes old data instead of putting it aside.
        skips_uploads: reports every second backup without writing it.
        empties_snapshots: backs up nothing at all.
        restores_one: gives the backup to the first member only.
    """

    seeds: bool = False
    rereads: bool = True
    control_apart: bool = True
    backs_up_always: bool = True
    alarms: bool = True
    whole_snapshots: bool = True
    checks_backup: bool = True

    seeds_when_unsure: bool = False
    serves_at_once: bool = False
    purges: bool = False
    skips_uploads: bool = False
    empties_snapshots: bool = False
    restores_one: bool = False


WISHES = Behaviour()
INCIDENT = Behaviour(
    seeds=True,
    rereads=False,
    control_apart=False,
    backs_up_always=False,
    alarms=False,
    whole_snapshots=False,
    checks_backup=False,
)

STRATEGIES: dict[str, Behaviour] = {"wishes": WISHES, "etcd-manager": INCIDENT}

# One wish a variant is not granted.
SWITCHED_OFF: dict[str, Behaviour] = {
    "seeds-silently": replace(WISHES, seeds=True),
    "caches-spec": replace(WISHES, rereads=False),
    "control-in-backups": replace(WISHES, control_apart=False),
    "backs-up-with-spec-only": replace(WISHES, backs_up_always=False),
}

DEFECTS: dict[str, Behaviour] = {
    "seeds-on-unreadable-marker": replace(WISHES, seeds_when_unsure=True),
    "restores-before-check": replace(WISHES, checks_backup=False),
    "serves-before-restored": replace(WISHES, serves_at_once=True, whole_snapshots=False),
    "purges-archive": replace(WISHES, purges=True),
    "reports-untaken-backup": replace(WISHES, skips_uploads=True),
    "empty-snapshots": replace(WISHES, empties_snapshots=True),
    "restores-one-member": replace(WISHES, restores_one=True),
}

VARIANTS: dict[str, Behaviour] = STRATEGIES | SWITCHED_OFF | DEFECTS
