"""Bedrock's Converse from the server's side, as far as the conformance matrix needs it: its dialect has no clients.

A small reading of written requests, and answers for the dialect to read. It knows the API, not how the dialect is made.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from trunkline.canon.chat import (
    Chat,
    Choice,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Reply,
    Sampling,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

NAME = "bedrock"
Json = dict[str, Any]
_STOPS = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered",
    "stop_sequence": "stop_sequence",
}  # fmt: skip
_TYPES = {"png": "image/png", "pdf": "application/pdf", "wav": "audio/wav"}


def read(body: bytes) -> Chat:
    """What a request asks."""
    told = msgspec.json.decode(body)
    config, tools = told.get("inferenceConfig", {}), told.get("toolConfig", {})
    own, output = told.get("additionalModelRequestFields", {}), told.get("outputConfig", {})
    messages = [Message("system", (Text(one["text"], cache=cache),)) for one, cache in _marked(told.get("system", []))]
    messages += [message for one in told["messages"] for message in _messages(one)]
    choice = tools.get("toolChoice")
    return Chat(
        NAME,
        "model",
        tuple(messages),
        tools=tuple(_tool(one["toolSpec"]) for one in tools.get("tools", [])),
        tool_choice=None if choice is None else ToolChoice("required", (choice["tool"]["name"],) if "tool" in choice else ()),
        max_tokens=config.get("maxTokens"),
        stop=tuple(config.get("stopSequences", ())),
        sampling=Sampling(temperature=config.get("temperature"), top_p=config.get("topP"), top_k=own.get("top_k")),
        output=_output(output.get("textFormat")),
        reasoning=_reasoning(own.get("thinking"), output.get("effort", "")),
    )


def _marked(blocks: list[Json]) -> Iterator[tuple[Json, Any]]:
    """Blocks, each with the cache mark that follows it."""
    for one, after in zip(blocks, [*blocks[1:], {}], strict=False):
        if "cachePoint" not in one:
            yield one, after.get("cachePoint", {}).get("ttl", "5m") if "cachePoint" in after else ""


def _messages(message: Json) -> Iterator[Message]:
    """A user's message holds the results of tools, too."""
    results = tuple(_result(one["toolResult"]) for one in message["content"] if "toolResult" in one)
    if results:
        yield Message("tool", results)
    parts = tuple(_part(one, cache) for one, cache in _marked(message["content"]) if "toolResult" not in one)
    if parts:
        yield Message(message["role"], parts)


def _part(block: Json, cache: Any = "") -> Any:
    kind: Any
    (kind, told), *_ = block.items()
    match kind:
        case "text":
            return Text(told, cache=cache)
        case "toolUse":
            return ToolCall(told["toolUseId"], told["name"], msgspec.json.encode(told["input"]).decode())
        case "reasoningContent":
            text = told.get("reasoningText", {})
            return Thinking(text.get("text", ""), Seal(NAME, text["signature"]) if "signature" in text else None)
        case _:
            return Media(kind, _TYPES[told["format"]], told["source"]["bytes"], name=told.get("name", ""))


def _result(told: Json) -> ToolResult:
    return ToolResult(told["toolUseId"], "", tuple(map(_part, told["content"])), failed=told.get("status") == "error")


def _tool(told: Json) -> Tool:
    return Tool(told["name"], told.get("description", ""), told["inputSchema"]["json"], strict=told.get("strict"))


def _output(told: Json | None) -> OutputFormat | None:
    if told is None:
        return None
    schema = told["structure"]["jsonSchema"]
    return OutputFormat("schema", msgspec.json.decode(schema["schema"]), schema.get("name", ""))


def _reasoning(told: Json | None, effort: str) -> Reasoning | None:
    if told is None:
        return Reasoning("on", effort=effort) if effort else None
    if told["type"] == "disabled":
        return Reasoning("off")
    return Reasoning("adaptive" if told["type"] == "adaptive" else "on", effort=effort, budget=told.get("budget_tokens"))


# answers -----------------------------------------------------------------------------------------------------------------


def whole(reply: Reply) -> bytes:
    """A whole answer."""
    choice = reply.choices[0]
    message = {"role": "assistant", "content": [_block(part) for part in choice.parts if _said(part)]}
    return msgspec.json.encode({"output": {"message": message}, "stopReason": _STOPS[choice.finish], "usage": _usage(reply)})


def _said(part: Part) -> bool:
    return isinstance(part, Text | Thinking | ToolCall)


def _block(part: Part) -> Json:
    match part:
        case ToolCall():
            call = {"toolUseId": part.id, "name": part.name, "input": msgspec.json.decode(part.arguments)}
            return {"toolUse": call}
        case Thinking():
            seal = {"signature": part.seal.data} if part.seal else {}
            return {"reasoningContent": {"reasoningText": {"text": part.text, **seal}}}
        case Text(citations=cited) if cited:
            sources = [{"title": one.title, "location": {"web": {"url": one.url}}} for one in cited]
            return {"citationsContent": {"content": [{"text": part.text}], "citations": sources}}
        case _:
            return {"text": part.text}  # type: ignore[union-attr]


def _usage(reply: Reply) -> Json:
    usage = reply.usage
    written = usage.cache_write_5m + usage.cache_write_1h
    return {
        "inputTokens": usage.input - usage.cache_read - written,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": written,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
    }


def stream(reply: Reply) -> bytes:
    """The same as a stream."""
    return b"".join(_events(reply))


def begun(reply: Reply) -> bytes:
    """Its beginning, up to its first words."""
    return b"".join(_started(reply.choices[0]))


def broken(message: str) -> bytes:
    """What ends a stream that broke."""
    return _frame("exception", "serviceUnavailableException", {"message": message})


def refused(message: str) -> bytes:
    """An error answer."""
    return msgspec.json.encode({"message": message})


def _started(choice: Choice) -> Iterator[bytes]:
    yield _frame("event", "messageStart", {"role": "assistant"})
    for at, part in enumerate(filter(_said, choice.parts)):
        (kind, told), *_ = _block(part).items()
        if kind == "toolUse":
            started = {name: told[name] for name in ("toolUseId", "name")}
            yield _frame("event", "contentBlockStart", {"contentBlockIndex": at, "start": {"toolUse": started}})
        for delta in _deltas(kind, told):
            yield _frame("event", "contentBlockDelta", {"contentBlockIndex": at, "delta": delta})
        yield _frame("event", "contentBlockStop", {"contentBlockIndex": at})


def _deltas(kind: str, told: Any) -> list[Json]:
    match kind:
        case "toolUse":
            return [{"toolUse": {"input": msgspec.json.encode(told["input"]).decode()}}]
        case "reasoningContent":
            return [{"reasoningContent": {name: value}} for name, value in told["reasoningText"].items()]
        case "citationsContent":
            return [{"text": told["content"][0]["text"]}, *({"citation": one} for one in told["citations"])]
        case _:
            return [{"text": told}]


def _events(reply: Reply) -> Iterator[bytes]:
    choice = reply.choices[0]
    yield from _started(choice)
    yield _frame("event", "messageStop", {"stopReason": _STOPS[choice.finish]})
    yield _frame("event", "metadata", {"usage": _usage(reply)})


def _frame(kind: str, name: str, payload: Json) -> bytes:
    """A frame of an event stream (AWS, "Event stream encoding")."""
    pairs = ((":message-type", kind), (f":{kind}-type", name), (":content-type", "application/json"))
    headers = b"".join(
        bytes((len(key),)) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode() for key, value in pairs
    )
    body = msgspec.json.encode(payload)
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    raw = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return raw + struct.pack(">I", zlib.crc32(raw))
