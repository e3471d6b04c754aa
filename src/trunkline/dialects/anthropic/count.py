"""How many tokens a request has: the question to a provider, its answer, and the answer to a client."""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.anthropic.words import COUNT_PATH
from trunkline.dialects.anthropic.write_chat import head, write_body
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.errors import protocol
from trunkline.dialects.shallow import encode

#: What `count_tokens` takes (SDK 2.11.0); the rest has no part in the prompt.
_TAKEN = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "context_management",
    "mcp_servers", "speed",
})  # fmt: skip


class _Count(msgspec.Struct):
    input_tokens: int


_count = msgspec.json.Decoder(_Count).decode


def write_count(chat: Chat, model: str, facts: Facts) -> Outgoing:
    """The question. What cannot be carried is left out of the count, as it will be of the request."""
    body, _ = write_body(chat, model, facts, Loss(strict=False))
    return Outgoing(COUNT_PATH, encode({name: value for name, value in body.items() if name in _TAKEN}), head(facts, body))


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
