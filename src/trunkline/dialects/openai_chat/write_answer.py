"""A whole answer for a client of this dialect. Streams belong in `writer`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import (
    NOTHING,
    Choice,
    Citation,
    Json,
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
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_chat.details import NAME, write_details, write_extra
from trunkline.dialects.openai_shape.content import data_url
from trunkline.dialects.openai_shape.finish import write_reason
from trunkline.dialects.openai_shape.usage import write_usage
from trunkline.dialects.state import wrap


def write_answer(reply: Reply, frame: Frame) -> bytes:
    """The body. Where the provider told no usage there is none. Raises `GatewayError` for an answer that has no end."""
    for choice in reply.choices:
        error = unfinished(choice.finish, choice.native_finish)
        if error is not None:
            raise error
    own = reply.dialect == NAME
    told = {
        "id": reply.id or frame.id,
        "object": "chat.completion",
        "created": reply.created or frame.created,
        "model": reply.model or frame.ask.model,
        "choices": [_choice(number, choice, own, legacy(frame.ask)) for number, choice in enumerate(reply.choices)],
    }
    if reply.usage.basis != "none":
        told["usage"] = write_usage(reply.usage)
    return msgspec.json.encode({**(reply.vendor if own else NOTHING), **told})


def legacy(ask: Ask) -> bool:
    """The client speaks of functions, as before there were tools."""
    return "functions" in ask.fields and "tools" not in ask.fields


def write_logprobs(tokens: tuple[Json, ...], *, refused: bool) -> dict[str, Any] | None:
    """The tokens, as those of the text or of the refusal."""
    if not tokens:
        return None
    return {"content": None, "refusal": tokens} if refused else {"content": tokens, "refusal": None}


def write_citation(citation: Citation, shift: int, end: int) -> dict[str, Any]:
    """An annotation. `shift`: characters before the text it belongs to; `end`: those up to its end, for one without a place."""
    told = {
        "url": citation.url,
        "title": citation.title,
        "start_index": shift + (citation.start or 0),
        "end_index": end if citation.end is None else shift + citation.end,
    }
    return {"type": "url_citation", "url_citation": {**told, "content": citation.quote} if citation.quote else told}


def write_image(media: Media) -> dict[str, Any]:
    """A generated picture, as OpenRouter tells it; OpenAI's own chat has none."""
    return {"type": "image_url", "image_url": {"url": data_url(media)}}


def write_call(call: ToolCall, *, own: bool) -> dict[str, Any]:
    """A call, of a function or of a custom tool. `own`: its `vendor` is this dialect's."""
    if own and call.vendor.get("type") == "custom":
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": custom_input(call.arguments)}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def custom_input(arguments: str) -> str:
    """The text that a custom tool is given: canon holds it as the only field of an object."""
    try:
        told = msgspec.json.decode(arguments)
    except ValueError:
        return arguments
    found = told.get("input") if isinstance(told, dict) else None
    return found if isinstance(found, str) else arguments


def _choice(number: int, choice: Choice, own: bool, old: bool) -> dict[str, Any]:
    parts = choice.parts
    vendor = dict(choice.vendor) if own else {}
    message = {"role": "assistant", **_message(parts, own, old), **vendor.pop("message", {})}
    called = any(isinstance(part, ToolCall) for part in parts)
    return {
        "index": number,
        "message": message,
        "logprobs": write_logprobs(choice.logprobs, refused="content" in message and message["refusal"] is not None),
        "finish_reason": write_reason(choice.finish, called=called, legacy=old),
        **vendor,
    }


def _message(parts: tuple[Part, ...], own: bool, old: bool) -> dict[str, Any]:
    texts = [part for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    text = "".join(part.text for part in texts)
    message: dict[str, Any] = {
        "content": text if texts or not (calls or refusals) else None,
        "refusal": "".join(refusals) or None,
    }
    message |= _thoughts(parts, own)
    annotations = _annotations(texts)
    if annotations:
        message["annotations"] = annotations
    images = [write_image(part) for part in parts if isinstance(part, Media) and part.kind == "image"]
    if images:
        message["images"] = images
    if calls and old:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        message["tool_calls"] = [_sealed(write_call(call, own=own), call.seal) for call in calls]
    return _sealed(message, next((part.seal for part in reversed(texts) if part.seal is not None), None))


def _thoughts(parts: Iterable[Part], own: bool) -> dict[str, Any]:
    """Twice, as a stream tells it: a text for everybody, and entries for those who hand them back."""
    thoughts = [part for part in parts if isinstance(part, Other) or (isinstance(part, Thinking) and (part.text or part.seal))]
    told: dict[str, Any] = {}
    text = "".join(part.text for part in thoughts if isinstance(part, Thinking))
    if text:
        told["reasoning_content"] = text
    entries = write_details(thoughts, own=own, wrapped=True)
    if entries:
        told["reasoning_details"] = entries
    return told


def _annotations(texts: Iterable[Text]) -> list[dict[str, Any]]:
    found, shift = [], 0
    for part in texts:
        end = shift + len(part.text)
        found += [write_citation(citation, shift, end) for citation in part.citations]
        shift = end
    return found


def _sealed(told: dict[str, Any], seal: Seal | None) -> dict[str, Any]:
    return told if seal is None else {**told, "extra_content": write_extra(wrap(seal))}
