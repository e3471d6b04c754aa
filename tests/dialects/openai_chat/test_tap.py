"""The tap: bytes pass unchanged, and what they report is read, however they are sliced."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_chat.variants import HELLO, STOP, USAGE, VARIANTS, Variant, chunk, delta, events
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.openai_chat.tap import ChatTap
from trunkline.dialects.openai_shape.errors import write_stream_error
from trunkline.dialects.watch import HOLD

NAMES = [variant.name for variant in VARIANTS]


def run(pieces: list[bytes], *, hide_usage: bool = False) -> tuple[bytes, tuple[Any, ...]]:
    """What goes out, and all that was read."""
    tap = ChatTap(hide_usage=hide_usage)
    out = b"".join(map(tap.feed, pieces)) + tap.close()
    error = tap.error and (tap.error.kind, tap.error.status, tap.error.message)
    return out, (tap.usage, tap.raw_usage, tap.finish, tap.opened, tap.complete, error, tap.unread, tap.estimate())


def slices(body: bytes, cuts: list[int]) -> list[bytes]:
    """`body` cut at these places (taken modulo its length)."""
    at = sorted({cut % (len(body) + 1) for cut in cuts})
    return [body[start:end] for start, end in zip([0, *at], [*at, len(body)], strict=True)]


@pytest.mark.parametrize("hide", [False, True], ids=["shown", "hidden"])
@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_every_variant_is_read_and_passes_unchanged(variant: Variant, hide: bool) -> None:
    """The client must see the provider's own bytes, less the one chunk only we asked for; the ledger the provider's numbers."""
    tap = ChatTap(hide_usage=hide)
    out = tap.feed(variant.body) + tap.close()
    assert out == (variant.body.replace(variant.hidden, b"") if hide and variant.hidden else variant.body)
    assert (tap.usage.input, tap.usage.output, tap.finish) == (variant.input, variant.output, variant.finish)
    assert (tap.usage.basis == "reported") == bool(variant.input) == bool(tap.raw_usage)
    assert (tap.error.message if tap.error else "") == variant.error
    assert (tap.complete, tap.unread) == (variant.complete, variant.unread)
    assert tap.opened == (bool(variant.body) and not variant.body.startswith(b"event: error"))


@pytest.mark.parametrize("hide", [False, True], ids=["shown", "hidden"])
@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_slicing_changes_nothing(variant: Variant, hide: bool) -> None:
    """A network cuts where it likes: every single cut, and byte by byte."""
    whole = run([variant.body], hide_usage=hide)
    assert run([variant.body[at : at + 1] for at in range(len(variant.body))], hide_usage=hide) == whole
    for cut in range(len(variant.body)):
        assert run([variant.body[:cut], variant.body[cut:]], hide_usage=hide) == whole


PIECES = st.sampled_from(
    [
        *(
            piece.encode()
            for piece in (*HELLO, STOP, chunk("", "," + USAGE), chunk("", "," + USAGE + ',"error":{"code":429}'), "[DONE]")
        ),
        *(b"data: ", b"data:", b"event: error\n", b": c\n", b"\n", b"\n\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff", b"data"),
    ]
)
STREAMS = st.lists(PIECES, max_size=20).map(b"".join) | st.binary(max_size=60)


@given(STREAMS, st.lists(st.integers(0, 2000), max_size=8), st.booleans())
def test_any_bytes_in_any_slices_read_the_same(body: bytes, cuts: list[int], hide: bool) -> None:
    """No bytes may crash the tap, change on the way, or count differently by chance."""
    whole = run([body], hide_usage=hide)
    assert run(slices(body, cuts), hide_usage=hide) == whole
    assert run([body])[0] == body


@given(
    st.lists(
        st.sampled_from([b"x" * 7, b"\n", b"\r", b"\n\n", *events(STOP, "[DONE]").partition(b"}\n\n"), b"y" * HOLD]),
        max_size=12,
    ),
    st.lists(st.integers(0, 4 * HOLD), max_size=6),
)
def test_events_too_long_to_hold_change_nothing_either(parts: list[bytes], cuts: list[int]) -> None:
    """Pictures come in events of megabytes: they pass, unread, and what follows is read again, in every slicing."""
    body = b"data: " + b"".join(parts)
    assert run(slices(body, cuts), hide_usage=True) == run([body], hide_usage=True)
    assert run(slices(body, cuts))[0] == body


def test_an_event_too_long_to_hold_passes_as_it_comes() -> None:
    """Memory per stream is bounded, and the next event counts."""
    tap = ChatTap(hide_usage=True)
    assert tap.feed(b"data: " + b"x" * (HOLD - 6)) == b""
    assert len(tap.feed(b"y")) == HOLD + 1 - 3
    assert (tap.opened, tap.unread) == (True, 1)
    assert tap.feed(b"z" * 10) == b"xxy" + b"z" * 7
    out = tap.feed(b"\n\n" + events(STOP, chunk("", "," + USAGE)))
    assert out.endswith(b"\n\n" + events(STOP))
    assert (tap.usage.input, tap.finish, tap.unread) == (7, "stop", 1)


def test_one_event_is_handed_on_as_the_same_object() -> None:
    """The commonest read costs no copy."""
    event = events(HELLO[1])
    tap = ChatTap(hide_usage=True)
    assert tap.feed(event) is event


def test_only_whole_events_go_out() -> None:
    """So that a stream that breaks can end with an error event on a clean boundary."""
    event = events(HELLO[1])
    tap = ChatTap(hide_usage=False)
    assert tap.feed(event + event[:30]) == event
    assert tap.feed(event[30:-1]) == b""
    assert tap.feed(event[-1:] + b"data") == event


@pytest.mark.parametrize(
    "ping", [b": ping\n\n", b"\n\n", b"event: ping\n\n", b"\xef\xbb\xbf: x\r\n\r\n", b"data:\n\n", b"retry: 5\n\n"]
)
def test_pings_do_not_open_a_stream(ping: bytes) -> None:
    """The client's 200 waits for the first event; a keep-alive must not commit us to a provider that then fails."""
    tap = ChatTap(hide_usage=False)
    assert tap.feed(ping) == ping
    assert not tap.opened
    tap.feed(events(HELLO[0]))
    assert tap.opened


@pytest.mark.parametrize(
    ("event", "kind", "status", "message"),
    [
        (events('{"error":{"message":"m","type":"server_error"}}'), Kind.UPSTREAM_FAILED, 502, "m"),
        (events('{"error":{"message":"m","code":429}}'), Kind.UPSTREAM_FAILED, 429, "m"),
        (events('{"error":{"message":"m","code":400}}'), Kind.UPSTREAM_REFUSED, 400, "m"),
        (events('{"error":"m"}'), Kind.UPSTREAM_FAILED, 502, "m"),
        (
            b'event: error\ndata: {"message":"m"}\n\n',
            Kind.UPSTREAM_FAILED,
            502,
            "The provider reported an error inside its answer.",
        ),
        (b"event: error\ndata: m\n\n", Kind.UPSTREAM_FAILED, 502, "m"),
    ],
)
def test_a_first_event_that_is_an_error_is_known_at_once(event: bytes, kind: Kind, status: int, message: str) -> None:
    """It is answered as an error with a status, and may be retried: the client has seen nothing yet."""
    tap = ChatTap(hide_usage=False)
    assert tap.feed(event) == event
    assert tap.error is not None
    assert (tap.error.kind, tap.error.status, tap.error.message) == (kind, status, message)
    assert not tap.opened
    tap.feed(events("[DONE]"))
    assert not tap.opened
    assert tap.error.upstream is not None
    assert not tap.error.upstream.verbatim


def test_an_error_after_content_in_the_same_read_leaves_the_stream_open() -> None:
    """Where the network cut the bytes must not decide whether a client gets a status or a stream."""
    tap = ChatTap(hide_usage=False)
    tap.feed(events(*HELLO, '{"error":{"message":"m"}}'))
    assert tap.opened
    assert tap.error is not None


@pytest.mark.parametrize("error", ["null", "{}", '""', "false"])
def test_an_empty_error_is_none(error: str) -> None:
    """Some servers write the field always."""
    assert run([events(chunk(delta('"content":"x"'), ',"error":' + error))])[1][5] is None


def test_the_first_error_is_kept() -> None:
    """What follows an error is its echo."""
    assert run([events('{"error":"one"}', '{"error":"two"}')])[1][5] == (Kind.UPSTREAM_FAILED, 502, "one")


def test_a_usage_chunk_with_an_error_is_not_hidden() -> None:
    """The client must learn of the error."""
    body = events(chunk("", "," + USAGE + ',"error":{"message":"m"}'))
    assert run([body], hide_usage=True)[0] == body


def test_a_chunk_without_choices_is_not_hidden() -> None:
    """Only the chunk that OpenAI documents is ours to keep: an empty list of choices and a usage."""
    for rest in (
        "{" + USAGE + "}",
        '{"choices":null,' + USAGE + "}",
        chunk(delta(""), "," + USAGE),
        chunk("", ',"usage":null'),
        chunk(""),
    ):
        assert run([events(rest)], hide_usage=True)[0] == events(rest)


@pytest.mark.parametrize(
    ("deltas", "tokens"),
    [
        ([], 0),
        (['"role":"assistant","content":""', '"content":null', ""], 0),
        (['"content":" a"'] * 10, 10),
        (['"content":"' + "word " * 80 + '"'], 100),
        (['"reasoning":"a"', '"reasoning_content":"a"', '"content":[{"type":"text"}]'], 4),
        (['"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":""}}]'], 0),
        (['"tool_calls":[{"index":0,"function":{"arguments":"{\\"a"}}]'] * 4, 4),
        (['"tool_calls":[{"index":0}],"content":null', '"tool_calls":[{"function":{"name":"f"}}]', '"tool_calls":null'], 0),
    ],
)
def test_output_is_guessed_from_what_was_streamed(deltas: list[str], tokens: int) -> None:
    """A stream that breaks before it reports is charged by this: nothing for empty chunks, about right for the rest."""
    body = events(*(chunk(delta(fields)) for fields in deltas), chunk('{"index":0}'), chunk("", "," + USAGE))
    tap = ChatTap(hide_usage=True)
    tap.feed(body)
    assert tap.estimate() == tokens


def test_the_last_report_wins() -> None:
    """Perplexity reports in every chunk; an unreadable later one does not undo it."""
    usages = ['{"prompt_tokens":7,"completion_tokens":1}', '{"prompt_tokens":7,"completion_tokens":5}', "null", "{}"]
    tap = ChatTap(hide_usage=False)
    tap.feed(events(*(chunk(delta('"content":"a"'), f',"usage":{usage}') for usage in usages)))
    assert (tap.usage.output, tap.raw_usage) == (5, usages[1])


def test_a_fresh_tap_knows_nothing() -> None:
    """What has not been reported must not look reported."""
    assert run([]) == (b"", (NO_USAGE, "", "", False, False, None, 0, 0))


def test_a_choice_of_unknown_shape_does_not_cost_the_usage() -> None:
    """One odd element beside a correct usage: the ledger still gets the provider's numbers."""
    tap = ChatTap(hide_usage=False)
    odd = '{"choices":[{"index":0,"delta":{"tool_calls":[null]},"finish_reason":"stop"}],' + USAGE + "}"
    body = events(*HELLO, odd, "[DONE]")
    assert tap.feed(body) == body
    assert (tap.usage.input, tap.usage.output, tap.unread) == (7, 2, 1)


@pytest.mark.parametrize("rest", [b",x", b',"error":' + b"[" * 100_000], ids=["broken further on", "too deep further on"])
def test_broken_behind_a_choice_of_unknown_shape(rest: bytes) -> None:
    """The first look stops at the odd choices and sees nothing of what follows: it must not fail the request there."""
    tap = ChatTap(hide_usage=True)
    event = b'data: {"choices":7' + rest + b"\n\n"
    assert tap.feed(event) == event
    assert (tap.opened, tap.unread) == (True, 1)


def test_every_choice_has_its_end() -> None:
    """n=2: the first choice's finish is not the answer's."""
    tap = ChatTap(hide_usage=False)
    tap.feed(events(chunk(delta('"content":"a"') + "," + delta('"content":"b"').replace('"index":0', '"index":1')), STOP))
    assert not tap.complete
    tap.feed(events(STOP.replace('"index":0', '"index":1')))
    assert (tap.complete, tap.ended) == (True, False)
    tap.feed(events("[DONE]"))
    assert tap.ended


def test_a_broken_stream_ends_with_an_error_on_a_clean_boundary() -> None:
    """Half an event is already out where it was too long to hold: its rest must not swallow the error."""
    error = GatewayError(Kind.UPSTREAM_BROKEN, "gone")
    tap = ChatTap(hide_usage=False)
    tap.feed(events(HELLO[0]) + b"data: half")
    assert tap.fail(error) == write_stream_error(error)
    tap.feed(b"x" * HOLD)
    assert tap.fail(error) == b"\n\n" + write_stream_error(error)


def test_a_stream_that_a_filter_ends_at_once() -> None:
    """Before a word was said it may go to another provider; not after one."""
    end = events(chunk(delta("", '"content_filter"')))
    for before, filtered in ((events(HELLO[0]), True), (b"", True), (events(*HELLO), False)):
        tap = ChatTap(hide_usage=False)
        tap.feed(before)
        assert not tap.filtered()
        tap.feed(end)
        assert tap.filtered() is filtered
