"""What a whole chat answer and a usage object tell in passing, for every provider that answers in OpenAI's shape.

Variants and their arithmetic are those of recorded traffic; each is told by its structure, never by the provider's name.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError, Kind, Upstream
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Whole
from trunkline.dialects.openai_chat.errors import reported

#: A count above this is nonsense and is taken as absent.
_MOST = 10**12
#: A usage object longer than this is not kept word for word.
_RAW_USAGE_BYTES = 4096
_FINISH_LENGTH = 64
_BYTES_PER_TOKEN = 4
_ABSENT = msgspec.Raw(b"")


class _Choice(msgspec.Struct, gc=False):
    finish_reason: Any = None


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


class _Said(msgspec.Struct, gc=False):
    message: msgspec.Raw = _ABSENT


class _Answer(msgspec.Struct, gc=False):
    choices: msgspec.Raw = _ABSENT
    usage: msgspec.Raw = _ABSENT
    error: Any = None


_counts = msgspec.json.Decoder(_Counts).decode
_answer = msgspec.json.Decoder(_Answer).decode
_choices = msgspec.json.Decoder(list[_Choice]).decode
_said = msgspec.json.Decoder(list[_Said]).decode
_groq = msgspec.json.Decoder(_Groq | None).decode


def read_reply(body: bytes) -> Whole:
    """Read a 2xx whole answer in passing. Blank lines before it are fine (DeepSeek sends them while one waits).

    Raises `GatewayError`: the provider's own error inside a 200, or an answer that is empty, not JSON or not a chat answer.
    """
    answer = _read(body)
    if answer.error:
        raise reported(answer.error, Upstream(status=200, body=body))
    usage, raw = read_usage(answer.usage)
    finish = ""
    try:
        for choice in _choices(answer.choices):
            finish = read_finish(choice.finish_reason) or finish
    except (ValueError, RecursionError):
        if usage is NO_USAGE:
            raise _protocol("The provider's answer is not a chat completion.", body) from None
    return Whole(usage=usage, raw_usage=raw, finish=finish, estimate=_guess(answer.choices) if usage is NO_USAGE else 0)


def _guess(choices: msgspec.Raw) -> int:
    """Output tokens of an answer without usage: one for every four bytes of its messages."""
    return sum(len(bytes(choice.message)) for choice in _said(choices)) // _BYTES_PER_TOKEN


def read_finish(value: object) -> str:
    """A finish reason, empty where there is none."""
    return value[:_FINISH_LENGTH] if isinstance(value, str) else ""


def read_usage(raw: msgspec.Raw) -> tuple[Usage, str]:
    """The counts of a usage object, and its own text. `NO_USAGE` where it counts neither prompt nor completion.

    A `total_tokens` above prompt and completion means that reasoning is counted beside the completion (xAI, which names
    it; Gemini, which does not) and is added to it. A wrong type or a negative number is taken as absent; a part is never
    larger than its whole.
    """
    try:
        told = _counts(raw)
    except (ValueError, RecursionError):  # absent, null, not an object, or a number no one can hold
        return NO_USAGE, ""
    reported_prompt, reported_completion = _count(told.prompt_tokens), _count(told.completion_tokens)
    if reported_prompt is None and reported_completion is None:
        return NO_USAGE, ""
    prompt, completion = reported_prompt or 0, reported_completion or 0
    prompt_parts, completion_parts = _parts(told.prompt_tokens_details), _parts(told.completion_tokens_details)
    reasoning = _count(completion_parts.get("reasoning_tokens")) or 0
    beside = (_count(told.total_tokens) or 0) - prompt - completion
    if beside > 0 and reasoning in {0, beside}:
        completion += beside
        reasoning = beside
    cache_read = min(prompt, _cache_read(told, prompt_parts))
    usage = Usage(
        input=prompt,
        cache_read=cache_read,
        cache_write_5m=min(prompt - cache_read, _count(prompt_parts.get("cache_write_tokens")) or 0),
        output=completion,
        reasoning=min(completion, reasoning),
        audio_input=min(prompt, _count(prompt_parts.get("audio_tokens")) or 0),
        audio_output=min(completion, _count(completion_parts.get("audio_tokens")) or 0),
        basis="reported",
    )
    return usage, _text(raw)


def groq_usage(raw: msgspec.Raw) -> msgspec.Raw:
    """The usage object inside Groq's `x_groq`, which ends its streams."""
    try:
        groq = _groq(raw)
    except (ValueError, RecursionError):
        return _ABSENT
    return groq.usage if groq else _ABSENT


def _read(body: bytes) -> _Answer:
    try:
        return _answer(body)
    except (ValueError, RecursionError):
        pass
    try:
        return _answer(_mended(body))
    except msgspec.ValidationError:
        problem = "The provider's answer is not a chat completion."
    except (ValueError, RecursionError):
        problem = "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty."
    raise _protocol(problem, body)


def _mended(body: bytes) -> bytes:
    """The same answer as strict JSON: servers in Python write NaN and lone surrogates, and their clients read them."""
    return json.dumps(json.loads(body, parse_constant=lambda _: None), ensure_ascii=False).encode("utf-8", "replace")


def _protocol(message: str, body: bytes) -> GatewayError:
    return GatewayError(Kind.UPSTREAM_PROTOCOL, message, upstream=Upstream(status=200, body=body[:_RAW_USAGE_BYTES]))


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST else None


def _parts(details: object) -> dict[str, Any]:
    return details if isinstance(details, dict) else {}


def _cache_read(told: _Counts, parts: dict[str, Any]) -> int:
    for place in (parts.get("cached_tokens"), told.prompt_cache_hit_tokens, told.cached_tokens):
        count = _count(place)
        if count is not None:
            return count
    return 0


def _text(raw: msgspec.Raw) -> str:
    text = bytes(raw)
    return text.decode("utf-8", "replace") if len(text) <= _RAW_USAGE_BYTES else ""
