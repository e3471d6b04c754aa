"""A usage object, read and written.

Anthropic counts prompt tokens apart (`input_tokens` holds none that were read from or written to a cache), canon counts
them together.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE, Basis, Usage
from trunkline.dialects.counts import count, raw_text

_object = msgspec.json.Decoder(dict[str, Any] | None).decode


def read_object(raw: msgspec.Raw) -> dict[str, Any]:
    """A usage object; empty where it is absent or none."""
    try:
        return _object(raw) or {}
    except (ValueError, RecursionError):
        return {}


def merge(told: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """What `message_start` told, corrected by a `message_delta`: its counts are cumulative, what it leaves out still holds."""
    return told | {name: value for name, value in later.items() if value is not None}


def read_usage(told: dict[str, Any], basis: Basis = "reported") -> tuple[Usage, str]:
    """The counts of a usage object, and its JSON text. `NO_USAGE` where it counts neither prompt nor answer.

    A wrong type or a negative number is taken as absent; a part is never larger than its whole.
    """
    fresh, output = count(told.get("input_tokens")), count(told.get("output_tokens"))
    if fresh is None and output is None:
        return NO_USAGE, ""
    cache_read = count(told.get("cache_read_input_tokens")) or 0
    write_5m, write_1h = _written(told)
    details = told.get("output_tokens_details")
    thinking = count(details.get("thinking_tokens")) if isinstance(details, dict) else None
    usage = Usage(
        input=(fresh or 0) + cache_read + write_5m + write_1h,
        cache_read=cache_read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        output=output or 0,
        reasoning=min(output or 0, thinking or 0),
        basis=basis,
    )
    return usage, raw_text(msgspec.json.encode(told))


def write_usage(usage: Usage) -> dict[str, Any]:
    """A usage object with all that canon counts."""
    written = usage.cache_write_5m + usage.cache_write_1h
    told: dict[str, Any] = {
        "input_tokens": max(0, usage.input - usage.cache_read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.cache_write_1h:
        told["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return told


def _written(told: dict[str, Any]) -> tuple[int, int]:
    """Tokens written to the cache of five minutes and to that of an hour. Where a stream corrects the sum and not its parts,
    the correction is the shorter time's.
    """
    parts = told.get("cache_creation")
    parts = parts if isinstance(parts, dict) else {}
    hour = count(parts.get("ephemeral_1h_input_tokens")) or 0
    total = count(told.get("cache_creation_input_tokens"))
    if total is None:
        total = hour + (count(parts.get("ephemeral_5m_input_tokens")) or 0)
    hour = min(hour, total)
    return total - hour, hour
