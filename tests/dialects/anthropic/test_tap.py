"""Streams on the shallow path: not a byte changes, and usage, stop reason and errors are seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic.samples import ASK, WHOLE_STREAM, begin, block, end, event, slices, text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.anthropic.tap import HOLD, MessagesTap

PING = event("ping")


def observed(pieces: list[bytes]) -> tuple[bytes, tuple[Any, ...]]:
    """What a tap lets through, and what it has read."""
    tap = MessagesTap(ASK, hide_usage=True)
    out = b"".join(map(tap.feed, pieces)) + tap.close()
    error = (tap.error.status, tap.error.message) if tap.error is not None else None
    read = (tap.usage, tap.raw_usage, tap.finish, tap.opened, tap.complete, tap.ended, error, tap.unread, tap.estimate())
    return out, read


def test_a_stream_is_read_and_passes_unchanged_however_it_is_cut() -> None:
    """To the byte for the client, to the token for the ledger."""
    out, read = observed([WHOLE_STREAM])
    usage = Usage(input=17, cache_read=5, cache_write_1h=2, output=9, basis="reported")
    assert out == WHOLE_STREAM
    assert (read[0], read[2:8]) == (usage, ("tool_use", True, True, True, None, 0))
    assert '"cache_read_input_tokens":5' in read[1]
    for pieces in slices(WHOLE_STREAM):
        assert observed(pieces) == (out, read)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_other_framings_are_read_alike(newline: bytes) -> None:
    """Compatible servers send no `event:` lines, or other line ends."""
    bare = b"".join(line + b"\n" for line in WHOLE_STREAM.split(b"\n")[:-1] if not line.startswith(b"event:"))
    told = observed([WHOLE_STREAM])[1][:8]
    assert observed([WHOLE_STREAM.replace(b"\n", newline)])[1][:8] == told
    assert observed([bare.replace(b"\n", newline)])[1][:8] == told


@pytest.mark.parametrize(
    ("data", "opened"),
    [(b"", False), (PING, False), (b": comment\n\n", False), (begin(), True), (event("news"), True), (text(0, "a"), True)],
)
def test_what_opens_a_stream(data: bytes, opened: bool) -> None:
    """Before that the client's status is still open, and another provider may be tried."""
    assert observed([data])[1][3] is opened


@pytest.mark.parametrize(("before", "opened"), [(b"", False), (PING, False), (begin(), True)])
def test_an_error_event_is_told_whether_first_or_in_the_middle(before: bytes, opened: bool) -> None:
    """200 is not success: an overload told as the first event must not open the stream, whatever follows it."""
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    read = observed([before + error + error + text(0, "a")])[1]
    assert (read[3], read[6]) == (opened, (529, "Overloaded"))


@pytest.mark.parametrize("data", [b"event: error\ndata: gone away\n\n", b'event: error\ndata: {"message":"gone away"}\n\n'])
def test_an_error_event_of_another_shape_is_an_error(data: bytes) -> None:
    """Proxies in front of a provider spell theirs as they like."""
    status, message = observed([data])[1][6]
    assert status == 502
    assert "gone away" in message


@pytest.mark.parametrize(
    ("data", "usage"),
    [
        (begin(new=1), NO_USAGE),
        (begin(), Usage(input=10, output=1, basis="estimated")),
        (begin() + end(usage={"output_tokens": 3})[:-30], Usage(input=10, output=3, basis="reported")),
        (begin() + event("message_stop"), Usage(input=10, output=1, basis="reported")),
        (
            begin() + event("message_delta", delta={"stop_reason": None}, usage=None),
            Usage(input=10, output=1, basis="reported"),
        ),
        (begin() + end(usage={"input_tokens": 99, "output_tokens": 3}), Usage(input=99, output=3, basis="reported")),
    ],
)
def test_the_last_report_of_usage_holds(data: bytes, usage: Usage) -> None:
    """While only the beginning has told it, the output is one token and a broken stream would cost nothing."""
    assert observed([data])[1][0] == usage


def test_a_stop_reason_completes_a_stream_and_the_end_mark_ends_it() -> None:
    """A stream without `message_stop` is whole to real clients; one without a stop reason is not."""
    stopped, marked = end().split(b"event: message_stop")
    assert observed([begin() + stopped])[1][4:6] == (True, False)
    assert observed([begin() + stopped + b"event: message_stop" + marked])[1][4:6] == (True, True)
    assert observed([begin() + text(0, "a")])[1][4:6] == (False, False)
    assert observed([begin() + event("message_delta", usage={"output_tokens": 2})])[1][4:6] == (False, False)


def test_a_last_event_without_its_blank_line_is_read() -> None:
    """Some servers close the connection right after it."""
    data = begin() + end()[:-2]
    assert observed([data])[0] == data
    assert observed([data])[1][5]


def test_an_event_over_the_limit_passes_unread() -> None:
    """The gateway holds no more than that of any stream, and changes it none the less."""
    huge = block(0, {"type": "web_search_tool_result", "content": "x" * (2 * HOLD)})
    data = begin() + huge + end()
    out, read = observed([data])
    assert (out, read[7]) == (data, 1)
    size = 50_000
    assert observed([data[at : at + size] for at in range(0, len(data), size)]) == (out, read)
    assert observed([huge])[1][3]


def test_a_broken_stream_ends_in_an_error_event_even_in_the_middle_of_an_event() -> None:
    """What went out of a half event is closed first, or the error would be a part of it."""
    error = GatewayError(Kind.UPSTREAM_BROKEN, "It hung up.")
    tap = MessagesTap(ASK, hide_usage=False)
    tap.feed(begin())
    assert tap.fail(error).startswith(b"event: error\ndata: ")
    tap.feed(b"event: content_block_start\ndata: " + b"x" * (HOLD + 1))
    assert tap.fail(error).startswith(b"\n\nevent: error\ndata: ")


def test_what_cannot_be_read_is_counted_and_passed_on() -> None:
    """The client's own SDK is the judge of it."""
    data = begin() + b"data: {oops\n\n" + event("message_start", message="none")
    out, read = observed([data])
    assert (out, read[7]) == (data, 2)


def test_the_estimate_counts_pieces_or_bytes() -> None:
    """What a broken stream is charged for: some servers send many tokens in a piece, Anthropic some three."""
    assert observed([text(0, *"abcdefgh")])[1][8] == 8
    assert 900 <= observed([text(0, "x" * 4000)])[1][8] <= 1100
    bare = text(0, *"abcdefgh").replace(b"event: content_block_delta\n", b"")
    assert observed([bare])[1][8] == 8


@given(st.lists(st.binary()))
def test_any_bytes_pass(pieces: list[bytes]) -> None:
    """No stream may crash its tap."""
    assert observed(pieces)[0] == b"".join(pieces)


def test_a_stream_that_a_filter_ends_at_once() -> None:
    """Before a word was said it may go to another provider; not after one."""
    tap = MessagesTap(ASK, hide_usage=False)
    tap.feed(begin())
    assert not tap.filtered()
    tap.feed(event("message_delta", delta={"stop_reason": "refusal"}))
    assert tap.filtered()
    tap = MessagesTap(ASK, hide_usage=False)
    tap.feed(begin() + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "I"}))
    tap.feed(event("message_delta", delta={"stop_reason": "refusal"}))
    assert not tap.filtered()
