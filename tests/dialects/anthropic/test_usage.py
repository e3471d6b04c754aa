"""Token counts: Anthropic's are exclusive of the cache, canon's are not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.anthropic.usage import merge, read_object, read_usage, write_usage

counts = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 2}, Usage(input=3, output=2, basis="reported")),
        ({"output_tokens": 2}, Usage(output=2, basis="reported")),
        (
            {"input_tokens": 4, "output_tokens": 9, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20},
            Usage(input=124, cache_read=100, cache_write_5m=20, output=9, basis="reported"),
        ),
        (
            {
                "input_tokens": 1,
                "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 5},
                "cache_creation_input_tokens": 20,
            },
            Usage(input=21, cache_write_5m=15, cache_write_1h=5, basis="reported"),
        ),
        (
            {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 5}},
            Usage(input=13, cache_write_5m=7, cache_write_1h=5, basis="reported"),
        ),
        (
            {"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 5}, "cache_creation_input_tokens": 3},
            Usage(input=4, cache_write_1h=3, basis="reported"),
        ),
        (
            {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 30}},
            Usage(input=1, output=9, reasoning=9, basis="reported"),
        ),
        ({"input_tokens": -1, "output_tokens": 2, "cache_read_input_tokens": "9"}, Usage(output=2, basis="reported")),
        ({"input_tokens": True, "output_tokens": 2.5}, NO_USAGE),
        ({"cache_read_input_tokens": 9}, NO_USAGE),
        ({}, NO_USAGE),
    ],
)
def test_counts_are_added_up(told: dict[str, Any], usage: Usage) -> None:
    """A cache read left out of the prompt makes a bill too small; nonsense must not make it negative."""
    assert read_usage(told)[0] == usage


def test_the_providers_own_words_are_kept_but_not_without_end() -> None:
    """The ledger keeps them; a hostile server must not fill it."""
    assert json.loads(read_usage({"output_tokens": 1, "service_tier": "standard"})[1]) == {
        "output_tokens": 1,
        "service_tier": "standard",
    }
    assert read_usage({"output_tokens": 1, "x": "y" * 5000})[1] == ""


def test_a_later_report_corrects_an_earlier_one_and_keeps_what_it_leaves_out() -> None:
    """`message_delta` restates some counts, larger ones with server tools, and says null of others."""
    told = merge(
        {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}, {"input_tokens": 50, "output_tokens": 9}
    )
    assert merge(told, {"cache_read_input_tokens": None}) == {
        "input_tokens": 50,
        "cache_read_input_tokens": 2,
        "output_tokens": 9,
    }


@pytest.mark.parametrize("raw", [b"null", b"[]", b"7", b""])
def test_a_usage_that_is_no_object_counts_nothing(raw: bytes) -> None:
    """An answer is not lost over its usage."""
    assert read_object(msgspec.Raw(raw)) == {}


@given(counts, counts, counts, counts, counts, counts)
def test_what_is_written_is_read_again(fresh: int, read: int, short: int, hour: int, output: int, thinking: int) -> None:
    """A client that sums up what it is told must come to what the provider counted."""
    usage = Usage(
        input=fresh + read + short + hour,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=hour,
        output=output,
        reasoning=min(thinking, output),
        basis="reported",
    )
    told = write_usage(usage)
    assert told["input_tokens"] == fresh
    assert read_usage(told)[0] == usage
