"""A provider's whole answer read into canon."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Choice, Citation, Part, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import Upstream
from trunkline.dialects.cohere.citing import citations, cites_text, content_index
from trunkline.dialects.cohere.logprobs import read_logprobs
from trunkline.dialects.cohere.usage import read_usage
from trunkline.dialects.cohere.words import NAME, objects, read_finish, table, text
from trunkline.dialects.errors import protocol, reported
from trunkline.dialects.names import made_id

_KNOWN = frozenset({"id", "message", "finish_reason", "usage", "logprobs"})


def read_answer(body: bytes, seed: str) -> Reply:
    """A 2xx whole answer. Raises `GatewayError`: an error that stands in its place, or an answer that is none of Cohere's."""
    try:
        told = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise protocol(
            "The provider's answer is not JSON." if body.strip() else "The provider's answer is empty.", body
        ) from None
    message = told.get("message") if isinstance(told, dict) else None
    if isinstance(message, str):
        raise reported(told, Upstream(status=200, body=body))
    if not isinstance(message, dict):
        raise protocol("The provider's answer is not Cohere's.", body)
    usage, raw = read_usage(told.get("usage"))
    parts = _parts(message, seed)
    word = text(told.get("finish_reason"))
    called = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(parts, read_finish(word, called=called), word, logprobs=read_logprobs(told.get("logprobs")))
    vendor = {name: value for name, value in told.items() if name not in _KNOWN and value is not None}
    return Reply(NAME, text(told.get("id")), "", (choice,), usage, raw, vendor=vendor or NOTHING)


def call(told: dict[str, Any], ident: str) -> ToolCall:
    """A call of a tool; `ident` where it has no id of its own."""
    function = table(told.get("function"))
    return ToolCall(text(told.get("id")) or ident, text(function.get("name")), _arguments(function.get("arguments")) or "{}")


def _arguments(told: object) -> str:
    return msgspec.json.encode(told).decode() if isinstance(told, dict) else text(told)


def _parts(message: dict[str, Any], seed: str) -> tuple[Part, ...]:
    """In the order in which a stream tells them: content, the plan, calls."""
    told = message.get("content")
    blocks = [{"type": "text", "text": told}] if isinstance(told, str) else objects(told)
    cited = _cited(message)
    parts: list[Part] = []
    for at, block in enumerate(blocks):
        if thought := text(block.get("thinking")):
            parts.append(Thinking(thought))
        elif said := text(block.get("text")):
            parts.append(Text(said, citations=tuple(cited.get(at, ()))))
    if plan := text(message.get("tool_plan")):
        parts.append(Thinking(plan))
    calls = (call(one, made_id(seed, at)) for at, one in enumerate(objects(message.get("tool_calls"))))
    return (*parts, *calls)


def _cited(message: dict[str, Any]) -> dict[int, list[Citation]]:
    found: dict[int, list[Citation]] = {}
    for told in filter(cites_text, objects(message.get("citations"))):
        found.setdefault(content_index(told), []).extend(citations(told))
    return found
