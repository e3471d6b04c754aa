"""The answer to a request that is turned away under load: as cheap as it can be, for there may be many of them.

What can be written beforehand is, and nothing is logged line by line. Where there are so many that refusing them alone would
keep the process busy, their answers wait a little: a client on a kept connection sends no more before it has its answer. Who is
turned away, and how long the answers wait, is decided in `policy.overload`.
"""

from __future__ import annotations

import math
from collections import deque

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Dialect
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.pipeline.outgoing import id_lines, retry_after

MAX_BODY = 64 * 1024
"""Bytes of a body that is read to its end, so that its connection can be kept; a longer one is left unread."""


def overloaded(seconds: int) -> GatewayError:
    """What the client is told; it may come back after `seconds`."""
    told = "The gateway has more to do than it can. Try again later."
    return GatewayError(Kind.OVERLOADED, told, code="overloaded", retry_after=seconds)


class Desk:
    """Where refusals wait for their time."""

    def __init__(self) -> None:
        self.hold = 0.0
        """Seconds that a refusal waits, about."""
        self._waiting: deque[tuple[Shed, Reply]] = deque()

    def take(self, shed: Shed, reply: Reply) -> None:
        """Answer when it is time."""
        if self.hold:
            self._waiting.append((shed, reply))
        else:
            shed.answer(reply)

    def tick(self, elapsed: float, hold: float) -> None:
        """`elapsed` seconds went by: a part of those that wait goes out, the first that came first.

        A part at a time, for clients who are answered together come back together. From now on refusals wait for `hold`.
        """
        self.hold = hold
        share = min(1.0, elapsed / hold) if hold else 1.0
        for _ in range(math.ceil(len(self._waiting) * share)):
            shed, reply = self._waiting.popleft()
            shed.answer(reply)


class Shed:
    """A request that was turned away by its head; its body is still read."""

    __slots__ = ("_desk", "_dialect", "_extra", "_ident", "_seconds")
    max_body = MAX_BODY
    streams = False

    def __init__(self, desk: Desk, dialect: Dialect, ident: str, extra: bytes, seconds: int) -> None:
        """`extra`: header lines besides our own (CORS). `seconds`: the client is told to stay away for so long."""
        self._desk = desk
        self._dialect = dialect
        self._ident = ident
        self._extra = extra
        self._seconds = seconds

    def start(self, request: Request, reply: Reply) -> None:
        """Answer in time."""
        request.body = b""  # it may have to wait, and there may be many of it
        self._desk.take(self, reply)

    def answer(self, reply: Reply) -> None:
        """Answer now."""
        at = self._dialect.name, self._seconds
        status, headers, body = _written.get(at) or _written.setdefault(at, _write(self._dialect, self._seconds))
        reply.send(status, id_lines(self._ident, self._dialect) + headers + self._extra, body)


_written: dict[tuple[str, int], tuple[int, bytes, bytes]] = {}
"""Status, header lines and body, by dialect and seconds: the same for every request."""


def _write(dialect: Dialect, seconds: int) -> tuple[int, bytes, bytes]:
    error = overloaded(seconds)
    return error.status, b"content-type: application/json\r\n" + retry_after(error), dialect.write_error(error)
