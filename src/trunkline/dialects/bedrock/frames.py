"""The frames of an event stream (`application/vnd.amazon.eventstream`), cut from bytes and checked.

A frame is the length of all and of its headers, four bytes each, the CRC-32 of these eight, the headers, the payload, and
the CRC-32 of everything before it (AWS, "Event stream encoding"; numbers are big-endian). What an event says belongs in
`reader`.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.dialects.errors import protocol

Value = bool | int | bytes | str | datetime | uuid.UUID
"""What a header may hold."""

MOST_FRAME = 1024 * 1024
"""Bytes of one frame."""
MOST_HEADERS = 128 * 1024
"""Bytes of its headers; AWS's own bound."""
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST_FRAME = _PRELUDE.size + _CRC.size
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EventFrame(msgspec.Struct, frozen=True, gc=False):
    """One frame."""

    headers: dict[str, Value]
    payload: bytes

    def word(self, name: str) -> str:
        """A header that is text, empty where there is none."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class FrameReader:
    """Cuts bytes into frames. Any slicing gives the same frames."""

    __slots__ = ("_held", "broken")

    def __init__(self) -> None:
        self._held = bytearray()
        self.broken: GatewayError | None = None
        """What came is no frame: those before it have been returned, and none will be after it."""

    def feed(self, data: bytes) -> list[EventFrame]:
        """Take the next bytes; return the frames that are now whole. `broken` tells whether they are the last."""
        if self.broken is not None:
            return []
        held = self._held
        held += data
        frames: list[EventFrame] = []
        at = 0
        try:
            while (end := _end(held, at)) and end <= len(held):
                frames.append(_read(bytes(held[at:end])))
                at = end
        except ValueError as error:
            self.broken = protocol(f"The provider's event stream is broken: {error}.", bytes(held[at : at + _LEAST_FRAME]))
            at = len(held)
        del held[:at]
        return frames

    def close(self) -> None:
        """The stream ended; half a frame that is left is a break."""
        if self._held and self.broken is None:
            self.broken = protocol("The provider's event stream ended in the middle of an event.", bytes(self._held[:64]))


def _end(held: bytearray, at: int) -> int:
    """Where the frame that begins at `at` ends; 0 while that is not known. Raises ValueError for what cannot be a frame."""
    if len(held) - at < _PRELUDE.size:
        return 0
    total, headers, crc = _PRELUDE.unpack_from(held, at)
    if zlib.crc32(held[at : at + _PRELUDE.size - _CRC.size]) != crc:
        raise ValueError("the checksum of an event's beginning is wrong")
    if total > MOST_FRAME or headers > MOST_HEADERS:
        raise ValueError(f"an event has more than {MOST_FRAME} bytes, or {MOST_HEADERS} of headers")
    if total < _LEAST_FRAME + headers:
        raise ValueError("an event is shorter than its parts")
    return at + int(total)


def _read(raw: bytes) -> EventFrame:
    (crc,) = _CRC.unpack_from(raw, len(raw) - _CRC.size)
    if zlib.crc32(raw[: -_CRC.size]) != crc:
        raise ValueError("the checksum of an event is wrong")
    _, headers, _ = _PRELUDE.unpack_from(raw)
    begin = _PRELUDE.size + headers
    return EventFrame(_headers(raw[_PRELUDE.size : begin]), raw[begin : -_CRC.size])


def _headers(raw: bytes) -> dict[str, Value]:
    """A name with its length in a byte, the type in a byte, the value. Raises ValueError."""
    found: dict[str, Value] = {}
    at = 0
    try:
        while at < len(raw):
            begin = at + 1 + raw[at]
            name = raw[at + 1 : begin].decode()
            size, read = _TYPES[raw[begin]]
            at = begin + 1
            if size < 0:  # its length stands before it
                size = int.from_bytes(raw[at : at + 2], "big")
                at += 2
            found[name] = read(_exactly(raw, at, size))
            at += size
    except (IndexError, OverflowError, ValueError):
        raise ValueError("the headers of an event cannot be read") from None
    return found


def _exactly(raw: bytes, at: int, size: int) -> bytes:
    if at + size > len(raw):
        raise IndexError
    return raw[at : at + size]


def _integer(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _time(value: bytes) -> datetime:
    """Milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=_integer(value))


#: By the type's number: how many bytes a value has (-1: its length stands before it in two bytes), and how it is read.
_TYPES: tuple[tuple[int, Callable[[bytes], Value]], ...] = (
    (0, lambda _: True),
    (0, lambda _: False),
    (1, _integer),
    (2, _integer),
    (4, _integer),
    (8, _integer),
    (-1, bytes),
    (-1, lambda value: value.decode()),
    (8, _time),
    (16, lambda value: uuid.UUID(bytes=value)),
)
