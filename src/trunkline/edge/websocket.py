"""The text messages of a WebSocket (RFC 6455 section 5), read while they pass. Sans-io, and changes nothing.

What a message says belongs in `dialects`; the bytes themselves are carried by `tunnel`.
"""

from __future__ import annotations

_CONTINUATION, _TEXT, _BINARY, _CLOSE = 0x0, 0x1, 0x2, 0x8
_RESERVED = 0x70
"""Bits that only an extension sets; none is ever agreed on through us."""


class Messages:
    """One direction of a connection. Any slicing of the same bytes tells the same."""

    def __init__(self, most: int = 0) -> None:
        """`most`: bytes of a text message that is read; a longer one is passed over. 0: none is."""
        self.closed = False
        """A close frame was seen: this side has said its last word."""
        self.lost = False
        """What came is no sequence of frames; nothing more is read."""
        self._most = most
        self._head = b""
        self._left = 0
        self._opcode = 0
        self._final = False
        self._mask = b""
        self._payload = bytearray()
        self._message: bytearray | None = None
        """The text message that is being read, its earlier fragments."""

    @property
    def between(self) -> bool:
        """Whether the next byte begins a frame: a word of our own could stand here."""
        return not (self._head or self._left or self.lost)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the text messages that are now whole."""
        found: list[bytes] = []
        if self._head:
            data, self._head = self._head + data, b""
        at, size = 0, len(data)
        while at < size and not self.lost:
            if not self._left:
                start = self._begin(data, at)
                if start < 0:
                    self._head = data[at:]
                    break
                at = start
            taken = min(self._left, size - at)
            if self._reads():
                self._payload += data[at : at + taken]
            at += taken
            self._left -= taken
            if not self._left:
                self._frame(found)
        return found

    def _begin(self, data: bytes, at: int) -> int:
        """Read a frame's head at `at`; where its payload begins, or -1 where the head is not whole yet."""
        if len(data) < at + 2:
            return -1
        first, second = data[at], data[at + 1]
        short, masked = second & 0x7F, second >> 7
        extended = 2 if short == 126 else 8 if short == 127 else 0
        start = at + 2 + extended + 4 * masked
        if len(data) < start:
            return -1
        length = int.from_bytes(data[at + 2 : at + 2 + extended]) if extended else short
        opcode, final = first & 0x0F, first >= 0x80
        if first & _RESERVED or length >= 1 << 63 or (opcode >= _CLOSE and (length > 125 or not final)):
            self.lost = True
            return start
        self.closed = self.closed or opcode == _CLOSE
        self._opcode, self._final, self._left = opcode, final, length
        self._mask = data[start - 4 : start] if masked else b""
        if opcode == _TEXT:
            self._message = bytearray() if self._most else None
        elif opcode == _BINARY:
            self._message = None
        if self._message is not None and opcode < _CLOSE and len(self._message) + length > self._most:
            self._message = None
        return start

    def _reads(self) -> bool:
        return self._message is not None and self._opcode <= _TEXT

    def _frame(self, found: list[bytes]) -> None:
        """A frame is whole."""
        if self._message is None or not self._reads():
            return
        self._message += _unmasked(self._payload, self._mask)
        self._payload.clear()
        if self._final:
            found.append(bytes(self._message))
            self._message = None


def _unmasked(payload: bytearray, mask: bytes) -> bytes:
    """Section 5.3."""
    if not mask:
        return bytes(payload)
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    return (int.from_bytes(payload) ^ key).to_bytes(size)
