"""How long a body is: strict chunked decoding, and inflating within bounds. Sans-io.

The heads of messages are llhttp's business (through httptools); bodies of requests are framed here, so that the end of a
message is known to the byte and pipelined requests are never parsed ahead of their turn.
"""

from __future__ import annotations

import re
import zlib

_SIZE_LINE = re.compile(rb"[0-9A-Fa-f]{1,15}\r\n")
_MAX_SIZE_LINE = 17
_MAX_TRAILERS = 8 * 1024


_AT_ONCE = 16 * 1024 * 1024
"""Bytes that one read may inflate to. A read is at most 256 KiB, and no text of a model shrinks sixty-fold."""


class FramingError(Exception):
    """The bytes are not a body of the announced framing."""


class TooLarge(FramingError):  # noqa: N818 - a name that reads well where it is caught
    """The body is longer than it may be."""


class ChunkedDecoder:
    """Decodes `transfer-encoding: chunked` (RFC 9112 section 7.1), stricter than it must.

    Chunk extensions are refused: nobody needs them and parsers disagree about them. Trailers are read and thrown away.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of decoded body, after which `TooLarge` is raised."""
        self._body = bytearray()  # one buffer: a list of tiny chunks would take ten times the memory of their bytes
        self.size = 0
        """Bytes announced so far, the current chunk's in full."""
        self.done = False
        self._limit = limit
        self._left = 0  # bytes of the current chunk, its closing CRLF included
        self._trailers = 0
        self._in_trailers = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; when `done` is set, what is returned lies after the message."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        position = 0
        while not self.done:
            if self._left:
                position = self._chunk(data, position)
            elif self._in_trailers:
                position = self._trailer(data, position)
            else:
                position = self._size_line(data, position)
            if position < 0:
                return b""
        return data[position:]

    @property
    def held(self) -> int:
        """Bytes that were decoded and not taken."""
        return len(self._body)

    def take(self) -> bytes:
        """What was decoded since it was last taken. Not taken, it is held, up to the limit."""
        taken = bytes(self._body)
        self._body.clear()
        return taken

    def _wait(self, data: bytes, position: int) -> int:
        self._rest = data[position:]
        return -1

    def _size_line(self, data: bytes, position: int) -> int:
        match = _SIZE_LINE.match(data, position)
        if match is None:
            start = data[position : position + _MAX_SIZE_LINE]
            if len(start) == _MAX_SIZE_LINE or (start and not re.fullmatch(rb"[0-9A-Fa-f]{1,15}\r?", start)):
                raise FramingError("a chunk size is not plain hexadecimal")
            return self._wait(data, position)
        size = int(match[0], 16)
        self.size += size
        if self.size > self._limit:
            raise TooLarge
        if size == 0:
            self._in_trailers = True
        else:
            self._left = size + 2
        return match.end()

    def _chunk(self, data: bytes, position: int) -> int:
        body = data[position : position + max(self._left - 2, 0)]
        if body:
            self._body += body
            self._left -= len(body)
            position += len(body)
        if position == len(data):
            return self._wait(data, position)
        end = data[position : position + 2]
        if not b"\r\n".startswith(end):
            raise FramingError("a chunk does not end where it said")
        if len(end) < 2:
            return self._wait(data, position)
        self._left = 0
        return position + 2

    def _trailer(self, data: bytes, position: int) -> int:
        end = data.find(b"\r\n", position)
        self._trailers += end - position if end >= 0 else 0
        if max(self._trailers, len(data) - position if end < 0 else 0) > _MAX_TRAILERS:
            raise FramingError("the trailers are too long")
        if end < 0:
            return self._wait(data, position)
        line = data[position:end]
        if line and (b":" not in line or line[:1] in b" \t" or any(byte in line for byte in (b"\n", b"\r", b"\0"))):
            raise FramingError("a trailer is not a header field")
        self.done = not line
        return end + 2


class Inflater:
    """Inflates `gzip` or `deflate`, never more than `limit` bytes in all, and never a bomb's worth at once."""

    def __init__(self, coding: bytes, limit: int) -> None:
        """`coding` is the value of `content-encoding`; raises `FramingError` for one that is not spoken here."""
        name = coding.strip().lower()
        if name not in {b"gzip", b"x-gzip", b"deflate"}:
            raise FramingError("the content encoding is not supported")
        self._machine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip and zlib heads are both known
        self._room = limit
        self._fed = False

    def feed(self, data: bytes) -> bytes:
        """The next inflated bytes. Raises `TooLarge` or `FramingError`."""
        self._fed = True
        most = min(self._room, _AT_ONCE)
        try:
            out = self._machine.decompress(data, most + 1)
        except zlib.error as error:
            raise FramingError("the compressed body is damaged") from error
        self._room -= len(out)
        if len(out) > most:
            raise TooLarge
        if self._machine.unused_data:
            raise FramingError("bytes follow the compressed body")
        return out

    def finished(self) -> bool:
        """Whether the compressed stream came to its own end, or never began: an empty body is not cut short."""
        return self._machine.eof or not self._fed
