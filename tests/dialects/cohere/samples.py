"""Answers of Cohere's form, whole and streamed, and how a stream is cut."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from trunkline.canon.stream import Event, Fold
from trunkline.dialects.cohere.reader import CohereReader

USAGE: dict[str, Any] = {
    "billed_units": {"input_tokens": 5, "output_tokens": 6},
    "tokens": {"input_tokens": 50, "output_tokens": 9, "reasoning_tokens": 4},
    "cached_tokens": 30,
}
CITED: dict[str, Any] = {
    "start": 0,
    "end": 4,
    "text": "Ruby",
    "sources": [
        {"type": "tool", "id": "a:0", "tool_output": {"title": "On Ruby", "url": "https://e.org/r", "text": "Ruby is red."}},
        {"type": "document", "id": "https://e.org/d", "document": {"snippet": "A gem."}},
    ],
    "content_index": 1,
    "type": "TEXT_CONTENT",
}
CALL: dict[str, Any] = {"id": "look_up_1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": "x"}'}}
WHOLE: dict[str, Any] = {
    "id": "c-1",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm, gems."}, {"type": "text", "text": "Ruby 漢"}],
        "citations": [CITED],
        "tool_plan": "I will look.",
        "tool_calls": [CALL],
    },
    "finish_reason": "TOOL_CALL",
    "usage": USAGE,
    "logprobs": [{"token_ids": [1, 2], "text": "Ruby 漢", "logprobs": [-0.5, -1.0]}],
}


def event(value: dict[str, Any]) -> bytes:
    """One event as Cohere writes it."""
    return f"event: {value.get('type', '')}\ndata: {json.dumps(value)}\n\n".encode()


def content(kind: str, index: int, told: dict[str, Any], **more: Any) -> dict[str, Any]:
    """`content-start` or `content-delta`."""
    return {"type": f"content-{kind}", "index": index, "delta": {"message": {"content": told}}, **more}


def called(kind: str, index: int, told: dict[str, Any]) -> dict[str, Any]:
    """`tool-call-start` or `tool-call-delta`."""
    return {"type": f"tool-call-{kind}", "index": index, "delta": {"message": {"tool_calls": told}}}


START: dict[str, Any] = {
    "id": "c-1",
    "type": "message-start",
    "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}},
}
STOP: dict[str, Any] = {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": USAGE}}
EVENTS: list[dict[str, Any]] = [
    START,
    content("start", 0, {"type": "thinking", "thinking": ""}),
    content("delta", 0, {"thinking": "Hm, "}),
    content("delta", 0, {"thinking": "gems."}),
    {"type": "content-end", "index": 0},
    content("start", 1, {"type": "text", "text": ""}),
    content("delta", 1, {"text": "Ruby"}),
    content("delta", 1, {"text": " 漢"}, logprobs={"token_ids": [1, 2], "text": "Ruby 漢", "logprobs": [-0.5, -1.0]}),
    {"type": "content-end", "index": 1},
    {"type": "citation-start", "index": 0, "delta": {"message": {"citations": CITED}}},
    {"type": "citation-end", "index": 0},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will "}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "look."}}},
    called("start", 0, {"id": "look_up_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}),
    called("delta", 0, {"function": {"arguments": '{"q": '}}),
    called("delta", 0, {"function": {"arguments": '"x"}'}}),
    {"type": "tool-call-end", "index": 0},
    STOP,
]
DONE = b"data: [DONE]\n\n"
STREAM = b"".join(map(event, EVENTS)) + DONE


def read(*pieces: bytes) -> list[Event]:
    """What these pieces say."""
    reader = CohereReader("seed")
    return [one for piece in pieces for one in reader.feed(piece)] + reader.close()


def folded(events: Iterable[Event]) -> Any:
    """The answer that they tell."""
    fold = Fold("cohere")
    fold.add(events)
    return fold.reply()
