"""A whole answer, written for a client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import (
    Choice,
    Citation,
    Media,
    Other,
    Part,
    Refusal,
    Reply,
    Seal,
    Text,
    Thinking,
    ToolCall,
)
from trunkline.canon.stream import Finished
from trunkline.dialects import state
from trunkline.dialects.anthropic.read_answer import refusal
from trunkline.dialects.anthropic.usage import write_usage
from trunkline.dialects.anthropic.words import NAME, is_call, write_stop
from trunkline.dialects.arguments import wrapped
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import broken
from trunkline.dialects.plain import shown

UNSIGNED = state.wrap(Seal("", ""))
"""The signature of thinking that has none: Anthropic's own model would refuse it, so it must be told from its own when the
conversation goes on there."""
_CALL_FIELDS = frozenset({"caller", "toolset_name"})


def write_answer(reply: Reply, frame: Frame) -> bytes:
    """The answer. Raises `GatewayError(UPSTREAM_FAILED)` where the model could not finish it: a client must not take what
    there is for the whole.
    """
    choice = reply.choices[0]
    if choice.finish == "error":
        raise broken(choice.native_finish)
    own = reply.dialect == NAME
    content = _content(choice, own=own)
    stop, sequence, details = ending(
        Finished(choice.finish, choice.native_finish, choice.stop_sequence, vendor=choice.vendor if own else {}),
        choice.parts,
    )
    usage = msgspec.json.decode(reply.raw_usage) if own and reply.raw_usage else write_usage(reply.usage)
    told = {
        "id": reply.id or frame.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model or frame.ask.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": sequence,
        **details,
        "usage": usage,
        **(reply.vendor if own else {}),
    }
    return msgspec.json.encode(told)


def ending(finished: Finished, parts: Iterable[Part]) -> tuple[str, str | None, dict[str, Any]]:
    """`stop_reason`, `stop_sequence`, and the fields that stand beside them. `parts`: those of the answer."""
    parts = list(parts)
    refused = "".join(part.text for part in parts if isinstance(part, Refusal))
    stop = "refusal" if refused and not any(map(is_call, parts)) else write_stop(finished.reason, finished.native, parts)
    late = dict(finished.vendor)
    if refused and not refusal(late):
        late["stop_details"] = {"type": "refusal", "category": None, "explanation": refused}
    return stop, finished.stop_sequence or None, late


def start(part: Part) -> dict[str, Any] | None:
    """How a part's block begins, empty where it grows; None where this dialect has no block for it."""
    match part:
        case Text() | Media():
            return {"type": "text", "text": ""}
        case Thinking():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolCall():
            extra = {name: value for name, value in part.vendor.items() if name in _CALL_FIELDS}
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": {}, **extra}
        case Other() if part.dialect == NAME:
            return dict(part.value)
        case _:
            return None


def citation(found: Citation) -> dict[str, Any]:
    """A citation as Anthropic tells it; one from elsewhere as a web search's result, which is the shape that names a URL."""
    if "type" in found.vendor and "cited_text" in found.vendor:
        return dict(found.vendor)
    return {
        "type": "web_search_result_location",
        "cited_text": found.quote,
        "url": found.url,
        "title": found.title or None,
        "encrypted_index": "",
    }


def carrier(seal: Seal, place: state.Place) -> dict[str, Any]:
    """An empty thinking block that carries the state of a part which has no slot for it."""
    return {"type": "thinking", "thinking": "", "signature": state.wrap(seal, place)}


def _content(choice: Choice, *, own: bool) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    told = own and bool(refusal(choice.vendor))
    for part in choice.parts:
        if isinstance(part, Text | ToolCall) and part.seal is not None:
            empty = isinstance(part, Text) and not part.text
            _carry(blocks, part.seal, "empty" if empty else "next")
        block = _whole(part)
        if block is not None and not (told and isinstance(part, Refusal)):
            blocks.append(block)
    for block in blocks:
        if block["type"] == "thinking" and not block["signature"]:
            block["signature"] = UNSIGNED
    return blocks


def _carry(blocks: list[dict[str, Any]], seal: Seal, place: state.Place) -> None:
    if place == "next" and blocks and blocks[-1]["type"] == "thinking" and not blocks[-1]["signature"]:
        blocks[-1]["signature"] = state.wrap(seal, place)
    else:
        blocks.append(carrier(seal, place))


def _whole(part: Part) -> dict[str, Any] | None:
    match part:
        case Thinking():
            return _thinking(part)
        case ToolCall():
            return {**(start(part) or {}), "input": wrapped(part.arguments)}
        case Text() | Refusal() | Media():
            text = shown(part) if isinstance(part, Media) else part.text
            cited = [citation(one) for one in part.citations] if isinstance(part, Text) else []
            return {"type": "text", "text": text, **({"citations": cited} if cited else {})} if text else None
        case _:
            return start(part)


def _thinking(part: Thinking) -> dict[str, Any] | None:
    signature = state.slot(part.seal, NAME)
    if part.redacted:
        return {"type": "redacted_thinking", "data": signature} if signature else None
    if not (part.text or signature):
        return None
    return {"type": "thinking", "thinking": part.text, "signature": signature}
