"""The clients: many whole answers, many streams, one request at a time. Every answer is checked before it counts.

wrk drives whole answers where it is installed (it costs the least); everything else is here.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

from typing_extensions import override

import wire
from processes import BenchError

_TIMEOUT = 60.0
_LUA = """
local file = io.open("%(file)s", "rb")
wrk.method, wrk.path, wrk.body = "POST", "%(path)s", file:read("*a")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %(key)s"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("BENCH %%d %%d %%d\\n", summary.requests, summary.bytes,
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


# one at a time -----------------------------------------------------------------------------------------------------


@dataclass
class Timed:
    """When an answer came: seconds from sending the request to the first byte of its body, and to its end."""

    first: float
    whole: float
    body: bytes


class One:
    """One kept connection, blocking: it adds the least noise to a latency."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> Timed:
        """Send `request`, read its answer. Raises BenchError where it is no 200."""
        clock = time.perf_counter
        begun = clock()
        self._socket.sendall(request)
        data = self._more(b"")
        while (end := data.find(b"\r\n\r\n") + 4) < 4 or len(data) == end:
            data = self._more(data)
        first = clock()
        head = data[:end].lower()
        if not head.startswith(b"http/1.1 200 "):
            raise BenchError(f"not a 200: {data[:500]!r}")
        if b"\r\ntransfer-encoding: chunked" in head:
            while not data.endswith(b"\r\n0\r\n\r\n"):
                data = self._more(data)
            return Timed(first - begun, clock() - begun, wire.dechunk(data[end:]))
        length = int(head.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
        while len(data) < end + length:
            data = self._more(data)
        return Timed(first - begun, clock() - begun, data[end:])

    def _more(self, data: bytes) -> bytes:
        more = self._socket.recv(262144)
        if not more:
            raise BenchError(f"the connection was closed after {data[:200]!r}")
        return data + more


def check_whole(port: int, request: bytes) -> None:
    """One request must be answered with the upstream's bytes. Raises BenchError."""
    with One(port) as one:
        body = one.ask(request).body
        if body != wire.ANSWER:
            raise BenchError(f"the answer is not what the provider sent: {body[:300]!r}")


@contextmanager
def no_collector() -> Iterator[None]:
    """Without pauses of our own."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# many whole answers ------------------------------------------------------------------------------------------------


def whole(port: int, body: bytes, key: str, seconds: float, folder: Path, *, connections: int = 32) -> int:
    """Ask for whole answers for `seconds`, a request always open on each connection. Returns how many were answered."""
    request = wire.request(key, port, body)
    check_whole(port, request)
    if shutil.which("wrk"):
        return 1 + _wrk(port, body, key, seconds, folder, connections)
    return 1 + asyncio.run(_whole(port, request, seconds, connections))


def _wrk(port: int, body: bytes, key: str, seconds: float, folder: Path, connections: int) -> int:
    file, script = folder / "body", folder / "wrk.lua"
    file.write_bytes(body)
    script.write_text(_LUA % {"file": file, "path": wire.PATH, "key": key})
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _TIMEOUT, check=True)
    requests, received, errors = map(int, done.stdout.partition("BENCH ")[2].split())
    per_answer = received / max(1, requests)
    if errors or not requests or not len(wire.ANSWER) < per_answer < len(wire.ANSWER) + 1500:
        raise BenchError(f"{errors} errors in {requests} answers of {per_answer:.0f} bytes:\n{done.stdout}")
    return requests


class _Whole(asyncio.Protocol):
    """Asks again and again on one connection."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._data = b""
        self._transport = cast("asyncio.Transport", None)
        self.answered = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._data.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(BenchError(f"not a 200: {self._data[:300]!r}"))
            self._transport.abort()
        elif self._data.endswith(wire.ANSWER):
            self._data = b""
            self.answered += 1
            if time.perf_counter() < self._until:
                self._transport.write(self._request)
            else:
                self._transport.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            broken = BenchError(f"broken off: {self._data[:300]!r}")
            self.done.set_exception(broken) if self._data or exc else self.done.set_result(None)


async def _whole(port: int, request: bytes, seconds: float, connections: int) -> int:
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    made = [await loop.create_connection(lambda: _Whole(request, until), "127.0.0.1", port) for _ in range(connections)]
    async with asyncio.timeout(seconds + _TIMEOUT):
        await asyncio.gather(*(protocol.done for _, protocol in made))
    return sum(protocol.answered for _, protocol in made)


# many streams ------------------------------------------------------------------------------------------------------


@dataclass
class Streamed:
    """One stream as it arrived."""

    done: asyncio.Future[None]
    opened: asyncio.Future[None]
    pieces: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each piece came, on the performance counter."""

    def check(self, good: Callable[[bytes], bool]) -> None:
        """Raises BenchError where it was not a 200 with a body that is `good`."""
        data = b"".join(self.pieces)
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 ") or not good(wire.dechunk(body)):
            raise BenchError(f"not the stream that the provider sent: {data[:400]!r} … {data[-200:]!r}")


class Streams(asyncio.Protocol):
    """A connection that asks for one stream after another."""

    def __init__(self) -> None:
        self._transport = cast("asyncio.Transport", None)
        self._now: Streamed | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> Streamed:
        """Begin a stream."""
        loop = asyncio.get_running_loop()
        self._now = Streamed(loop.create_future(), loop.create_future())
        self._transport.write(request)
        return self._now

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        now = self._now
        if now is None:
            self._transport.abort()
            return
        now.times.append(time.perf_counter())
        now.pieces.append(data)
        if not now.opened.done() and (len(now.pieces) > 1 or b"data: " in data):
            now.opened.set_result(None)
        if data.endswith(b"0\r\n\r\n") or not now.pieces[0].startswith(b"HTTP/1.1 200 "):
            self._now = None
            now.done.set_result(None)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        now, self._now = self._now, None
        if now is not None:
            now.done.set_exception(BenchError(f"a stream broke off: {b''.join(now.pieces)[-300:]!r}"))


async def streams(port: int, request: bytes, good: Callable[[bytes], bool], *, concurrent: int, each: int) -> list[Streamed]:
    """`each` streams one after another on each of `concurrent` connections. All are checked."""
    loop = asyncio.get_running_loop()

    async def worker() -> list[Streamed]:
        _, connection = await loop.create_connection(Streams, "127.0.0.1", port)
        found = []
        for _ in range(each):
            found.append(connection.ask(request))
            await found[-1].done
        connection.close()
        return found

    async with asyncio.timeout(_TIMEOUT * each):
        workers = await asyncio.gather(*(worker() for _ in range(concurrent)))
    found = [stream for worker_streams in workers for stream in worker_streams]
    for stream in found:
        stream.check(good)
    return found


class Held:
    """Many streams open at once, each of a given pace."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self.streams: list[Streamed] = []
        self._connections: list[Streams] = []

    async def open(self, count: int) -> None:
        """Open them in waves; returns when each has had its first event."""
        loop = asyncio.get_running_loop()
        while len(self.streams) < count:
            wave = min(100, count - len(self.streams))
            made = await asyncio.gather(*(loop.create_connection(Streams, "127.0.0.1", self._port) for _ in range(wave)))
            begun = [connection.ask(self._request) for _, connection in made]
            async with asyncio.timeout(_TIMEOUT):
                await asyncio.gather(*(stream.opened for stream in begun))
            self._connections += [connection for _, connection in made]
            self.streams += begun

    def still_open(self) -> int:
        """How many have not come to their end."""
        return sum(not stream.done.done() for stream in self.streams)

    async def finish(self, expected: bytes) -> None:
        """Wait for all ends, check all bytes."""
        async with asyncio.timeout(2 * _TIMEOUT):
            await asyncio.gather(*(stream.done for stream in self.streams))
        for connection, stream in zip(self._connections, self.streams, strict=True):
            connection.close()
            stream.check(expected.__eq__)

    def longest_silence(self) -> float:
        """Seconds between two pieces of any stream, at most."""
        gaps = (later - earlier for s in self.streams for earlier, later in zip(s.times, s.times[1:], strict=False))
        return max(gaps, default=0.0)
