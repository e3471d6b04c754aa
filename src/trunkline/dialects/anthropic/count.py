"""How many tokens a request has: the question to a provider, its answer, and the answer to a client."""

from __future__ import annotations

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.anthropic.words import COUNT_PATH
from trunkline.dialects.anthropic.write_chat import head, write_body
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.shallow import encode

#: What `count_tokens` takes (SDK 2.11.0); the rest has no part in the prompt.
_TAKEN = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "context_management",
    "mcp_servers", "speed",
})  # fmt: skip


def write_count(chat: Chat, model: str, facts: Facts) -> Outgoing:
    """The question. What cannot be carried is left out of the count, as it will be of the request."""
    body, _ = write_body(chat, model, facts, Loss(strict=False))
    return Outgoing(COUNT_PATH, encode({name: value for name, value in body.items() if name in _TAKEN}), head(facts, body))


def write_count_answer(tokens: int) -> bytes:
    """The answer to a client."""
    return encode({"input_tokens": tokens})
