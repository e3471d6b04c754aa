"""A whole answer for a client of this dialect: text alone. Thinking and calls of tools have no place in it."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Choice, Refusal, Reply, Text
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_completions.logprobs import write_logprobs
from trunkline.dialects.openai_completions.prompts import before
from trunkline.dialects.openai_completions.words import NAME
from trunkline.dialects.openai_shape.finish import write_reason
from trunkline.dialects.openai_shape.usage import write_usage


def write_answer(reply: Reply, frame: Frame) -> bytes:
    """The body. Where the provider told no usage there is none. Raises `GatewayError` for an answer that has no end."""
    for choice in reply.choices:
        error = unfinished(choice.finish, choice.native_finish)
        if error is not None:
            raise error
    own, head = reply.dialect == NAME, before(frame.ask)
    told = {
        "id": reply.id or frame.id,
        "object": "text_completion",
        "created": reply.created or frame.created,
        "model": reply.model or frame.ask.model,
        "choices": [_choice(number, choice, head, own) for number, choice in enumerate(reply.choices)],
    }
    if reply.usage.basis != "none":
        told["usage"] = write_usage(reply.usage)
    return msgspec.json.encode({**(reply.vendor if own else NOTHING), **told})


def _choice(number: int, choice: Choice, head: str, own: bool) -> dict[str, Any]:
    return {
        "text": head + "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal)),
        "index": number,
        "logprobs": write_logprobs(choice.logprobs, len(head)),
        "finish_reason": write_reason(choice.finish, called=False, legacy=False),
        **(choice.vendor if own else NOTHING),
    }
