"""Whole answers on the shallow path."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.anthropic.reply import read_reply

USAGE = b'{"input_tokens":3,"output_tokens":2}'
ANSWER = b'{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":' + USAGE + b"}"


def test_usage_and_stop_reason_are_read_in_passing() -> None:
    """The ledger's row is made of these."""
    whole = read_reply(ANSWER)
    assert (whole.usage, whole.finish) == (Usage(input=3, output=2, basis="reported"), "end_turn")
    assert whole.raw_usage == '{"input_tokens":3,"output_tokens":2}'
    assert whole.estimate == 0


def test_an_answer_without_usage_is_guessed() -> None:
    """Compatible servers leave it out; the account must not be empty."""
    whole = read_reply(b'{"content":[{"type":"text","text":"' + b"x" * 400 + b'"}],"stop_reason":null}')
    assert whole.usage.basis == "none"
    assert 100 <= whole.estimate <= 120
    assert whole.finish == ""


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"<html>", "is not JSON"),
        (b"[1]", "is not a message"),
        (b'{"content":null}', "is not a message"),
        (b'{"choices":[]}', "is not a message"),
        (b"[" * 100_000, "is not"),
    ],
)
def test_what_is_no_message_is_a_protocol_error(body: bytes, problem: str) -> None:
    """A page of a captive portal must not reach a client as an answer."""
    with pytest.raises(GatewayError, match=problem) as caught:
        read_reply(body)
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}',
        b'{"error":{"type":"overloaded_error","message":"Busy"}}',
    ],
)
def test_an_error_inside_a_200_is_an_error(body: bytes) -> None:
    """And one that may be tried again."""
    with pytest.raises(GatewayError, match="Busy") as caught:
        read_reply(body)
    assert (caught.value.status, caught.value.retryable) == (529, True)


@given(
    st.binary()
    | st.dictionaries(
        st.sampled_from(["content", "usage", "error", "type", "stop_reason"]), st.none() | st.integers() | st.text()
    )
    .map(str)
    .map(str.encode)
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """A provider's nonsense must not become a fault of ours."""
    with contextlib.suppress(GatewayError):
        read_reply(body)


@pytest.mark.parametrize(("stop", "filtered"), [("refusal", True), ("end_turn", False), ("stop_sequence", False)])
def test_a_filter_s_word_is_known(stop: str, filtered: bool) -> None:
    """What it emptied may go to another provider."""
    assert read_reply(b'{"content":[],"stop_reason":"%b"}' % stop.encode()).filtered is filtered
