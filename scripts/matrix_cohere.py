"""Cohere's chat from the server's side, as far as the conformance matrix needs it: its dialect has no clients.

A small reading of written requests, and answers for the dialect to read. It knows the API, not how the dialect is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from trunkline.canon.chat import (
    Chat,
    Choice,
    Media,
    Message,
    OutputFormat,
    Reasoning,
    Reply,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

NAME = "cohere"
Json = dict[str, Any]
_FINISHES = {
    "stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "ERROR_TOXIC",
    "stop_sequence": "STOP_SEQUENCE",
}  # fmt: skip
_CHOICES: dict[str | None, Any] = {"REQUIRED": ToolChoice("required"), "NONE": ToolChoice("none")}


def read(body: bytes) -> Chat:
    """What a request asks."""
    told = msgspec.json.decode(body)
    strict = told.get("strict_tools")
    form, thinking = told.get("response_format"), told.get("thinking")
    schema = (form or {}).get("json_schema")
    return Chat(
        NAME,
        "model",
        tuple(_message(one) for one in told["messages"]),
        tools=tuple(_tool(one["function"], strict) for one in told.get("tools", ())),
        tool_choice=_CHOICES.get(told.get("tool_choice")),
        max_tokens=told.get("max_tokens"),
        stop=tuple(told.get("stop_sequences", ())),
        sampling=Sampling(
            temperature=told.get("temperature"),
            top_p=told.get("p"),
            top_k=told.get("k"),
            seed=told.get("seed"),
            frequency_penalty=told.get("frequency_penalty"),
            presence_penalty=told.get("presence_penalty"),
            logprobs=told.get("logprobs"),
        ),
        output=None if form is None else OutputFormat("schema" if schema else "json", schema),
        reasoning=None if thinking is None else _reasoning(thinking),
    )


def _tool(told: Json, strict: bool | None) -> Tool:
    return Tool(told["name"], told.get("description", ""), told["parameters"], strict=strict)


def _reasoning(told: Json) -> Reasoning:
    return Reasoning("off" if told["type"] == "disabled" else "on", budget=told.get("token_budget"))


def _message(told: Json) -> Message:
    content = told.get("content") or []
    parts: list[Any] = [Text(content)] if isinstance(content, str) else [_part(one) for one in content]
    if told["role"] == "tool":
        return Message("tool", (ToolResult(told["tool_call_id"], "", tuple(parts)),))
    called = ((call["id"], call["function"]) for call in told.get("tool_calls", ()))
    parts += [ToolCall(ident, function["name"], function["arguments"]) for ident, function in called]
    return Message(told["role"], tuple(parts))


def _part(told: Json) -> Any:
    match told["type"]:
        case "thinking":
            return Thinking(told["thinking"])
        case "image_url":
            url = told["image_url"]["url"]
            head, _, data = url.partition(",")
            return Media("image", "image/png", data) if head.startswith("data:") else Media("image", "image/png", url=url)
        case _:
            return Text(told["text"])


# answers -----------------------------------------------------------------------------------------------------------------


def whole(reply: Reply) -> bytes:
    """A whole answer."""
    choice = reply.choices[0]
    content = [part for part in choice.parts if isinstance(part, Text | Thinking)]
    message = {
        "role": "assistant",
        "content": [_block(part) for part in content],
        "tool_calls": [_call(part) for part in choice.parts if isinstance(part, ToolCall)],
        "citations": [
            {**told, "content_index": at} for at, part in enumerate(content) if isinstance(part, Text) for told in _cited(part)
        ],
    }
    return msgspec.json.encode({"id": reply.id, "message": message, **_ending(reply, choice)})


def _ending(reply: Reply, choice: Choice) -> Json:
    usage = reply.usage
    tokens = {"input_tokens": usage.input, "output_tokens": usage.output, "reasoning_tokens": usage.reasoning}
    told: Json = {"finish_reason": _FINISHES[choice.finish], "usage": {"tokens": tokens, "cached_tokens": usage.cache_read}}
    return told | ({"logprobs": _logprobs(choice)} if choice.logprobs else {})


def _logprobs(choice: Choice) -> list[Json]:
    return [{"text": one["token"], "token_ids": [1], "logprobs": [one["logprob"]]} for one in choice.logprobs]


def _block(part: Text | Thinking) -> Json:
    kind = "text" if isinstance(part, Text) else "thinking"
    return {"type": kind, kind: part.text}


def _call(part: ToolCall) -> Json:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}


def _cited(part: Text) -> Iterator[Json]:
    for one in part.citations:
        document = {"title": one.title, "url": one.url}
        source = {"type": "document", "id": "doc", "document": document}
        yield {"start": one.start, "end": one.end, "text": part.text, "sources": [source], "type": "TEXT_CONTENT"}


def stream(reply: Reply) -> bytes:
    """The same as a stream."""
    choice = reply.choices[0]
    ending = _ending(reply, choice)
    ending.pop("logprobs", None)
    return begun(reply) + _event("message-end", delta=ending)


def begun(reply: Reply) -> bytes:
    """Its beginning, up to its last words."""
    return b"".join(_started(reply))


def broken(message: str) -> bytes:
    """What ends a stream that broke."""
    return _event("message-end", delta={"finish_reason": "ERROR", "error": message})


def refused(message: str) -> bytes:
    """An error answer."""
    return msgspec.json.encode({"id": "id", "message": message})


def _started(reply: Reply) -> Iterator[bytes]:
    choice = reply.choices[0]
    yield _event("message-start", id=reply.id, delta={"message": {"role": "assistant"}})
    told = {"logprobs": _logprobs(choice)[0]} if choice.logprobs else {}
    calls = 0
    for at, part in enumerate(choice.parts):
        if isinstance(part, Text | Thinking):
            kind = "text" if isinstance(part, Text) else "thinking"
            yield _event("content-start", index=at, delta={"message": {"content": {"type": kind, kind: ""}}})
            yield _event("content-delta", index=at, delta={"message": {"content": {kind: part.text}}}, **told)
            for cited in _cited(part) if isinstance(part, Text) else ():
                yield _event("citation-start", index=0, delta={"message": {"citations": {**cited, "content_index": at}}})
            yield _event("content-end", index=at)
        elif isinstance(part, ToolCall):
            yield _event("tool-call-start", index=calls, delta={"message": {"tool_calls": _call(part)}})
            yield _event("tool-call-end", index=calls)
            calls += 1


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"
