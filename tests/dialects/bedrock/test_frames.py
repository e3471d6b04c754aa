"""Frames, cut and checked."""

from __future__ import annotations

import random
import struct
import uuid
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bedrock.samples import begin, end, frame, text, text_header
from trunkline.canon.errors import Kind
from trunkline.dialects.bedrock.frames import MOST_FRAME, MOST_HEADERS, EventFrame, FrameReader

STREAM = begin() + text(0, "Hällo", " there") + end()


def frames(data: bytes) -> list[EventFrame]:
    """What is read at once."""
    return FrameReader().feed(data)


def header(kind: int, value: bytes) -> bytes:
    """A header named `h`."""
    return b"\x01h" + bytes((kind,)) + value


def broken(data: bytes) -> str:
    """Why what came is no frame; it stays so, and nothing is read any more."""
    reader = FrameReader()
    assert reader.feed(data) == []
    assert reader.broken is not None
    assert (reader.broken.kind, reader.broken.status) == (Kind.UPSTREAM_PROTOCOL, 502)
    assert reader.feed(STREAM) == []
    return reader.broken.message


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (header(0, b""), True),
        (header(1, b""), False),
        (header(2, b"\xff"), -1),
        (header(3, b"\x01\x00"), 256),
        (header(4, b"\x00\x00\x00\x05"), 5),
        (header(5, b"\xff" * 8), -1),
        (header(6, b"\x00\x02ab"), b"ab"),
        (header(7, b"\x00\x02\xc3\xa9"), "é"),
        (header(7, b"\x00\x00"), ""),
        (header(8, struct.pack(">q", 1_500)), datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)),
        (header(9, bytes(range(16))), uuid.UUID(bytes=bytes(range(16)))),
    ],
)
def test_every_type_of_header(raw: bytes, value: Any) -> None:
    """AWS may add a header of any type to an event; none may break the stream."""
    (one,) = frames(frame(text_header(":a", "b") + raw, b"payload"))
    assert one.headers == {":a": "b", "h": value}
    assert type(one.headers["h"]) is type(value)
    assert one.payload == b"payload"
    assert one.word(":a") == "b"
    assert one.word("nowhere") == ""
    assert one.word("h") == (value if isinstance(value, str) else "")


def test_any_slicing_gives_the_same_frames() -> None:
    """Sockets cut where they like."""
    whole = frames(STREAM)
    assert len(whole) == 6
    for cut in range(len(STREAM) + 1):
        reader = FrameReader()
        assert reader.feed(STREAM[:cut]) + reader.feed(STREAM[cut:]) == whole
        reader.close()
        assert reader.broken is None
    reader = FrameReader()
    assert [one for at in range(len(STREAM)) for one in reader.feed(STREAM[at : at + 1])] == whole


@pytest.mark.parametrize("at", [0, 5, 9, 14, 40, len(STREAM) - 1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    """A broken checksum means that something else was said: it is refused, not passed on."""
    changed = bytearray(STREAM)
    changed[at] ^= 0x40
    reader = FrameReader()
    read = reader.feed(bytes(changed))
    assert read == frames(STREAM)[: len(read)]
    assert reader.broken is not None
    assert "checksum" in reader.broken.message


def test_the_checksum_at_the_end_is_checked_on_its_own() -> None:
    """The lengths can be right where the payload is not."""
    raw = frame(b"", b"payload")
    assert "the checksum of an event is wrong" in broken(raw[:-1] + bytes((raw[-1] ^ 1,)))
    assert "the checksum of an event's beginning is wrong" in broken(raw[:8] + b"\x00\x00\x00\x00" + raw[12:])


def _prelude(total: int, headers: int) -> bytes:
    prelude = struct.pack(">II", total, headers)
    return prelude + struct.pack(">I", zlib.crc32(prelude))


def test_lengths_are_bounded_before_anything_is_held() -> None:
    """A length of four gigabytes must not be waited for."""
    assert str(MOST_FRAME) in broken(_prelude(MOST_FRAME + 1, 0))
    assert str(MOST_HEADERS) in broken(_prelude(MOST_FRAME, MOST_HEADERS + 1))
    assert "shorter than its parts" in broken(_prelude(15, 0))
    assert "shorter than its parts" in broken(_prelude(20, 5))
    (one,) = frames(frame(b"", b"x" * (MOST_FRAME - 16)))
    assert len(one.payload) == MOST_FRAME - 16


@pytest.mark.parametrize(
    "raw",
    [
        b"\x05ab",
        b"\x01h",
        header(10, b""),
        header(255, b""),
        header(2, b""),
        header(7, b"\x00\x05ab"),
        header(7, b"\x00"),
        header(6, b""),
        header(7, b"\x00\x01\xff"),
        header(8, b"\x7f" + b"\xff" * 7),
        header(9, b"short"),
        b"\x01\xff\x00",
    ],
)
def test_headers_that_cannot_be_read_are_refused(raw: bytes) -> None:
    """With right checksums too: nothing outside of them may be read as a header's value."""
    assert "headers" in broken(frame(raw))


def test_half_a_frame_at_the_end_is_a_break() -> None:
    """A connection that ends inside an event must not look like a clean end."""
    reader = FrameReader()
    reader.feed(STREAM[:-3])
    reader.close()
    assert reader.broken is not None
    assert "in the middle" in reader.broken.message


@given(st.binary(max_size=300), st.integers(0, 300))
def test_nothing_raises(data: bytes, cut: int) -> None:
    """Any bytes of a provider's are at most a 502."""
    reader = FrameReader()
    reader.feed(data[:cut])
    reader.feed(data[cut:])
    reader.close()


@given(st.binary(max_size=60))
def test_no_headers_raise(raw: bytes) -> None:
    """The same behind right checksums."""
    FrameReader().feed(frame(raw))


def test_what_was_read_is_not_kept() -> None:
    """A long stream must not grow in memory."""
    reader, dice = FrameReader(), random.Random(1)
    for _ in range(200):
        assert len(reader.feed(frame(b"", dice.randbytes(500)))) == 1
    assert len(reader._held) == 0
