"""The provider: answers fixed bytes as cheaply as Python can. `python upstream.py PORT`.

A whole answer is one write. A stream is one write per event, on a tick, so that no two events of a stream are ready at once
and nobody can merge them. Streams of one pace advance in step, or spread over its milliseconds, as those of strangers do.
`GET /count/KEY` tells how many requests carried that provider key.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
from collections import Counter
from typing import cast

import uvloop
from typing_extensions import override

import wire
from forms import FORMS, Form, stream

_STREAM = re.compile(rb"x_stream\W+(\d+),(\d+),(\d+)\]")
_USAGE = re.compile(rb'"include_usage":\s*true')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\n(?:authorization: *bearer|x-api-key:|x-goog-api-key:) *([^\r]+)", re.IGNORECASE)

_ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: application/json\r\n"
    b"x-request-id: req_8f14e45fceea167a5a36dedd4bea2543\r\ncontent-length: %d\r\n\r\n%b" % (len(wire.ANSWER), wire.ANSWER)
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: %b; charset=utf-8\r\n"
    b"x-request-id: req_8f14e45fceea167a5a36dedd4bea2543\r\ntransfer-encoding: chunked\r\n\r\n"
)
_SSE, _NDJSON = _STREAM_HEAD % b"text/event-stream", _STREAM_HEAD % b"application/x-ndjson"
_PATHS = (
    (b"/v1/messages ", FORMS["anthropic"]),
    (b":streamGenerateContent", FORMS["gemini"]),
    (b"/api/chat ", FORMS["ollama"]),
)
"""What tells a dialect in a request's first line, other than OpenAI's."""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_EVENT = _chunk(wire.EVENT)
_FINISH, _USAGE_EVENT, _DONE = _chunk(wire.FINISH), _chunk(wire.USAGE), _chunk(wire.DONE) + b"0\r\n\r\n"
_SHORT = 64 * 1024
"""Bodies below this are looked at whole; of longer ones only the first piece."""


class Pace:
    """The streams that advance together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, phase: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._phase = phase
        self._streams: list[Provider] = []

    def join(self, stream: Provider) -> None:
        """Advance `stream` from the next tick on."""
        if not self._streams:
            now = self._loop.time()
            to_phase = (self._phase - now) % self._seconds if self._seconds else 0.0
            self._loop.call_at(now + to_phase, self._tick)
        self._streams.append(stream)

    def _tick(self) -> None:
        begun = self._loop.time()
        self._streams = [stream for stream in self._streams if stream.advance()]
        if self._streams:
            self._loop.call_at(begun + self._seconds, self._tick)


_counts: Counter[bytes] = Counter()
"""Requests by provider key."""
_paces: dict[tuple[int, int], Pace] = {}
"""By milliseconds between chunks, and milliseconds after their beginning."""
_streams = itertools.count()


class Provider(asyncio.Protocol):
    """One connection: reads requests, answers each."""

    def __init__(self) -> None:
        self._transport = cast("asyncio.Transport", None)
        self._held = b""
        self._left = 0
        self._start = b""
        self._form: Form | None = None
        self._events: list[bytes] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._events = []

    @override
    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
            if len(self._start) < _SHORT:
                self._start += data
            if self._left == 0:
                self._respond(self._start)
            return
        data = self._held + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._held = data
            return
        self._held = b""
        line = data[: data.index(b"\r\n")]
        self._form = next((form for mark, form in _PATHS if mark in line), None)
        length = _LENGTH.search(data, 0, end)
        body = data[end + 4 :]
        self._left = (int(length[1]) if length else 0) - len(body)
        if data.startswith(b"GET /count/"):
            told = b"%d" % _counts[data[11 : data.index(b" ", 11)]]
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told))
            return
        key = _KEY.search(data, 0, end)
        _counts[key[1] if key else b""] += 1
        if self._left:
            self._start = body
        else:
            self._respond(body)

    def _respond(self, body: bytes) -> None:
        found = _STREAM.search(body)
        if found is None:
            self._transport.write(_ANSWER)
            return
        chunks, pace, phases = map(int, found.groups())
        if self._form is None:
            usage = [_USAGE_EVENT] if _USAGE.search(body) else []
            self._events = [_DONE, *usage, _FINISH, *[_EVENT] * (chunks - 1)]  # from the last to the first
            self._transport.write(_SSE + _EVENT)
        else:
            first, *rest = (_chunk(event) for event in stream(self._form, chunks))
            self._events = [b"0\r\n\r\n", *reversed(rest)]
            self._transport.write((_NDJSON if self._form.name == "ollama" else _SSE) + first)
        place = pace, next(_streams) % phases * pace // phases
        if place not in _paces:
            _paces[place] = Pace(asyncio.get_running_loop(), pace / 1000, place[1] / 1000)
        _paces[place].join(self)

    def advance(self) -> bool:
        """Send the next event. False after the last one."""
        if not self._events:
            return False
        self._transport.write(self._events.pop())
        return bool(self._events)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
