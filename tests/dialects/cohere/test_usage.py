"""What was used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.cohere.samples import USAGE
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.cohere.usage import read_usage


def test_tokens_are_counted_and_what_is_billed_rides_along() -> None:
    """The prompt holds what was cached, the answer what was thought."""
    usage, raw = read_usage(USAGE)
    assert usage == Usage(input=50, cache_read=30, output=9, reasoning=4, basis="reported")
    assert json.loads(raw) == USAGE


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, NO_USAGE),
        (5, NO_USAGE),
        ({}, NO_USAGE),
        ({"tokens": {"input_tokens": "5"}}, NO_USAGE),
        ({"tokens": {"input_tokens": True}}, NO_USAGE),
        ({"tokens": {"input_tokens": -1, "output_tokens": 10**15}}, NO_USAGE),
        ({"tokens": {"input_tokens": 5.0}}, Usage(input=5, basis="reported")),
        ({"tokens": {"output_tokens": 5}, "cached_tokens": 9}, Usage(output=5, basis="reported")),
        ({"tokens": {"input_tokens": 5, "output_tokens": 2, "reasoning_tokens": 9}, "cached_tokens": 9},
         Usage(input=5, cache_read=5, output=2, reasoning=2, basis="reported")),
        ({"billed_units": {"input_tokens": 3, "output_tokens": 4}}, Usage(input=3, output=4, basis="reported")),
    ],
)  # fmt: skip
def test_strange_counts_do_no_harm(told: Any, usage: Usage) -> None:
    """One of them must not cost the others; a part is never more than its whole."""
    assert read_usage(told)[0] == usage


def test_a_long_object_is_not_kept() -> None:
    """It is stored with every record."""
    assert read_usage({**USAGE, "x": "y" * 5000})[1] == ""
