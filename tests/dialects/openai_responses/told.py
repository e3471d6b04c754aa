"""Hand-written answers of the Responses API, whole and streamed, and what tests do with them again and again.

The shapes are those of recorded traffic, the words are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from trunkline.canon.chat import Reply
from trunkline.canon.stream import Event, Fail, Fold
from trunkline.dialects.openai_responses.reader import ResponsesReader

USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 17,
}
REASONING: dict[str, Any] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
    "encrypted_content": "sealed",
}
CITED: dict[str, Any] = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "phase": "final_answer",
    "content": [{"type": "output_text", "text": "Hello", "annotations": [CITED], "logprobs": []}],
}
CALL: dict[str, Any] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "look",
    "arguments": '{"at":"it"}',
}
CUSTOM: dict[str, Any] = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_2",
    "name": "run",
    "namespace": "functions",
    "input": 'say("a\n\\")',
}
SEARCH: dict[str, Any] = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}
PICTURE: dict[str, Any] = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBORw0KGgoAAA"}
OUTPUT = [REASONING, SEARCH, MESSAGE, CALL, CUSTOM, PICTURE]


def answer(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A whole answer."""
    told = {"id": "resp_1", "object": "response", "created_at": 5, "status": "completed", "model": "m", "error": None}
    return {**told, "incomplete_details": None, "output": list(output), "usage": USAGE, **fields}


def body(*output: dict[str, Any], **fields: Any) -> bytes:
    """The same as bytes."""
    return json.dumps(answer(*output, **fields)).encode()


def event(kind: str, **fields: Any) -> bytes:
    """One event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 1, **fields})}\n\n".encode()


def created(**fields: Any) -> bytes:
    """The events that announce an answer."""
    begun = answer(status="in_progress", usage=None, **fields)
    return event("response.created", response=begun) + event("response.in_progress", response=begun)


def ended(*output: dict[str, Any], **fields: Any) -> bytes:
    """The event that ends an answer."""
    told = answer(*output, **fields)
    return event(f"response.{told['status']}", response=told)


def added(at: int, item: dict[str, Any]) -> bytes:
    """An item begins."""
    bare = {name: value for name, value in item.items() if name not in {"content", "arguments", "input", "encrypted_content"}}
    return event("response.output_item.added", output_index=at, item={**bare, "status": "in_progress"})


def done(at: int, item: dict[str, Any]) -> bytes:
    """An item ends."""
    return event("response.output_item.done", output_index=at, item=item)


def delta(kind: str, at: int, text: str, **fields: Any) -> bytes:
    """A piece of an item."""
    return event(f"response.{kind}.delta", output_index=at, item_id=f"i{at}", delta=text, **{"content_index": 0, **fields})


def whole_stream() -> bytes:
    """`OUTPUT`, as OpenAI streams it."""
    summary = [delta("reasoning_summary_text", 0, text, summary_index=at) for at, text in enumerate(("First.", "Then."))]
    part = MESSAGE["content"][0]
    return b"".join(
        (
            created(),
            added(0, REASONING | {"summary": []}),
            *summary,
            done(0, REASONING),
            added(1, SEARCH),
            event("response.web_search_call.searching", output_index=1, item_id="ws_1"),
            done(1, SEARCH),
            added(2, MESSAGE),
            event("response.content_part.added", output_index=2, content_index=0, part={"type": "output_text", "text": ""}),
            delta("output_text", 2, "Hel", logprobs=[{"token": "Hel", "logprob": -0.5, "top_logprobs": [5]}]),
            delta("output_text", 2, "lo"),
            event("response.output_text.annotation.added", output_index=2, content_index=0, annotation=CITED),
            event("response.output_text.done", output_index=2, content_index=0, text="Hello"),
            event("response.content_part.done", output_index=2, content_index=0, part=part),
            done(2, MESSAGE),
            added(3, CALL),
            delta("function_call_arguments", 3, '{"at":'),
            delta("function_call_arguments", 3, '"it"}'),
            event("response.function_call_arguments.done", output_index=3, arguments=CALL["arguments"]),
            done(3, CALL),
            added(4, CUSTOM),
            delta("custom_tool_call_input", 4, 'say("a\n'),
            delta("custom_tool_call_input", 4, '\\")'),
            event("response.custom_tool_call_input.done", output_index=4, input=CUSTOM["input"]),
            done(4, CUSTOM),
            added(5, PICTURE | {"result": None}),
            done(5, PICTURE),
            ended(*OUTPUT),
        )
    )


def read(data: bytes, pieces: Iterable[bytes] | None = None) -> list[Event]:
    """The events of a stream."""
    reader = ResponsesReader("seed")
    found = [one for piece in ([data] if pieces is None else pieces) for one in reader.feed(piece)]
    return found + reader.close()


def folded(events: list[Event]) -> Reply:
    """The answer that they tell."""
    fold = Fold("openai_responses")
    fold.add(events)
    return fold.reply()


def shown(events: list[Event]) -> list[Any]:
    """Events as values that compare."""
    return [("fail", one.error.message, one.error.status) if isinstance(one, Fail) else one for one in events]
