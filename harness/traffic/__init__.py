"""Concurrent writers and readers that witness the fault, as Jepsen's clients do."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.clusters.etcd_client import CallFailed, CallUnknown
from harness.errors import HarnessError
from harness.journal import Journal
from harness.spec import TrafficSpec
from harness.traffic.configmaps import ConfigMapStore
from harness.traffic.etcd import EtcdStore
from harness.traffic.store import Connection, Reply, Store
from harness.waiting import SYSTEM_CLOCK, Clock, rest_unless, until

__all__ = ["ConfigMapStore", "EtcdStore", "Reply", "Store", "Tally", "Traffic"]

# As gRPC's balancer does, a client leaves an endpoint alone for a while after it failed.
_AVOID_SECONDS = 1.0


class Traffic:
    """Clients that call a store until stopped, every call written to the journal.

    A write puts a register's new value and a log key that no other write touches: registers show
    stale reads, log keys show every single lost write.

    Args:
        spec: how many clients, how fast.
        store: whom they call.
        journal: where each call is written.
        clock: where time comes from.

    Leaves behind: threads, until `stop`.
    """

    def __init__(self, spec: TrafficSpec, store: Store, journal: Journal, clock: Clock = SYSTEM_CLOCK) -> None:
        self._spec, self._store, self._journal = spec, store, journal
        self._stopped = threading.Event()
        self._tally = Tally()
        clients = [f"w{n}" for n in range(1, spec.writers + 1)] + [f"r{n}" for n in range(1, spec.readers + 1)]
        self._clients = [
            _Client(name, number, spec, store, self._tally, journal, clock) for number, name in enumerate(clients)
        ]
        self._threads = [
            threading.Thread(target=self._drive, args=(client,), name=f"traffic-{client.name}", daemon=True)
            for client in self._clients
        ]
        self._problem: HarnessError | None = None

    def start(self) -> None:
        """Let the clients go.

        Raises:
            ClusterError: what their writes need could not be made.
        """
        self._store.prepare(self._spec.registers)
        self._journal.append("traffic.started", writers=self._spec.writers, readers=self._spec.readers)
        for thread in self._threads:
            thread.start()

    def await_acknowledged(self, more: int, deadline_seconds: float = 20.0) -> None:
        """Wait until that many more writes are acknowledged.

        Raises:
            WaitTimeout: they were not.
        """
        goal = self._tally.writes_acknowledged + more
        until(
            lambda: self._tally.writes_acknowledged,
            lambda seen: seen >= goal or self._problem,
            what=f"{more} more acknowledged writes",
            deadline_seconds=deadline_seconds,
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let each client finish its call and make no other; they go on when this is over."""
        with contextlib.ExitStack() as turns:
            for client in self._clients:
                turns.enter_context(client.turn)
            self._journal.append("traffic.held")
            yield
        self._journal.append("traffic.goes-on")

    def stop(self) -> None:
        """Let each client finish its call, and write the totals.

        Raises:
            HarnessError: a client died of something else than the cluster, as a full disk.
        """
        if self._stopped.is_set():
            return
        self._stopped.set()
        for thread in self._threads:
            thread.join(self._spec.timeout_seconds + 10)
        for client in self._clients:
            client.close()
        if self._problem is not None:
            raise self._problem
        self._journal.append("traffic.stopped", **self._tally.outcomes())

    def _drive(self, client: _Client) -> None:
        try:
            while not rest_unless(self._stopped, self._spec.pause_seconds):
                with client.turn:
                    client.call_once()
        except HarnessError as problem:
            self._problem = problem


@dataclass
class Tally:
    """Counts calls by outcome, from many threads."""

    writes_acknowledged: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, operation: str, outcome: str) -> None:
        """One more call of that sort."""
        with self._lock:
            self._counts[outcome] += 1
            self.writes_acknowledged += operation == "write" and outcome == "acknowledged"

    def outcomes(self) -> dict[str, int]:
        """How many calls ended how."""
        with self._lock:
            return {outcome: self._counts[outcome] for outcome in ("acknowledged", "failed", "unknown")}


@dataclass
class _Client:
    """One client: one call at a time, endpoints in turn."""

    name: str
    number: int
    spec: TrafficSpec
    store: Store
    tally: Tally
    journal: Journal
    clock: Clock
    # Held for each call, and by whoever wants none to be made.
    turn: threading.Lock = field(default_factory=threading.Lock)
    _calls: int = 0
    _turn: int = 0
    _connections: dict[str, Connection] = field(default_factory=dict)
    _avoided_until: dict[str, float] = field(default_factory=dict)

    def call_once(self) -> None:
        endpoint = self._next_endpoint()
        if endpoint is None:
            return
        self._calls += 1
        writes = self.name.startswith("w")
        operation = "write" if writes else "read"
        register = f"{(self.number + self._calls) % self.spec.registers}"
        record: dict[str, Any] = {"client": self.name, "op": operation, "register": register, "node": endpoint}
        call = partial(self._write if writes else self._read, endpoint, register, record)
        record["invoked"] = self.journal.elapsed(self.clock.monotonic())
        outcome = self._attempt(endpoint, call, record)
        record["completed"] = self.journal.elapsed(self.clock.monotonic())
        self.tally.count(operation, outcome)
        self.journal.append("traffic.call", **record, outcome=outcome)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _attempt(self, endpoint: str, call: Callable[[], Reply], record: dict[str, Any]) -> str:
        try:
            reply = call()
        except (CallFailed, CallUnknown) as error:
            self._avoided_until[endpoint] = self.clock.monotonic() + _AVOID_SECONDS
            record["error"] = str(error)[:160]
            return "failed" if isinstance(error, CallFailed) else "unknown"
        record |= {"revision": reply.revision, "cluster_id": reply.cluster_id}
        return "acknowledged"

    def _write(self, endpoint: str, register: str, record: dict[str, Any]) -> Reply:
        value = record["value"] = f"{self.name}-{self._calls}"
        return self._connection(endpoint).write(register, value)

    def _read(self, endpoint: str, register: str, record: dict[str, Any]) -> Reply:
        reply = self._connection(endpoint).read(register)
        record |= {"value": reply.value, "mod_revision": reply.mod_revision}
        return reply

    def _next_endpoint(self) -> str | None:
        now = self.clock.monotonic()
        endpoints = self.store.endpoints()
        ready = [name for name in endpoints if self._avoided_until.get(name, 0.0) <= now]
        if not ready:
            return None
        self._turn += 1
        return ready[(self._turn + self.number) % len(ready)]

    def _connection(self, endpoint: str) -> Connection:
        if endpoint not in self._connections:
            self._connections[endpoint] = self.store.connect(endpoint, self.spec.timeout_seconds)
        return self._connections[endpoint]
