"""Tokens, as Bedrock counts them and as we do."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.bedrock.usage import read_usage

PLAIN = {"inputTokens": 433, "outputTokens": 16, "totalTokens": 449}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (PLAIN, Usage(433, output=16, basis="reported")),
        (
            {**PLAIN, "cacheReadInputTokens": 2752, "cacheWriteInputTokens": 10},
            Usage(3195, 2752, 10, output=16, basis="reported"),
        ),
        (
            {**PLAIN, "cacheReadInputTokenCount": 5, "cacheWriteInputTokenCount": 7},
            Usage(445, 5, 7, output=16, basis="reported"),
        ),
        ({**PLAIN, "cacheReadInputTokens": 0, "cacheReadInputTokenCount": 5}, Usage(433, output=16, basis="reported")),
        (
            {
                **PLAIN,
                "cacheWriteInputTokens": 10,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 6}, {"ttl": "5m", "inputTokens": 4}, 7, {"ttl": "1h"}],
            },
            Usage(443, 0, 4, 6, 16, basis="reported"),
        ),
        (
            {**PLAIN, "cacheWriteInputTokens": 3, "cacheDetails": [{"ttl": "1h", "inputTokens": 6}]},
            Usage(436, 0, 0, 3, 16, basis="reported"),
        ),
        ({"outputTokens": 3}, Usage(output=3, basis="reported")),
        ({"inputTokens": -1, "outputTokens": True}, NO_USAGE),
        ({"inputTokens": 10**13, "outputTokens": "5"}, NO_USAGE),
        ({}, NO_USAGE),
        (None, NO_USAGE),
        ([1], NO_USAGE),
    ],
)
def test_the_prompt_is_counted_with_its_caches(told: Any, usage: Usage) -> None:
    """Bedrock's input excludes what was cached: a client that adds up would count too little, and the ledger pay too little."""
    found, raw = read_usage(told)
    assert found == usage
    assert bool(raw) == (usage is not NO_USAGE)


def test_the_providers_own_words_are_kept_while_they_are_short() -> None:
    """The ledger keeps them; a provider must not fill it."""
    assert read_usage(PLAIN)[1] == '{"inputTokens":433,"outputTokens":16,"totalTokens":449}'
    assert read_usage({**PLAIN, "x": "y" * 5000})[1] == ""
