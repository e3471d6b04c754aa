"""What answers of OpenAI's Responses, of Bedrock's Converse and of Cohere say, read without any code of ours.

Frames of an event stream are cut by botocore. Which of these readers an endpoint needs is told in `said`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.eventstream import EventStreamBuffer

from conformance.words import Call, Json, Said, Spent, decoded, finish_of

# Responses ---------------------------------------------------------------------------------------------------------------


def responses_spent(usage: Json) -> Spent:
    """Inclusive, as ours."""
    inside, outside = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    read, thought = inside.get("cached_tokens") or 0, outside.get("reasoning_tokens") or 0
    return Spent(usage["input_tokens"], read, inside.get("cache_write_tokens") or 0, usage["output_tokens"], thought)


def responses(told: Iterable[Json]) -> Said:
    """A response, or the events of one."""
    items: dict[int, Json] = {}
    grown: dict[int, dict[str, dict[int, str]]] = {}
    last: Json = {}
    for one in told:
        kind = one.get("type", "")
        if "output" in one:
            items, last = dict(enumerate(one["output"])), one
        elif kind in {"response.output_item.added", "response.output_item.done"}:
            items[one["output_index"]] = one["item"]
        elif kind.endswith(".delta") and isinstance(one.get("delta"), str):
            place = grown.setdefault(one["output_index"], {}).setdefault(kind.split(".")[1], {})
            at = one.get("content_index", one.get("summary_index", 0))
            place[at] = place.get(at, "") + one["delta"]
        elif kind in {"response.completed", "response.incomplete", "response.failed"}:
            last = one["response"]
    return _items([_whole(item, grown.get(at, {})) for at, item in sorted(items.items())], last)


_PLACES = {
    "output_text": ("content", "output_text", "text"),
    "refusal": ("content", "refusal", "refusal"),
    "reasoning_text": ("content", "reasoning_text", "text"),
    "reasoning_summary_text": ("summary", "summary_text", "text"),
}


def _whole(item: Json, grown: dict[str, dict[int, str]]) -> Json:
    """An item with its pieces: what grew must be what is told at its end."""
    for kind, (place, name, field) in _PLACES.items():
        for at, text in grown.get(kind, {}).items():
            known = item.get(place) or []
            if len(known) <= at:
                item = {**item, place: [*known, {"type": name, field: text}]}
            else:
                assert known[at].get(field) == text, f"the pieces of an item are not its {field}"
    arguments = "".join(grown.get("function_call_arguments", {}).values())
    assert not item.get("arguments") or arguments in {"", item["arguments"]}, "the pieces of a call are not its arguments"
    return {**item, "arguments": arguments or item.get("arguments", "")}


def _items(items: list[Json], last: Json) -> Said:
    content = [part for item in items if item["type"] == "message" for part in item["content"]]
    calls = tuple(
        Call(item["name"], decoded(item["arguments"]), item["call_id"]) for item in items if item["type"] == "function_call"
    )
    thoughts = [item for item in items if item["type"] == "reasoning"]
    word = (last.get("incomplete_details") or {}).get("reason") or last.get("status") or ("completed" if last else "")
    return Said(
        text="".join(part["text"] for part in content if part["type"] == "output_text"),
        thinking="".join(map(_thought, thoughts)),
        calls=calls,
        finish=finish_of(word, bool(calls)),
        spent=responses_spent(last["usage"]) if last.get("usage") else None,
        seals=tuple(item["encrypted_content"] for item in thoughts if item.get("encrypted_content")),
        refusal="".join(part["refusal"] for part in content if part["type"] == "refusal"),
    )


def _thought(item: Json) -> str:
    """What a thought shows of itself: its summary, else itself."""
    summary = "\n\n".join(part["text"] for part in item.get("summary") or ())
    return summary or "".join(part["text"] for part in item.get("content") or ())


# Converse ----------------------------------------------------------------------------------------------------------------


def frames(body: bytes) -> Iterator[Json]:
    """The events of an event stream, each under its name."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    for event in buffer:
        headers = event.headers
        assert headers[":message-type"] == "event", headers
        yield {headers[":event-type"]: json.loads(event.payload)}


def converse_spent(usage: Json) -> Spent:
    """Its input is what was neither read from a cache nor written to one."""
    read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    return Spent(usage["inputTokens"] + read + written, read, written, usage["outputTokens"])


def converse(told: Iterable[Json]) -> Said:
    """An answer, or the events of one."""
    blocks: dict[int, Json] = {}
    reason, usage = "", {}
    for one in told:
        if "output" in one:
            blocks = dict(enumerate(one["output"]["message"]["content"]))
            reason, usage = one["stopReason"], one["usage"]
        if start := one.get("contentBlockStart"):
            blocks[start["contentBlockIndex"]] = {name: {**inner, "input": ""} for name, inner in start["start"].items()}
        if piece := one.get("contentBlockDelta"):
            _grow(blocks.setdefault(piece["contentBlockIndex"], {}), piece["delta"])
        reason = one.get("messageStop", {}).get("stopReason", reason)
        usage = one.get("metadata", {}).get("usage", usage)
    calls = tuple(filter(None, map(_call, blocks.values())))
    found = [block.get("reasoningContent", {}) for block in blocks.values()]
    seals = [one.get("redactedContent") or one.get("reasoningText", {}).get("signature") for one in found]
    return Said(
        text="".join(map(_text, blocks.values())),
        thinking="".join(one.get("reasoningText", {}).get("text", "") for one in found),
        calls=calls,
        finish=finish_of(reason, bool(calls)) if calls else finish_of(reason, called=False).replace("tool_calls", "stop"),
        spent=converse_spent(usage) if usage else None,
        seals=tuple(filter(None, seals)),
    )


def _call(block: Json) -> Call | None:
    call = block.get("toolUse")
    if call is None or call.get("type") == "server_tool_use":
        return None
    told = call["input"]
    return Call(call["name"], decoded(told) if isinstance(told, str) else told, call["toolUseId"])


def _text(block: Json) -> str:
    return block.get("text") or "".join(one["text"] for one in block.get("citationsContent", {}).get("content", ()))


def _grow(block: Json, delta: Json) -> None:
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "reasoningContent" in delta:
        told, inside = delta["reasoningContent"], block.setdefault("reasoningContent", {})
        if "redactedContent" in told:
            held = base64.b64decode(inside.get("redactedContent", "")) + base64.b64decode(told["redactedContent"])
            inside["redactedContent"] = base64.b64encode(held).decode()
        for name in ("text", "signature"):
            if name in told:
                grown = inside.setdefault("reasoningText", {})
                grown[name] = grown.get(name, "") + told[name]


# Cohere ------------------------------------------------------------------------------------------------------------------


def cohere_spent(usage: Json) -> Spent:
    """What the model read and wrote, not what of it is billed."""
    tokens = usage["tokens"]
    thought = tokens.get("reasoning_tokens") or 0
    return Spent(tokens["input_tokens"], usage.get("cached_tokens") or 0, 0, tokens["output_tokens"], thought)


def cohere(told: Iterable[Json]) -> Said:
    """An answer, or the events of one."""
    content: dict[int, Json] = {}
    calls: dict[int, Json] = {}
    plan, reason, usage = "", "", {}
    for one in told:
        kind, message = one.get("type", ""), (one.get("delta") or one).get("message") or {}
        plan += message.get("tool_plan") or ""
        match kind:
            case "content-start":
                content[one["index"]] = dict(message["content"])
            case "content-delta":
                for name, text in message["content"].items():
                    content[one["index"]][name] = content[one["index"]].get(name, "") + text
            case "tool-call-start":
                calls[one["index"]] = message["tool_calls"]
            case "tool-call-delta":
                calls[one["index"]]["function"]["arguments"] += message["tool_calls"]["function"]["arguments"]
            case "":
                content, calls = dict(enumerate(message.get("content") or ())), dict(enumerate(message.get("tool_calls") or ()))
        end = one.get("delta") or one
        reason, usage = end.get("finish_reason") or reason, end.get("usage") or usage
    made = tuple(_cohere_call(call["function"], call["id"]) for call in calls.values())
    return Said(
        text="".join(part.get("text", "") for part in content.values()),
        thinking=plan + "".join(part.get("thinking", "") for part in content.values()),
        calls=made,
        finish=finish_of(reason, bool(made)),
        spent=cohere_spent(usage) if usage else None,
    )


def _cohere_call(function: Json, ident: str) -> Call:
    arguments: Any = decoded(function["arguments"])
    return Call(function["name"], arguments, ident)
