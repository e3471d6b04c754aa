"""What the mock provider answers, as a list of steps: bytes, pauses, and ways of dying.

A case writes its fault as a string in the request body's `x_mock` field (the gateway keeps unknown fields), such as
`"frames=8;gap=20;rst_at=4"`, or builds the steps itself. Sending them belongs in `upstream`.

Keys, times in milliseconds:
  before the answer   sleep=200, hold (until released), drop (close, or rst, without a byte), rst
  another answer      status=429 retry_after=2, html, empty, redirect=URL, raw=BASE64 (the whole answer, as it stands)
  a whole answer      short (half of its length, then FIN), cut (chunked, no end), ce=gzip, bomb=MIB (gzip), big=MIB
  a stream            frames=3 size=0 gap=20, error_at=2 sse=BASE64, nodone, endless, headonly, badchunk_at=2,
                      rst_at=4 eof_at=4 hang_at=4 hold_at=4 (after that many frames), ce=gzip, bomb=MIB
  after the answer    close_after=50 (when idle that long)
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


class Frame(bytes):
    """Bytes that count as one frame of a stream."""


@dataclass(frozen=True)
class Pause:
    """Wait `seconds` before the next step."""

    seconds: float


@dataclass(frozen=True)
class Hold:
    """Wait until the test calls `release()`, or for ever."""


@dataclass(frozen=True)
class Reset:
    """Close with RST: SO_LINGER 0."""


@dataclass(frozen=True)
class Close:
    """Close with FIN, after what was written."""


@dataclass(frozen=True)
class CloseIdle:
    """The answer is over; close the connection if nothing more arrives within `seconds`."""

    seconds: float


Step = bytes | Pause | Hold | Reset | Close | CloseIdle
Plan = Iterable[Step]


@dataclass
class Seen:
    """One request as the mock provider received it, and how its answer ended."""

    connection: int
    number: int
    """1 for the first request of its connection."""
    head: bytes
    body: bytes
    at: float = field(default_factory=time.monotonic)
    frames: int = 0
    """Frames written so far."""
    sent: int = 0
    """Bytes handed to the kernel or the transport so far."""
    ended: str = ""
    """Empty while being answered; then `done`, `cut` (the script ended it), `eof` or `rst` (the gateway left early)."""
    ended_at: float = 0.0

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case, in order."""
        lines = self.head.split(b"\r\n")[1:]
        pairs = (line.decode("latin-1").partition(":") for line in lines if line)
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for n, value in self.headers if n == name), None)

    @property
    def target(self) -> str:
        """The request line's target."""
        return self.head.split(b" ", 2)[1].decode("latin-1")

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The body's JSON object; empty where it is none. Of a key that stands twice the last value counts."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def nonce(self) -> str:
        """What the caller wants to find in its answer, to see that it is its own."""
        return str(self.fields.get("x_nonce", "none"))


class Script(dict[str, str]):
    """A parsed `x_mock` string."""

    @classmethod
    def parse(cls, text: str) -> Script:
        """`"a=1;b"` becomes `{"a": "1", "b": ""}`."""
        parts = (part.partition("=") for part in text.split(";") if part)
        return cls({name.strip(): value for name, _, value in parts})

    def number(self, name: str, default: float = 0) -> float:
        """A value as a number."""
        return float(self[name]) if self.get(name) else default


def head(status: int, headers: Iterable[tuple[str, str]] = (), reason: str = "Mock") -> bytes:
    """A status line and header lines, up to and with the empty line."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(status: int, body: bytes, content_type: str = "application/json", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A complete answer with a content-length."""
    return head(status, [("content-type", content_type), ("content-length", str(len(body))), *headers]) + body


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"


def event(value: Any) -> bytes:
    """One server-sent event with JSON data."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def completion(seen: Seen, content: str | None = None) -> bytes:
    """A whole chat completion that carries the request's nonce."""
    message = {"role": "assistant", "content": seen.nonce if content is None else content}
    return json.dumps(
        {
            "id": f"chatcmpl-{seen.nonce}",
            "object": "chat.completion",
            "created": 1,
            "model": seen.fields.get("model", "?"),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    ).encode()


def delta(seen: Seen, content: str | None, finish: str | None = None, **more: Any) -> bytes:
    """One chat completion chunk event."""
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    base = {"id": f"chatcmpl-{seen.nonce}", "object": "chat.completion.chunk", "created": 1, "model": "mock"}
    return event({**base, "choices": [choice], **more})


def usage_event(seen: Seen) -> bytes:
    """The extra chunk that `stream_options.include_usage` asks for."""
    base = {"id": f"chatcmpl-{seen.nonce}", "object": "chat.completion.chunk", "created": 1, "model": "mock"}
    return event({**base, "choices": [], "usage": USAGE})


DONE = b"data: [DONE]\n\n"
STREAM_HEADERS = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]


def plan(seen: Seen, script: Script) -> Iterator[Step]:
    """The steps that `script` means for this request."""
    if "sleep" in script:
        yield Pause(script.number("sleep") / 1000)
    if "hold" in script:
        yield Hold()
    if "drop" in script:
        yield Reset() if script["drop"] == "rst" else Close()
    elif (other := _another_answer(script)) is not None:
        yield other
    elif seen.fields.get("stream"):
        yield from _stream(seen, script)
    else:
        yield from _whole(seen, script)
    if "close_after" in script:
        yield CloseIdle(script.number("close_after") / 1000)


def _another_answer(script: Script) -> bytes | None:
    if "raw" in script:
        return base64.b64decode(script["raw"])
    if "redirect" in script:
        return whole(302, b"", headers=[("location", script["redirect"])])
    if "html" in script:
        return whole(200, b"<html><body>It works!</body></html>", "text/html")
    if "empty" in script:
        return whole(200, b"")
    if "status" in script:
        error = {"error": {"message": "mock says no", "type": "mock_error", "param": None, "code": "mock"}}
        more = [("retry-after", script["retry_after"])] if "retry_after" in script else []
        return whole(int(script["status"]), json.dumps(error).encode(), headers=more)
    return None


def _whole(seen: Seen, script: Script) -> Iterator[Step]:
    body = completion(seen)
    if script.get("ce") == "gzip":
        yield whole(200, gzip.compress(body), headers=[("content-encoding", "gzip")])
    elif "bomb" in script:
        bomb = gzip.compress(completion(seen, "a" * int(script.number("bomb") * 2**20)))
        yield whole(200, bomb, headers=[("content-encoding", "gzip")])
    elif "big" in script:
        yield from _endless_whole(int(script.number("big")))
    elif "short" in script:
        yield head(200, [("content-type", "application/json"), ("content-length", str(len(body)))]) + body[: len(body) // 2]
        yield Close()
    elif "cut" in script:
        yield head(200, [("content-type", "application/json"), ("transfer-encoding", "chunked")]) + chunk(body)
        yield Close()
    else:
        yield whole(200, body)


def _endless_whole(mebibytes: int) -> Iterator[Step]:
    """A chunked whole answer of that many MiB, valid JSON only at its very end."""
    yield head(200, [("content-type", "application/json"), ("transfer-encoding", "chunked")]) + chunk(b'{"choices":[],"pad":"')
    piece = chunk(b"a" * 65536)
    for _ in range(mebibytes * 16):
        yield piece
    yield chunk(b'"}') + END


def _stream(seen: Seen, script: Script) -> Iterator[Step]:
    if "bomb" in script:
        bomb = gzip.compress(b"data: {}\n\n" * int(script.number("bomb") * 2**20 / 10))
        yield head(200, [*STREAM_HEADERS, ("content-encoding", "gzip")]) + chunk(bomb) + END
        return
    if script.get("ce") == "gzip":
        body = gzip.compress(b"".join(delta(seen, seen.nonce) for _ in range(3)) + delta(seen, None, "stop") + DONE)
        yield head(200, [*STREAM_HEADERS, ("content-encoding", "gzip")]) + chunk(body) + END
        return
    yield head(200, STREAM_HEADERS)
    if "headonly" in script:
        yield Hold()
    if "sse" in script:
        yield chunk(base64.b64decode(script["sse"])) + END
        return
    yield from _frames(seen, script)


def _frames(seen: Seen, script: Script) -> Iterator[Step]:
    frames, gap = int(script.number("frames", 3)), script.number("gap") / 1000
    content = seen.nonce + "x" * int(script.number("size"))
    frame = Frame(chunk(delta(seen, content)))
    deaths: dict[str, Step] = {"rst_at": Reset(), "eof_at": Close(), "hang_at": Pause(3600.0), "hold_at": Hold()}
    ends = {int(script[name]): step for name, step in deaths.items() if name in script}
    number = 0
    while number < frames or "endless" in script:
        if number in ends:
            yield ends[number]
        if script.get("error_at") == str(number):
            yield chunk(event({"error": {"message": "mock broke", "type": "server_error", "code": "mock"}})) + END
            return
        if script.get("badchunk_at") == str(number):
            yield b"zz\r\nnot a chunk\r\n"
            yield Close()
            return
        yield frame
        if gap:
            yield Pause(gap)
        number += 1
    if number in ends:
        yield ends[number]
    yield from _ending(seen, script)


def _ending(seen: Seen, script: Script) -> Iterator[Step]:
    tail = chunk(delta(seen, None, "stop"))
    if (seen.fields.get("stream_options") or {}).get("include_usage"):
        tail += chunk(usage_event(seen))
    if "nodone" not in script:
        tail += chunk(DONE)
    yield tail + END


def replay(raw: bytes, sizes: Iterable[int] = (), pause: float = 0.0) -> Iterator[Step]:
    """A recorded answer, byte for byte, in pieces of the given sizes (the rest in one), `pause` seconds between them."""
    start = 0
    for size in sizes:
        if start >= len(raw):
            return
        yield raw[start : start + size]
        start += size
        if pause and start < len(raw):
            yield Pause(pause)
    if start < len(raw):
        yield raw[start:]
