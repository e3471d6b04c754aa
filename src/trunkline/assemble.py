"""Where the parts meet: plain calls in order, no container. What a part does stands in its own room.

`serve` runs the listeners until told to stop, in a `house` of what outlives them; what they serve changes by `reloading`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random  # noqa: TID251 - handed to who needs dice
import resource
import signal
import socket
import ssl
import time
from collections import Counter as Counted
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Literal, NamedTuple

import msgspec
import uvloop

from trunkline import __version__
from trunkline.canon.wire import Origin
from trunkline.config.snapshot import ServerSettings
from trunkline.credentials.table import open_credentials
from trunkline.edge.client import Client
from trunkline.edge.date import Date
from trunkline.edge.fetch import Fetcher, Limits
from trunkline.edge.line import DRAIN, NOW, RELOAD, Line
from trunkline.edge.listener import Fair, Listener, bind
from trunkline.edge.pool import Told
from trunkline.edge.pulse import Pulse
from trunkline.edge.server import Server
from trunkline.edge.timers import Sweep
from trunkline.edge.tls import server_context
from trunkline.gateway.admin import Admin
from trunkline.gateway.app import Gateway
from trunkline.gateway.cors import Cors
from trunkline.gateway.several import Several
from trunkline.gateway.tokens import Clocks, Tokens
from trunkline.house import House, open_meters, reload_keys, tell_exceeded
from trunkline.pipeline.claim import gates
from trunkline.pipeline.clock import Clock
from trunkline.pipeline.count import Counter
from trunkline.pipeline.exchange import Parts
from trunkline.pipeline.ids import Ids
from trunkline.pipeline.media import no_fetching
from trunkline.pipeline.memory import Memory
from trunkline.pipeline.status import Status, states, targets
from trunkline.policy.failures import Failures
from trunkline.policy.overload import PERIOD, Shedder
from trunkline.providers.provider import Target
from trunkline.reloading import Reloader
from trunkline.routing.course import Standings
from trunkline.telemetry.log import adopt_stdlib
from trunkline.telemetry.metrics import Metrics

_COLLECT = (20_000, 50, 100)
"""Requests leave no circles behind, so the collector may look rarely: its pauses are a request's latency."""
_DRAIN_TICK = 0.02
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""What a process is told by."""
_LAST_WORDS = 1.0
"""Seconds that streams ended by us have to get their error event out."""


class ListenError(Exception):
    """A listener cannot be had as it is configured. `str` says which, why, and what to do."""


class Doors(NamedTuple):
    """What a worker has of its supervisor."""

    data: socket.socket
    """Listening, and every worker's."""
    admin: socket.socket
    fair: Fair
    line: socket.socket


class Serving:
    """The listeners of one process, from start to drained."""

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop, doors: Doors | None = None) -> None:
        self._house = house
        self._loop = loop
        self._began = time.monotonic()
        self._sweep = Sweep(loop)
        self._client = Client(loop, self._sweep)
        server = house.snapshot.server
        self._fetching = Client(loop, self._sweep)
        self._calls = Client(loop, self._sweep)
        self._counter = Counter()
        house.live.credentials = open_credentials({name: one.credential for name, one in house.snapshot.providers.items()})
        clocks = Clocks(time.time_ns, time.monotonic, random.random)
        self._tokens = house.live.tokens = Tokens(house.live, self._calls, house.metrics, house.log, clocks)
        parts = self._parts()
        self._meters = parts.meters
        _watch_targets(house.metrics, parts)
        _watch_pools(house.metrics, self._client)
        shedder = Shedder(server.max_requests)
        _watch_load(house.metrics, shedder)
        self._gateway = Gateway(parts, Failures(), Cors(server.cors_origins), shedder, server.max_body)
        self._pulse = Pulse(loop, PERIOD, lambda late, busy: self._gateway.tick(late, busy, len(self._data_server.connections)))

        def status() -> bytes:
            return msgspec.json.encode(self._status(parts))

        self._several = None if house.worker is None else Several(house.data, house.worker, house.metrics, status)
        self._admin = Admin(house.metrics, status, self._several)
        tls = _tls(server)
        date = Date()
        self._data_server = Server(loop, self._gateway, server.limits, self._sweep, date)
        self._admin_server = Server(loop, self._admin, server.limits, self._sweep, date)
        data, admin = (_bind(*server.listen), _bind(*server.admin)) if doors is None else doors[:2]
        shared = None if doors is None or house.worker is None else (doors.fair, house.worker)
        self.data = Listener(data, self._data_server, tls, shared)
        self.admin = Listener(admin, self._admin_server)

        def keep(origins: Collection[Origin]) -> None:
            self._client.keep(origins)
            self._tokens.follow(house.snapshot.tokens)
            parts.standings.keep(house.live.snapshot.routes, house.live.snapshot.providers)

        self._reloader = Reloader(house, loop, keep)
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._interrupted = False
        words = {RELOAD: self._reloader.signalled, DRAIN: self._stop.set, NOW: self._end_now}
        self._line = None if doors is None else Line(doors.line, loop, words)

    def _parts(self) -> Parts:
        """What every exchange meets."""
        house, server = self._house, self._house.snapshot.server
        limits = Limits(server.media.max_size, server.media.timeout, allow_http=server.media.allow_http)
        fetcher = Fetcher(self._fetching, limits)
        clock, meters = Clock(), open_meters(house)

        def unit(target: Target) -> tuple[float, float] | None:
            return house.live.prices.per_token(*target.priced_as, time.time_ns())

        return Parts(
            live=house.live,
            client=self._client,
            journal=house.journal,
            meters=meters,
            metrics=house.metrics,
            log=house.log,
            clock_ns=clock,
            mono=time.monotonic,
            new_id=Ids(clock),
            dice=random.random,
            standings=Standings(unit, gates(meters)),
            memory=Memory(server.memory.max_bytes, server.memory.ttl, time.monotonic),
            fetch=fetcher.fetch if server.media.enabled else no_fetching,
            counter=self._counter,
            exceeded=lambda rule, at_ns: tell_exceeded(house, rule, at_ns),
        )

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends the drain."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled)
        self._loop.add_signal_handler(signal.SIGHUP, self._reloader.signalled)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # a worker begins with them blocked, so that none is lost
        if self._several is not None:
            await self._open_door(self._several)
        self._start()  # after the handler: whoever sees that the keys were read may signal
        self._reloader.watch()
        gc.collect()
        gc.freeze()  # what is loaded now stays: collections need not walk it
        gc.set_threshold(*_COLLECT)
        if self._line is None:
            self._house.log.event("info", "ready", listen=self.data.address, admin=self.admin.address, version=__version__)
        else:
            self._house.log.event("info", "worker ready", process=os.getpid())
            self._line.open()
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
        self._tokens.follow(self._house.snapshot.tokens)
        self._house.alerts.start(self._loop, self._calls)
        self._pulse.start()
        self.data.start()
        self.admin.start()
        self._set_ready(True)
        if self._house.presence is not None:
            self._house.presence.start()

    async def _open_door(self, several: Several) -> None:
        try:
            await several.open()
        except OSError as error:
            self._house.log.event("warning", "other workers cannot ask this one how it is", reason=str(error))

    def _set_ready(self, ready: bool) -> None:
        self._gateway.ready = self._admin.ready = ready
        if self._several is not None:
            self._several.ready = ready

    def _status(self, parts: Parts) -> Status:
        snapshot, mono = parts.live.snapshot, parts.mono()
        told, others = targets(snapshot, parts.standings, mono)
        return Status(
            version=__version__,
            uptime=round(mono - self._began, 3),
            in_flight=parts.metrics.requests_in_flight,
            draining=self._data_server.draining,
            source=snapshot.source,
            generation=self._reloader.generation,
            journal=parts.journal.stats(),
            targets=told,
            others=others,
            pools=tuple(self._client.pools_told()),
        )

    def _signalled(self) -> None:
        if self._interrupted:
            self._now.set()
        self._interrupted = True  # a supervisor's word that came first is not the first signal
        self._stop.set()

    def _end_now(self) -> None:
        self._stop.set()
        self._now.set()

    async def _drain(self) -> None:
        """Not ready; then no new connections; then streams may finish; then they are ended with an error."""
        server, log = self._house.snapshot.server, self._house.log
        self._set_ready(False)
        self._data_server.draining = True  # who still comes is served, on a connection that then closes
        log.event("info", "draining", open=len(self._data_server.connections))
        await self._wait(lambda: False, server.drain_grace)
        self.data.stop()
        self._data_server.drain()
        drains = self._gateway.parts.drains
        await self._wait(lambda: not (self._data_server.connections or drains.running), server.drain_timeout)
        self._data_server.interrupt()
        drains.end()
        await self._wait(lambda: not (self._data_server.connections or drains.running), _LAST_WORDS)
        self._reloader.close()
        self._pulse.stop()
        self.admin.stop()
        if self._several is not None:
            self._several.close()
        if self._line is not None:
            self._line.close()
        self._client.close()
        self._fetching.close()
        self._tokens.close()
        self._house.alerts.hush()
        self._calls.close()
        self._counter.close()
        await self._meters.close()
        for credential in self._house.live.credentials.values():
            credential.close()

    async def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Until `done`, a second signal, or `seconds` have passed."""
        end = self._loop.time() + seconds
        while not done() and not self._now.is_set() and self._loop.time() < end:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_TICK):
                    await self._now.wait()


def _watch_targets(metrics: Metrics, parts: Parts) -> None:
    """How the targets are, read at each scrape."""
    metrics.watch(
        "gauge",
        "trunkline_target_state",
        "1 for the state that a configured target is in.",
        lambda: states(parts.live.snapshot, parts.standings, time.monotonic()),
        labels=("provider", "model", "state"),
    )
    metrics.watch(
        "gauge",
        "trunkline_drains",
        "Answers that are read to their end although their clients left.",
        lambda: {(): len(parts.drains.running)},
    )
    metrics.watch(
        "gauge",
        "trunkline_targets_unwell",
        "Targets that failed again and again: left alone, or tried by one request at a time.",
        lambda: Counted((provider,) for provider in parts.standings.unwell(time.monotonic())),
        labels=("provider",),
    )


def _watch_pools(metrics: Metrics, client: Client) -> None:
    """The connections to providers, read at each scrape. Pools of one provider are added up: a reload may make a new one."""

    def states() -> Counted[tuple[str, ...]]:
        counted: Counted[tuple[str, ...]] = Counted()
        for told in client.pools_told():
            counted.update({(told.provider, state): getattr(told, state) for state in ("idle", "busy", "opening")})
        return counted

    def show(kind: Literal["gauge", "counter"], name: str, help_text: str, read: Callable[[Told], int]) -> None:
        def total() -> Counted[tuple[str, ...]]:
            counted: Counted[tuple[str, ...]] = Counted()
            for told in client.pools_told():
                counted[(told.provider,)] += read(told)
            return counted

        metrics.watch(kind, name, help_text, total, labels=("provider",))

    metrics.watch("gauge", "trunkline_pool_connections", "Connections to providers.", states, labels=("provider", "state"))
    show("gauge", "trunkline_pool_waiting", "Requests that wait for a connection.", lambda told: told.waiting)
    show("gauge", "trunkline_pool_asking", "Requests whose answer has not begun.", lambda told: told.asking)
    show("gauge", "trunkline_pool_limit", "How many of those there may be.", lambda told: told.limit)
    show("counter", "trunkline_pool_rejected_total", "Requests that got no connection in time.", lambda told: told.rejected)


def _watch_load(metrics: Metrics, shedder: Shedder) -> None:
    """Whom load meets, and what it does to the loop, read at each scrape."""
    metrics.watch(
        "counter",
        "trunkline_shed_total",
        "Requests turned away under load.",
        lambda: {(priority,): count for priority, count in shedder.refused()},
        labels=("priority",),
    )
    metrics.watch("gauge", "trunkline_loop_late_seconds", "How late the event loop runs.", lambda: {(): shedder.late})


def open_doors(server: ServerSettings) -> tuple[socket.socket, socket.socket]:
    """The listening sockets for several workers, once all is seen to be well that a start needs. Raises `ListenError`."""
    _tls(server)
    return _bind(*server.listen), _bind(*server.admin)


def serve(house: House, on_ready: Callable[[str, str], None], doors: Doors | None = None) -> None:
    """Serve until told to stop. `on_ready` is called once, with both addresses, when they are ours. Raises `ListenError`.

    `doors`: of a supervisor, where this process is one of its workers.
    """
    _raise_descriptor_limit()

    async def main() -> None:
        serving = Serving(house, asyncio.get_running_loop(), doors)
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
