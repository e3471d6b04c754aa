"""Whole answers and usage objects of every OpenAI-compatible provider."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.openai_chat.reply import groq_usage, read_finish, read_reply, read_usage

PLAIN = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}

USAGES: list[tuple[str, Any, dict[str, int]]] = [
    ("plain", PLAIN, {"input": 20, "output": 8}),
    (
        "OpenAI",
        {
            **PLAIN,
            "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 2, "cache_write_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 1, "accepted_prediction_tokens": 0},
        },
        {"input": 20, "output": 8, "cache_read": 5, "cache_write_5m": 4, "reasoning": 6, "audio_input": 2, "audio_output": 1},
    ),
    (
        "DeepSeek",
        {**PLAIN, "prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 8},
        {"input": 20, "output": 8, "cache_read": 12},
    ),
    (
        "DeepSeek, both places",
        {**PLAIN, "prompt_cache_hit_tokens": 12, "prompt_tokens_details": {"cached_tokens": 12}},
        {"input": 20, "output": 8, "cache_read": 12},
    ),
    ("Moonshot", {**PLAIN, "cached_tokens": 10}, {"input": 20, "output": 8, "cache_read": 10}),
    (
        "xAI: reasoning beside the completion",
        {
            "prompt_tokens": 38,
            "completion_tokens": 2,
            "total_tokens": 138,
            "completion_tokens_details": {"reasoning_tokens": 98},
        },
        {"input": 38, "output": 100, "reasoning": 98},
    ),
    (
        "reasoning inside the completion",
        {
            "prompt_tokens": 38,
            "completion_tokens": 100,
            "total_tokens": 138,
            "completion_tokens_details": {"reasoning_tokens": 98},
        },
        {"input": 38, "output": 100, "reasoning": 98},
    ),
    (
        "Gemini: thoughts only in the total",
        {"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100},
        {"input": 66, "output": 34, "reasoning": 28},
    ),
    (
        "a total that fits nothing",
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 99, "completion_tokens_details": {"reasoning_tokens": 3}},
        {"input": 10, "output": 5, "reasoning": 3},
    ),
    ("a total too small", {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1}, {"input": 10, "output": 5}),
    ("no total", {"prompt_tokens": 10, "completion_tokens": 5}, {"input": 10, "output": 5}),
    ("only the prompt", {"prompt_tokens": 10}, {"input": 10}),
    ("only the completion", {"completion_tokens": 5}, {"output": 5}),
    ("nothing spent", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {}),
    (
        "details are null",
        {**PLAIN, "prompt_tokens_details": None, "completion_tokens_details": None},
        {"input": 20, "output": 8},
    ),
    (
        "details of a wrong type",
        {**PLAIN, "prompt_tokens_details": [1], "completion_tokens_details": "x"},
        {"input": 20, "output": 8},
    ),
    (
        "counts of a wrong type",
        {
            **PLAIN,
            "prompt_tokens_details": {"cached_tokens": "5", "audio_tokens": True},
            "completion_tokens_details": {"reasoning_tokens": -4},
        },
        {"input": 20, "output": 8},
    ),
    ("a negative prompt", {"prompt_tokens": -1, "completion_tokens": 5}, {"output": 5}),
    ("a fraction", {"prompt_tokens": 1.5, "completion_tokens": 5}, {"output": 5}),
    ("more than anyone has", {"prompt_tokens": 10**13, "completion_tokens": 5}, {"output": 5}),
    (
        "parts larger than their whole",
        {
            **PLAIN,
            "prompt_tokens_details": {"cached_tokens": 15, "cache_write_tokens": 15, "audio_tokens": 99},
            "completion_tokens_details": {"reasoning_tokens": 99, "audio_tokens": 99},
        },
        {"input": 20, "output": 8, "cache_read": 15, "cache_write_5m": 5, "reasoning": 8, "audio_input": 20, "audio_output": 8},
    ),
]

UNCOUNTED = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b'"x"',
    b"7",
    b'{"total_tokens":9}',
    b'{"prompt_tokens":"9"}',
    b'{"prompt_tokens":1e400}',
    b'{"prompt_tokens":' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize(("told", "counts"), [case[1:] for case in USAGES], ids=[case[0] for case in USAGES])
def test_each_provider_is_counted_its_own_way(told: dict[str, Any], counts: dict[str, int]) -> None:
    """These numbers are money: a wrong sum charges a tenant for tokens twice or not at all."""
    raw = json.dumps(told).encode()
    assert read_usage(msgspec.Raw(raw)) == (Usage(**counts, basis="reported"), raw.decode())
    whole = read_reply(b'{"choices":[],"usage":' + raw + b"}")
    assert (whole.usage, whole.raw_usage) == (Usage(**counts, basis="reported"), raw.decode())


@pytest.mark.parametrize("raw", UNCOUNTED, ids=[str(at) for at in range(len(UNCOUNTED))])
def test_what_counts_nothing_is_not_reported(raw: bytes) -> None:
    """An empty report must leave room for an estimate instead of booking zero."""
    assert read_usage(msgspec.Raw(raw)) == (NO_USAGE, "")


def test_a_huge_usage_object_is_counted_but_not_kept() -> None:
    """Its text goes into every ledger record; a provider must not be able to fill the disk with it."""
    usage, raw = read_usage(msgspec.Raw(json.dumps({**PLAIN, "x": "y" * 5000}).encode()))
    assert (usage.input, usage.output, raw) == (20, 8, "")


def test_usage_that_is_not_utf8_is_kept_readable() -> None:
    """One bad byte in a field nobody reads must not lose the counts."""
    usage, raw = read_usage(msgspec.Raw(b'{"prompt_tokens":1,"completion_tokens":2,"x":"\xff"}'))
    assert (usage.input, usage.output) == (1, 2)
    assert raw == '{"prompt_tokens":1,"completion_tokens":2,"x":"\ufffd"}'


NUMBERS = st.none() | st.booleans() | st.integers(-5, 10**14) | st.text(max_size=2) | st.floats()
PARTS = st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "reasoning_tokens"]), NUMBERS)


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "cached_tokens"]),
        NUMBERS,
    ),
    PARTS | NUMBERS,
    PARTS | NUMBERS,
)
def test_no_usage_object_breaks_the_sums(told: dict[str, Any], prompt: Any, completion: Any) -> None:
    """Whatever a provider sends: no crash, no negative count, no part above its whole."""
    told = {**told, "prompt_tokens_details": prompt, "completion_tokens_details": completion}
    usage, _ = read_usage(msgspec.Raw(msgspec.json.encode(told)))
    assert min(value for value in msgspec.structs.astuple(usage) if isinstance(value, int)) >= 0
    assert usage.cache_read + usage.cache_write_5m <= usage.input
    assert max(usage.reasoning, usage.audio_output) <= usage.output


@pytest.mark.parametrize(
    ("raw", "usage"),
    [(b'{"id":"x","usage":{"a":1}}', b'{"a":1}'), (b'{"id":"x"}', b""), (b"null", b""), (b"[]", b""), (b'"x"', b"")],
)
def test_groq_puts_stream_usage_aside(raw: bytes, usage: bytes) -> None:
    """Groq reports usage inside `x_groq`; other shapes under that name are not Groq's."""
    assert bytes(groq_usage(msgspec.Raw(raw))) == usage


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
        (b"[]", "not a chat completion"),
        (b"null", "not a chat completion"),
        (b'{"object":"list","data":["secret-host-17"]}', "not a chat completion"),
        (b'{"choices":{"a":1}}', "not a chat completion"),
        (b'{"choices":null,"usage":null}', "not a chat completion"),
        (b'{"choices":[7]}', "not a chat completion"),
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
