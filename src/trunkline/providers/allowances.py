"""What providers say in the headers of an answer of their rate limits: what is left, and when there is more.

What follows from it belongs in `routing.allowance`; `retry-after` and the other words of a refusal in `dialects`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf

import msgspec


class Told(msgspec.Struct, frozen=True):
    """What the headers of one answer say. None: nothing. Resets in seconds from now, below 0 where they are over."""

    requests_left: int | None = None
    requests_reset: float | None = None
    tokens_left: int | None = None
    tokens_reset: float | None = None
    requests_limit: int | None = None
    tokens_limit: int | None = None
    refills: bool = False
    """Room comes back little by little, and at the reset all of it is there; else none comes back before."""


class _Names(msgspec.Struct, frozen=True):
    """The headers of one limit."""

    left: bytes
    limit: bytes
    reset: bytes


class _Way(msgspec.Struct, frozen=True):
    """One way to say it. Of several limits on tokens, the one of which the smallest part is left counts."""

    requests: tuple[_Names, ...]
    tokens: tuple[_Names, ...]
    refills: bool = False


def _names(pattern: str) -> _Names:
    return _Names(*(pattern.replace("*", word).encode() for word in ("remaining", "limit", "reset")))


#: OpenAI, Groq, Azure, xAI (no resets). Whether room comes back little by little is seen from how the resets are written.
_OPENAI = _Way((_names("x-ratelimit-*-requests"),), (_names("x-ratelimit-*-tokens"),))
#: docs.anthropic.com/en/api/rate-limits: token buckets. `tokens` is the sum of the other two.
_ANTHROPIC = _Way(
    (_names("anthropic-ratelimit-requests-*"),),
    tuple(_names(f"anthropic-ratelimit-{what}-*") for what in ("input-tokens", "output-tokens", "tokens")),
    refills=True,
)
#: Mistral names no resets.
_MISTRAL = _Way((_names("x-ratelimit-*-req-minute"),), (_names("x-ratelimit-*-tokens-minute"),))
#: inference-docs.cerebras.ai/support/rate-limits: requests by the day.
_CEREBRAS = _Way((_names("x-ratelimit-*-requests-day"),), (_names("x-ratelimit-*-tokens-minute"),))
#: OpenRouter (reset in milliseconds since 1970), Together (in seconds, and tokens under a name of their own).
_PLAIN = _Way((_names("x-ratelimit-*"),), (_names("x-tokenlimit-*"),))
#: draft-ietf-httpapi-ratelimit-headers, up to its seventh version.
_DRAFT = _Way((_names("ratelimit-*"),), ())

#: The header that gives a way away.
_WAYS: dict[bytes, _Way] = {
    b"x-ratelimit-remaining-requests": _OPENAI,
    b"x-ratelimit-remaining-tokens": _OPENAI,
    b"anthropic-ratelimit-requests-remaining": _ANTHROPIC,
    b"anthropic-ratelimit-tokens-remaining": _ANTHROPIC,
    b"x-ratelimit-remaining-req-minute": _MISTRAL,
    b"x-ratelimit-remaining-requests-day": _CEREBRAS,
    b"x-ratelimit-remaining-tokens-minute": _MISTRAL,
    b"x-ratelimit-remaining": _PLAIN,
    b"ratelimit-remaining": _DRAFT,
}

#: Go's durations, as OpenAI and Groq write resets: 12ms, 6m0s, 1h2m3.5s.
_DURATION = re.compile(rb"(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d{0,9})?)(s|ms|us|\xc2\xb5s|ns))?")
_UNITS = {b"s": 1.0, b"ms": 1e-3, b"us": 1e-6, b"\xc2\xb5s": 1e-6, b"ns": 1e-9}
_NUMBER = re.compile(rb"\d{1,15}(?:\.\d{0,9})?")
_DATE = re.compile(rb"\d{4}-\d\d-\d\d[Tt ]\S{1,32}")
_EPOCH, _EPOCH_MS = 1e9, 1e11
"""A number from the first on is a date in seconds since 1970 (as a time to wait it were 31 years), from the second on in ms."""
_MOST_DIGITS = 15
"""More is no number of requests or tokens: xAI tells 2**64 - 1 where there is no limit."""


def read(headers: Mapping[bytes, bytes], now: float) -> Told | None:
    """What an answer's headers (names in lower case) say, or None where they say nothing, or nothing that makes sense. `now`:
    seconds since 1970, for resets that are dates.
    """
    for mark, way in _WAYS.items():
        if mark in headers:
            return _read(headers, way, now)
    return None


def _read(headers: Mapping[bytes, bytes], way: _Way, now: float) -> Told | None:
    requests_left, requests_limit, requests_reset = _scarcest(headers, way.requests)
    tokens_left, tokens_limit, tokens_reset = _scarcest(headers, way.tokens)
    if requests_left is None and tokens_left is None:
        return None
    refills = way.refills or requests_reset.endswith(b"s") or tokens_reset.endswith(b"s")
    return Told(
        requests_left,
        _seconds(requests_reset, now),
        tokens_left,
        _seconds(tokens_reset, now),
        requests_limit,
        tokens_limit,
        refills,
    )


def _scarcest(headers: Mapping[bytes, bytes], all_names: tuple[_Names, ...]) -> tuple[int | None, int | None, bytes]:
    """Of the limit of which the smallest part is left (of like ones the first): what is left, the limit, the reset."""
    scarcest: tuple[int | None, int | None, bytes] = (None, None, b"")
    least = inf
    for names in all_names:
        left = _count(headers.get(names.left, b""))
        if left is None:
            continue
        limit = _count(headers.get(names.limit, b""))
        part = left / limit if limit else 1.0
        if part < least:
            scarcest, least = (left, limit, headers.get(names.reset, b"")), part
    return scarcest


def _count(told: bytes) -> int | None:
    """A whole number, or None where it is none or out of all reason."""
    return int(told) if told.isdigit() and len(told) <= _MOST_DIGITS else None


def _seconds(told: bytes, now: float) -> float | None:
    """Seconds until a reset that is written as a number, a duration or a date; None where it is none of them."""
    if not told:
        return None
    if lasts := _DURATION.fullmatch(told):
        hours, minutes, number, unit = lasts.groups()
        return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + (float(number) * _UNITS[unit] if number else 0.0)
    if _NUMBER.fullmatch(told):
        since = float(told)
        return since if since < _EPOCH else since / (1e3 if since >= _EPOCH_MS else 1.0) - now
    if not _DATE.fullmatch(told):
        return None
    try:
        date = datetime.fromisoformat(told.decode())
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
