"""Usage objects of every OpenAI-compatible provider, and ours."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.openai_shape.usage import groq_usage, read_usage, write_usage

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


WHOLES = st.builds(
    Usage,
    input=st.integers(0, 10**6).map(lambda count: count + 300),
    cache_read=st.integers(0, 100),
    cache_write_5m=st.integers(0, 100),
    output=st.integers(0, 10**6).map(lambda count: count + 100),
    reasoning=st.integers(0, 100),
    audio_input=st.integers(0, 100),
    audio_output=st.integers(0, 100),
    basis=st.just("reported"),
)


@given(WHOLES)
def test_what_is_written_is_read_the_same(usage: Usage) -> None:
    """A client adds these up for its own budget, and another gateway behind this one books by them."""
    told = write_usage(usage)
    assert read_usage(msgspec.Raw(json.dumps(told).encode()))[0] == usage
    assert CompletionUsage.model_validate(told, strict=True).total_tokens == usage.input + usage.output


def test_writes_to_both_caches_are_writes() -> None:
    """OpenAI's form has one place for them."""
    told = write_usage(Usage(input=10, cache_write_5m=3, cache_write_1h=4))
    assert told["prompt_tokens_details"]["cache_write_tokens"] == 7
