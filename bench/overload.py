"""The measurement of overload: three times what the gateway can do, asked for when it is due and not when answers are there.

The gateway has its core to itself; the clients, the provider and who asks for its health share the others.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import cast

import uvloop
from typing_extensions import override

import load
import wire
from processes import CLIENT_KEY, BenchError, Gateway
from report import Row
from rows import Bench

_TIMES = 3
_DEADLINE = 1.0
"""Seconds from when a request is due to the end of its answer; what comes later is worth nothing."""
_CONNECTIONS = 3000
_MIX = (("high", 1), ("normal", 6), ("low", 3))
"""Parts of the load by priority."""
_STEP = 0.001
_ALL_THE_TIME = 50_000.0
"""Requests a second that are more than any connection is free for."""
_REST = 3.0
"""Seconds after a flood in which everybody must be let in again."""
_KEYS = {priority: f"{CLIENT_KEY}-{priority}" for priority, _ in _MIX}
_MORE_KEYS = "".join(f"  - {{name: {name}, secret: {key}, priority: {name}}}\n" for name, key in _KEYS.items())
_PARTS = [priority for priority, parts in _MIX for _ in range(parts)]


class _Mixed(Gateway):
    """A gateway with a key of each priority."""

    @override
    def _config(self, upstream_port: int, keys: int) -> str:
        return super()._config(upstream_port, keys) + _MORE_KEYS

    @property
    def admin(self) -> int:
        """The port of the admin listener."""
        return self._admin


class _Full(Gateway):
    """A gateway with a key of each priority that takes one request at a time."""

    @override
    def _config(self, upstream_port: int, keys: int) -> str:
        written = super()._config(upstream_port, keys) + _MORE_KEYS
        return written.replace("server: {", "server: {limits: {max_requests: 1}, ", 1)


class _Client(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._data = b""
        self._transport = cast("asyncio.Transport", None)
        self._due = 0.0
        self._priority = ""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, priority: str, request: bytes, due: float) -> None:
        """Send a request that was due at `due`."""
        self._due, self._priority = due, priority
        self._transport.write(request)

    @override
    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n") + 4
        at = data.find(b"content-length: ")
        if end < 4 or len(data) < end + int(data[at + 16 : data.index(b"\r", at)]):
            self._data = data
            return
        self._data = b""
        in_time = time.perf_counter() - self._due <= _DEADLINE
        status = data[9:12].decode()
        good = status != "200" or data.endswith(wire.ANSWER)
        what = "wrong" if not good else "late" if status == "200" and not in_time else status
        self._crowd.over(self, self._priority, what)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.found[self._priority, "lost"] += not self._crowd.ended

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class _Crowd:
    """Many clients, who ask when it is time to."""

    def __init__(self, port: int) -> None:
        self.found: Counter[tuple[str, str]] = Counter()
        """How requests ended, by priority."""
        self.ended = False
        self._port = port
        self._free: dict[str, deque[_Client]] = {priority: deque() for priority in _KEYS}
        self._all: list[_Client] = []
        body = wire.prompt(wire.KIB)
        requests = {priority: wire.request(key, port, body) for priority, key in _KEYS.items()}
        self._turns = [(priority, requests[priority], self._free[priority]) for priority in _PARTS]

    def over(self, client: _Client, priority: str, what: str) -> None:
        """One request came to its end."""
        self.found[priority, what] += 1
        self._free[priority].append(client)

    async def gather(self, count: int) -> None:
        """Connect; every key has as many connections of its own."""
        loop, pools = asyncio.get_running_loop(), list(self._free.values())
        while len(self._all) < count:
            wave = (loop.create_connection(partial(_Client, self), "127.0.0.1", self._port) for _ in range(100))
            self._all += [client for _, client in await asyncio.gather(*wave)]
        for number, client in enumerate(self._all):
            pools[number % len(pools)].append(client)

    async def ask(self, rate: float, seconds: float) -> None:
        """`rate` requests a second, each when it is due or, where no connection is free, not at all."""
        begun = time.perf_counter()
        sent = 0
        while (now := time.perf_counter() - begun) < seconds:
            for number in range(sent, int(now * rate)):
                priority, request, free = self._turns[number % len(self._turns)]
                if free:
                    free.popleft().ask(priority, request, begun + number / rate)
                else:
                    self.found[priority, "unsent"] += 1
            sent = int(now * rate)
            await asyncio.sleep(_STEP)

    async def answered(self) -> None:
        """Wait for what is still open."""
        limit = time.perf_counter() + 10
        while sum(map(len, self._free.values())) < len(self._all) and time.perf_counter() < limit:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # a look now and then costs those who are measured the least

    def leave(self) -> None:
        """Close."""
        self.ended = True
        for client in self._all:
            client.close()

    def asked(self, *priorities: str) -> int:
        """Requests of these that were due."""
        return sum(count for (whose, _), count in self.found.items() if whose in priorities)

    def sum(self, what: str) -> int:
        """Requests of all priorities that ended so."""
        return sum(count for (_, how), count in self.found.items() if how == what)


def _probe(ports: dict[str, int], seconds: float, out: Connection) -> None:
    """Ask both listeners for their health, one question after the other, and tell the seconds each took."""
    found: dict[str, list[float]] = {name: [] for name in ports}
    ones = {name: load.One(port) for name, port in ports.items()}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, one in ones.items():
            found[name].append(one.ask(b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n").whole)
        time.sleep(0.01)
    out.send(found)


async def _flood(gateway: Gateway, rate: float, seconds: float) -> tuple[_Crowd, float]:
    """What became of the requests, and the CPU that the gateway used meanwhile, in seconds."""
    crowd = _Crowd(gateway.port)
    await crowd.gather(_CONNECTIONS)
    before = gateway.settled_cpu()
    await crowd.ask(rate, seconds)
    await crowd.answered()
    used = gateway.settled_cpu() - before
    crowd.leave()
    return crowd, used


def _watched(gateway: _Mixed, rate: float, seconds: float) -> tuple[_Crowd, float, dict[str, float]]:
    """A flood while another process asks for the health. Milliseconds of the slowest answer but one in a hundred."""
    inward, outward = multiprocessing.Pipe(duplex=False)
    ports = {"data": gateway.port, "admin": gateway.admin}
    prober = multiprocessing.get_context("fork").Process(target=_probe, args=(ports, seconds, outward), daemon=True)
    prober.start()
    crowd, used = uvloop.run(_flood(gateway, rate, seconds))
    if not inward.poll(30):
        raise BenchError("the health endpoints did not answer")
    found: dict[str, list[float]] = inward.recv()
    prober.join()
    gateway.alive()
    if wrong := crowd.sum("wrong") + crowd.sum("lost"):
        raise BenchError(f"{wrong} answers wrong or lost: {dict(crowd.found)}")
    return crowd, used, {name: sorted(times)[int(len(times) * 0.99)] * 1e3 for name, times in found.items()}


def _refusals(bench: Bench) -> list[float]:
    """Microseconds of CPU for each request that is turned away: one may be in flight, and a stream is."""
    with _Full(bench.cores, bench.place(), bench.upstream) as gateway:
        gateway.wait_for(gateway.port)
        with socket.create_connection(("127.0.0.1", gateway.port), 10) as holding:
            stream = wire.prompt(wire.KIB, stream=(600, 1000, 1))
            holding.sendall(wire.request(CLIENT_KEY, gateway.port, stream))
            holding.recv(65536)
            floods = [uvloop.run(_flood(gateway, _ALL_THE_TIME, 3.0)) for _ in range(3)]
    return [used / crowd.sum("503") * 1e6 for crowd, used in floods]


def _books(gateway: Gateway, answered: int) -> Row:
    """Every answer has its row; whoever was let in and not answered has one too, and may never have reached the provider."""
    gateway.stop()
    rows = [json.loads(line) for line in gateway.ledger()]
    ends = Counter(f"{row['outcome']} {row['error']}".strip() for row in rows)
    if len({row["id"] for row in rows}) != len(rows) or ends["ok"] < answered:
        raise BenchError(f"{answered} answered, {len(rows)} rows: {dict(ends)}")
    note = f"ended otherwise: {', '.join(f'{count:,} {end}' for end, count in ends.items() if end != 'ok') or 'none'}"
    return Row("overload", f"answers in the ledger, for {answered:,} that clients saw", "", [ends["ok"]], note=note)


def overload(bench: Bench) -> list[Row]:
    """Goodput at three times the capacity, in rounds: on a shared machine capacity changes by the minute."""
    seconds, rounds = (8.0, 2) if bench.quick else (20.0, 3)
    body = wire.prompt(wire.KIB)
    found: dict[str, list[float]] = defaultdict(list)
    with _Mixed(bench.cores, bench.place(), bench.upstream) as gateway:
        gateway.wait_for(gateway.port)

        def closed() -> tuple[float, float]:
            """Answers a second, and CPU for each."""
            before = gateway.settled_cpu()
            count = load.whole(gateway.port, body, CLIENT_KEY, 2.0, bench.folder)
            found["answered"].append(count)
            return count / 2, (gateway.settled_cpu() - before) / count

        closed()  # warm
        for _ in range(rounds):
            rate, cost = closed()
            crowd, used, slow = _watched(gateway, _TIMES * rate, seconds)
            time.sleep(_REST)
            again, cost_again = closed()
            good = crowd.sum("200")
            found["answered"].append(good + crowd.sum("late"))
            found["peak"].append((rate + again) / 2)
            found["good"].append(good / seconds)
            found["cost"].append((cost + cost_again) / 2 * 1e6)
            found["cost under load"].append(used / good * 1e6)
            found["high"].append(100 * (1 - crowd.found["high", "200"] / crowd.asked("high")))
            found["unsent"].append(100 * crowd.sum("unsent") / crowd.asked(*_KEYS))
            for name, at in slow.items():
                found[name].append(at)
        books = _books(gateway, round(sum(found["answered"])))
    lost = [100 * (1 - good / peak) for good, peak in zip(found["good"], found["peak"], strict=True)]
    times, connections = f"{_TIMES} x that", f"{_CONNECTIONS:,} connections"
    unsent = (
        f"{sorted(found['unsent'])[rounds // 2]:.0f} % of what was due found no connection free, and counts as not answered"
    )
    return [
        Row("overload", "peak: 32 connections that wait for answers", "answers/s", found["peak"]),
        Row("overload", f"in time (1 s) at {times}, {connections}", "answers/s", found["good"], note=unsent),
        Row("overload", "lost of the peak", "%", lost, target=20.0),
        Row(
            "overload", "CPU for each of those, against the peak's", "us", found["cost under load"], found["cost"], target=1.25
        ),
        Row("overload", "high priority, a tenth: not answered in time", "%", found["high"], target=1.0),
        Row("overload", "/healthz of the data plane meanwhile, p99", "ms", found["data"], target=250.0),
        Row("overload", "/healthz of the admin listener meanwhile, p99", "ms", found["admin"], target=250.0),
        Row("overload", "a request that is turned away, 1 KB", "us", _refusals(bench), target=18.0),
        books,
    ]


OVERLOAD: dict[str, tuple[str, str, Callable[[Bench], list[Row]]]] = {
    "overload": ("Overload: three times the load that the gateway can take", "", overload),
}
"""As `rows.SECTIONS`."""
