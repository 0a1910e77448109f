"""What operators of a managed etcd cluster do after a bad day: recoveries, repairs, and the slips of both.

Source: incident 003, "Resolution and root cause" (twelve steps with the db file of the trash can) and its "Other
clusters" (control files written by hand); etcd's disaster recovery guide; etcd-manager's own help.

A step prints its name before it begins. What a recovery loses is said in lines ``lost: ...``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from harness.control_files import MARKER, SPEC, marker_content, spec_content
from harness.tools.reference.managed_operator import Operator
from harness.tools.reference.replace_node import Refused

# Nobody types faster; and a busy machine's loops take longer than they should.
_LOOK_SECONDS = 2.0
# What a slip of the hand asks for: it was never there.
_NEVER_THERE = "2001-01-01T00:00:00Z-000000"


class Recovery(Operator):
    """A recovery under way, and the steps it can be made of."""

    def take_backup_asked_for(self) -> None:
        """The backup the operator was told."""
        self.backup = os.environ["AFTERFAULT_BACKUP"]

    def mistype_the_name(self) -> None:
        """Slip: a name that no backup has."""
        self.backup = _NEVER_THERE

    def forget_the_name(self) -> None:
        """Slip: no name at all."""
        self.backup = ""

    def refuse_unknown_backup(self) -> None:
        """Look before anything is asked for.

        Raises:
            Refused: there is no such backup.
        """
        if self.backup not in self.backups():
            raise Refused(f"there is no backup {self.backup!r}")

    def copy_db_of_one(self) -> None:
        """Steps 1 to 5, as in the incident: the db file of one machine's archive, without its write-ahead log."""
        self.snapshot = self.snapshot_of_db(self.archives()[0])

    def copy_fullest_db(self) -> None:
        """The same for every machine's, since they may differ; the one with the highest revision is taken."""
        self.snapshot = self.fullest([self.snapshot_of_db(archive) for archive in self.archives()])

    def copy_whole_directory(self) -> None:
        """Every machine's whole data directory is started, its write-ahead log replayed; the fullest is taken."""
        self.snapshot = self.fullest([self.snapshot_of_directory(archive) for archive in self.archives()])

    def copy_whole_directory_of_one(self) -> None:
        """The same for one machine only."""
        self.snapshot = self.snapshot_of_directory(self.archives()[0])

    def upload_as_backup(self) -> None:
        """Steps 6 to 8: packed, and put into the store as a backup of its own."""
        self.backup = self.upload(self.snapshot)

    def upload_without_meta(self) -> None:
        """Slip: the description is forgotten, and nobody sees a backup there."""
        self.backup = self.upload(self.snapshot, described=False)

    def upload_cut_file(self) -> None:
        """Slip: the upload breaks off half-way, and what is there is taken for a backup."""
        self.backup = self.upload(self.snapshot, whole=False)

    def save_running_state(self) -> None:
        """What is served now, as a file to begin with."""
        self.snapshot = self.snapshot_of_running()

    def tell_the_loss(self) -> None:
        """Say what will be gone, before it is."""
        print(f"lost: {self.loss()}", flush=True)

    def restore(self) -> None:
        """Step 9."""
        self.control("restore-backup", self.backup)

    def restart_unless_taken_up(self) -> None:
        """The managers take the command up by themselves, or they are restarted."""
        if not self.is_taken_up():
            self.restart_all()

    def await_queue(self) -> None:
        """The managers take the command up by themselves, or they are restarted (step 10); it has to be gone then."""
        self.restart_unless_taken_up()
        self.await_empty_queue()

    def await_all(self) -> None:
        """Every machine serves the same cluster."""
        self.await_serving()

    def restart_all(self) -> None:
        """All managers at once."""
        self.restart()

    def write_marker(self) -> None:
        """As the author of the incident did on his other clusters."""
        self.store.write(MARKER, marker_content(time.time()))

    def write_spec(self) -> None:
        """The other one."""
        self.store.write(SPEC, spec_content(self.members, self.etcd_version))

    def wait_three_loops(self) -> None:
        """The operator looks at what he has done before he goes on."""
        self.rest(3 * self.loop_seconds + _LOOK_SECONDS)

    def empty_the_trash(self) -> None:
        """Slip: the disk is tidied before anybody looked whether the recovery is good."""
        self.remove_archives()


Step = Callable[[Recovery], None]
R = Recovery
_RESTORE: tuple[Step, ...] = (R.tell_the_loss, R.restore, R.await_queue, R.await_all)
_FROM_TRASH: tuple[Step, ...] = (R.upload_as_backup, R.refuse_unknown_backup, *_RESTORE)

RECOVERIES: dict[str, tuple[Step, ...]] = {
    "restore-backup": (R.take_backup_asked_for, R.refuse_unknown_backup, *_RESTORE),
    "trash-can": (R.copy_db_of_one, *_FROM_TRASH),
    "trash-can-fullest": (R.copy_fullest_db, *_FROM_TRASH),
    "whole-directory": (R.copy_whole_directory_of_one, *_FROM_TRASH),
    "whole-directory-fullest": (R.copy_whole_directory, *_FROM_TRASH),
    "marker-first": (R.write_marker, R.wait_three_loops, R.write_spec, R.wait_three_loops),
    "spec-first": (R.write_spec, R.wait_three_loops, R.write_marker, R.wait_three_loops),
    "marker-first-restarted": (R.write_marker, R.wait_three_loops, R.write_spec, R.restart_all, R.await_all),
    "spec-first-restarted": (R.write_spec, R.wait_three_loops, R.write_marker, R.restart_all, R.await_all),
}

RECOVERY_DEFECTS: dict[str, tuple[Step, ...]] = {
    "wrong-name": (R.mistype_the_name, R.restore, R.restart_unless_taken_up, R.await_all),
    "no-name": (R.forget_the_name, R.restore, R.restart_unless_taken_up, R.await_all),
    "cut-upload": (R.save_running_state, R.upload_cut_file, R.restore, R.restart_unless_taken_up, R.await_all),
    "without-meta": (R.copy_db_of_one, R.upload_without_meta, R.tell_the_loss, R.restore, R.await_queue, R.await_all),
    "tells-nothing": (R.take_backup_asked_for, R.restore, R.await_queue, R.await_all),
    "forgets-restart": (R.take_backup_asked_for, R.tell_the_loss, R.restore),
    "empties-trash": (R.copy_db_of_one, *_FROM_TRASH, R.empty_the_trash),
    "half-written": (R.write_spec, R.wait_three_loops, R.restart_all, R.wait_three_loops),
}


def recover_managed(variant: str) -> None:
    """Run the variant's steps, each announced on stdout.

    Raises:
        Refused: it will not begin.
        StepFailed, NodeRefused: at the step last announced.
    """
    recovery = Recovery()
    for step in (RECOVERIES | RECOVERY_DEFECTS)[variant]:
        print(json.dumps({"step": step.__name__}), flush=True)
        step(recovery)
        recovery.die_if_told(step.__name__)
