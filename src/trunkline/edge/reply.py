"""The answer to one request, as bytes on the client's connection. What it says belongs to the caller."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.side import Side

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BIG = 16 * 1024
"""Pieces from this size on are written in three parts, not copied into one."""
_PROBE = b"HTTP/1.1 "
_MAX_LEADING_ZEROS = 8
_NO_LENGTH = {204, 304}
"""Statuses whose answers have no body; 204 may not even say so (RFC 9110 section 8.6)."""


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, "Unknown").encode("ascii"))


_STATUS_LINES = {status: _status_line(status) for status in _REASONS}


class Flow(Protocol):
    """What feeds this answer and can be asked to wait."""

    @property
    def size(self) -> int:
        """Bytes that it has brought."""
        ...

    def pause(self) -> None:
        """The client is slow: bring no more."""
        ...

    def resume(self) -> None:
        """The client caught up."""
        ...


class Line(Protocol):
    """The connection below, as far as a reply needs it."""

    date: bytes
    """The `date` header line, kept current."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def write_parts(self, parts: list[bytes]) -> None:
        """Send several pieces in order."""
        ...

    def finish(self, *, keep: bool) -> None:
        """This reply is complete. `keep`: the connection may serve another request."""
        ...

    def cut(self) -> None:
        """Drop the connection at once, so that the answer cannot look complete."""
        ...

    def switch(self) -> Side:
        """Stop speaking HTTP on it."""
        ...


class Reply:
    """Writes one answer: `send` whole, or `start`, `write`…, `end`. After the client left, everything is a no-op."""

    __slots__ = (
        "_chunked",
        "_head_only",
        "_keep",
        "_line",
        "_probed",
        "bytes_out",
        "ended",
        "flow",
        "gone",
        "started",
        "status",
    )

    def __init__(self, line: Line, *, head_only: bool, keep: bool, chunked: bool) -> None:
        """`head_only`: a HEAD request. `keep`: the client may reuse the connection. `chunked`: it speaks HTTP/1.1."""
        self._line = line
        self._head_only = head_only
        self._keep = keep
        self._chunked = chunked
        self._probed = 0
        self.bytes_out = 0
        self.started = False
        self.status = 0
        """The status that was sent; 0 while none was."""
        self.ended = False
        self.gone = False
        self.flow: Flow | None = None

    def close_after(self) -> None:
        """End the connection after this answer."""
        self._keep = False

    def keep_after(self) -> None:
        """Let the connection serve another request after this answer, where its head did not say otherwise."""
        self._keep = not self.started or self._keep

    def switch(self, headers: bytes) -> Side:
        """Answer 101 and stop speaking HTTP: what comes and goes from here on is the side's. For `tunnel`.

        Raises `GatewayError` where the client is gone.
        """
        if self.gone:
            raise GatewayError(Kind.CLIENT_GONE, "The client closed the connection.")
        self.status = 101
        self._out(_STATUS_LINES[101][self._probed :] + headers + b"\r\n")
        self.started = self.ended = True
        return self._line.switch()

    def send(self, status: int, headers: bytes, body: bytes) -> None:
        """A whole answer. `headers` are complete lines, each ending CRLF; framing is added here."""
        head = self._head(status, headers)
        head += b"\r\n" if status in _NO_LENGTH else b"content-length: %d\r\n\r\n" % len(body)
        self.started = True
        if self._head_only or status in _NO_LENGTH:
            self._out(head)
        elif len(body) < _BIG:
            self._out(head + body)
        else:
            self._out_parts([head, body])
        self._finish()

    def start(self, status: int, headers: bytes) -> None:
        """The head of a streamed answer."""
        self.started = True
        if not self._chunked:
            self._keep = False
        self._out(self._head(status, headers) + (b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n"))
        self._probed = 0

    def write(self, data: bytes) -> None:
        """One piece of a streamed answer, sent in this tick. An empty piece sends nothing."""
        if not data or self._head_only:
            return
        if not self._chunked:
            self._out(data)
        elif len(data) < _BIG:
            self._out(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._out_parts([b"%x\r\n" % len(data), data, b"\r\n"])
        self._probed = 0

    def end(self) -> None:
        """The clean end of a streamed answer."""
        if self._chunked and not self._head_only:
            self._out(b"0\r\n\r\n")
        self._finish()

    def abort(self) -> None:
        """Cut the answer short in a way that cannot be taken for its end."""
        if not self.ended:
            self.ended = True
            if not self.gone:
                self._line.cut()

    def probe(self) -> None:
        """Find out whether a client that closed its sending side still listens: send a byte that changes nothing.

        Before the head that is the next letter of `HTTP/1.1 `; in a chunked body it is a leading zero of the next chunk's
        size (RFC 9112 section 7.1: `1*HEXDIG`, and `last-chunk = 1*("0")`). A peer that is gone answers with a reset.
        Does nothing where no such byte is left.
        """
        if self.ended or self.gone:
            return
        if not self.started and self._probed < len(_PROBE):
            self._line.write(_PROBE[self._probed : self._probed + 1])
            self._probed += 1
        elif self.started and self._chunked and not self._head_only and self._probed < _MAX_LEADING_ZEROS:
            self._line.write(b"0")
            self._probed += 1

    def _head(self, status: int, headers: bytes) -> bytes:
        self.status = status
        line = _STATUS_LINES.get(status) or _status_line(status)
        close = b"" if self._keep else b"connection: close\r\n"
        return line[self._probed :] + headers + self._line.date + close

    def _out(self, data: bytes) -> None:
        if not (self.gone or self.ended):  # once ended, the connection may be carrying the next answer
            self.bytes_out += len(data)
            self._line.write(data)

    def _out_parts(self, parts: list[bytes]) -> None:
        if not (self.gone or self.ended):
            self.bytes_out += sum(map(len, parts))
            self._line.write_parts(parts)

    def _finish(self) -> None:
        if not self.ended:
            self.ended = True
            if not self.gone:
                self._line.finish(keep=self._keep)
