"""A usage object, read. Bedrock counts prompt tokens apart (`inputTokens` holds none that were read from or written to a
cache), canon counts them together.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.counts import count, raw_text

_HOUR = "1h"


def read_usage(told: object) -> tuple[Usage, str]:
    """The counts, and their JSON text. `NO_USAGE` where it counts neither prompt nor answer.

    A wrong type or a negative number is taken as absent; a part is never larger than its whole.
    """
    if not isinstance(told, dict):
        return NO_USAGE, ""
    fresh, output = count(told.get("inputTokens")), count(told.get("outputTokens"))
    if fresh is None and output is None:
        return NO_USAGE, ""
    read, written = _cached(told, "Read"), _cached(told, "Write")
    hour = min(written, _of_an_hour(told.get("cacheDetails")))
    usage = Usage(
        input=(fresh or 0) + read + written,
        cache_read=read,
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        output=output or 0,
        basis="reported",
    )
    return usage, raw_text(msgspec.json.encode(told))


def _cached(told: dict[str, Any], what: str) -> int:
    """`cacheReadInputTokens`, or `cacheReadInputTokenCount`, as older answers spell it."""
    found = count(told.get(f"cache{what}InputTokens"))
    return (count(told.get(f"cache{what}InputTokenCount")) if found is None else found) or 0


def _of_an_hour(details: object) -> int:
    """Of what was written to the cache the part that is kept an hour."""
    told = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return sum(count(one.get("inputTokens")) or 0 for one in told if one.get("ttl") == _HOUR)
