"""What the rules about Kubernetes share: an observation that counts, and the ways there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.journal import Entry
from harness.judging.case import Case
from harness.judging.verdict import Finding, Verdict

# What moves the world: an observation from before the last of these says nothing about recovery.
_TROUBLE = ("fault.injected", "fault.healed", "tool.started", "tool.ended")
# How a probe that got no answer puts it, and what that is called in a finding.
_NO_ANSWER = {"unreachable": "api-unreachable", "forbidden": "admin-forbidden", "error": "api-error"}
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Promise:
    """One guarantee and the kind of observation it is judged by; makes its findings.

    Args:
        guarantee: its ID.
        kind: kind of the journal entries that a rule reads.
    """

    guarantee: str
    kind: str

    def observations(self, case: Case) -> list[Entry]:
        """The observations made since the trouble ended, oldest first."""
        return [entry for entry in case.of_kind(self.kind) if entry.at >= trouble_ends(case)]

    def unseen(self, case: Case) -> Finding:
        """INCONCLUSIVE: nobody looked, or only before the trouble had ended."""
        stale = case.last(self.kind)
        why = "nobody looked" if stale is None else f"nobody looked after {trouble_ends(case):.1f} s"
        return self.inconclusive(why, *([stale] if stale else []))

    def inconclusive(self, why: str, *evidence: Entry) -> Finding:
        """INCONCLUSIVE, for the reason given."""
        return Finding(self.guarantee, Verdict.INCONCLUSIVE, why, evidence=tuple(entry.seq for entry in evidence))

    def blocked(self, entry: Entry) -> Finding | None:
        """NOT_RECOVERED when the API gave no answer to judge by; None when it did."""
        failure = entry.data.get("failure")
        if not failure:
            return None
        return self.broken(
            Flaw(_NO_ANSWER.get(failure["sort"], "api-error"), f"the API said: {failure['text']}"), entry
        )

    def broken(self, flaw: Flaw, *evidence: Entry, **measures: float) -> Finding:
        """NOT_RECOVERED, by this flaw."""
        seen = tuple(entry.seq for entry in evidence)
        return Finding(self.guarantee, Verdict.NOT_RECOVERED, flaw.reason, flaw.signature, seen, measures)

    def kept(self, reason: str, *evidence: Entry, **measures: float) -> Finding:
        """RECOVERED."""
        seen = tuple(entry.seq for entry in evidence)
        return Finding(self.guarantee, Verdict.RECOVERED, reason, evidence=seen, measures=measures)


@dataclass(frozen=True, slots=True)
class Flaw:
    """A way in which the world is not as promised.

    Args:
        signature: its stable name.
        reason: a sentence with names and figures.
    """

    signature: str
    reason: str


@dataclass(frozen=True, slots=True)
class Flaws:
    """Collects what is wrong; the first found is the one a finding names."""

    found: list[Flaw] = field(default_factory=list)

    def add(self, signature: str, names: list[str], sentence: str) -> None:
        """Note a flaw when there are names to blame; ``{}`` in the sentence becomes the names."""
        if names:
            self.found.append(Flaw(signature, sentence.format(listed(names))))

    @property
    def first(self) -> Flaw | None:
        """The gravest: rules add flaws in the order of their gravity."""
        return self.found[0] if self.found else None


def trouble_ends(case: Case) -> float:
    """When the last fault or call of the tool was over; 0 when there was none."""
    return max((entry.at for entry in case.entries if entry.kind in _TROUBLE), default=0.0)


def listed(names: list[str]) -> str:
    """A few names for a sentence, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def failures_told(failed: Mapping[str, Mapping[str, object]]) -> list[str]:
    """``name (status text)`` of each thing that failed."""
    return [f"{name} ({what['status']}: {what['text']})" for name, what in failed.items()]
