"""What managers say: alarms, backups they report, and other notable lines of their logs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from harness.clusters.machine import ManagedMachine
from harness.clusters.managed import ManagedCluster
from harness.journal import Journal

_MOST_ALARMS = 50
# A loop says the same again and again.
_MOST_OF_ONE_TEXT = 3
# klog's: ``W1121 13:02:04.989764    5119 controller.go:388] text``
_LINE = re.compile(r"^(?P<severity>[IWEF])\d{4} [\d:.]+\s+(?:\d+\s+)?(?:\S+\] )?(?P<text>.*)$")
_LONGEST = 300


class ManagerLogs:
    """Reads on where it has stopped reading, machine by machine.

    Args:
        cluster: whose managers; its program says which lines tell something.
        journal: gets ``alarm.seen``, ``manager.said``, ``backup.reported`` and ``restore.told``.
    """

    def __init__(self, cluster: ManagedCluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        program = cluster.program
        self._alarm, self._notable = re.compile(program.alarm), re.compile(program.notable)
        self._took, self._loss = re.compile(program.took), re.compile(program.loss) if program.loss else None
        self._offsets: Counter[str] = Counter()
        self._rest: dict[str, bytes] = {}
        self._alarms: Counter[str] = Counter()
        self._told: Counter[tuple[str, str]] = Counter()

    def look(self) -> None:
        """Read what is new."""
        for machine in self._cluster.machines.values():
            for line in self._new_lines(machine):
                self._note(machine.name, line)

    def _new_lines(self, machine: ManagedMachine) -> Iterator[str]:
        if not machine.log.exists():
            return
        with machine.log.open("rb") as log:
            log.seek(self._offsets[machine.name])
            raw = self._rest.get(machine.name, b"") + log.read()
            self._offsets[machine.name] = log.tell()
        *whole, self._rest[machine.name] = raw.split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)

    def _note(self, machine: str, line: str) -> None:
        found = _LINE.match(line)
        if found is None:
            return
        severity, text = found["severity"], found["text"][:_LONGEST]
        took = self._took.search(text)
        if took:
            self._journal.append("backup.reported", machine=machine, name=took[1])
        if self._loss is not None and self._loss.search(text):
            self._journal.append("restore.told", text=text)
        if severity in "WEF" and self._alarm.search(text) and self._alarms[machine] < _MOST_ALARMS:
            self._alarms[machine] += 1
            self._journal.append("alarm.seen", machine=machine, severity=severity, text=text)
        elif not took and self._notable.search(text) and self._told[machine, text] < _MOST_OF_ONE_TEXT:
            self._told[machine, text] += 1
            self._journal.append("manager.said", machine=machine, severity=severity, text=text)
