"""Messages of a WebSocket, read while they pass: the accounts of a realtime session rest on them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.edge.websocket import Messages

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"", reserved: int = 0) -> bytes:
    """One frame."""
    size = len(payload)
    short, extended = (size, b"") if size < 126 else (126, size.to_bytes(2)) if size < 65536 else (127, size.to_bytes(8))
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([0x80 * final | reserved | opcode, 0x80 * bool(mask) | short]) + extended + mask + masked


def told(data: bytes, cuts: list[int], most: int = 1000) -> tuple[list[bytes], bool, bool]:
    """What is read of `data`, cut at these places."""
    messages = Messages(most)
    found = []
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        found += messages.feed(data[start:end])
    return found, messages.closed, messages.lost


SESSION = b"".join(
    (
        frame(TEXT, b"one"),
        frame(BINARY, b"\x81\x03two"),
        frame(TEXT, b"th", final=False),
        frame(PING, b"still there?"),
        frame(0, b"re", final=False, mask=b"\x01\x02\x03\x04"),
        frame(0, b"e"),
        frame(BINARY, b"b", final=False),
        frame(0, b"c"),
        frame(TEXT, b"m" * 200, mask=b"mask"),
        frame(TEXT, b""),
        frame(TEXT, b"l" * 70_000),
        frame(TEXT, b"x" * 600, final=False),
        frame(0, b"x" * 600),
        frame(TEXT, b"last"),
        frame(CLOSE, b"\x03\xe8"),
    )
)
READ = [b"one", b"three", b"m" * 200, b"", b"last"]


@given(st.lists(st.integers(0, len(SESSION)), max_size=12))
def test_any_cut_reads_the_same(cuts: list[int]) -> None:
    """Usage must be counted whatever the network makes of the frames; long messages are passed over, not held."""
    assert told(SESSION, cuts) == (READ, True, False)


def test_byte_by_byte() -> None:
    """The finest cut of all."""
    assert told(SESSION, list(range(len(SESSION)))) == (READ, True, False)


def test_what_is_not_read_is_still_followed() -> None:
    """Of what a client sends only the end is of interest."""
    assert told(SESSION, [], most=0) == ([], True, False)


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"a", reserved=0x40),
        frame(PING, b"a", final=False),
        frame(PING, b"a" * 126),
        b"\x81\x7f" + b"\xff" * 8,
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["compressed", "a ping in pieces", "a long ping", "an endless frame", "not frames"],
)
def test_what_are_no_frames_are_read_no_further(data: bytes) -> None:
    """Bytes that only look like frames must not be taken for usage."""
    for cuts in ([], list(range(len(data)))):
        assert told(data + frame(TEXT, b"one"), cuts) == ([], False, True)


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(0, 64))
def test_any_bytes_are_borne(pieces: list[bytes], most: int) -> None:
    """A provider may send anything: nothing is raised, and nothing longer than agreed is returned."""
    messages = Messages(most)
    assert all(len(message) <= most for piece in pieces for message in messages.feed(piece))


def test_where_a_word_of_our_own_could_stand() -> None:
    """Only between two frames: in the middle of one it would be taken for its content."""
    messages = Messages()
    data = frame(TEXT, b"abc") + frame(BINARY, b"")
    for at in range(len(data)):
        assert messages.between == (at in {0, 5}), at
        messages.feed(data[at : at + 1])
    assert messages.between
    messages.feed(b"HTTP/1.1")
    assert not messages.between
