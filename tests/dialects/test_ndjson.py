"""Lines of JSON as bytes: every line end, every slicing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.ndjson import LineCutter, NdjsonReader, bare

CASES = [
    ("lines", b"1\n2\n", [b"1", b"2"]),
    ("CRLF", b"1\r\n2\r\n", [b"1", b"2"]),
    ("a lone CR is no line end", b"[1,\r2]\n", [b"[1,\r2]"]),
    ("blank lines", b"\n\n1\n \r\n\t\n2\n\n", [b"1", b"2"]),
    ("the last end is missing", b"1\n2", [b"1", b"2"]),
    ("a byte order mark", b"\xef\xbb\xbf1\n2\n", [b"1", b"2"]),
    ("other separators are text", "a\u2028b\u0085c\x0bd\x0ce\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce".encode()]),
    ("not UTF-8", b"\xff\n", [b"\xff"]),
    ("nothing", b"", []),
]
STREAMS = st.lists(st.sampled_from([b"{}", b"a", b"\n", b"\r", b"\r\n", b" ", b"\xff", b"\xef\xbb\xbf"]), max_size=24).map(
    b"".join
)


def slices(body: bytes, cuts: list[int]) -> list[bytes]:
    """`body` cut at these places (taken modulo its length)."""
    at = sorted({cut % (len(body) + 1) for cut in cuts})
    return [body[start:end] for start, end in zip([0, *at], [*at, len(body)], strict=True)]


def read(pieces: list[bytes]) -> list[bytes]:
    """All lines of a stream."""
    reader = NdjsonReader()
    return [line for piece in pieces for line in reader.feed(piece)] + reader.close()


@pytest.mark.parametrize(("body", "lines"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_lines_are_read(body: bytes, lines: list[bytes]) -> None:
    """A line taken for two, or two for one, is an answer that cannot be read."""
    assert read([body]) == lines


@given(STREAMS, st.lists(st.integers(0, 200), max_size=8))
def test_slicing_changes_nothing(body: bytes, cuts: list[int]) -> None:
    """A network cuts where it likes."""
    assert read(slices(body, cuts)) == read([body])


@given(STREAMS, st.lists(st.integers(0, 200), max_size=8))
def test_a_cutter_loses_no_byte(body: bytes, cuts: list[int]) -> None:
    """What passes shallowly must be what came in, and only whole lines go out before the end."""
    cutter = LineCutter()
    lines = [line for piece in slices(body, cuts) for line in cutter.feed(piece)]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert b"".join(lines) + cutter.release() == body
    assert cutter.release() == b""


def test_one_line_is_handed_on_as_the_same_object() -> None:
    """The commonest read costs no copy."""
    data = b'{"done":false}\n'
    assert LineCutter().feed(data)[0] is data


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 10 + b"\n"], [b"x" * 6, b"x" * 5]])
def test_a_line_over_the_limit_is_an_error(pieces: list[bytes]) -> None:
    """A provider that never ends a line must not fill our memory."""
    reader = NdjsonReader(limit=10)
    with pytest.raises(GatewayError) as raised:
        list(map(reader.feed, pieces))
    assert raised.value.kind is Kind.UPSTREAM_PROTOCOL


def test_a_line_at_the_limit_is_read() -> None:
    """The limit itself is allowed."""
    assert NdjsonReader(limit=10).feed(b"x" * 9 + b"\n") == [b"x" * 9]


def test_bare() -> None:
    """White space of JSON around a line is none of it."""
    assert bare(b" \t{}\r\n") == b"{}"
