"""What scripted providers answer in `test_turns`: thinking with its state, a text, two tool calls; each in its own API.

Whole or as the stream that this provider would send. The words are our own; the shapes are those that were recorded.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from conformance.said import Json

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
        kind = "application/x-ndjson" if self.api == "ollama" else "text/event-stream"
        return {"content-type": kind}, b"".join(events(self))


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
    )
}
