"""What a whole answer tells in passing, for every provider that answers in OpenAI's shape: chat or plain completion.

Its content belongs in each dialect's `read_answer`, its usage object in `usage`.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import msgspec

from trunkline.canon.errors import Upstream
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects import guess
from trunkline.dialects.dialect import Whole
from trunkline.dialects.errors import protocol, reported
from trunkline.dialects.openai_shape.finish import means_filter
from trunkline.dialects.openai_shape.usage import read_usage

_FINISH_LENGTH = 64
_ABSENT = msgspec.Raw(b"")
NO_COMPLETION = "The provider's answer is not a completion."


class _Choice(msgspec.Struct, gc=False):
    finish_reason: Any = None


class _Said(msgspec.Struct, gc=False):
    message: msgspec.Raw = _ABSENT
    text: msgspec.Raw = _ABSENT
    """A plain completion's."""


class Answer(msgspec.Struct, gc=False):
    """A whole answer, its choices not looked at yet."""

    choices: msgspec.Raw = _ABSENT
    usage: msgspec.Raw = _ABSENT
    service_tier: Any = None
    error: Any = None


_answer = msgspec.json.Decoder(Answer).decode
_choices = msgspec.json.Decoder(list[_Choice]).decode
_said = msgspec.json.Decoder(list[_Said]).decode


def read_reply(body: bytes) -> Whole:
    """Read a 2xx whole answer in passing. Blank lines before it are fine (DeepSeek sends them while one waits).

    Raises `GatewayError`: the provider's own error inside a 200, or an answer that is empty, not JSON or no completion.
    """
    answer = decode(body)
    usage, raw = read_usage(answer.usage, answer.service_tier)
    finish = ""
    try:
        for choice in _choices(answer.choices):
            finish = read_finish(choice.finish_reason) or finish
    except (ValueError, RecursionError):
        if usage is NO_USAGE:
            raise protocol(NO_COMPLETION, body) from None
    estimate = _guess(answer.choices) if usage is NO_USAGE else 0
    return Whole(usage=usage, raw_usage=raw, finish=finish, estimate=estimate, filtered=means_filter(finish))


def _guess(choices: msgspec.Raw) -> int:
    """Output tokens of an answer without usage, by the size of its messages or texts."""
    return guess.tokens(sum(len(bytes(choice.message)) + len(bytes(choice.text)) for choice in _said(choices)))


def read_finish(value: object) -> str:
    """A finish reason, empty where there is none."""
    return value[:_FINISH_LENGTH] if isinstance(value, str) else ""


def decode(body: bytes) -> Answer:
    """A 2xx answer one level deep. Raises as `read_reply` does, but for choices that are no list."""
    try:
        answer = _strict(body)
    except msgspec.ValidationError:
        problem = NO_COMPLETION
    except (ValueError, RecursionError):
        problem = "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty."
    else:
        if answer.error:
            raise reported(answer.error, Upstream(status=200, body=body))
        return answer
    raise protocol(problem, body)


def _strict(body: bytes) -> Answer:
    try:
        return _answer(body)
    except (ValueError, RecursionError):
        return _answer(mended(body))


def whole(body: bytes) -> dict[str, Any]:
    """All of an answer that `decode` has taken: numbers deeper in it may need mending still. Raises as `read_reply` does."""
    try:
        told: dict[str, Any] = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        try:
            told = msgspec.json.decode(mended(body))
        except (ValueError, RecursionError):
            raise protocol(NO_COMPLETION, body) from None
    return told


def mended(body: bytes) -> bytes:
    """The same JSON, strictly: servers in Python write NaN and lone surrogates, and their clients read them.

    Bytes that are no UTF-8 become the mark for such, a number that no one can hold becomes null. Raises `ValueError` or
    `RecursionError` where it cannot be read that way either.
    """
    told = json.loads(body.decode("utf-8-sig", "replace"), parse_constant=lambda _: None, parse_float=_number)
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


def _number(told: str) -> float | None:
    number = float(told)
    return number if isfinite(number) else None
