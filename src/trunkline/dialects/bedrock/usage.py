"""A usage object, read. Bedrock counts prompt tokens apart (`inputTokens` holds none that were read from or written to a
cache), canon counts them together.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage

_MOST = 10**12
"""A count above this is nonsense and is taken as absent."""
_RAW_BYTES = 4096
"""A usage object longer than this is not kept word for word."""
_HOUR = "1h"


def read_usage(told: object) -> tuple[Usage, str]:
    """The counts, and their JSON text. `NO_USAGE` where it counts neither prompt nor answer.

    A wrong type or a negative number is taken as absent; a part is never larger than its whole.
    """
    if not isinstance(told, dict):
        return NO_USAGE, ""
    fresh, output = _count(told.get("inputTokens")), _count(told.get("outputTokens"))
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
    raw = msgspec.json.encode(told)
    return usage, raw.decode() if len(raw) <= _RAW_BYTES else ""


def _cached(told: dict[str, Any], what: str) -> int:
    """`cacheReadInputTokens`, or `cacheReadInputTokenCount`, as older answers spell it."""
    count = _count(told.get(f"cache{what}InputTokens"))
    return (_count(told.get(f"cache{what}InputTokenCount")) if count is None else count) or 0


def _of_an_hour(details: object) -> int:
    """Of what was written to the cache the part that is kept an hour."""
    told = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return sum(_count(one.get("inputTokens")) or 0 for one in told if one.get("ttl") == _HOUR)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST else None
