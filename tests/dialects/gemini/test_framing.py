"""Cutting Gemini's streams into pieces and writing them, in both framings."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini.samples import BLOCKED, CALLS, TEXTS, array, slices, sse
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.gemini.framing import Cutter, Framer, Piece, one_line

ERROR = GatewayError(Kind.UPSTREAM_BROKEN, "Gone.")


def cut(pieces: list[bytes]) -> tuple[list[Piece], str]:
    """All pieces, and the framing that was found."""
    cutter = Cutter()
    found = [one for piece in pieces for one in cutter.feed(piece)] + cutter.close()
    return found, cutter.framing


BODIES = [
    (sse(*TEXTS), "sse"),
    (sse(*TEXTS, end="\n\n"), "sse"),
    (b": ping\r\n\r\n" + sse(*CALLS), "sse"),
    (b"\xef\xbb\xbf" + sse(*CALLS), "sse"),
    (array(*TEXTS), "array"),
    (b" \n" + array(*BLOCKED), "array"),
    (json.dumps(TEXTS[0]).encode(), "object"),
    (array({"text": 'a } { ] " \\ \\" [ "'}, {}), "array"),
]


@pytest.mark.parametrize(("body", "framing"), BODIES)
def test_every_framing_is_found_and_cut(body: bytes, framing: str) -> None:
    """Providers answer in the framing they like, and a proxy between may change it."""
    pieces, found = cut([body])
    assert found == framing
    assert b"".join(piece.raw for piece in pieces) == body
    data = [json.loads(piece.data) for piece in pieces if piece.data]
    assert data
    assert all(isinstance(one, dict) for one in data)


@pytest.mark.parametrize(("body", "framing"), BODIES)
def test_slicing_changes_nothing(body: bytes, framing: str) -> None:
    """A network cuts where it likes: in a CR LF, in an escape, in a letter."""
    whole = [piece for piece in cut([body])[0] if piece.data]
    for at in range(len(body)):
        pieces, found = cut([body[:at], body[at:]])
        assert (found, [piece for piece in pieces if piece.data]) == (framing, whole)
    assert [piece for piece in cut([body[at : at + 1] for at in range(len(body))])[0] if piece.data] == whole


@given(st.binary(max_size=80) | st.text('[]{}",\\ab \n', max_size=80).map(str.encode), st.lists(st.integers(0, 80), max_size=6))
def test_any_bytes_are_cut_and_none_is_lost(body: bytes, cuts: list[int]) -> None:
    """Nothing may crash the cutter or vanish in it."""
    pieces, _ = cut(slices(body, cuts))
    assert b"".join(piece.raw for piece in pieces) == body
    assert [piece.data for piece in pieces if piece.data] == [piece.data for piece in cut([body])[0] if piece.data]


def test_a_read_that_is_one_event_needs_no_cutting() -> None:
    """Nearly every one is. One that is not, or that goes on what came before, must be fed."""
    cutter = Cutter()
    assert cutter.lone(b"data: {}\r\n\r\n") == b""  # nobody knows the framing yet
    cutter.feed(b"data: {}\r\n\r\n")
    assert cutter.lone(b"data: {}\r\n\r\n") == b"{}"
    for data in (b"data: {}\n\n", b"data: {}\r\n", b"data: {}\r\n\r\ndata: {}\r\n\r\n", b": {}\r\n\r\n", b"data: {\r}\r\n\r\n"):
        assert cutter.lone(data) == b""
    cutter.feed(b"data: ")
    assert cutter.lone(b"data: {}\r\n\r\n") == b""


def test_an_error_that_breaks_events_off_is_found_as_bare_json() -> None:
    """Google writes it without `data:` in front; its own SDK reads it so."""
    pieces, _ = cut([sse(*TEXTS[:2]) + b'{\r\n  "error": {"code": 500}\r\n}\r\n'])
    assert json.loads(pieces[-1].data) == {"error": {"code": 500}}


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_white_space_without_end_is_not_held_without_end(step: int) -> None:
    """A provider that sends nothing else must not fill the memory, however it is cut."""
    body = b" " * 5000 + b'[{"a": 1}]'
    cutter = Cutter()
    pieces = [piece for at in range(0, len(body), step) for piece in cutter.feed(body[at : at + step])]
    assert cutter.framing == "sse"
    assert b"".join(piece.raw for piece in [*pieces, *cutter.close()]) == body


def test_what_is_held_is_known_and_can_be_given_up() -> None:
    """A piece that is too long must not fill the memory."""
    events = Cutter()
    events.feed(b"data: " + b"x" * 100)
    assert events.held == 106
    assert len(events.loosen()) == 103
    elements = Cutter()
    elements.feed(b'[{"a": "' + b"x" * 100)
    assert (elements.held, elements.loosen()) == (108, b"")


@pytest.mark.parametrize(
    ("form", "chunks", "body"),
    [
        ("sse", [b"{}", b"{}"], b"data: {}\r\n\r\ndata: {}\r\n\r\n"),
        ("array", [b"{}", b"{}"], b"[{},\r\n{}\r\n]"),
        ("array", [], b"[]"),
    ],
)
def test_a_stream_is_framed_as_the_client_asked(form: str, chunks: list[bytes], body: bytes) -> None:
    """The SDKs ask for events; plain HTTP clients read an array."""
    framer = Framer(form)
    assert b"".join(map(framer.chunk, chunks)) + framer.end() == body


@pytest.mark.parametrize("begun", [False, True])
def test_a_broken_stream_ends_in_an_error_that_can_be_read(begun: bool) -> None:
    """Gemini CLI dies of a reset, and an array that is not closed is no JSON."""
    for form in ("sse", "array"):
        framer = Framer(form)
        out = framer.chunk(b"{}") if begun else b""
        data = [json.loads(piece.data) for piece in cut([out + framer.broken(ERROR)])[0] if piece.data]
        assert data[begun:] == [{"error": {"code": 502, "message": "Gone.", "status": "UNAVAILABLE"}}]
    passed = Framer("array")
    passed.passed()
    assert json.loads(b"[{}" + passed.broken(ERROR))[1]["error"]["code"] == 502


@pytest.mark.parametrize(("data", "line"), [(b'{\n "a": [1,\r\n 2.50]}', b'{"a":[1,2.50]}'), (b"{", b""), (b"[" * 5000, b"")])
def test_json_is_put_on_one_line(data: bytes, line: bytes) -> None:
    """An event's data ends at a line end, and an array's elements are full of them."""
    assert one_line(data) == line
