"""``kept.json``: how to get into a cluster that was left up, and whose it is; in its case's folder."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec

from harness.errors import UsageError

NAME = "kept.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """A cluster that was left up.

    Args:
        etcdctl, kubectl: paths of the programs that speak to it; empty where it is none of theirs.
        environment: what these programs have to be told, as ``KUBECONFIG`` or ``ETCDCTL_ENDPOINTS``.
        trouble: why nothing can be said of it, in a sentence; empty where something can.
        label: of the run's process that owns it, as in its lease.
        case_id: the play that it is from.
    """

    etcdctl: str = ""
    kubectl: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    label: str = ""
    case_id: str = ""

    def owned_by(self, label: str, case_id: str) -> Kept:
        """The same, with the owner's name on it."""
        return replace(self, label=label, case_id=case_id)

    def lines(self) -> Iterator[str]:
        """What a person types to get in, a line each."""
        if self.trouble:
            yield f"# {self.trouble}"
        for name, value in sorted(self.environment.items()):
            yield f"export {name}={shlex.quote(value)}"
        if self.kubectl:
            yield shlex.join([self.kubectl, "get", "nodes,pods", "--all-namespaces"])
        if self.etcdctl:  # of a member each: a list of members can't be had where the quorum is lost
            yield shlex.join([self.etcdctl, "endpoint", "status", "--write-out=table"])

    def save(self, folder: Path) -> None:
        """Write it into a case's folder."""
        (folder / NAME).write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def find_kept(cases: Path) -> list[Kept]:
    """Clusters that a run left up and that nobody has removed since.

    Args:
        cases: the run's folder of cases.

    Raises:
        UsageError: a file is not what was written.
    """
    return [_load(path) for path in sorted(cases.glob(f"*/{NAME}"))]


def forget_kept(cases: Path, label: str) -> None:
    """Remove what is written of the clusters of a process of a run: they are gone."""
    for path in cases.glob(f"*/{NAME}"):
        if _load(path).label == label:
            path.unlink()


def _load(path: Path) -> Kept:
    try:
        return msgspec.convert(json.loads(path.read_text(encoding="utf-8")), Kept)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}", mend=f"remove it: rm {shlex.quote(str(path))}") from error
