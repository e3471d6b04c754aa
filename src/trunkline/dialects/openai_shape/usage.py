"""Usage objects: read from every provider that answers in OpenAI's shape, and written for OpenAI's clients.

Variants and their arithmetic are those of recorded traffic; each is told by its structure, never by the provider's name.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.counts import count, raw_text
from trunkline.dialects.told import with_tier

_ABSENT = msgspec.Raw(b"")


class _Counts(msgspec.Struct, gc=False):
    """A usage object. Nothing is typed: one strange count must not cost the others."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None
    prompt_tokens_details: Any = None
    completion_tokens_details: Any = None
    prompt_cache_hit_tokens: Any = None
    """DeepSeek's place for tokens read from a cache."""
    cached_tokens: Any = None
    """Moonshot's and Together's."""


class _Groq(msgspec.Struct, gc=False):
    usage: msgspec.Raw = _ABSENT


_counts = msgspec.json.Decoder(_Counts).decode
_groq = msgspec.json.Decoder(_Groq | None).decode


def read_usage(raw: msgspec.Raw, tier: object = None) -> tuple[Usage, str]:
    """The counts of a usage object, and its own text. `NO_USAGE` where it counts neither prompt nor completion.

    A `total_tokens` above prompt and completion means that reasoning is counted beside the completion (xAI, which names
    it; Gemini, which does not) and is added to it. A wrong type or a negative number is taken as absent; a part is never
    larger than its whole. `tier`: what the answer says beside it of how it was served.
    """
    try:
        told = _counts(raw)
    except (ValueError, RecursionError):  # absent, null, not an object, or a number no one can hold
        return NO_USAGE, ""
    reported_prompt, reported_completion = count(told.prompt_tokens), count(told.completion_tokens)
    if reported_prompt is None and reported_completion is None:
        return NO_USAGE, ""
    prompt, completion = reported_prompt or 0, reported_completion or 0
    prompt_parts, completion_parts = _parts(told.prompt_tokens_details), _parts(told.completion_tokens_details)
    reasoning = count(completion_parts.get("reasoning_tokens")) or 0
    beside = (count(told.total_tokens) or 0) - prompt - completion
    if beside > 0 and reasoning in {0, beside}:
        completion += beside
        reasoning = beside
    cache_read = min(prompt, _cache_read(told, prompt_parts))
    usage = Usage(
        input=prompt,
        cache_read=cache_read,
        cache_write_5m=min(prompt - cache_read, count(prompt_parts.get("cache_write_tokens")) or 0),
        output=completion,
        reasoning=min(completion, reasoning),
        audio_input=min(prompt, count(prompt_parts.get("audio_tokens")) or 0),
        audio_output=min(completion, count(completion_parts.get("audio_tokens")) or 0),
        basis="reported",
    )
    return usage, with_tier(raw_text(bytes(raw)), tier)


def groq_usage(raw: msgspec.Raw) -> msgspec.Raw:
    """The usage object inside Groq's `x_groq`, which ends its streams."""
    try:
        groq = _groq(raw)
    except (ValueError, RecursionError):
        return _ABSENT
    return groq.usage if groq else _ABSENT


def write_usage(usage: Usage) -> dict[str, Any]:
    """The counts as OpenAI's clients read them: prompt with what was cached, completion with what was thought."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _parts(details: object) -> dict[str, Any]:
    return details if isinstance(details, dict) else {}


def _cache_read(told: _Counts, parts: dict[str, Any]) -> int:
    for place in (parts.get("cached_tokens"), told.prompt_cache_hit_tokens, told.cached_tokens):
        found = count(place)
        if found is not None:
            return found
    return 0
