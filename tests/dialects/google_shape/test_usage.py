"""Gemini's arithmetic of tokens, both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.google_shape.usage import Told, read_usage, write_usage

ALL = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 7,
    "cachedContentTokenCount": 60,
    "totalTokenCount": 157,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 90}, {"modality": "AUDIO", "tokenCount": 10}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}, 1],
}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (ALL, Usage(107, cache_read=60, output=50, reasoning=30, audio_input=10, audio_output=4, basis="reported")),
        ({"promptTokenCount": 9}, Usage(9, basis="reported")),
        ({"thoughtsTokenCount": 9}, Usage(0, output=9, reasoning=9, basis="reported")),
        ({"promptTokenCount": 9, "candidatesTokenCount": -1, "cachedContentTokenCount": "x"}, Usage(9, basis="reported")),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 99}, Usage(9, cache_read=9, basis="reported")),
        ({"promptTokenCount": 9, "promptTokensDetails": {"modality": "AUDIO"}}, Usage(9, basis="reported")),
        ({"trafficType": "ON_DEMAND"}, NO_USAGE),
        ({"promptTokenCount": True}, NO_USAGE),
        (None, NO_USAGE),
        ([], NO_USAGE),
    ],
)
def test_counts_are_read_inclusively(told: Any, usage: Usage) -> None:
    """Thoughts are paid as output, and what a tool read as input: who adds only what is named so pays too little."""
    found, raw = read_usage(told)
    assert found == usage
    assert bool(raw) == (usage is not NO_USAGE)


def test_a_very_long_usage_is_not_kept_word_for_word() -> None:
    """It stands in the ledger."""
    assert read_usage({**ALL, "more": "x" * 5000})[1] == ""


COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 1000))
def test_what_is_written_is_read_the_same(prompt: int, cached: int, output: int, thought: int, audio: int) -> None:
    """A client of Gemini's must see the same numbers as one that asks the provider itself."""
    usage = Usage(
        prompt + cached + audio,
        cache_read=cached,
        output=output + thought + audio,
        reasoning=thought,
        audio_input=audio,
        audio_output=audio,
        basis="reported",
    )
    told = msgspec.json.decode(msgspec.json.encode(write_usage(usage, "")))
    assert read_usage(told)[0] == usage
    assert told["totalTokenCount"] == usage.input + usage.output


def test_a_providers_own_usage_goes_out_as_it_is_and_none_is_none() -> None:
    """It may say more than canon does."""
    raw = msgspec.json.encode(ALL).decode()
    assert msgspec.json.decode(msgspec.json.encode(write_usage(read_usage(ALL)[0], raw))) == ALL
    assert write_usage(NO_USAGE, "") is None


def test_the_last_counts_hold() -> None:
    """They come with every piece of a stream, and what counts nothing must not wipe them out."""
    told = Told()
    assert told.read() == (NO_USAGE, "")
    for usage in ({"promptTokenCount": 8}, {"promptTokenCount": 9}, {"trafficType": "ON_DEMAND"}):
        told.keep(msgspec.Raw(msgspec.json.encode(usage)))
        assert told.read()[0].input == usage.get("promptTokenCount", 9)
    assert told.read()[1] == '{"promptTokenCount":9}'
    told.keep(msgspec.Raw(b'{"promptTokenCount":1e999}'))
    assert told.read() == (NO_USAGE, "")
