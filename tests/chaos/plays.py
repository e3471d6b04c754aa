"""What a scripted provider may do to one attempt: steps to send, by name, and what may come of each.

Who plays what, and when, is in `model`; how a dialect writes an answer is in `real.tongues`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

from harness.script import END, STREAM_HEADERS, Close, Pause, Reset, Step, chunk, event, head, whole
from real import tongues
from real.responses import Responses
from real.tongues import Asked, Said, Tongue

Effect = Literal["good", "fail", "broken"]
"""Good: answered well. Fail: the client has seen nothing, another may be asked. Broken: it saw a part, and then an error."""

TONGUES: dict[str, Tongue] = {**tongues.TONGUES, "openai_responses": Responses()}
FOREVER = 3600.0
_FAILURES: dict[str, bytes] = {
    "openai_chat": event({"error": {"message": "scripted", "type": "server_error", "code": "scripted"}}),
    "anthropic": b"event: error\n" + event({"type": "error", "error": {"type": "overloaded_error", "message": "scripted"}}),
    "gemini": event({"error": {"code": 503, "message": "scripted", "status": "UNAVAILABLE"}}),
    "openai_responses": b"event: error\n"
    + event({"type": "error", "sequence_number": 1, "code": "server_error", "message": "scripted", "param": None}),
}
"""An error in the middle of a stream."""


@dataclass(frozen=True)
class Part:
    """One attempt, as the provider sees it."""

    dialect: str
    asked: Asked
    said: Said
    cut: float
    """Where in the answer something happens, 0 to 1."""

    @property
    def tongue(self) -> Tongue:
        """How it is spoken."""
        return TONGUES[self.dialect]

    def body(self) -> bytes:
        """The whole answer."""
        return json.dumps(self.tongue.whole(self.asked, self.said)).encode()

    def frames(self) -> list[bytes]:
        """The stream, in events."""
        return list(self.tongue.frames(self.asked, self.said))


Steps = Callable[[Part], Iterator[Step]]


@dataclass(frozen=True)
class Play:
    """One way to answer."""

    steps: Steps
    whole: frozenset[Effect]
    """What may come of it where a whole answer was asked for."""
    stream: frozenset[Effect]
    status: int = 0
    """Of the error the client gets where this was the last attempt; 0: any from 400."""
    stops: bool = False
    """It is the request's own fault: nobody else is asked."""
    free: bool = False
    """It cannot have cost anything."""
    silent: bool = False
    """Not a byte is sent: on a connection that had served before, it is tried once more without a word."""
    weight: float = 1.0

    def effects(self, *, stream: bool) -> frozenset[Effect]:
        """What may come of it."""
        return self.stream if stream else self.whole


GOOD, FAIL, BROKEN = frozenset[Effect]({"good"}), frozenset[Effect]({"fail"}), frozenset[Effect]({"fail", "broken"})


def _answer(part: Part, between: float = 0.0, at_once: int = 40) -> Iterator[Step]:
    """All of it, in chunks of some events."""
    if not part.asked.streams:
        yield whole(200, part.body())
        return
    yield head(200, STREAM_HEADERS)
    frames = part.frames()
    for start in range(0, len(frames), at_once):
        yield chunk(b"".join(frames[start : start + at_once]))
        if between:
            yield Pause(between)
    yield END


def _trickle(part: Part) -> Iterator[Step]:
    yield from _answer(part, 0.02, max(1, len(part.frames()) // 8) if part.asked.streams else 1)


def _late(part: Part) -> Iterator[Step]:
    yield Pause(0.1 + part.cut * 0.3)
    yield from _answer(part)


def _gzip(part: Part) -> Iterator[Step]:
    """Although none was asked for."""
    if part.asked.streams:
        yield head(200, [*STREAM_HEADERS, ("content-encoding", "gzip")])
        yield chunk(gzip.compress(b"".join(part.frames()))) + END
    else:
        yield whole(200, gzip.compress(part.body()), headers=[("content-encoding", "gzip")])


def _slices(part: Part) -> Iterator[Step]:
    """Chunks that end in the middle of anything."""
    data = b"".join(part.frames()) if part.asked.streams else part.body()
    size = 1 + int(part.cut * 90)
    kind = "text/event-stream" if part.asked.streams else "application/json"
    yield head(200, [("content-type", kind), ("transfer-encoding", "chunked")])
    for start in range(0, min(len(data), 40 * size), size):
        yield chunk(data[start : start + size])
    if len(data) > 40 * size:
        yield chunk(data[40 * size :])
    yield END


def _limits(part: Part) -> Iterator[Step]:
    """With the provider's limits told: nearly used up, and soon whole again."""
    told = [
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "1"),
        ("x-ratelimit-reset-requests", "60ms"),
    ]
    if part.asked.streams:
        yield head(200, [*STREAM_HEADERS, *told])
        yield chunk(b"".join(part.frames())) + END
    else:
        yield whole(200, part.body(), headers=told)


def _refusing(status: int, after: Callable[[], str] | None = None) -> Steps:
    def steps(part: Part) -> Iterator[Step]:
        headers = [("retry-after", after())] if after is not None else []
        yield whole(status, json.dumps(part.tongue.failed(status)).encode(), headers=headers)

    return steps


def _drop(part: Part) -> Iterator[Step]:
    yield Close()


def _reset(part: Part) -> Iterator[Step]:
    yield Reset()


def _hang(part: Part) -> Iterator[Step]:
    yield Pause(FOREVER)


def _begun(part: Part) -> Iterator[Step]:
    """A head that promises an answer."""
    yield head(200, STREAM_HEADERS if part.asked.streams else [("content-type", "application/json"), ("content-length", "900")])


def _after_head(step: Step) -> Steps:
    def steps(part: Part) -> Iterator[Step]:
        yield from _begun(part)
        yield Pause(0.01)  # or a reset takes the head along
        yield step

    return steps


def _midway(*then: Step) -> Steps:
    """A part of the answer, and then that."""

    def steps(part: Part) -> Iterator[Step]:
        if part.asked.streams:
            frames = part.frames()
            yield head(200, STREAM_HEADERS)
            yield chunk(b"".join(frames[: max(1, int(part.cut * (len(frames) - 3)))]))
        else:
            body = part.body()
            yield head(200, [("content-type", "application/json"), ("content-length", str(len(body)))])
            yield body[: len(body) // 2]
        yield Pause(0.01)
        yield from then

    return steps


def _error_midway(part: Part) -> Iterator[Step]:
    if not part.asked.streams:
        yield whole(200, json.dumps(part.tongue.failed(503)).encode())
        return
    frames = part.frames()
    yield head(200, STREAM_HEADERS)
    yield chunk(b"".join(frames[: max(1, int(part.cut * (len(frames) - 3)))]) + _FAILURES[part.dialect]) + END


def _error_first(part: Part) -> Iterator[Step]:
    if part.asked.streams:
        yield head(200, STREAM_HEADERS)
        yield chunk(_FAILURES[part.dialect]) + END
    else:
        yield whole(200, json.dumps(part.tongue.failed(503)).encode())


def _malformed(part: Part) -> Iterator[Step]:
    """An event that is no JSON, among good ones."""
    if not part.asked.streams:
        yield whole(200, b'{"choices": [}')
        return
    frames = part.frames()
    frames.insert(int(part.cut * (len(frames) - 1)), b'data: {"choices": [}\n\n')
    yield head(200, STREAM_HEADERS)
    yield chunk(b"".join(frames)) + END


def _unfinished(part: Part) -> Iterator[Step]:
    """Clean framing around half an answer."""
    if not part.asked.streams:
        yield whole(200, part.body()[:-20])
        return
    frames = part.frames()
    yield head(200, STREAM_HEADERS)
    yield chunk(b"".join(frames[: max(1, int(part.cut * (len(frames) - 3)))])) + END


def _empty(part: Part) -> Iterator[Step]:
    yield whole(200, b"")


def _html(part: Part) -> Iterator[Step]:
    yield whole(200, b"<html><body>It works!</body></html>", "text/html")


def _redirect(part: Part) -> Iterator[Step]:
    yield whole(302, b"", headers=[("location", "http://127.0.0.1:9/v1/chat/completions")])


def _soon() -> str:
    return formatdate(usegmt=True)


def _status(status: int, after: Callable[[], str] | None = None, weight: float = 1.0, *, stops: bool = False) -> Play:
    return Play(_refusing(status, after), FAIL, FAIL, status, stops=stops, free=True, weight=weight)


PLAYS: dict[str, Play] = {
    "ok": Play(_answer, GOOD, GOOD, weight=50),
    "trickle": Play(_trickle, GOOD, GOOD, weight=6),
    "late": Play(_late, GOOD, GOOD, weight=4),
    "gzip": Play(_gzip, GOOD, GOOD, weight=3),
    "slices": Play(_slices, GOOD, GOOD, weight=3),
    "limits": Play(_limits, GOOD, GOOD, weight=2),
    "429": _status(429, None, 2),
    "429 seconds": _status(429, lambda: "1"),
    "429 date": _status(429, _soon),
    "429 nonsense": _status(429, lambda: "soon, perhaps"),
    "429 huge": _status(429, lambda: "99999999999", 0.2),
    "503": _status(503, None, 2),
    "503 seconds": _status(503, lambda: "0.2"),
    "529": _status(529),
    "500": _status(500, None, 2),
    "401": _status(401, None, 0.3),
    "400": _status(400, stops=True),
    "drop": Play(_drop, FAIL, FAIL, 502, free=True, silent=True),
    "reset": Play(_reset, FAIL, FAIL, 502, free=True, silent=True, weight=2),
    "hang": Play(_hang, FAIL, FAIL, 504),
    "hang after the head": Play(_after_head(Pause(FOREVER)), FAIL, FAIL, 504),
    "reset after the head": Play(_after_head(Reset()), FAIL, FAIL, 502, weight=2),
    "reset midway": Play(_midway(Reset()), FAIL, BROKEN, 502, weight=2),
    "cut midway": Play(_midway(Close()), FAIL, BROKEN, 502, weight=2),
    "hang midway": Play(_midway(Pause(FOREVER)), FAIL, BROKEN, 504),
    "no chunk": Play(_midway(b"zz\r\nnot a chunk\r\n", Close()), FAIL, BROKEN, 502),
    "error midway": Play(_error_midway, FAIL, BROKEN),
    "error first": Play(_error_first, FAIL, FAIL, weight=2),
    "malformed": Play(_malformed, FAIL, frozenset({"good", "fail", "broken"})),
    "unfinished": Play(_unfinished, FAIL, BROKEN, 502),
    "empty": Play(_empty, FAIL, FAIL, 502, free=True),
    "html": Play(_html, FAIL, FAIL, 502, free=True),
    "redirect": Play(_redirect, FAIL, FAIL, 502, free=True),
}
"""By name, as a plan and a report call them."""
SURE = tuple(name for name, play in PLAYS.items() if play.whole == GOOD == play.stream and name != "limits")
"""What a provider plays that always answers well, and gives no reason not to be asked."""
