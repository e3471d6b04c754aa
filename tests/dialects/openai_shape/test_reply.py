"""Whole answers of every OpenAI-compatible provider, read in passing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_shape.reply import mended, read_finish, read_reply, whole


@pytest.mark.parametrize(("value", "finish"), [("stop", "stop"), (None, ""), (7, ""), ({}, ""), ("x" * 99, "x" * 64)])
def test_a_finish_reason_is_a_short_word(value: object, finish: str) -> None:
    """It is stored with every record."""
    assert read_finish(value) == finish


@pytest.mark.parametrize(
    ("body", "finish"),
    [
        (b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}', "stop"),
        (b'\n\n\r\n \n{"choices":[{"finish_reason":"length"}],"usage":null}', "length"),
        (b'{"choices":[{"finish_reason":"tool_calls"},{"finish_reason":null}],"error":null}', "tool_calls"),
        (b'{"choices":[{}]}', ""),
        (b'{"choices":[]}', ""),
        (b'{"usage":{"prompt_tokens":1}}', ""),
        (b'{"choices":[{"logprobs":[NaN,-Infinity],"finish_reason":"stop"}]}', "stop"),
        (b'{"choices":[{"message":{"content":"cut \\ud83d"},"finish_reason":"length"}]}', "length"),
    ],
)
def test_good_answers_pass(body: bytes, finish: str) -> None:
    """The client has paid for the answer; what only we cannot parse must not be refused."""
    assert read_reply(body).finish == finish


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<html><body>502 Bad Gateway: secret-host-17</body></html>", "not JSON"),
        (b"upstream connect error secret-host-17", "not JSON"),
        (b'{"choices":[{"finish_reason":"stop"', "not JSON"),
        (b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
        (b"[]", "not a completion"),
        (b"null", "not a completion"),
        (b'{"object":"list","data":["secret-host-17"]}', "not a completion"),
        (b'{"choices":{"a":1}}', "not a completion"),
        (b'{"choices":null,"usage":null}', "not a completion"),
        (b'{"choices":[7]}', "not a completion"),
    ],
)
def test_what_is_no_answer_is_a_502_that_tells_no_secrets(body: bytes, message: str) -> None:
    """A 200 is not success; the page behind it may name internal hosts and belongs in the log only."""
    with pytest.raises(GatewayError, match=message) as caught:
        read_reply(body)
    assert (caught.value.kind, caught.value.status) == (Kind.UPSTREAM_PROTOCOL, 502)
    assert "secret-host" not in caught.value.message
    assert caught.value.upstream is not None
    assert caught.value.upstream.body == body[:4096]


@pytest.mark.parametrize(
    ("error", "kind", "status", "message"),
    [
        ({"message": "boom", "type": "server_error"}, Kind.UPSTREAM_FAILED, 502, "boom"),
        ("boom", Kind.UPSTREAM_FAILED, 502, "boom"),
        ({"message": "slow down", "code": 429}, Kind.UPSTREAM_FAILED, 429, "slow down"),
        ({"message": "bad", "code": 400, "metadata": {"raw": "x"}}, Kind.UPSTREAM_REFUSED, 400, "bad"),
        ({"message": "bad", "status_code": 400, "code": "tool_use_failed"}, Kind.UPSTREAM_REFUSED, 400, "bad"),
        ({"message": "boom", "code": 500}, Kind.UPSTREAM_FAILED, 502, "boom"),
        ({"foo": 1}, Kind.UPSTREAM_FAILED, 502, "The provider reported an error inside its answer."),
    ],
)
def test_an_error_inside_a_200_is_an_error(error: object, kind: Kind, status: int, message: str) -> None:
    """Handed on as a success it would be paid for, cached and never retried."""
    with pytest.raises(GatewayError) as caught:
        read_reply(json.dumps({"error": error, "choices": []}).encode())
    assert (caught.value.kind, caught.value.status, caught.value.message) == (kind, status, message)
    assert caught.value.upstream is not None
    assert not caught.value.upstream.verbatim


@given(st.binary(max_size=80) | st.text(alphabet='{}[]":,choiesunlr0 \n').map(str.encode))
def test_any_bytes_are_an_answer_or_an_error(body: bytes) -> None:
    """No answer may crash the exchange that must account for it."""
    try:
        read_reply(body)
    except GatewayError as error:
        told = error
    else:
        return
    assert told.fault == "upstream"


def test_usage_is_read_and_else_guessed() -> None:
    """What the ledger books: the provider's numbers, or a size that is about right."""
    told = read_reply(b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}')
    assert (told.usage.input, told.usage.output, told.estimate) == (3, 1, 0)
    assert told.raw_usage == '{"prompt_tokens":3,"completion_tokens":1}'
    assert read_reply(b'{"choices":[{"message":"' + b"x" * 398 + b'"}]}').estimate == 100


def test_what_python_servers_write_is_made_json() -> None:
    """Their own clients read NaN and half a surrogate pair; so must we."""
    assert json.loads(mended(b'{"a":[NaN,Infinity],"b":"\\ud83d"}')) == {"a": [None, None], "b": "?"}


def test_all_of_an_answer_is_read_though_numbers_in_it_are_none() -> None:
    """Servers in Python write NaN anywhere; what cannot be mended is the provider's fault."""
    assert whole(b'{"choices":[1.5]}') == {"choices": [1.5]}
    assert whole(b'{"choices":[NaN]}') == {"choices": [None]}
    with pytest.raises(GatewayError):
        whole(b'{"choices":[')
