"""A whole answer for a client, and what an answer says around its items, whole or streamed."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import FinishReason, Reply
from trunkline.canon.stream import Begin, Cite, Close, Delta, Open, unfold
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.errors import unfinished
from trunkline.dialects.openai_responses.answer_items import Items
from trunkline.dialects.openai_responses.read_chat import read_offered
from trunkline.dialects.openai_responses.usage import write_usage
from trunkline.dialects.openai_responses.words import NAME

_PREFIX = "resp_"
_NULL = msgspec.Raw(b"null")
#: What of the request stands in its answer, and what stands there where the client did not say.
_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def write_answer(reply: Reply, frame: Frame) -> bytes:
    """The body. Raises `GatewayError` for an answer that has no end."""
    choice = reply.choices[0]
    error = unfinished(choice.finish, choice.native_finish)
    if error is not None:
        raise error
    items = Items(frame.id, read_offered(frame.ask), lambda kind, fields: None)  # noqa: ARG005
    for event in unfold(reply):
        if isinstance(event, Open | Delta | Cite | Close):
            items.take(event)
    end = ending(choice.finish, reply.usage)
    items.finish(end["status"])
    told = around(frame, Begin(reply.id, reply.model, reply.created)) | end
    own = reply.vendor if reply.dialect == NAME else {}
    return msgspec.json.encode({**told, **own, "output": items.output})


def around(frame: Frame, begin: Begin) -> dict[str, Any]:
    """An answer in progress, with every field that the API's clients know. It is stored nowhere."""
    fields = frame.ask.fields
    echoed = {name: _told(fields.get(name, _NULL), default) for name, default in _ECHOED.items()}
    return {
        "id": begin.id if begin.id.startswith(_PREFIX) else f"{_PREFIX}{begin.id or frame.id}",
        "object": "response",
        "created_at": begin.created or frame.created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": begin.model or frame.ask.model,
        "previous_response_id": None,
        "store": False,
        **echoed,
        "output": [],
        "usage": None,
    }


def ending(finish: FinishReason, usage: Usage) -> dict[str, Any]:
    """How an answer ended. `finish` is none that `unfinished` has an error for."""
    reason = _INCOMPLETE.get(finish)
    return {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": None if usage.basis == "none" else write_usage(usage),
    }


def _told(raw: msgspec.Raw, default: Any) -> Any:
    """Without line ends, which in JSON are between values only: here they would end an event's line."""
    return default if raw == _NULL else msgspec.Raw(bytes(raw).translate(None, b"\r\n"))
