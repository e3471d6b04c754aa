"""What a whole answer tells in passing."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.usage import NO_USAGE
from trunkline.dialects import guess
from trunkline.dialects.anthropic.errors import reported
from trunkline.dialects.anthropic.usage import read_object, read_usage
from trunkline.dialects.anthropic.words import means_filter
from trunkline.dialects.dialect import Whole
from trunkline.dialects.errors import protocol

_FINISH_LENGTH = 64
_ABSENT = msgspec.Raw(b"")


class Answer(msgspec.Struct, gc=False):
    """A message. What the gateway can do without is not typed."""

    content: msgspec.Raw = _ABSENT
    stop_reason: Any = None
    usage: msgspec.Raw = _ABSENT
    type: Any = None
    error: Any = None


_answer = msgspec.json.Decoder(Answer).decode


def read_reply(body: bytes) -> Whole:
    """Read a 2xx whole answer in passing.

    Raises `GatewayError`: the provider's own error inside a 200, or an answer that is empty, not JSON or not a message.
    """
    answer = open_answer(body)
    usage, raw = read_usage(read_object(answer.usage))
    estimate = guess.tokens(len(bytes(answer.content))) if usage is NO_USAGE else 0
    finish = read_finish(answer.stop_reason)
    return Whole(usage=usage, raw_usage=raw, finish=finish, estimate=estimate, filtered=means_filter(finish))


def read_finish(value: object) -> str:
    """A stop reason, empty where there is none."""
    return value[:_FINISH_LENGTH] if isinstance(value, str) else ""


def open_answer(body: bytes) -> Answer:
    """The message, one level deep. Raises as `read_reply` does."""
    try:
        answer = _answer(body)
    except msgspec.ValidationError:
        problem = "The provider's answer is not a message."
    except (ValueError, RecursionError):
        problem = "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty."
    else:
        if answer.type == "error" or answer.error:
            raise reported(answer.error, body)
        if bytes(answer.content)[:1] in {b"[", b'"'}:
            return answer
        problem = "The provider's answer is not a message."
    raise protocol(problem, body)
