"""A small supervisor of real etcd members, with the control-store contract of kops' etcd-manager.

One process a machine: `python -m harness.tools.reference.manager run ...`; an operator's side is
`... ctl ...`. It knows the contract (marker, spec, command queue, backups, archive of old data) and
behaves as one of `variants.py` says: as the incident's manager does, or as its reporter wished.

    options, variants   what it is told
    peers, orders       who leads, and what a leader tells the others to do
    control_store       marker, spec and command queue
    backups             snapshots in the store
    member, etcd_process, folder   the machine's own etcd, its data and its archive
    world, restore, founding, loop   what the leader sees, and what it does about it
    alarms              what a person is told

What it has to remember lies on disk or in the store, so that one that was killed goes on when started again.

Source of the contract: kubernetes-sigs/etcd-manager, pkg/controller, pkg/etcd, pkg/commands, pkg/backup.
"""
