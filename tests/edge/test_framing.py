"""Bodies as bytes in, bytes out."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.edge.framing import ChunkedDecoder, FramingError, Inflater, TooLarge

LIMIT = 10_000


def slices(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def decode(pieces: list[bytes], limit: int = LIMIT) -> tuple[bytes, bytes, bool]:
    """(body, what follows it, whether it ended)."""
    decoder, rest = ChunkedDecoder(limit), b""
    for piece in pieces:
        if decoder.done:
            rest += piece
        else:
            rest += decoder.feed(piece)
    return decoder.take(), rest, decoder.done


WHOLE = [
    (b"0\r\n\r\n", b"", b""),
    (b"3\r\nabc\r\n0\r\n\r\n", b"abc", b""),
    (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /", b"abcde", b"GET /"),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
    (b"a\r\n0123456789\r\n00\r\n\r\n", b"0123456789", b""),
    (b"0003\r\nabc\r\n0\r\n\r\n", b"abc", b""),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", b""),
    (b"1\r\na\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\nrest", b"a", b"rest"),
]


@pytest.mark.parametrize(("data", "body", "rest"), WHOLE)
def test_a_whole_body(data: bytes, body: bytes, rest: bytes) -> None:
    """A client that streams its request must be read to the byte, with what it pipelined behind."""
    assert decode([data]) == (body, rest, True)


REFUSED = [
    b"+3\r\nabc\r\n",
    b"-1\r\n",
    b"0x3\r\nabc\r\n",
    b" 3\r\nabc\r\n",
    b"3 \r\nabc\r\n",
    b"3;a=b\r\nabc\r\n",
    b"3;\r\nabc\r\n",
    b"\r\nabc",
    b"3\nabc\n",
    b"3\rabc",
    b"g\r\n",
    b"3_0\r\n",
    b"ffffffffffffffff\r\n",
    b"0000000000000000\r\n",
    b"3\r\nabcd\r\n",
    b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabcX",
    b"0\n\r\n",
    b"0\r\nno colon\r\n\r\n",
    b"0\r\n folded: 1\r\n\r\n",
    b"0\r\n\tfolded: 1\r\n\r\n",
    b"0\r\nx: a\nb\r\n\r\n",
    b"0\r\nx: a\rb\r\n\r\n",
    b"0\r\nx: \0\r\n\r\n",
    b"0\r\n" + b"x: y\r\n" * 5000,
    b"0\r\nx: " + b"y" * 9000,
]


@pytest.mark.parametrize("data", REFUSED)
def test_what_two_parsers_could_read_in_two_ways_is_refused(data: bytes) -> None:
    """Each of these hides a second request from one of two servers in a row (docs/faults.md S1); whole or byte by byte."""
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(FramingError):
            decode(pieces)


def test_a_body_over_its_bound_is_refused_before_it_arrived() -> None:
    """The announcement is enough: nobody's memory is filled with what will not be used."""
    decoder = ChunkedDecoder(10)
    assert decoder.feed(b"a\r\n0123456789\r\n") == b""
    with pytest.raises(TooLarge):
        decoder.feed(b"1\r\n")
    with pytest.raises(TooLarge):
        ChunkedDecoder(10).feed(b"fffffffffff\r\n")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.binary(max_size=20), st.lists(st.integers(0, 600)))
def test_any_slicing_gives_the_same_body(chunks: list[bytes], after: bytes, cuts: list[int]) -> None:
    """How the network cuts a request must never change what was asked."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + after
    assert decode(slices(data, cuts)) == (b"".join(chunks), after, True)


CHUNKY = st.lists(
    st.one_of(
        st.binary(max_size=6), st.sampled_from([b"\r\n", b"0\r\n", b"1\r\na\r\n", b"\r\n\r\n", b"a: b\r\n", b"5", b"\r"])
    ),
    max_size=12,
).map(b"".join)


@given(CHUNKY, st.lists(st.integers(0, 80)))
def test_any_bytes_are_a_body_or_refused_and_slicing_does_not_matter(data: bytes, cuts: list[int]) -> None:
    """Anything but `FramingError` would end the connection without an answer; a verdict by slicing would be smuggling."""

    def verdict(pieces: list[bytes]) -> object:
        try:
            return decode(pieces, 64)
        except FramingError as error:
            return type(error)

    assert verdict([data]) == verdict(slices(data, cuts))


def test_many_tiny_chunks_take_little_memory() -> None:
    """A list of two-byte pieces would take thirty times the bytes a client sent."""
    decoder = ChunkedDecoder(1 << 20)
    decoder.feed(b"2\r\nab\r\n" * 1000)
    assert isinstance(decoder._body, bytearray)
    assert (decoder.held, decoder.take(), decoder.held) == (2000, b"ab" * 1000, 0)


def test_what_was_taken_is_not_held() -> None:
    """A body that is passed on while it arrives stays flat in memory; the limit counts all of it."""
    decoder = ChunkedDecoder(10)
    assert decoder.feed(b"4\r\nabc") == b""
    assert (decoder.take(), decoder.take()) == (b"abc", b"")
    assert decoder.feed(b"d\r\n5\r\nefghi\r\n") == b""
    assert (decoder.take(), decoder.held) == (b"defghi", 0)
    with pytest.raises(TooLarge):
        decoder.feed(b"2\r\n")


def inflate(pieces: list[bytes], coding: bytes = b"gzip", limit: int = LIMIT) -> tuple[bytes, bool]:
    """(body, whether it came to its end)."""
    machine = Inflater(coding, limit)
    out = b"".join(machine.feed(piece) for piece in pieces)
    return out, machine.finished()


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000)), st.sampled_from([b"gzip", b" X-GZIP ", b"deflate"]))
def test_any_slicing_inflates_to_the_same(body: bytes, cuts: list[int], coding: bytes) -> None:
    """A provider that compresses is as good as one that does not."""
    packed = zlib.compress(body) if coding == b"deflate" else gzip.compress(body)
    assert inflate(slices(packed, cuts), coding) == (body, True)


@given(st.binary(max_size=300))
def test_damaged_bytes_are_refused_never_raised_raw(data: bytes) -> None:
    """The error of zlib itself would be answered as a fault of the gateway."""
    with suppress(FramingError):
        inflate([data])


def test_a_bomb_stops_at_the_bound() -> None:
    """100 MB of zeros arrive as 100 KB; memory is bounded by what the answer may have, not by what it claims."""
    bomb = gzip.compress(bytes(100_000_000))
    with pytest.raises(TooLarge):
        inflate([bomb], limit=1_000_000)
    assert inflate([gzip.compress(bytes(LIMIT))]) == (bytes(LIMIT), True)


def test_a_body_cut_short_is_not_finished() -> None:
    """A short answer must never look whole."""
    assert not inflate([gzip.compress(b"x" * 1000)[:-4]])[1]


def test_an_empty_body_is_whole() -> None:
    """Servers mark error answers without a body as gzip; the status still counts."""
    assert inflate([]) == (b"", True)


def test_bytes_after_the_compressed_end_are_refused() -> None:
    """A second member thrown away in silence would be a short answer that looks whole."""
    with pytest.raises(FramingError):
        inflate([gzip.compress(b"a") + gzip.compress(b"b")])
    with pytest.raises(FramingError):
        inflate([gzip.compress(b"a"), b"x"])


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"", b"compress"])
def test_other_codings_are_not_spoken(coding: bytes) -> None:
    """Passing on bytes we cannot read would hide usage and errors."""
    with pytest.raises(FramingError):
        Inflater(coding, LIMIT)
