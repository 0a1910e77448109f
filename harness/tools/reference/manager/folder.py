"""What a machine keeps on disk: who it is, which cluster it belongs to, its data and its archive.

The layout is etcd-manager's: `myid`, `state`, `data/<token>`, `data-trashcan/<token>`.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.tools.reference.manager.klog import LOG


@dataclass(frozen=True, slots=True)
class State:
    """The cluster a machine's etcd belongs to.

    Args:
        token: of the cluster; also the name of its data folder.
        nodes: member name -> peer URL, of all founders.
        quarantined: whether it listens where clients don't look.
        new: whether it has yet to be founded; else etcd joins, or has data.
        origin: file name of the restore command it comes from; empty where there was none.
    """

    token: str
    nodes: dict[str, str] = field(default_factory=dict)
    quarantined: bool = True
    new: bool = True
    origin: str = ""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        """As `to_json` wrote it."""
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def initial_cluster(self) -> str:
        """Etcd's ``--initial-cluster``."""
        return ",".join(f"{name}={url}" for name, url in sorted(self.nodes.items()))


class MachineFolder:
    """The data directory of a manager.

    Args:
        path: of the directory; made here.

    Leaves behind: everything; it is what survives.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def identity(self, wished: str) -> str:
        """Who this machine is: what it was told first."""
        file = self.path / "myid"
        if not file.exists():
            write_whole(file, wished)
        return file.read_text().strip()

    @property
    def has_data(self) -> bool:
        """Whether it ever had a member: a state, data, or an archive."""
        folders = (self.path / "data", self.path / "data-trashcan")
        return (self.path / "state").exists() or any(any(each.iterdir()) for each in folders if each.is_dir())

    def load(self) -> State | None:
        """The state, if the machine has one."""
        file = self.path / "state"
        return State.from_json(json.loads(file.read_text())) if file.exists() else None

    def save(self, state: State | None) -> None:
        """Remember it over a restart."""
        if state is None:
            (self.path / "state").unlink(missing_ok=True)
        else:
            write_whole(self.path / "state", json.dumps(state.to_json(), indent=2))

    def data_dir(self, token: str) -> Path:
        """Etcd's data directory in the cluster of that token."""
        return self.path / "data" / token

    def archive(self, token: str) -> None:
        """Put a cluster's data aside. Raises OSError."""
        old, new = self.data_dir(token), self.path / "data-trashcan" / token
        LOG.info("archiving etcd data directory %s -> %s", old, new)
        new.parent.mkdir(parents=True, exist_ok=True)
        if old.exists():
            old.rename(new)

    def purge(self, token: str) -> None:
        """Defect: remove a cluster's data and whatever was put aside before."""
        LOG.info("removing etcd data directory %s", self.data_dir(token))
        for folder in (self.data_dir(token), self.path / "data-trashcan"):
            if folder.exists():
                shutil.rmtree(folder)


def write_whole(file: Path, text: str) -> None:
    """Write a file such that a reader sees all of it or what was there before."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(file)
