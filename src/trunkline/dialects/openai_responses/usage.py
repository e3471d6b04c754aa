"""Usage objects of the Responses API, read and written.

Its counts are inclusive, as canon's are, from every provider that was recorded (xAI's too, whose chat counts are not).
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.counts import count, raw_text
from trunkline.dialects.told import with_tier


class _Counts(msgspec.Struct, gc=False):
    """A usage object. Nothing is typed: one strange count must not cost the others."""

    input_tokens: Any = None
    output_tokens: Any = None
    input_tokens_details: Any = None
    output_tokens_details: Any = None


_counts = msgspec.json.Decoder(_Counts).decode


def read_usage(raw: msgspec.Raw, tier: object = None) -> tuple[Usage, str]:
    """The counts of a usage object, and its own text. `NO_USAGE` where it counts neither input nor output.

    `cache_write_tokens` is new in the schema and absent from most recorded answers. A wrong type or a negative number is taken
    as absent; a part is never larger than its whole. `tier`: what the answer says beside it of how it was served.
    """
    try:
        told = _counts(raw)
    except (ValueError, RecursionError):  # absent, null, not an object, or a number no one can hold
        return NO_USAGE, ""
    given, made = count(told.input_tokens), count(told.output_tokens)
    if given is None and made is None:
        return NO_USAGE, ""
    whole, output = given or 0, made or 0
    read = min(whole, _part(told.input_tokens_details, "cached_tokens"))
    usage = Usage(
        input=whole,
        cache_read=read,
        cache_write_5m=min(whole - read, _part(told.input_tokens_details, "cache_write_tokens")),
        output=output,
        reasoning=min(output, _part(told.output_tokens_details, "reasoning_tokens")),
        basis="reported",
    )
    return usage, with_tier(raw_text(bytes(raw)), tier)


def write_usage(usage: Usage) -> dict[str, Any]:
    """The counts as clients of this API read them; all of them are required in its newest schema."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _part(details: object, name: str) -> int:
    return (count(details.get(name)) or 0) if isinstance(details, dict) else 0
