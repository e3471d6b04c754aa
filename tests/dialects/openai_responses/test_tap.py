"""A stream that passes, and what is seen of it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_responses.told import (
    CALL,
    MESSAGE,
    PICTURE,
    USAGE,
    added,
    created,
    delta,
    done,
    ended,
    event,
    whole_stream,
)
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_responses.tap import ResponsesTap, tap
from trunkline.dialects.watch import HOLD

ASK = Ask(fields={}, model="m", stream=True, include_usage=True)
GONE = GatewayError(Kind.UPSTREAM_BROKEN, "It hung up.", param="input")


def passed(pieces: list[bytes]) -> tuple[bytes, ResponsesTap]:
    """What goes out, and the tap."""
    found = tap(ASK, hide_usage=True)
    return b"".join(map(found.feed, pieces)) + found.close(), found


def seen(found: ResponsesTap) -> tuple[Any, ...]:
    """All that a tap tells."""
    return (
        found.usage, found.raw_usage, found.finish, found.opened, found.complete, found.ended, found.unread, str(found.error),
        found.estimate(),
    )  # fmt: skip


def test_a_stream_passes_unchanged_and_is_counted() -> None:
    """To the byte for the client, to the token for the ledger."""
    out, found = passed([whole_stream()])
    assert out == whole_stream()
    assert (found.usage.input, found.usage.output, found.finish) == (10, 7, "completed")
    assert json.loads(found.raw_usage) == USAGE
    assert found.opened
    assert found.complete
    assert found.ended
    assert (found.error, found.unread, found.estimate()) == (None, 0, 11)


@given(st.lists(st.integers(0, len(whole_stream())), max_size=12))
def test_slices_change_nothing(cuts: list[int]) -> None:
    """The same bytes in other packets must not lose a token or a letter."""
    data = whole_stream()
    at = [0, *sorted(set(cuts)), len(data)]
    out, found = passed([data[start:end] for start, end in pairwise(at)])
    assert out == data
    assert seen(found) == seen(passed([data])[1])


def test_what_only_announces_opens_nothing() -> None:
    """Before there is anything of an answer, an error is still an ordinary one, and may be tried elsewhere."""
    found = tap(ASK, hide_usage=False)
    assert found.feed(created()) == created()
    assert not found.opened
    found.feed(event("error", code="server_error", message="sorry"))
    assert not found.opened
    assert found.error is not None
    assert found.error.message == "sorry"
    first = tap(ASK, hide_usage=False)
    first.feed(created() + added(0, CALL))
    assert first.opened


def test_announcements_that_repeat_many_tools_open_all_the_same() -> None:
    """Coding agents send fifty kilobytes of tools, which must not be taken for a flood of comments."""
    found = tap(ASK, hide_usage=False)
    found.feed(created(tools=["x" * 20_000]))
    assert found.opened


@pytest.mark.parametrize(
    ("data", "finish"),
    [
        (ended(MESSAGE, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "max_output_tokens"),
        (b'data: {"type":"response.completed"}\n\n', "completed"),
        (b'data: {"type":"response.incomplete","response":5}\n\n', "incomplete"),
        (b"data: [DONE]\n\n", ""),
        (whole_stream()[:-1], "completed"),
        (whole_stream().replace(b"\n", b"\r"), "completed"),
    ],
)
def test_how_it_ended(data: bytes, finish: str) -> None:
    """An end that is not seen would be taken for a broken stream."""
    out, found = passed([created(), data])
    assert out == created() + data
    assert (found.complete, found.ended, found.opened, found.finish) == (True, True, True, finish)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ended(status="failed", error={"code": "server_error", "message": "no"}), "no"),
        (event("response.cancelled", response={}), "The provider could not finish its answer."),
        (event("error", error={"message": "inner"}), "inner"),
        (b"event: error\ndata: plain\n\n", "plain"),
        (b'data: {"error":{"message":"nameless"}}\n\n', "nameless"),
    ],
)
def test_errors_inside_the_stream(data: bytes, message: str) -> None:
    """A 200 is not success; of two errors the first is the cause."""
    _, found = passed([delta("output_text", 0, "a"), data, event("error", message="later")])
    assert found.error is not None
    assert found.error.message == message
    assert not found.complete
    assert found.opened
    found.close()


def test_a_broken_stream_ends_with_an_error_that_goes_on_counting() -> None:
    """SDKs raise it, and numbers must have no gap."""
    found = tap(ASK, hide_usage=False)
    found.feed(event("response.output_text.delta", delta="a", sequence_number=7))
    lines = found.fail(GONE).split(b"\n")
    assert lines[0] == b"event: error"
    told = {"type": "error", "code": "upstream_broken", "message": "It hung up.", "param": "input", "sequence_number": 8}
    assert json.loads(lines[1].removeprefix(b"data: ")) == told
    assert lines[2:] == [b"", b""]
    assert json.loads(tap(ASK, hide_usage=False).fail(GONE).split(b"\n")[1][6:])["sequence_number"] == 0


def test_what_cannot_be_read_passes_and_is_counted() -> None:
    """A new event must not break an old gateway."""
    out, found = passed([b"data: {nonsense\n\n", b": ping\n\n", b"data: [1]\n\n", event("response.later", x=1)])
    assert out.count(b"\n\n") == 4
    assert found.unread == 2
    assert found.opened


BIG_PICTURE = {**PICTURE, "result": "A" * (2 * HOLD)}
BIG = ended(BIG_PICTURE)


@pytest.mark.parametrize("size", [len(BIG), 65_536, 1000])
@pytest.mark.parametrize(
    ("data", "end", "usage", "error"),
    [
        (BIG, True, 10, None),
        (done(0, BIG_PICTURE), False, 0, None),
        (ended(BIG_PICTURE, status="failed"), False, 10, "The provider could not finish its answer."),
    ],
)
def test_a_picture_is_not_held(data: bytes, end: bool, usage: int, error: str | None, size: int) -> None:
    """The last event of an answer with pictures is megabytes long, and still ends it, and still has the bill."""
    out, found = passed([data[at : at + size] for at in range(0, len(data), size)])
    assert out == data
    assert (found.complete, found.ended, found.usage.input, found.unread) == (end, end, usage, 1)
    assert (found.error.message if found.error else None) == error


def test_an_error_after_half_an_event_begins_on_its_own_line() -> None:
    """Else the client would read it as part of the picture."""
    found = tap(ASK, hide_usage=False)
    found.feed(BIG[: HOLD + 100])
    assert found.fail(GONE).startswith(b"\n\nevent: error")


@pytest.mark.parametrize(("reason", "filtered"), [("content_filter", True), ("max_output_tokens", False)])
def test_a_stream_that_a_filter_ends_at_once(reason: str, filtered: bool) -> None:
    """Before a word was said it may go to another provider."""
    response = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}
    _, found = passed([event("response.incomplete", response=response)])
    assert found.filtered() is filtered
