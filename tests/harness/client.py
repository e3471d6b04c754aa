"""A blocking HTTP/1.1 client that hides nothing: every byte, every early end, who closed.

For sending what no polite client sends. It follows no redirect, retries nothing and pools nothing.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Reply:
    """An answer as received."""

    status: int
    headers: list[tuple[str, str]]
    """Names in lower case, in order."""
    body: bytes = b""
    complete: bool = False
    """The framing came to its own end (length reached, last chunk seen)."""
    head: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for n, value in self.headers if n == name), None)

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """OpenAI's error object; AssertionError where the body holds none."""
        found = self.json
        assert isinstance(found, dict), found
        assert isinstance(found.get("error"), dict), found
        return dict(found["error"])

    @property
    def content(self) -> str:
        """The text of a whole chat completion."""
        return str(self.json["choices"][0]["message"]["content"])


class Wire:
    """One connection to the gateway."""

    def __init__(self, address: tuple[str, int], *, timeout: float = 15.0, receive_buffer: int = 0, source: str = "") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock.connect(address)
        except BaseException:
            self.sock.close()
            raise
        self._buffer = b""
        self.received = bytearray()
        """Everything that came, for the search of secrets."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self.sock.sendall(data)

    def close(self) -> None:
        """FIN (or RST where bytes are unread, as the kernel does)."""
        self.sock.close()

    def reset(self) -> None:
        """RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self) -> None:
        """Say that nothing more will be sent; go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        """Read once. False at EOF or reset."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            return False
        self.received += data
        self._buffer += data
        return bool(data)

    def line(self) -> bytes | None:
        """One line without its end, or None where the connection ended first."""
        while b"\r\n" not in self._buffer:
            if not self._more():
                return None
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def exactly(self, count: int) -> bytes | None:
        """That many bytes, or None where the connection ended first."""
        while len(self._buffer) < count:
            if not self._more():
                return None
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def read_head(self) -> Reply | None:
        """Status and headers of the next answer, interim ones skipped; None where the connection ended first."""
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if not self._more():
                    return None
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status >= 200:
                pairs = (line.partition(":") for line in lines[1:])
                return Reply(status, [(name.lower(), value.strip()) for name, _, value in pairs], head=head)

    def read_reply(self, *, bodyless: bool = False) -> Reply | None:
        """The next whole answer. `complete` is False where it was cut; None where there was none."""
        reply = self.read_head()
        if reply is None:
            return None
        if bodyless or reply.status in {204, 304}:
            reply.complete = True
        elif reply.header("transfer-encoding") == "chunked":
            self._read_chunked(reply)
        elif (length := reply.header("content-length")) is not None:
            body = self.exactly(int(length))
            reply.complete = body is not None
            reply.body = self._buffer if body is None else body
        else:
            while self._more():
                pass
            reply.body, self._buffer, reply.complete = self._buffer, b"", True
        return reply

    def _read_chunked(self, reply: Reply) -> None:
        pieces = []
        while (piece := self.chunk()) is not None:
            if piece == b"":
                reply.complete = True
                break
            pieces.append(piece)
        reply.body = b"".join(pieces)

    def chunk(self) -> bytes | None:
        """The next chunk's data, `b""` for the last, None where the connection ended first."""
        line = self.line()
        if line is None:
            return None
        size = int(line, 16)
        data = self.exactly(size + 2)
        if data is None:
            return None
        assert data[size:] == b"\r\n", "the gateway's own chunk is malformed"
        return data[:size]

    def closed(self, timeout: float = 2.0) -> bool:
        """Whether the gateway closes this connection within `timeout` seconds; what comes before is kept in `received`."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.sock], [], [], left)[0]:
                return False
            if not self._more():
                return True
        return False

    def rest(self, timeout: float = 5.0) -> bytes:
        """All bytes until the gateway closes, or until it is silent for `timeout` seconds."""
        previous = self.sock.gettimeout()
        self.sock.settimeout(timeout)
        with contextlib.suppress(TimeoutError):
            while self._more():
                pass
        self.sock.settimeout(previous)
        data, self._buffer = self._buffer, b""
        return data


class Stream:
    """A streamed answer, event by event."""

    def __init__(self, wire: Wire, reply: Reply) -> None:
        self.wire = wire
        self.reply = reply
        self.status = reply.status
        self.complete = False
        """The chunked body came to its end."""
        self._text = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def next(self) -> bytes | None:
        """The next event's data (other lines are skipped), or None at the end."""
        while True:
            while b"\n\n" not in self._text:
                piece = self.wire.chunk()
                if not piece:
                    self.complete = piece is not None
                    return None
                self._text += piece
            event, _, self._text = self._text.partition(b"\n\n")
            data = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            if data:
                return b"\n".join(data)

    def rest(self) -> list[bytes]:
        """All events to the end."""
        found = []
        while (data := self.next()) is not None:
            found.append(data)
        return found

    def close(self) -> None:
        """Leave."""
        self.wire.close()


def request(
    method: str, target: str, headers: list[tuple[str, str]], body: bytes | None = None, *, host: str = "gateway.test"
) -> bytes:
    """The bytes of a well-formed request."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")
