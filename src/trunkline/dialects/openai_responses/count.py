"""How many tokens a request has: the question to a provider, its answer, and ours to a client."""

from __future__ import annotations

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.openai_responses.words import COUNT_PATH
from trunkline.dialects.openai_responses.write_chat import write_fields
from trunkline.dialects.shallow import encode

#: What the question may hold (openai-python 3.52.0, `InputTokenCountParams`).
_COUNTED = ("model", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text", "truncation")


def write_count(chat: Chat, model: str, facts: Facts) -> Outgoing | None:
    """The question to a provider. What would be lost is no matter here, but what would be refused raises."""
    fields = write_fields(chat, model, facts, Loss(strict=False))
    return Outgoing(COUNT_PATH, encode({name: fields[name] for name in _COUNTED if name in fields}))


def write_count_answer(tokens: int) -> bytes:
    """The answer to a client."""
    return encode({"input_tokens": tokens, "object": "response.input_tokens"})
