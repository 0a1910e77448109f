"""Who else is there, and who leads.

Managers find each other in a folder they share, where each keeps a file with its addresses fresh. The
one with the lowest ID leads; what it orders carries a token that the others agreed to.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.tools.reference.manager.folder import write_whole
from harness.tools.reference.manager.klog import LOG
from harness.waiting import rest_unless

# A manager that is started again within this time has never been away: it leads on (etcd-manager: 60 s, six loops).
_FRESH_LOOPS, _FRESH_SECONDS = 15, 3.0
# One that was told to end is most often told to start again.
_ENDED_SECONDS = 10.0
_FILES_IN_TIME = 10


@dataclass(frozen=True, slots=True)
class Peer:
    """One manager, as it announces itself.

    Args:
        peer_id: the lowest leads; also etcd's member name.
        orders_url: where it takes orders.
        client_url, quarantine_url, peer_url: of its etcd.
        announced: Unix seconds.
    """

    peer_id: str
    orders_url: str
    client_url: str
    quarantine_url: str
    peer_url: str
    announced: float = 0.0


class Peers:
    """The managers of one cluster.

    Args:
        folder: that all of them share.
        me: how to announce this one.
        loop_seconds: of this manager.

    Leaves behind: its file, which goes stale by itself.
    """

    def __init__(self, folder: Path, me: Peer, loop_seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.me, self._folder = me, folder
        self._fresh_seconds = max(_FRESH_SECONDS, _FRESH_LOOPS * loop_seconds)
        self._accepted = ""

    def announce_until(self, stopped: threading.Event) -> None:
        """Keep our file fresh; to be run in a thread."""
        self.announce()
        while not rest_unless(stopped, self._fresh_seconds / _FILES_IN_TIME):
            self.announce()
        self.announce(_ENDED_SECONDS)

    def announce(self, more_seconds: float = 0.0) -> None:
        """Be there for as long as a file is fresh, and so many seconds more."""
        announced = replace(self.me, announced=time.time() + more_seconds)
        write_whole(self._folder / f"{self.me.peer_id}.json", json.dumps(asdict(announced)))

    def fresh(self) -> list[Peer]:
        """Everybody who was there a moment ago, the leader first."""
        found = []
        for file in self._folder.glob("*.json"):
            peer = Peer(**json.loads(file.read_text()))
            if peer.announced > time.time() - self._fresh_seconds:
                found.append(peer)
        return sorted(found, key=lambda each: each.peer_id)

    def accept(self, leader: str, token: str) -> bool:
        """Follow a leader, unless somebody who comes before it is there."""
        better = [peer.peer_id for peer in self.fresh() if peer.peer_id < leader]
        if better:
            LOG.warning("%s does not lead as long as %s is there", leader, better[0])
            return False
        if token != self._accepted:
            LOG.info("%s leads with token %s", leader, token)
        self._accepted = token
        return True

    def follows(self, token: str) -> bool:
        """Whether this is the token of the leader we follow."""
        return bool(token) and token == self._accepted


@dataclass(frozen=True, slots=True)
class Leadership:
    """Leading, with everybody who agreed.

    Args:
        token: all orders carry it.
        followers: IDs of those who agreed; somebody new makes a leader ask again.
        since: monotonic seconds.
    """

    token: str
    followers: frozenset[str]
    since: float


def new_token() -> str:
    """For a leadership or a cluster; a plain folder name."""
    return secrets.token_urlsafe(12).replace("-", "a")
