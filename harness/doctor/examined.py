"""One thing looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from harness.errors import HarnessError, MachineError

Group = Literal["etcd", "kind", "s3"]
ETCD: Final = "etcd"
KIND: Final = "kind"
S3: Final = "s3"


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing looked at.

    Args:
        group: which scenarios need it.
        what: the thing.
        good: whether it will do.
        seen: how it is.
        mend: the command or change that mends it.
    """

    group: Group
    what: str
    good: bool
    seen: str
    mend: str = ""


def missing(group: Group, what: str, error: HarnessError, mend: str = "") -> Examined:
    """What an error told of a thing.

    Args:
        group, what: as in `Examined`.
        error: why it will not do.
        mend: said where the error itself knows none.
    """
    return Examined(group, what, False, str(error).splitlines()[0], error.mend or mend)


def refuse_what_is_missing(findings: Iterable[Examined]) -> None:
    """Raise when something will not do; for a run that requires it.

    Raises:
        MachineError: names everything that is missing, and what mends the first of it.
    """
    wrong = [finding for finding in findings if not finding.good]
    if wrong:
        told = "; ".join(f"{finding.what}: {finding.seen}" for finding in wrong)
        mend = f"{wrong[0].mend}; `afterfault doctor` tells the rest" if len(wrong) > 1 else wrong[0].mend
        raise MachineError(f"{wrong[0].group} scenarios can't run on this machine: {told}", mend=mend)
