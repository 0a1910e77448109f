"""What a person reads of a check: the answer first."""

from __future__ import annotations

import textwrap

from harness.store_check.findings import BackupSeen, BackupState, ControlSeen, FileState, StoreReport

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_KIB, _MIB = 2**10, 2**20
_WIDTH, _WIDEST_INDENT = 100, 24


def text(report: StoreReport) -> str:
    """All of it; the first screen answers the question."""
    verdict = "GOOD: nothing speaks against going on" if report.good else "DANGEROUS: see what to do, below"
    lines = [verdict, ""]
    for name, told in _answers(report):
        lines += _wrapped(f"{name:<24}", told)
    for number, danger in enumerate(report.dangers, 1):
        lines += ["", *_wrapped(f"{number}. ", danger.why), *_wrapped("   What to do: ", danger.do)]
    if report.notes:
        lines += ["", *(line for note in report.notes for line in _wrapped("note: ", note))]
    return "\n".join(lines)


def _wrapped(head: str, told: str) -> list[str]:
    indent = " " * min(len(head), _WIDEST_INDENT)
    return textwrap.wrap(
        told, _WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def age_text(seconds: float) -> str:
    """As ``3 h 20 min`` or ``92 days``."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
    return f"{seconds / _DAY:.0f} days"


def members_text(count: int) -> str:
    """As ``1 member`` or ``3 members``."""
    return "1 member" if count == 1 else f"{count} members"


def _size(count: int) -> str:
    return f"{count / _MIB:.1f} MiB" if count >= _MIB else f"{count / _KIB:.0f} KiB"


def _answers(report: StoreReport) -> list[tuple[str, str]]:
    founds = {True: "YES, a write of the spec would", False: "no", None: "can't be told"}[report.founds]
    control, newest = report.control, report.newest_valid
    return [
        ("store", report.store),
        ("founds a new cluster?", f"{founds}: {report.founds_why}"),
        ("newest valid backup", _backup(report, newest) if newest else "none"),
        ("backups", _counted(report)),
        ("created marker", control.marker),
        ("cluster spec", _spec(control)),
        ("commands waiting", ", ".join(one.name for one in control.commands) or "none"),
    ]


def _spec(control: ControlSeen) -> str:
    if control.spec is not FileState.THERE:
        return control.spec
    return f"{control.spec}: {members_text(control.member_count or 0)}, etcd {control.etcd_version}"


def _backup(report: StoreReport, backup: BackupSeen) -> str:
    facts = f"revision {backup.revision}, {backup.keys} keys, {_size(backup.bytes)} packed"
    return f"{backup.name}, {age_text(report.age_seconds(backup))} old ({facts})"


def _counted(report: StoreReport) -> str:
    states = [one.state for one in report.backups]
    told = [f"{states.count(state)} {state}" for state in BackupState if state in states]
    rest = report.total - len(states)
    return (
        f"{report.total}" + (f": {', '.join(told)}" if told else "") + (f", {rest} older not looked at" if rest else "")
    )
