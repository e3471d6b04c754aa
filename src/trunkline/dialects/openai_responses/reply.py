"""What a whole answer tells in passing. Its content belongs in `read_answer`, its usage object in `usage`."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE
from trunkline.dialects import guess
from trunkline.dialects.dialect import Whole
from trunkline.dialects.errors import protocol
from trunkline.dialects.openai_responses.failure import failed
from trunkline.dialects.openai_responses.usage import read_usage
from trunkline.dialects.openai_shape.reply import mended

NO_RESPONSE = "The provider's answer is not a response."
_BROKEN = ("failed", "cancelled")
"""Statuses of an answer that will never be whole."""
FILTERED = "content_filter"
"""What made an answer incomplete that a filter ended."""
_FINISH_LENGTH = 64
_ABSENT = msgspec.Raw(b"")


class Answer(msgspec.Struct, gc=False):
    """A response, one level deep: a whole answer, or what the events at a stream's ends carry."""

    id: Any = None
    model: Any = None
    created_at: Any = None
    status: Any = None
    incomplete_details: Any = None
    error: Any = None
    output: msgspec.Raw = _ABSENT
    usage: msgspec.Raw = _ABSENT
    service_tier: Any = None


_decode = msgspec.json.Decoder(Answer).decode


def read_reply(body: bytes) -> Whole:
    """Read a 2xx whole answer in passing.

    Raises `GatewayError`: the provider's own error inside a 200, or an answer that is empty, not JSON or no response.
    """
    answer = decode(body)
    usage, raw = read_usage(answer.usage, answer.service_tier)
    estimate = guess.tokens(len(bytes(answer.output))) if usage is NO_USAGE else 0
    finish = finish_of(answer)
    return Whole(usage=usage, raw_usage=raw, finish=finish, estimate=estimate, filtered=finish == FILTERED)


def finish_of(answer: Answer) -> str:
    """The provider's own word for why it ended: what made it incomplete, else its status."""
    details = answer.incomplete_details
    reason = details.get("reason") if isinstance(details, dict) else None
    word = reason if isinstance(reason, str) and reason else answer.status
    return word[:_FINISH_LENGTH] if isinstance(word, str) else ""


def decode(body: bytes) -> Answer:
    """A 2xx answer one level deep. Raises as `read_reply` does."""
    try:
        answer = _strict(body)
    except msgspec.ValidationError:
        problem = NO_RESPONSE
    except (ValueError, RecursionError):
        problem = "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty."
    else:
        if answer.error or answer.status in _BROKEN:
            raise failed(answer.error, body)
        if bytes(answer.output).startswith(b"["):
            return answer
        problem = NO_RESPONSE
    raise protocol(problem, body)


def _strict(body: bytes) -> Answer:
    try:
        return _decode(body)
    except (ValueError, RecursionError):
        return _decode(mended(body))
