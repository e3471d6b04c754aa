"""What scripted providers answer in `test_turns`: thinking with its state, a text, two tool calls; each in its own API.

Whole or as the stream that this provider would send. The words are our own; the shapes are those that were recorded.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from conformance.said import Json
from dialects.bedrock.samples import event

THOUGHT = "The user wants the weather.\nI ask for both."
TEXT = "Let me look."
SEAL = base64.b64encode(b"opaque state of a model \x00\x01\xfe\xff" * 4).decode()
REDACTED = base64.b64encode(b"redacted thinking \x02\x03" * 4).decode()
CALLS = (("get_weather", {"city": "Paris", "days": 2}), ("get_time", {}))
RESULTS = ("sunny, 21 degrees", "12:00")
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}


class Play(NamedTuple):
    """One provider's answer: `message` is what it says, natively, and what it must get back."""

    name: str
    api: str
    kind: str
    model: str
    message: Any
    tools: bool = True
    seals: tuple[str, ...] = ()

    def answer(self, stream: bool) -> tuple[dict[str, str], bytes]:
        """Headers and body."""
        whole, events = _FORMS[self.api]
        if not stream:
            return {"content-type": "application/json"}, json.dumps(whole(self)).encode()
        kinds = {"ollama": "application/x-ndjson", "bedrock": "application/vnd.amazon.eventstream"}
        return {"content-type": kinds.get(self.api, "text/event-stream")}, b"".join(events(self))


# OpenAI ------------------------------------------------------------------------------------------------------------------


def _openai_whole(play: Play) -> Json:
    choice = {"index": 0, "message": play.message, "finish_reason": "tool_calls" if play.tools else "stop"}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": play.model, "choices": [choice], "usage": USAGE}


def _openai_stream(play: Play) -> Iterator[bytes]:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": play.model}
    for delta in _openai_deltas(play.message):
        yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if play.tools else "stop"}]})
    yield _event({**head, "choices": [], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def _openai_deltas(message: Json) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    for piece in _halves(message.get("reasoning_content") or ""):
        yield {"reasoning_content": piece}
    for detail in message.get("reasoning_details") or ():  # as recorded: text first, the signature in a detail of its own
        kept = {name: value for name, value in detail.items() if name not in {"text", "signature"}}
        for piece in _halves(detail["text"]):
            yield {"reasoning": piece, "reasoning_details": [{**kept, "text": piece}]}
        yield {"reasoning_details": [{**kept, "signature": detail["signature"]}]}
    content = message["content"]
    for piece in _halves(content) if isinstance(content, str) else [[part] for part in content]:
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls") or ()):
        function, rest = call["function"], {name: value for name, value in call.items() if name != "function"}
        yield {"tool_calls": [{"index": index, **rest, "function": {"name": function["name"], "arguments": ""}}]}
        for piece in _halves(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _openai_message(ids: tuple[str, str], tools: bool = True, **fields: Any) -> Json:
    calls = [
        {"id": ident, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for ident, (name, arguments) in zip(ids, CALLS, strict=True)
    ]
    return {"role": "assistant", "content": TEXT, **fields, **({"tool_calls": calls} if tools else {})}


_DETAILS = [
    {"type": "reasoning.text", "text": THOUGHT, "signature": SEAL, "format": "anthropic-claude-v1", "index": 0},
]
_LISTED = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, {"type": "text", "text": TEXT}]


# Anthropic ---------------------------------------------------------------------------------------------------------------

_THINKING = {"type": "thinking", "thinking": THOUGHT, "signature": SEAL}


def _blocks(*before: Json, tools: bool = True) -> list[Json]:
    calls = [
        {"type": "tool_use", "id": f"toolu_0{number}", "name": name, "input": arguments}
        for number, (name, arguments) in enumerate(CALLS)
    ]
    return [*before, {"type": "text", "text": TEXT}, *(calls if tools else [])]


def _anthropic_whole(play: Play) -> Json:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": play.model, "content": play.message,
        "stop_reason": "tool_use" if play.tools else "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 20},
    }  # fmt: skip


def _anthropic_stream(play: Play) -> Iterator[bytes]:
    start = {**_anthropic_whole(play), "content": [], "stop_reason": None}
    yield _named({"type": "message_start", "message": start})
    for index, block in enumerate(play.message):
        empty, deltas = _anthropic_deltas(block)
        yield _named({"type": "content_block_start", "index": index, "content_block": empty})
        yield _named({"type": "ping"})
        for delta in deltas:
            yield _named({"type": "content_block_delta", "index": index, "delta": delta})
        yield _named({"type": "content_block_stop", "index": index})
    end = {"stop_reason": "tool_use" if play.tools else "end_turn", "stop_sequence": None}
    yield _named({"type": "message_delta", "delta": end, "usage": {"output_tokens": 20}})
    yield _named({"type": "message_stop"})


def _anthropic_deltas(block: Json) -> tuple[Json, list[Json]]:
    match block["type"]:
        case "thinking":
            told = [{"type": "thinking_delta", "thinking": piece} for piece in _halves(block["thinking"])]
            sealed = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*told, sealed]
        case "text":
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in _halves(block["text"])]
        case "tool_use":
            pieces = ["", *_halves(json.dumps(block["input"]) if block["input"] else "")]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        case _:
            return block, []


# Gemini ------------------------------------------------------------------------------------------------------------------


def _parts(ids: bool, tools: bool = True) -> list[Json]:
    thought = {"text": THOUGHT, "thought": True}
    if not tools:
        return [thought, {"text": TEXT, "thoughtSignature": SEAL}]
    calls: list[Json] = [
        {"functionCall": {"name": name, "args": arguments, **({"id": f"fc-{number}"} if ids else {})}}
        for number, (name, arguments) in enumerate(CALLS)
    ]
    calls[0]["thoughtSignature"] = SEAL  # of parallel calls only the first carries it
    return [thought, {"text": TEXT}, *calls]


def _gemini_whole(play: Play, parts: list[Json] | None = None, last: bool = True) -> Json:
    candidate = {"content": {"role": "model", "parts": play.message if parts is None else parts}, "index": 0}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 15, "thoughtsTokenCount": 5, "totalTokenCount": 30}
    ended = {"finishReason": "STOP"} if last else {}
    return {"candidates": [{**candidate, **ended}], "usageMetadata": usage, "modelVersion": play.model, "responseId": "r1"}


def _gemini_stream(play: Play) -> Iterator[bytes]:
    for part in play.message:
        if "functionCall" in part or "thoughtSignature" in part:
            yield _event(_gemini_whole(play, [part], last=False), b"\r\n\r\n")
            continue
        for piece in _halves(part["text"]):
            yield _event(_gemini_whole(play, [{**part, "text": piece}], last=False), b"\r\n\r\n")
    yield _event(_gemini_whole(play, [{"text": ""}]), b"\r\n\r\n")


# Ollama ------------------------------------------------------------------------------------------------------------------


def _ollama_message(ids: bool, tools: bool = True) -> Json:
    calls = [
        {**({"id": f"call_{number}"} if ids else {}), "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(CALLS)
    ]
    return {"role": "assistant", "content": TEXT, "thinking": THOUGHT, **({"tool_calls": calls} if tools else {})}


def _ollama_whole(play: Play, message: Json | None = None, done: bool = True) -> Json:
    line = {"model": play.model, "created_at": "2026-01-01T00:00:00Z", "message": message or play.message, "done": done}
    return {**line, **({"done_reason": "stop", "prompt_eval_count": 10, "eval_count": 20} if done else {})}


def _ollama_stream(play: Play) -> Iterator[bytes]:
    said = play.message
    pieces = [{"content": "", "thinking": piece} for piece in _halves(said["thinking"])]
    pieces += [{"content": piece} for piece in _halves(said["content"])]
    pieces += [{"content": "", "tool_calls": [call]} for call in said.get("tool_calls") or ()]
    for piece in pieces:
        yield json.dumps(_ollama_whole(play, {"role": "assistant", **piece}, done=False)).encode() + b"\n"
    yield json.dumps(_ollama_whole(play, {"role": "assistant", "content": ""})).encode() + b"\n"


# Responses ---------------------------------------------------------------------------------------------------------------


def _items(summary: bool, tools: bool = True) -> list[Json]:
    """As OpenAI tells a thought, in summary, or as open models do."""
    shown = {"summary": [{"type": "summary_text", "text": THOUGHT}]}
    open_thought = {"summary": [], "content": [{"type": "reasoning_text", "text": THOUGHT}]}
    thought = {"id": "rs_1", "type": "reasoning", **(shown if summary else open_thought), "encrypted_content": SEAL}
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    calls = [
        {
            "id": f"fc_{number}", "type": "function_call", "status": "completed", "call_id": f"call_r{number}", "name": name,
            "arguments": json.dumps(arguments),
        }
        for number, (name, arguments) in enumerate(CALLS)
    ]  # fmt: skip
    return [thought, message, *(calls if tools else [])]


def _responses_whole(play: Play, done: bool = True) -> Json:
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 30,
    }  # fmt: skip
    told = {"status": "completed", "output": play.message, "usage": usage} if done else {"status": "in_progress", "output": []}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": play.model, "error": None, "incomplete_details": None,
        "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "store": False, **told,
    }  # fmt: skip


def _responses_stream(play: Play) -> Iterator[bytes]:
    events = [
        {"type": f"response.{kind}", "response": _responses_whole(play, done=False)} for kind in ("created", "in_progress")
    ]
    for at, item in enumerate(play.message):
        empty = {name: [] if name in {"summary", "content"} else value for name, value in item.items()}
        empty |= {"arguments": ""} if "arguments" in item else {}
        place = {"item_id": item["id"], "output_index": at}
        events.append({"type": "response.output_item.added", "output_index": at, "item": empty})
        for part in item.get("summary") or ():
            events += _grown(place, "reasoning_summary_part", "reasoning_summary_text", "summary_index", part)
        for part in item.get("content") or ():
            events += _grown(place, "content_part", part["type"], "content_index", part)
        for piece in _halves(item.get("arguments") or ""):
            events.append({"type": "response.function_call_arguments.delta", **place, "delta": piece})
        if "arguments" in item:
            told = {name: item[name] for name in ("name", "arguments")}
            events.append({"type": "response.function_call_arguments.done", **place, **told})
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})
    events.append({"type": "response.completed", "response": _responses_whole(play)})
    for number, told in enumerate(events):
        yield _named({**told, "sequence_number": number})


def _grown(place: Json, outer: str, inner: str, index: str, part: Json) -> Iterator[Json]:
    place = {**place, index: 0}
    yield {"type": f"response.{outer}.added", **place, "part": {**part, "text": ""}}
    for piece in _halves(part["text"]):
        yield {"type": f"response.{inner}.delta", **place, "delta": piece}
    yield {"type": f"response.{inner}.done", **place, "text": part["text"]}
    yield {"type": f"response.{outer}.done", **place, "part": part}


# Bedrock -----------------------------------------------------------------------------------------------------------------


def _converse_blocks(*before: Json, tools: bool = True) -> list[Json]:
    calls = [
        {"toolUse": {"toolUseId": f"tooluse_{number}", "name": name, "input": arguments}}
        for number, (name, arguments) in enumerate(CALLS)
    ]
    return [*({"reasoningContent": one} for one in before), {"text": TEXT}, *(calls if tools else [])]


def _converse_whole(play: Play) -> Json:
    message = {"role": "assistant", "content": play.message}
    usage = {"inputTokens": 10, "outputTokens": 20, "totalTokens": 30}
    return {"output": {"message": message}, "stopReason": "tool_use" if play.tools else "end_turn", "usage": usage}


def _converse_stream(play: Play) -> Iterator[bytes]:
    yield event("messageStart", role="assistant")
    for at, block in enumerate(play.message):
        if call := block.get("toolUse"):
            yield event("contentBlockStart", contentBlockIndex=at, start={"toolUse": {**call, "input": None}})
        for delta in _converse_deltas(block):
            yield event("contentBlockDelta", contentBlockIndex=at, delta=delta)
        yield event("contentBlockStop", contentBlockIndex=at)
    yield event("messageStop", stopReason="tool_use" if play.tools else "end_turn")
    yield event("metadata", usage=_converse_whole(play)["usage"])


def _converse_deltas(block: Json) -> list[Json]:
    (kind, told), *_ = block.items()
    if kind == "text":
        return [{"text": piece} for piece in _halves(told)]
    if kind == "toolUse":
        return [{"toolUse": {"input": piece}} for piece in _halves(json.dumps(told["input"]))]
    if "redactedContent" in told:
        return [block]
    text = told["reasoningText"]
    pieces = [{"text": piece} for piece in _halves(text["text"])]
    return [{"reasoningContent": piece} for piece in [*pieces, {"signature": text["signature"]}]]


_SIGNED = {"reasoningText": {"text": THOUGHT, "signature": SEAL}}
_BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


# frames and plays --------------------------------------------------------------------------------------------------------


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def _event(value: Json, end: bytes = b"\n\n") -> bytes:
    return b"data: " + json.dumps(value).encode() + end


def _named(value: Json) -> bytes:
    return b"event: " + value["type"].encode() + b"\n" + _event(value)


_FORMS: dict[str, tuple[Any, Any]] = {
    "openai": (_openai_whole, _openai_stream),
    "anthropic": (_anthropic_whole, _anthropic_stream),
    "gemini": (_gemini_whole, _gemini_stream),
    "ollama": (_ollama_whole, _ollama_stream),
    "responses": (_responses_whole, _responses_stream),
    "bedrock": (_converse_whole, _converse_stream),
}
_PAIR = ("call_00_aB3", "call_01_cD4")
_NINE = ("aB3dE5gH7", "bC4eF6hJ8")
_CLAUDE, _GEMINI = "claude-sonnet-4-5", "gemini-3-flash-preview"
_REDACTED = {"type": "redacted_thinking", "data": REDACTED}

PLAYS = {
    play.name: play
    for play in (
        Play("deepseek", "openai", "deepseek", "deepseek-chat", _openai_message(_PAIR, reasoning_content=THOUGHT)),
        Play(
            "openrouter",
            "openai",
            "openrouter",
            "anthropic/claude-sonnet-4.5",
            _openai_message(("toolu_bdrk_01", "toolu_bdrk_02"), reasoning=THOUGHT, reasoning_details=_DETAILS),
            seals=(SEAL,),
        ),
        Play("mistral", "openai", "mistral", "magistral-medium-latest", {**_openai_message(_NINE), "content": _LISTED}),
        Play("anthropic", "anthropic", "anthropic", _CLAUDE, _blocks(_THINKING), seals=(SEAL,)),
        Play("redacted", "anthropic", "anthropic", _CLAUDE, _blocks(_REDACTED, _THINKING), seals=(REDACTED, SEAL)),
        Play("anthropic-talk", "anthropic", "anthropic", _CLAUDE, _blocks(_THINKING, tools=False), tools=False, seals=(SEAL,)),
        Play("gemini", "gemini", "gemini", _GEMINI, _parts(ids=False), seals=(SEAL,)),
        Play("gemini-ids", "gemini", "gemini", _GEMINI, _parts(ids=True), seals=(SEAL,)),
        Play("gemini-talk", "gemini", "gemini", _GEMINI, _parts(ids=False, tools=False), tools=False, seals=(SEAL,)),
        Play("ollama", "ollama", "ollama", "qwen3", _ollama_message(ids=True)),
        Play("ollama-old", "ollama", "ollama", "qwen3", _ollama_message(ids=False)),
        Play("responses", "responses", "openai", "gpt-5.5", _items(summary=True), seals=(SEAL,)),
        Play("responses-open", "responses", "xai", "grok-4.3", _items(summary=False), seals=(SEAL,)),
        Play("responses-talk", "responses", "openai", "gpt-5.5", _items(summary=True, tools=False), tools=False, seals=(SEAL,)),
        Play("bedrock", "bedrock", "bedrock", _BEDROCK, _converse_blocks(_SIGNED), seals=(SEAL,)),
        Play(
            "bedrock-redacted",
            "bedrock",
            "bedrock",
            _BEDROCK,
            _converse_blocks({"redactedContent": REDACTED}, _SIGNED),
            seals=(REDACTED, SEAL),
        ),
        Play(
            "bedrock-talk", "bedrock", "bedrock", _BEDROCK, _converse_blocks(_SIGNED, tools=False), tools=False, seals=(SEAL,)
        ),
    )
}
