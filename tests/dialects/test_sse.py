"""Event streams as bytes: every line end, every slicing, every oddity seen in the wild."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import Kind
from trunkline.dialects.sse import EventCutter, SseEvent, SseReader, lone_data, parse

CASES = [
    ("one event", b"data: a\n\n", [("", b"a")]),
    ("no space after the colon", b"data:a\n\n", [("", b"a")]),
    ("only one space is taken", b"data:  a\n\n", [("", b" a")]),
    ("named event", b"event: error\ndata: a\n\n", [("error", b"a")]),
    ("name after the data", b"data: a\nevent:x\n\n", [("x", b"a")]),
    ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
    ("CR only", b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
    ("mixed line ends", b"data: a\n\r\ndata: b\r\ndata: c\r\n\ndata: d\r\r\n", [("", b"a"), ("", b"b\nc"), ("", b"d")]),
    ("CR and LF apart", b"data: a\n\r\n\rdata: b\n\n", [("", b"a"), ("", b"b")]),
    ("several data lines", b"data: a\ndata\ndata: b\n\n", [("", b"a\n\nb")]),
    ("comments and pings", b": ping\n\n:\n\ndata: a\n: c\n\n", [("", b"a")]),
    ("blank lines before and between", b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
    ("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
    ("unknown fields", b"id: 7\nretry: 10\nfoo\ndata: a\n\n", [("", b"a")]),
    ("an event without data", b"event: ping\n\ndata: a\n\n", [("", b"a")]),
    ("empty data", b"data:\n\n", [("", b"")]),
    (
        "other line separators are text",
        "data: a\u2028b\u0085c\x0bd\x0ce\n\n".encode(),
        [("", "a\u2028b\u0085c\x0bd\x0ce".encode())],
    ),
    ("not UTF-8", b"event: \xff\ndata: \xff\xfe\n\n", [("\ufffd", b"\xff\xfe")]),
    ("the last blank line is missing", b"data: a\n\ndata: [DONE]", [("", b"a"), ("", b"[DONE]")]),
    ("nothing", b"", []),
]

STREAMS = st.lists(
    st.sampled_from(
        [b"data: a", b"data:", b"event: e", b": c", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"x", b"\xef\xbb\xbf", b"\xff"]
    ),
    max_size=24,
).map(b"".join)


def slices(body: bytes, cuts: list[int]) -> list[bytes]:
    """`body` cut at these places (taken modulo its length)."""
    at = sorted({cut % (len(body) + 1) for cut in cuts})
    return [body[start:end] for start, end in zip([0, *at], [*at, len(body)], strict=True)]


def read(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    """All events of a stream."""
    reader = SseReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return [(event.event, event.data) for event in events + reader.close()]


@pytest.mark.parametrize(("body", "events"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_form_is_read_in_every_slicing(body: bytes, events: list[tuple[str, bytes]]) -> None:
    """A network cuts where it likes; a reader that minds loses tokens now and then, never in the office."""
    assert read([body]) == events
    assert read([body[at : at + 1] for at in range(len(body))]) == events
    for cut in range(len(body)):
        assert read([body[:cut], body[cut:]]) == events


@given(STREAMS | st.binary(max_size=80), st.lists(st.integers(0, 200), max_size=8))
def test_any_slicing_of_any_bytes_reads_the_same(body: bytes, cuts: list[int]) -> None:
    """The same for streams nobody thought of."""
    assert read(slices(body, cuts)) == read([body])


@given(STREAMS, st.lists(st.integers(0, 200), max_size=8))
def test_events_are_what_the_standard_makes_of_the_lines(body: bytes, cuts: list[int]) -> None:
    """Read again, line by line, as the standard words it: an independent reader must see the same events."""
    events: list[tuple[str, bytes]] = []
    name, lines = b"", []
    rest = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in [*rest.split(b"\n"), b""]:
        field, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":") if not (name or lines) else line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if not line:
            if lines:
                events.append((name.decode("utf-8", "replace"), b"\n".join(lines)))
            name, lines = b"", []
        elif field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    marked = body.count(b"\xef\xbb\xbf") > body.startswith(b"\xef\xbb\xbf")
    assert marked or read(slices(body, cuts)) == events


@given(STREAMS | st.binary(max_size=80), st.lists(st.integers(0, 200), max_size=8))
def test_the_cutter_loses_and_adds_nothing(body: bytes, cuts: list[int]) -> None:
    """What is forwarded is cut by it; a byte lost here is a byte lost to the client."""
    cutter = EventCutter()
    out = b"".join(raw for piece in slices(body, cuts) for raw in cutter.feed(piece))
    assert out + cutter.release() == body
    assert cutter.held == b""


def test_a_loosened_cutter_still_finds_the_end() -> None:
    """An over-long event is passed on as it comes; the next one must be read again."""
    for blank in (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"):
        cutter = EventCutter()
        out = b""
        pieces = []
        for byte in b"data: long" + blank + b"data: b\n\n":
            pieces += cutter.feed(bytes([byte]))
            if not pieces:
                out += cutter.loosen()
        assert out + pieces[0] == b"data: long" + blank
        assert pieces[1] == b"data: b\n\n"


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("end", [b"\n\n", b"", b"\n\ndata: c\n\n"])
def test_an_event_over_the_limit_is_the_end_of_all(size: int, end: bytes) -> None:
    """A provider that never ends a line must not fill the memory, and where it is cut must make no difference."""
    body = b"data: a\n\n: ping\n\ndata: b\n\ndata: " + b"x" * 60 + end
    reader = SseReader(limit=50)
    told = [event.data for at in range(0, len(body), size) for event in reader.feed(body[at : at + size])]
    assert reader.close() == reader.feed(b"data: d\n\n") == []
    assert told == [b"a", b"b"]
    assert reader.overlong is not None
    assert (reader.overlong.kind, "more than 50 bytes" in reader.overlong.message) == (Kind.UPSTREAM_PROTOCOL, True)


def test_an_event_at_the_limit_is_read() -> None:
    """Line ends count."""
    reader = SseReader(limit=68)
    assert reader.feed(b"data: " + b"x" * 60 + b"\n\n") == [SseEvent("", b"x" * 60)]
    assert reader.overlong is None


@given(STREAMS, st.lists(st.integers(0, 200), max_size=8))
def test_any_slicing_ends_at_the_same_event(body: bytes, cuts: list[int]) -> None:
    """What came before the event that was too long was said, and counts."""
    whole, sliced = SseReader(limit=12), SseReader(limit=12)
    told = [event for piece in slices(body, cuts) for event in sliced.feed(piece)]
    assert told == whole.feed(body)
    assert (sliced.overlong is None) == (whole.overlong is None)
    assert sliced.close() == whole.close()


@given(STREAMS)
def test_the_short_way_agrees_with_the_long_one(raw: bytes) -> None:
    """The one-line form is read without splitting lines; it must not see what is not there."""
    data = lone_data(raw)
    if data is not None:
        assert parse(b": comment\n" + raw) == SseEvent("", data) == parse(raw)
