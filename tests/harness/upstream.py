"""A provider that does what a script says, counts everything, and notices at once when the gateway hangs up.

Raw asyncio on a thread of its own. It reads all the time, also while it answers: EOF or RST on the read side is how a
cancel is seen, long before a write would fail. What is answered belongs in `script`.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, cast

from typing_extensions import override

from harness.loop import LoopThread
from harness.script import Close, CloseIdle, Frame, Hold, Pause, Plan, Reset, Script, Seen, Step, plan

Answer = Plan | str | None
Handler = Callable[[Seen], Answer]
"""Given a request: steps, an `x_mock` string, or None for what the request itself asks."""


_AT_ONCE = 16
"""Steps done before the loop may look at other connections, and at whether the gateway is still there."""


class Upstream:
    """One listening mock provider. Counters are read from any thread; `wait` blocks until they say what a test needs."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.accepted = 0
        self.open = 0
        self.bytes_read = 0
        self.requests: list[Seen] = []
        self.strays: list[bytes] = []
        """Bytes that are no request, or arrived before the answer to the request before them ended: desync or smuggling."""
        self.failures: list[str] = []
        """Handshakes and handlers that failed."""
        self._handler: Handler | None = None
        self._queue: deque[Answer] = deque()
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._connections: set[_Connection] = set()
        self._tls = tls
        self._thread = LoopThread("upstream")
        self._released = asyncio.Event()
        self._server = self._thread.run(self._listen(host, port))
        self.host = host
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.failures.append(str(context.get("exception") or context["message"])))
        return await loop.create_server(lambda: _Connection(self), host, port, ssl=self._tls, backlog=4096)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL for a provider's configuration."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}/v1"

    @property
    def busy(self) -> int:
        """Connections with an unfinished answer."""
        return sum(1 for c in list(self._connections) if c.current is not None)

    @property
    def cancels(self) -> list[Seen]:
        """Requests whose answer the gateway did not wait for."""
        return [seen for seen in list(self.requests) if seen.ended in {"eof", "rst"}]

    def script(self, handler: Handler | str | None) -> None:
        """Answer every coming request by `handler` (a function, an `x_mock` string, or None for the default)."""
        self._handler = (lambda _: handler) if isinstance(handler, str) else handler

    def then(self, *answers: Answer) -> None:
        """Answer the next requests by these, one each, before anything else."""
        self._queue.extend(answers)

    def release(self) -> None:
        """Let every answer that stands at `hold` go on; later holds pass too, until `hold_again`."""
        self._thread.call(self._released.set)

    def hold_again(self) -> None:
        """Holds hold again."""
        self._thread.call(self._released.clear)

    def clear(self) -> None:
        """Back to the start between cases: no script, no memory; connections stay. Call when nothing is in flight."""
        self._handler = None
        self._queue.clear()
        self.hold_again()
        self.requests = []
        self.strays = []
        self.failures = []

    def wait(self, condition: Callable[[], object], timeout: float = 5.0, what: str = "") -> None:
        """Block until `condition()` holds; looked at after every event here. Raises AssertionError with what was seen."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(condition()), timeout):
                seen = [(s.head.split(b"\r\n")[0], s.ended, s.frames) for s in self.requests[-5:]]
                raise AssertionError(f"mock upstream: {what or 'condition'} not met in {timeout} s; open={self.open} {seen}")

    def wait_requests(self, count: int, timeout: float = 5.0) -> list[Seen]:
        """Block until `count` requests were seen."""
        self.wait(lambda: len(self.requests) >= count, timeout, f"{count} requests")
        return self.requests

    def wait_ended(self, seen: Seen, timeout: float = 5.0) -> str:
        """Block until the answer to `seen` ended; returns how."""
        self.wait(lambda: seen.ended, timeout, "end of an answer")
        return seen.ended

    def reset_all(self) -> None:
        """RST every open connection: a provider that crashed."""

        def reset() -> None:
            for connection in list(self._connections):
                connection.reset()

        self._thread.call(reset)

    def close_listener(self) -> None:
        """Refuse new connections; the open ones stay."""
        self._thread.call(self._server.close)

    def reopen_listener(self) -> None:
        """Listen again, on the same port."""
        self._server = self._thread.run(self._listen(self.host, self.port))

    def stop(self) -> None:
        """Close everything."""

        def close() -> None:
            self._server.close()
            for connection in list(self._connections):
                connection.reset()

        if not self._thread.loop.is_closed():
            self._thread.call(close)
            self._thread.stop()

    def answer(self, seen: Seen) -> Plan:
        """The steps for one request. Called on the loop's thread."""
        chosen: Answer = None
        if self._queue:
            chosen = self._queue.popleft()
        elif self._handler is not None:
            chosen = self._handler(seen)
        if chosen is None:
            chosen = str(seen.fields.get("x_mock", ""))
        return plan(seen, Script.parse(chosen)) if isinstance(chosen, str) else chosen

    def changed(self) -> None:
        """Wake those who wait."""
        with self._changed:
            self._changed.notify_all()


class _Connection(asyncio.Protocol):
    """One connection from the gateway."""

    def __init__(self, owner: Upstream) -> None:
        self._owner = owner
        self._buffer = b""
        self._served = 0
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ours = False
        """We closed it ourselves."""
        self.number = next(owner._numbers)
        self.current: Seen | None = None
        """The request that is being answered."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._owner.accepted += 1
        self._owner.open += 1
        self._owner._connections.add(self)
        self._owner.changed()

    @override
    def eof_received(self) -> bool:
        self._end("eof")
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end("cut" if self._ours else "rst" if exc is not None else "eof")
        if self._idle is not None:
            self._idle.cancel()
        if self._task is not None:
            self._task.cancel()
        self._writable.set()
        self._owner.open -= 1
        self._owner._connections.discard(self)
        self._owner.changed()

    @override
    def pause_writing(self) -> None:
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        self._writable.set()

    @override
    def data_received(self, data: bytes) -> None:
        self._owner.bytes_read += len(data)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self.current is not None:
            self._owner.strays.append(data)
            return
        self._buffer += data
        self._take_request()

    def _take_request(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        request_head = self._buffer[:end]
        body, rest = _body(request_head, self._buffer[end + 4 :])
        if body is None:
            return
        self._buffer = b""
        if rest:
            self._owner.strays.append(rest)
        self._served += 1
        seen = self.current = Seen(self.number, self._served, request_head, body)
        self._owner.requests.append(seen)
        try:
            steps = iter(self._owner.answer(seen))
        except Exception as error:
            self._owner.failures.append(repr(error))
            self.reset()
            return
        self._owner.changed()
        self._run(seen, steps)

    def _run(self, seen: Seen, steps: Iterator[Step]) -> None:
        """Send what can be sent at once; a task is made only for an answer that waits."""
        for count, step in enumerate(steps):
            if count < _AT_ONCE and self._now(seen, step):
                if seen.ended:
                    return
                continue
            self._task = self._owner._thread.loop.create_task(self._rest(seen, step, steps))
            return
        self._finish(seen)

    def _now(self, seen: Seen, step: Step) -> bool:
        """Do a step that needs no waiting; False where it does."""
        if isinstance(step, bytes):
            if not self._writable.is_set():
                return False
            if not self._transport.is_closing():  # the gateway left, and the loop has not told us yet
                self._transport.write(step)
            seen.sent += len(step)
            seen.frames += isinstance(step, Frame)
        elif isinstance(step, Reset):
            self.reset()
        elif isinstance(step, Close):
            self._ours = True
            self._transport.close()
            self._end("cut")
        elif isinstance(step, CloseIdle):
            self._finish(seen)
            self._idle = self._owner._thread.loop.call_later(step.seconds, self._close_idle)
        else:
            return False
        return True

    async def _rest(self, seen: Seen, step: Step, steps: Iterator[Step]) -> None:
        while True:
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Hold):
                await self._owner._released.wait()
            elif not self._now(seen, step):
                await self._writable.wait()
                continue
            following = None if seen.ended else next(steps, None)
            if following is None:
                break  # at once: the next request may come as soon as the last byte is out
            if isinstance(step, bytes):
                await asyncio.sleep(0)
            step = following
        self._finish(seen)

    def _close_idle(self) -> None:
        self._ours = True
        self._transport.close()

    def _finish(self, seen: Seen) -> None:
        if self.current is seen:
            self._end("done")

    def _end(self, how: str) -> None:
        seen, self.current = self.current, None
        if seen is not None:
            seen.ended, seen.ended_at = how, time.monotonic()
            self._owner.changed()

    def reset(self) -> None:
        """Close with RST."""
        self._ours = True
        raw = self._transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end("cut")
        self._transport.abort()


def _body(head: bytes, data: bytes) -> tuple[bytes | None, bytes]:
    """The request's body and what follows it; None while more is to come."""
    lines = [line.lower() for line in head.split(b"\r\n")[1:]]
    if any(line.startswith(b"transfer-encoding:") for line in lines):
        return _chunked(data)
    lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
    length = lengths[0] if lengths else 0
    return (None, b"") if len(data) < length else (data[:length], data[length:])


def _chunked(data: bytes) -> tuple[bytes | None, bytes]:
    pieces = b""
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            return None, b""
        size = int(line, 16)
        if len(data) < size + 2:
            return None, b""
        if size == 0:
            return pieces, data[2:]
        pieces, data = pieces + data[:size], data[size + 2 :]
