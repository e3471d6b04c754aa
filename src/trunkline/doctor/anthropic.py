"""What Claude Code and Anthropic's SDK rely on: messages."""

from __future__ import annotations

from typing import Any

from trunkline.doctor import task
from trunkline.doctor.call import Call
from trunkline.doctor.finding import at, need

_PATH = "/v1/messages?beta=true"
_VERSION = "anthropic-version: 2023-06-01"
_BETA = "anthropic-beta: mid-conversation-tool-changes-2026-07-01,effort-2025-11-24"
_TOOLS = [{"name": task.TOOL, "description": task.ABOUT, "input_schema": task.SCHEMA}]
_SYSTEM = [{"type": "text", "text": "You are a helpful program.", "cache_control": {"type": "ephemeral"}}]


def _asked(call: Call, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": call.model, "max_tokens": task.MAX_TOKENS, "messages": list(messages), **more}


def _user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def listed(call: Call) -> list[str]:
    """Model discovery: the list in Anthropic's form."""
    names = [at(entry, "id") for entry in at((await call.get("/v1/models?limit=1000", _VERSION)).json(), "data") or []]
    return [] if call.model in names else ["the list of models does not name it (provider/model names are not listed)"]


async def whole(call: Call) -> list[str]:
    """An answer with content, stop reason and usage."""
    answer = (await call.post("/v1/messages", _asked(call, _user(task.HELLO)), _VERSION)).json()
    need(at(answer, "type") == "message", "the answer is no message")
    need(at(answer, "stop_reason"), "the answer has no stop reason")
    need(isinstance(at(answer, "usage", "input_tokens"), int), "the answer tells no usage")
    return [] if at(answer, "content") else ["the answer has no content"]


async def streamed(call: Call) -> list[str]:
    """A stream as Claude Code asks for it: thinking that adapts, instructions in mid-conversation, cache marks, betas."""
    asked = _asked(
        call,
        _user([{"type": "text", "text": task.HELLO}]),
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        system=_SYSTEM,
        stream=True,
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "low"},
        tools=_TOOLS,
        metadata={"user_id": "doctor"},
    )
    events = (await call.post(_PATH, asked, _VERSION, _BETA)).events()
    names = [name for name, _ in events if name != "ping"]
    need(all(at(data, "type") == name for name, data in events), "an event's name is not its type")
    need(names[:1] == ["message_start"], "the stream does not begin with message_start")
    need(names[-1:] == ["message_stop"], "the stream does not end with message_stop")
    need(names.count("content_block_start") == names.count("content_block_stop"), "a content block is not closed")
    need(any(at(data, "delta", "stop_reason") for _, data in events), "no message_delta tells the stop reason")
    return []


async def tools(call: Call) -> list[str]:
    """A tool call in a stream, its result, an answer; thinking goes back as it came."""
    first = _asked(call, _user(task.CALL_IT), tools=_TOOLS, stream=True)
    blocks: dict[int, dict[str, Any]] = {}
    for _, data in (await call.post(_PATH, first, _VERSION)).events():
        if at(data, "type") == "content_block_start":
            blocks[data["index"]] = dict(data["content_block"]) | {"json": ""}
        elif at(data, "type") == "content_block_delta":
            block, delta = blocks[data["index"]], data["delta"]
            block["json"] += delta.get("partial_json", "")
            for field in ("text", "thinking", "signature"):
                if field in delta:
                    block[field] = block.get(field, "") + delta[field]
    called = next((block for block in blocks.values() if block["type"] == "tool_use"), None)
    if called is None:
        return [task.NOT_CALLED]
    need(called["name"] == task.TOOL, f"the tool call names {called['name']!r}")
    task.arguments(called["json"] or "{}")
    said = {"role": "assistant", "content": [_back(block) for block in blocks.values()]}
    result = _user([{"type": "tool_result", "tool_use_id": called["id"], "content": task.RESULT}])
    answer = (await call.post(_PATH, _asked(call, _user(task.CALL_IT), said, result, tools=_TOOLS), _VERSION)).json()
    need(at(answer, "stop_reason"), "the answer to a tool's result has no stop reason")
    return []


def _back(block: dict[str, Any]) -> dict[str, Any]:
    """A streamed block as a client sends it back."""
    sent = {name: value for name, value in block.items() if name != "json"}
    return sent | {"input": {"city": "Berlin"}} if block["type"] == "tool_use" else sent


async def counted(call: Call) -> list[str]:
    """count_tokens answers for the model."""
    answer = await call.post(
        "/v1/messages/count_tokens?beta=true", {"model": call.model, "messages": [_user(task.HELLO)]}, _VERSION
    )
    need(isinstance(at(answer.json(), "input_tokens"), int), "the count is no number")
    exact = answer.headers.get(b"x-trunkline-count-basis") == b"provider"
    return [] if exact else ["tokens are counted by a tokenizer here, not by the provider: near, not exact"]


async def errors(call: Call) -> list[str]:
    """A model that is not there is a not_found_error."""
    body = b'{"model":"no/such-model","max_tokens":1,"messages":[]}'
    answer = await call.send("POST", "/v1/messages", body, _VERSION)
    need(answer.status == 404, f"an unknown model is answered {answer.status}")
    need(at(answer.json(), "error", "type") == "not_found_error", "the error is not of Anthropic's form")
    return []
