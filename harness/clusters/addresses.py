"""Loopback addresses, one a node, that no other run on this machine uses at the same time.

Linux answers on all of 127.0.0.0/8. A cluster leases one /24 of it, by holding a listening socket
there: the kernel frees the lease when its holder ends, however it ends.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

from harness.errors import MachineError

CLIENT_PORT, PEER_PORT = 2379, 2380
_LEASE_HOST, _LEASE_PORT = 254, 2381
_TRIES = 200
_CHANCE = random.SystemRandom()


class Subnet:
    """A leased /24 of loopback.

    Args:
        choose: picks a number in a range; seeded, so that runs are replayable.

    Raises:
        MachineError: no free subnet after 200 tries.

    Leaves behind: a listening socket, until `release` or the end of the process.
    """

    def __init__(self, choose: Callable[[int, int], int] = _CHANCE.randint) -> None:
        for _ in range(_TRIES):
            self.prefix = f"127.{choose(1, 254)}.{choose(0, 254)}"
            lease = _try_listen(self.address(_LEASE_HOST), _LEASE_PORT)
            if lease is not None:
                self._lease = lease
                return
        raise MachineError(f"no free loopback subnet after {_TRIES} tries", mend="afterfault gc")

    def address(self, host: int) -> str:
        """The address of a host number, 1 to 253."""
        return f"{self.prefix}.{host}"

    def release(self) -> None:
        """Give the subnet back."""
        self._lease.close()

    def leave(self) -> None:
        """Keep it to the end of the process: a cluster is left up there, and nobody gives the subnet back."""
        self._lease.detach()


def check_free(address: str, ports: tuple[int, ...]) -> None:
    """Make sure nobody listens there yet.

    Raises:
        MachineError: naming the taken address and port.
    """
    for port in ports:
        probe = _try_listen(address, port)
        if probe is None:
            raise MachineError(
                f"port {port} on {address} is taken",
                mend=f"stop what listens there (`ss -ltnp 'sport = :{port}'` names it) and run again",
            )
        probe.close()


def is_open(address: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((address, port)) == 0


def _try_listen(address: str, port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Without SO_REUSEADDR a port in TIME_WAIT would look taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1)
    except OSError:
        listener.close()
        return None
    return listener
