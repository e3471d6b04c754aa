"""How many tokens a request has: the question to a provider, its answer, and ours to a client."""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.errors import protocol
from trunkline.dialects.openai_responses.words import COUNT_PATH
from trunkline.dialects.openai_responses.write_chat import write_fields
from trunkline.dialects.shallow import encode

#: What the question may hold (openai-python 3.52.0, `InputTokenCountParams`).
_COUNTED = ("model", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text", "truncation")


class _Count(msgspec.Struct):
    input_tokens: int
    object: str = "response.input_tokens"


_count = msgspec.json.Decoder(_Count).decode


def write_count(chat: Chat, model: str, facts: Facts) -> Outgoing | None:
    """The question to a provider. What would be lost is no matter here, but what would be refused raises."""
    fields = write_fields(chat, model, facts, Loss(strict=False))
    return Outgoing(COUNT_PATH, encode({name: fields[name] for name in _COUNTED if name in fields}))


def read_count(body: bytes) -> int:
    """The provider's count. Raises `GatewayError(UPSTREAM_PROTOCOL)` where there is none."""
    try:
        told = _count(body).input_tokens
    except (ValueError, RecursionError):
        told = -1
    if told < 0:
        raise protocol("The provider's answer is not a number of tokens.", body)
    return told


def write_count_answer(tokens: int) -> bytes:
    """The answer to a client."""
    return msgspec.json.encode(_Count(tokens))
