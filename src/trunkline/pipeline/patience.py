"""What a provider's headers say about trying again: whether, and when.

What an error's body says of it belongs in `dialects`; what is made of it in `routing.retry`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_LONGEST = 400 * 86_400.0
"""Seconds; what names a longer time says nothing."""


def should_retry(headers: Mapping[bytes, bytes]) -> bool | None:
    """`x-should-retry` (OpenAI, Anthropic): whether another try may succeed; None where it is not told."""
    return {b"true": True, b"false": False}.get(headers.get(b"x-should-retry", b"").strip().lower())


def retry_after(headers: Mapping[bytes, bytes], now: float) -> float | None:
    """Seconds to wait: `retry-after-ms` (Azure, OpenAI), else `retry-after` as seconds or an HTTP date (RFC 9110, 10.2.3).

    `now`: seconds since the epoch; a date is compared with the answer's own `date`, where it has one, since our clock may be
    another. None where nothing sensible is told: nothing, a time in the past, no number.
    """
    told = _number(headers.get(b"retry-after-ms"))
    if told is not None:
        told /= 1000
    else:
        raw = headers.get(b"retry-after")
        told = _number(raw)
        if told is None and raw is not None:
            when, said = _moment(raw), _moment(headers.get(b"date", b""))
            told = None if when is None else when - (now if said is None else said)
    return told if told is not None and 0 < told <= _LONGEST else None


def _number(raw: bytes | None) -> float | None:
    try:
        number = float(raw) if raw is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(raw: bytes) -> float | None:
    """Seconds since the epoch of an HTTP date."""
    try:
        return parsedate_to_datetime(raw.decode("ascii")).timestamp()
    except (ValueError, OverflowError, OSError):  # UnicodeDecodeError is a ValueError
        return None
