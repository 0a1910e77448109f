"""One manager's life: from the first look at its disk to the orderly end of its etcd."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from harness.clusters.backup_store import open_store
from harness.clusters.etcd_release import load_release
from harness.tools.reference.manager.backups import Backups
from harness.tools.reference.manager.control_store import ControlStore
from harness.tools.reference.manager.folder import MachineFolder
from harness.tools.reference.manager.klog import LOG
from harness.tools.reference.manager.loop import STEP_FAILED, Leader, Means
from harness.tools.reference.manager.member import Member
from harness.tools.reference.manager.options import Options
from harness.tools.reference.manager.orders import OrderRefused, OrderServer
from harness.tools.reference.manager.peers import Peer, Peers
from harness.waiting import rest_unless

# A step that fails may have stopped and archived something: not again at once (etcd-manager: ten seconds).
_LOOPS_AFTER_FAILURE = 10


def run(options: Options) -> None:
    """Supervise this machine's etcd until SIGTERM or SIGINT.

    Raises:
        MachineError: there is no etcd in the folder.
        UsageError: a store's URL is none.
        OSError: the port for orders is taken.

    Leaves behind: nothing running after an orderly end; etcd, when only the manager is killed.
    """
    stopped = _stopped_by_signal()
    folder = MachineFolder(options.data_dir)
    me = _announced(options, folder.identity(options.manager_id))
    release = load_release(options.etcd_dir, "--etcd-dir")
    backups = Backups(open_store(options.store.backups, os.environ), release)
    control = ControlStore(open_store(options.store.control_url, os.environ))
    peers = Peers(options.discovery, me, options.loop_seconds)
    member = Member(options, folder, me, release, backups)
    # before anybody is asked: what was here serves on
    member.tend()
    LOG.info("manager %s starts as %s; backups in %s", me.peer_id, options.store.variant, options.store.backups)
    server = OrderServer(options.address, options.ports.orders, _answers(peers, member))
    threading.Thread(target=peers.announce_until, args=(stopped,), daemon=True).start()
    try:
        _loop(Leader(options, peers, Means(control, backups, release), stopped), member, options, stopped)
    finally:
        server.close()
        member.end()
        LOG.info("manager %s ended", me.peer_id)


def _loop(leader: Leader, member: Member, options: Options, stopped: threading.Event) -> None:
    rest = 0.0
    while not rest_unless(stopped, rest):
        member.tend()
        try:
            rest = 0.0 if leader.step() else options.loop_seconds
        except STEP_FAILED as error:
            LOG.warning("unexpected error running etcd cluster reconciliation loop: %s", error)
            rest = _LOOPS_AFTER_FAILURE * options.loop_seconds


def _stopped_by_signal() -> threading.Event:
    stopped = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        LOG.info("ending for signal %d", number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopped


def _announced(options: Options, peer_id: str) -> Peer:
    def url(port: int) -> str:
        return f"http://{options.address}:{port}"

    ports = options.ports
    return Peer(peer_id, url(ports.orders), url(ports.client), url(ports.quarantine), url(ports.peer))


def _answers(peers: Peers, member: Member) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """How this machine answers to orders."""
    does: dict[str, Callable[[dict[str, Any]], None]] = {
        "found": member.found,
        "join": member.join,
        "stop": lambda _: member.stop(),
        "quarantine": member.quarantine,
    }

    def answer(order: str, words: dict[str, Any]) -> dict[str, Any]:
        if order == "lead":
            return {"accepted": peers.accept(words["leader"], words["token"]), **member.info()}
        if order not in does:
            raise OrderRefused(f"{order!r} is no order")
        if not peers.follows(words.get("token", "")):
            raise OrderRefused("whoever ordered that does not lead")
        LOG.info("order %s", order)
        does[order](words)
        return {}

    return answer
