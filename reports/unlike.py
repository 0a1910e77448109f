"""How the state after a cut, or what the tool left, is unlike that of an uncut start: missing, extra, changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.journal import Entry
from harness.judging import Case, Finding, Verdict
from harness.judging.state import compare, state_of
from harness.judging.state_told import told
from harness.judging.traces import told_traces

_REFERENCE, _RECOVERED = "reference", "recovered"
# By the guarantee that is judged by it: the kind of look, and what is compared.
_COMPARED = {
    "same-state-as-uncut": ("probe.k8s.state", "In the cluster"),
    "no-traces-left": ("probe.traces", "On the machine"),
}
_HEADS = {
    "missing": "Missing: an uncut start makes it",
    "extra": "Extra: no uncut start makes it",
    "left": "Left behind",
    "changed": "Changed: uncut → now",
    "can't be listed": "Can't be listed",
    "not compared": "Not compared",
}
_MOST = 40


@dataclass(frozen=True, slots=True)
class Thing:
    """One object, file or process that is unlike.

    Args:
        name: as ``deployments.apps app-shop/shop``.
        fields: what changed in it, a line a field; empty where it is missing, extra or left.
    """

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unlike:
    """Things that are unlike in the same way.

    Args:
        where: ``In the cluster`` or ``On the machine``.
        sort: ``missing``, ``extra``, ``left``, ``changed`` ...
        head: the sort in words.
        things: some of them.
        more: how many are not shown.
    """

    where: str
    sort: str
    head: str
    things: Sequence[Thing]
    more: int

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.things) + self.more


def unlike(case: Case, findings: Sequence[Finding]) -> list[Unlike]:
    """What is unlike, for the red findings that compare; empty when none is red.

    Args:
        case: with both looks; of a sweep the part of one cut, the uncut start's looks included.
        findings: its own.
    """
    red = {finding.guarantee for finding in findings if finding.verdict is Verdict.NOT_RECOVERED}
    return [one for guarantee in _COMPARED if guarantee in red for one in _told(case, guarantee)]


def _told(case: Case, guarantee: str) -> Iterator[Unlike]:
    kind, where = _COMPARED[guarantee]
    reference, recovered = case.last(kind, role=_REFERENCE), case.last(kind, role=_RECOVERED)
    if reference is None or recovered is None or "failure" in {*reference.data, *recovered.data}:
        return
    groups: dict[str, list[Thing]] = {}
    for sort, thing in _things(_lines(kind, reference, recovered)):
        groups.setdefault(sort, []).append(thing)
    order = list(_HEADS)
    for sort in sorted(groups, key=lambda one: order.index(one) if one in order else len(order)):
        things = groups[sort]
        yield Unlike(where, sort, _HEADS.get(sort, sort), things[:_MOST], max(0, len(things) - _MOST))


def _lines(kind: str, reference: Entry, recovered: Entry) -> list[str]:
    if kind == "probe.traces":
        return _with_changes_below(told_traces(reference.data, recovered.data))
    return told(compare(state_of(reference.data), state_of(recovered.data)))


def _with_changes_below(lines: Sequence[str]) -> list[str]:
    """``changed: name: what`` as two lines, as those of states are."""
    below: list[str] = []
    for line in lines:
        sort, _, rest = line.partition(": ")
        name, _, what = rest.partition(": ")
        if sort != "changed" or not what:
            below.append(line)
            continue
        head = f"{sort}: {name}"
        below += [head] if head not in below else []
        below.append(f"    {what}")
    return below


def _things(lines: Sequence[str]) -> Iterator[tuple[str, Thing]]:
    """Lines as `harness.judging.state_told` writes them: ``sort: name``, and below it indented fields."""
    sort, name, fields = "", "", list[str]()
    for line in [*lines, ""]:
        if line.startswith("    "):
            fields.append(line.strip())
            continue
        if sort:
            yield sort, Thing(name, tuple(fields))
        sort, _, name = line.partition(": ")
        fields = []
