"""Where the parts meet: plain calls in order, no container. What a part does stands in its own room.

`open_house` takes what outlives the process (lock, store, journal); `serve` runs the listeners until told to stop.
"""

from __future__ import annotations

import asyncio
import gc
import random  # noqa: TID251 - handed to who needs dice
import resource
import signal
import socket
import ssl
import threading
import time
from collections import Counter as Counted
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import uvloop

from trunkline import __version__
from trunkline.config.snapshot import ServerSettings, Snapshot
from trunkline.credentials.table import open_credentials
from trunkline.edge.client import Client
from trunkline.edge.date import Date
from trunkline.edge.fetch import Fetcher, Limits
from trunkline.edge.listener import Listener, bind
from trunkline.edge.server import Server
from trunkline.edge.timers import Sweep
from trunkline.edge.tls import server_context
from trunkline.gateway.admin import Admin
from trunkline.gateway.app import Gateway
from trunkline.gateway.cors import Cors
from trunkline.ledger.journal import Journal
from trunkline.ledger.prices import Prices
from trunkline.ledger.writer import Writer
from trunkline.pipeline.count import Counter
from trunkline.pipeline.exchange import Live, Parts
from trunkline.pipeline.ids import Ids
from trunkline.pipeline.media import no_fetching
from trunkline.pipeline.memory import Memory
from trunkline.policy.failures import Failures
from trunkline.policy.keys import KeyRing, Principal
from trunkline.routing.health import Health
from trunkline.store import keys, usage
from trunkline.store.engine import Store, open_store
from trunkline.store.errors import StoreError
from trunkline.store.lock import DataLock, acknowledge
from trunkline.store.place import JOURNAL, is_private
from trunkline.telemetry.log import Log, adopt_stdlib, stdout_fd
from trunkline.telemetry.metrics import Metrics

_FIRST_KEY = "first"
_PATIENCE = 0.05
"""Seconds the gateway's store waits for a lock: its writer syncs nothing meanwhile, and asks again."""
_COLLECT = (20_000, 50, 100)
"""Requests leave no circles behind, so the collector may look rarely: its pauses are a request's latency."""
_DRAIN_TICK = 0.02
_LAST_WORDS = 1.0
"""Seconds that streams ended by us have to get their error event out."""
_FLUSH = 10.0
"""Seconds the store has to take what is owed at the end."""


@dataclass
class House:
    """The parts that outlive a listener."""

    snapshot: Snapshot
    data: Path
    store: Store
    lock: DataLock
    live: Live
    journal: Journal
    writer: Writer
    log: Log
    metrics: Metrics
    reloading: threading.Lock = field(default_factory=threading.Lock)
    """One reading of the keys at a time: a slow one could bring back a key that a later one saw revoked."""


class ListenError(Exception):
    """A listener cannot be had as it is configured. `str` says which, why, and what to do."""


def open_house(snapshot: Snapshot, data: Path) -> House:
    """Take the data directory and open what is in it. Raises `StoreError`, whose words say what to do."""
    lock = DataLock.acquire(data)
    store = open_store(data, patience=_PATIENCE)
    log = Log(stdout_fd(), style=snapshot.log.format, level=snapshot.log.level, secrets=snapshot.secrets())
    if not is_private(data):
        log.event("warning", "others than its owner may look into the data directory", data=str(data))
    journal = _open_journal(data / JOURNAL)
    writer = Writer(
        journal,
        lambda rows: usage.insert(store, rows),
        report=lambda message, detail: log.event("warning", message, detail=detail),
    )
    metrics = Metrics(__version__)
    metrics.configure(models=[name for name, _ in snapshot.models()], providers=snapshot.providers)
    _watch(metrics, journal, writer, log)
    writer.start()
    return House(snapshot, data, store, lock, Live(snapshot, KeyRing(())), journal, writer, log, metrics)


def _open_journal(directory: Path) -> Journal:
    try:
        return Journal(directory)
    except OSError as error:
        raise StoreError(f"The journal {directory} cannot be used: {error.strerror}.", "See that it may be written.") from error


def first_key(house: House) -> str | None:
    """A key for who starts for the first time, to be shown at once: only its digest is kept. None where there ever was one."""
    if house.snapshot.principals or keys.listing(house.store):
        return None
    return keys.create(house.store, _FIRST_KEY, None, time.time_ns())[0]


def reload_keys(house: House) -> None:
    """Read the keys again: the file's and the store's, in one ring, swapped whole; and tell who waits for it.

    Where both have one key, the file's entry counts. Raises StoreError: the old keys stay in force.
    """
    configured = house.snapshot.principals
    with house.reloading:
        generation, rows = keys.live(house.store)
        stored = (Principal(row.name, row.digest, None if row.models is None else frozenset(row.models)) for row in rows)
        house.live.keys = KeyRing([*stored, *configured])
        try:
            acknowledge(house.data, generation)
        except OSError as error:
            message = "the keys are in force, but `trunkline keys` cannot be told so"
            house.log.event("warning", message, reason=str(error))
    if shared := {row.name for row in rows} & {principal.name for principal in configured}:
        message = "keys in the configuration and in the store share a name; accounts cannot tell them apart"
        house.log.event("warning", message, names=", ".join(sorted(shared)))


def _watch(metrics: Metrics, journal: Journal, writer: Writer, log: Log) -> None:
    """The numbers that other rooms know, read at each scrape."""

    def show(kind: Literal["gauge", "counter"], name: str, help_text: str, read: Callable[[], int]) -> None:
        metrics.watch(kind, name, help_text, lambda: {(): read()})

    show("gauge", "trunkline_journal_backlog", "Settlements not yet in the store.", lambda: journal.stats().backlog)
    show("gauge", "trunkline_journal_healthy", "1 while the journal can be written.", lambda: int(journal.stats().healthy))
    show("counter", "trunkline_journal_failed_total", "Records the journal could not take.", lambda: journal.stats().failed)
    show("counter", "trunkline_journal_lost_total", "Settlements given up.", lambda: journal.stats().lost)
    show("counter", "trunkline_journal_sync_failures_total", "Refusals to sync the journal.", lambda: writer.sync_failures)
    show("counter", "trunkline_ledger_stored_total", "Records the store took.", lambda: writer.stored)
    show("counter", "trunkline_ledger_store_failures_total", "Times the store took none.", lambda: writer.failures)
    show("counter", "trunkline_ledger_interrupted_total", "Requests cut off by a crash.", lambda: writer.replay.interrupted)
    show("counter", "trunkline_log_lines_dropped_total", "Log lines dropped because nobody read them.", lambda: log.dropped)


class Serving:
    """The listeners of one process, from start to drained."""

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self._house = house
        self._loop = loop
        self._sweep = Sweep(loop)
        self._client = Client(loop, self._sweep)
        server = house.snapshot.server
        self._fetching = Client(loop, self._sweep)
        self._counter = Counter()
        self._credentials = open_credentials({name: provider.credential for name, provider in house.snapshot.providers.items()})
        limits = Limits(server.media.max_size, server.media.timeout, allow_http=server.media.allow_http)
        fetcher = Fetcher(self._fetching, limits)
        parts = Parts(
            live=house.live,
            client=self._client,
            journal=house.journal,
            prices=Prices.load(),
            metrics=house.metrics,
            log=house.log,
            clock_ns=time.time_ns,
            mono=time.monotonic,
            new_id=Ids(),
            dice=random.random,
            health=Health(),
            memory=Memory(server.memory.max_bytes, server.memory.ttl, time.monotonic),
            fetch=fetcher.fetch if server.media.enabled else no_fetching,
            counter=self._counter,
            credentials=self._credentials,
        )
        house.metrics.watch(
            "gauge",
            "trunkline_targets_unwell",
            "Targets that failed again and again: left alone, or tried by one request at a time.",
            lambda: Counted((provider,) for provider, _ in parts.health.unwell(time.monotonic())),
            labels=("provider",),
        )
        self._gateway = Gateway(parts, Failures(), Cors(server.cors_origins), server.max_body)
        self._admin = Admin(house.metrics)
        tls = _tls(server)
        date = Date()
        self._data_server = Server(loop, self._gateway, server.limits, self._sweep, date)
        self._admin_server = Server(loop, self._admin, server.limits, self._sweep, date)
        self.data = Listener(_bind(*server.listen), self._data_server, tls)
        self.admin = Listener(_bind(*server.admin), self._admin_server)
        self._stop = asyncio.Event()
        self._now = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends the drain."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._start()  # after the handler: whoever sees that the keys were read may signal
        gc.collect()
        gc.freeze()  # what is loaded now stays: collections need not walk it
        gc.set_threshold(*_COLLECT)
        self._house.log.event("info", "ready", listen=self.data.address, admin=self.admin.address, version=__version__)
        await self._stop.wait()
        await self._drain()

    async def run_while(self, work: Awaitable[None]) -> None:
        """Serve as long as `work` takes; then stop at once."""
        self._start()
        try:
            await work
        finally:
            self._now.set()
            await self._drain()

    def _start(self) -> None:
        reload_keys(self._house)
        self.data.start()
        self.admin.start()
        self._gateway.ready = self._admin.ready = True

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._now.set()
        self._stop.set()

    def _reload(self) -> None:
        self._loop.run_in_executor(None, self._reload_keys)

    def _reload_keys(self) -> None:
        try:
            reload_keys(self._house)
        except StoreError as error:
            self._house.log.event("error", "keys could not be read again; the old ones stay in force", reason=str(error))

    async def _drain(self) -> None:
        """Not ready; then no new connections; then streams may finish; then they are ended with an error."""
        server, log = self._house.snapshot.server, self._house.log
        self._gateway.ready = self._admin.ready = False
        self._data_server.draining = True  # who still comes is served, on a connection that then closes
        log.event("info", "draining", open=len(self._data_server.connections))
        await self._wait(lambda: False, server.drain_grace)
        self.data.stop()
        self._data_server.drain()
        await self._wait(lambda: not self._data_server.connections, server.drain_timeout)
        self._data_server.interrupt()
        await self._wait(lambda: not self._data_server.connections, _LAST_WORDS)
        self.admin.stop()
        self._client.close()
        self._fetching.close()
        self._counter.close()
        for credential in self._credentials.values():
            credential.close()

    async def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Until `done`, a second signal, or `seconds` have passed."""
        end = self._loop.time() + seconds
        while not done() and not self._now.is_set() and self._loop.time() < end:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_TICK):
                    await self._now.wait()


def close_house(house: House) -> bool:
    """Flush what is owed and let go. False when the store did not take it all: the journal keeps what it has for next time."""
    stored = house.writer.flush(_FLUSH)
    if not stored:
        house.log.event("warning", "the ledger's store did not take all records; those in the journal wait for the next start")
    house.log.event("info", "stopped")
    house.log.close()
    house.store.close()
    house.lock.release()
    return stored


def serve(house: House, on_ready: Callable[[str, str], None]) -> None:
    """Serve until told to stop. `on_ready` is called once, with both addresses, when they are ours. Raises `ListenError`."""
    _raise_descriptor_limit()

    async def main() -> None:
        serving = Serving(house, asyncio.get_running_loop())
        on_ready(serving.data.address, serving.admin.address)
        undo = adopt_stdlib(house.log)
        try:
            await serving.run()
        finally:
            undo()

    uvloop.run(main())


def serve_while(house: House, work: Callable[[str], Awaitable[None]]) -> None:
    """Serve only as long as `work` takes, which is told the data plane's address. Raises `ListenError`, and what it raises."""

    async def main() -> None:
        serving = Serving(house, asyncio.get_running_loop())
        await serving.run_while(work(serving.data.address))

    uvloop.run(main())


def _bind(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        remedy = "Choose another address under `server:` in the configuration."
        raise ListenError(f"Cannot listen on {host}:{port}: {error.strerror}. {remedy}") from error


def _tls(server: ServerSettings) -> ssl.SSLContext | None:
    if server.tls_cert is None or server.tls_key is None:
        return None
    try:
        return server_context(server.tls_cert, server.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise ListenError(f"The certificate {server.tls_cert} and its key {server.tls_key} cannot be used: {error}.") from error


def _raise_descriptor_limit() -> None:
    """Every stream costs two descriptors; the soft limit of most shells is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
