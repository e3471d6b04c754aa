"""How the scripted provider speaks OpenAI's Responses API; as `tongues`, of which it is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from typing_extensions import override

from harness.script import Seen
from real.tongues import ANSWERED, CACHED, PROMPT, THOUGHT, Asked, Call, Said, Tongue, pieces, signature, text_of

_TEXT_SCHEMA = {"properties": {"input": {"type": "string"}}}


class _Offered(NamedTuple):
    """A tool, as it is to be called."""

    namespace: str
    name: str
    custom: bool
    schema: dict[str, Any]


class Responses(Tongue):
    """Items, named events with numbers, and no end mark."""

    path = "/v1/responses"

    @override
    def asked(self, seen: Seen) -> Asked | None:
        body = seen.fields
        tools = {name: offer.schema for name, offer in _offered(body).items()}
        items = body["input"] if isinstance(body["input"], list) else []
        results = [text_of(item["output"]) for item in items if str(item.get("type", "")).endswith("_call_output")]
        form = (body.get("text") or {}).get("format") or {}
        return Asked(seen, body["model"], bool(body.get("stream")), tools, results, form.get("schema"))

    def _items(self, asked: Asked, said: Said) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if said.thought:
            summary = [{"type": "summary_text", "text": said.thought}]
            sealed = signature("openai_responses", said.round)
            items.append({"id": f"rs_{said.round}", "type": "reasoning", "summary": summary, "encrypted_content": sealed})
        content = [{"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}]
        phase = "commentary" if said.call else "final_answer"
        items.append(
            {
                "id": f"msg_{said.round}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": content,
                "phase": phase,
            }
        )
        if said.call is not None:
            items.append(self._call(asked, said, said.call))
        return items

    def _call(self, asked: Asked, said: Said, call: Call) -> dict[str, Any]:
        offer = _offered(asked.body)[call.name]
        told = {"id": f"fc_{said.round}", "status": "completed", "call_id": f"call_scripted{said.round}", "name": offer.name}
        if offer.namespace:
            told["namespace"] = offer.namespace
        if offer.custom:
            return {**told, "type": "custom_tool_call", "input": call.arguments["input"]}
        return {**told, "type": "function_call", "arguments": json.dumps(call.arguments)}

    @override
    def whole(self, asked: Asked, said: Said) -> dict[str, Any]:
        return {**self._around(asked, said), **self._end(self._items(asked, said))}

    def _around(self, asked: Asked, said: Said) -> dict[str, Any]:
        return {
            "id": f"resp_scripted{said.round}",
            "object": "response",
            "created_at": 1,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": asked.model,
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        }

    def _end(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        usage = {
            "input_tokens": PROMPT,
            "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
            "output_tokens": ANSWERED,
            "output_tokens_details": {"reasoning_tokens": THOUGHT},
            "total_tokens": PROMPT + ANSWERED,
        }
        return {"status": "completed", "output": items, "usage": usage}

    @override
    def frames(self, asked: Asked, said: Said) -> Iterator[bytes]:
        around, items = self._around(asked, said), self._items(asked, said)
        events: list[tuple[str, dict[str, Any]]] = [(kind, {"response": around}) for kind in ("created", "in_progress")]
        for at, item in enumerate(items):
            events.append(("output_item.added", {"output_index": at, "item": _hollow(item)}))
            place = {"item_id": item["id"], "output_index": at}
            events += [(kind, {**place, **fields}) for kind, fields in _growing(item)]
            events.append(("output_item.done", {"output_index": at, "item": item}))
        events.append(("completed", {"response": {**around, **self._end(items)}}))
        for number, (kind, fields) in enumerate(events):
            told = {"type": f"response.{kind}", "sequence_number": number, **fields}
            yield f"event: response.{kind}\ndata: {json.dumps(told)}\n\n".encode()

    @override
    def counted(self, tokens: int) -> dict[str, Any]:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    @override
    def failed(self, status: int) -> dict[str, Any]:
        return {"error": {"message": "scripted", "type": "server_error", "param": None, "code": "scripted"}}

    @override
    def thoughts(self, turn: Asked) -> list[tuple[str, str]]:
        found = (item for item in turn.body["input"] if item.get("type") == "reasoning")
        return [
            ("".join(part["text"] for part in item.get("summary") or []), str(item.get("encrypted_content", "")))
            for item in found
        ]


def _offered(body: dict[str, Any]) -> dict[str, _Offered]:
    """Every tool that a client runs, by its name; those of a namespace by both."""
    items = body["input"] if isinstance(body["input"], list) else []
    added = (tool for item in items if item.get("type") == "additional_tools" for tool in item["tools"])
    found: dict[str, _Offered] = {}
    for tool in (*(body.get("tools") or []), *added):
        inside = tool["tools"] if tool["type"] == "namespace" else [tool]
        space = tool["name"] if tool["type"] == "namespace" else ""
        for one in inside:
            if one["type"] in {"function", "custom"}:
                custom = one["type"] == "custom"
                schema = _TEXT_SCHEMA if custom else one.get("parameters") or {}
                name = f"{space}__{one['name']}" if space else one["name"]
                found[name] = _Offered(space, one["name"], custom, schema)
    return found


def _hollow(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it begins."""
    empty = {"summary": [], "content": [], "arguments": "", "input": "", "status": "in_progress"}
    begun = {name: empty.get(name, value) for name, value in item.items()}
    return {name: value for name, value in begun.items() if name != "encrypted_content"}


def _growing(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events between an item's beginning and its end."""
    if item["type"] == "reasoning":
        (part,) = item["summary"]
        yield "reasoning_summary_part.added", {"summary_index": 0, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield "reasoning_summary_text.delta", {"summary_index": 0, "delta": piece}
        yield "reasoning_summary_text.done", {"summary_index": 0, "text": part["text"]}
        yield "reasoning_summary_part.done", {"summary_index": 0, "part": part}
    elif item["type"] == "message":
        (part,) = item["content"]
        yield "content_part.added", {"content_index": 0, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield "output_text.delta", {"content_index": 0, "delta": piece, "logprobs": [], "obfuscation": "x" * 7}
        yield "output_text.done", {"content_index": 0, "text": part["text"], "logprobs": []}
        yield "content_part.done", {"content_index": 0, "part": part}
    else:
        name, field = ("custom_tool_call_input", "input") if "input" in item else ("function_call_arguments", "arguments")
        for piece in pieces(item[field]):
            yield f"{name}.delta", {"delta": piece}
        yield f"{name}.done", {field: item[field]}
