"""Tokens, as this API counts them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dialects.openai_responses.told import USAGE
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.openai_responses.usage import read_usage, write_usage


def counted(told: Any) -> Usage:
    """What an object counts."""
    return read_usage(msgspec.Raw(json.dumps(told).encode()))[0]


def test_counts_are_inclusive_on_both_sides() -> None:
    """A wrong sum is a wrong bill."""
    usage = counted(USAGE)
    assert usage == Usage(input=10, cache_read=3, cache_write_5m=2, output=7, reasoning=4, basis="reported")
    assert write_usage(usage) == USAGE


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"input_tokens": 5}, Usage(input=5, basis="reported")),
        ({"output_tokens": 5, "input_tokens": -1}, Usage(output=5, basis="reported")),
        ({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}}, Usage(input=5, cache_read=5, basis="reported")),
        (
            {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 4}},
            Usage(input=5, cache_read=4, cache_write_5m=1, basis="reported"),
        ),
        (
            {"output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 9}},
            Usage(output=5, reasoning=5, basis="reported"),
        ),
        ({"input_tokens": 5, "input_tokens_details": [], "output_tokens_details": 7}, Usage(input=5, basis="reported")),
        ({"input_tokens": True, "output_tokens": "7"}, NO_USAGE),
        ({"input_tokens": 10**13}, NO_USAGE),
        ({}, NO_USAGE),
        ([], NO_USAGE),
        (None, NO_USAGE),
    ],
)
def test_strange_counts_cost_no_others(told: Any, expected: Usage) -> None:
    """One odd number must not lose the rest, nor make more of it than there is."""
    assert counted(told) == expected


def test_its_own_words_are_kept_but_not_a_book() -> None:
    """The ledger shows what the provider said."""
    assert read_usage(msgspec.Raw(b'{"input_tokens": 1}'))[1] == '{"input_tokens": 1}'
    assert read_usage(msgspec.Raw(b'{"input_tokens":1,"x":"' + b"y" * 5000 + b'"}'))[1] == ""
    assert read_usage(msgspec.Raw(b"")) == (NO_USAGE, "")
