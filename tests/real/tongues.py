"""How the scripted provider speaks each dialect: what a request asks, and the bytes of an answer. Written by hand.

A `Tongue` for each; what is said, and when, is in `scripted`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from typing_extensions import override

from harness.script import Seen, event

PROMPT, CACHED, ANSWERED, THOUGHT = 1200, 200, 50, 20
"""Tokens of every answer: the prompt with what was cached, and the answer with what was thought."""


def signature(dialect: str, number: int) -> str:
    """The opaque state of a round, base64 as the real ones are."""
    return base64.b64encode(f"{dialect} signature of round {number} ".encode() + bytes(range(150, 216))).decode()


@dataclass(frozen=True)
class Call:
    """A tool call that is to be made."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One answer."""

    thought: str = ""
    text: str = ""
    call: Call | None = None
    round: int = 0
    """How many tool results came before."""


@dataclass(frozen=True)
class Asked:
    """What is read of a request."""

    seen: Seen = field(repr=False)
    model: str
    streams: bool
    tools: dict[str, dict[str, Any]] = field(repr=False)
    """Name -> JSON Schema."""
    results: list[str]
    """What the tools said, in order."""
    schema: dict[str, Any] | None = field(default=None, repr=False)
    """What the answer must look like."""

    @property
    def body(self) -> dict[str, Any]:
        """The request's JSON."""
        return self.seen.fields


class Tongue:
    """One dialect."""

    content_type: ClassVar[str] = "text/event-stream"
    path: ClassVar[str]

    def serves(self, path: str) -> bool:
        """Whether a request at this path is for it."""
        return path.startswith(self.path)

    def asked(self, seen: Seen) -> Asked | None:
        """What a request asks."""
        raise NotImplementedError

    def whole(self, asked: Asked, said: Said) -> dict[str, Any]:
        """An answer in one piece."""
        raise NotImplementedError

    def frames(self, asked: Asked, said: Said) -> Iterator[bytes]:
        """An answer in many."""
        raise NotImplementedError

    def counted(self, tokens: int) -> dict[str, Any]:
        """The answer to a count."""
        raise NotImplementedError

    def failed(self, status: int) -> dict[str, Any]:
        """The body of an error."""
        raise NotImplementedError

    def thoughts(self, turn: Asked) -> list[tuple[str, str]]:
        """Thinking and its signature that a request hands back before each call, in order; empty where it has none."""
        raise NotImplementedError


def pieces(text: str, size: int = 7) -> Iterator[str]:
    """A text as a model streams it."""
    for start in range(0, len(text), size):
        yield text[start : start + size]


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or parts that have one."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


class Chat(Tongue):
    """OpenAI's chat completions; a model whose name says deepseek thinks, as DeepSeek does."""

    path = "/v1/chat/completions"

    @override
    def asked(self, seen: Seen) -> Asked | None:
        body = seen.fields
        tools = {tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in body.get("tools") or []}
        results = [text_of(message["content"]) for message in body["messages"] if message["role"] == "tool"]
        form = body.get("response_format") or {}
        schema = (form.get("json_schema") or {}).get("schema") or ({} if form.get("type") == "json_object" else None)
        return Asked(seen, body["model"], bool(body.get("stream")), tools, results, schema)

    def _id(self, said: Said) -> str:
        """Another for each answer: Claude Code takes answers of one id for one."""
        return f"chatcmpl-scripted{said.round}"

    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": PROMPT,
            "completion_tokens": ANSWERED,
            "total_tokens": PROMPT + ANSWERED,
            "prompt_tokens_details": {"cached_tokens": CACHED},
            "completion_tokens_details": {"reasoning_tokens": THOUGHT},
        }

    def _call(self, said: Said) -> dict[str, Any]:
        assert said.call is not None
        function = {"name": said.call.name, "arguments": json.dumps(said.call.arguments)}
        return {"id": f"call_00_scripted{said.round:016d}", "type": "function", "function": function}

    @override
    def whole(self, asked: Asked, said: Said) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said.text}
        if said.thought and "deepseek" in asked.model:
            message["reasoning_content"] = said.thought
        if said.call is not None:
            message["tool_calls"] = [self._call(said)]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if said.call else "stop", "logprobs": None}
        base = {"id": self._id(said), "object": "chat.completion", "created": 1, "model": asked.model}
        return {**base, "choices": [choice], "usage": self._usage()}

    @override
    def frames(self, asked: Asked, said: Said) -> Iterator[bytes]:
        deepseek = "deepseek" in asked.model
        base = {"id": self._id(said), "object": "chat.completion.chunk", "created": 1, "model": asked.model}

        def one(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
            return event({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})

        yield one({"role": "assistant", "content": ""})
        if deepseek:
            yield from (one({"reasoning_content": piece}) for piece in pieces(said.thought))
        yield from (one({"content": piece}) for piece in pieces(said.text))
        if said.call is not None:
            call = self._call(said)
            arguments = call["function"]["arguments"]
            yield one({"tool_calls": [{"index": 0, **call, "function": {**call["function"], "arguments": ""}}]})
            for piece in pieces(arguments):
                yield one({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        yield one({}, "tool_calls" if said.call else "stop", **({"usage": self._usage()} if deepseek else {}))
        if not deepseek and (asked.body.get("stream_options") or {}).get("include_usage"):
            yield event({**base, "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    @override
    def failed(self, status: int) -> dict[str, Any]:
        return {"error": {"message": "scripted", "type": "server_error", "param": None, "code": "scripted"}}

    @override
    def thoughts(self, turn: Asked) -> list[tuple[str, str]]:
        called = [message for message in turn.body["messages"] if message.get("tool_calls")]
        return [(str(message.get("reasoning_content", "")), "") for message in called]


class Messages(Tongue):
    """Anthropic's messages."""

    path = "/v1/messages"

    @override
    def asked(self, seen: Seen) -> Asked | None:
        body = seen.fields
        tools = {tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or []}
        blocks = (b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"])
        results = [text_of(block.get("content")) for block in blocks if block["type"] == "tool_result"]
        form = (body.get("output_config") or {}).get("format") or {}
        return Asked(seen, body["model"], bool(body.get("stream")), tools, results, form.get("schema"))

    def _blocks(self, said: Said) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if said.thought:
            blocks.append({"type": "thinking", "thinking": said.thought, "signature": signature("anthropic", said.round)})
        if said.text:
            blocks.append({"type": "text", "text": said.text})
        if said.call is not None:
            ident = f"toolu_01Scripted{said.round:014d}"
            blocks.append({"type": "tool_use", "id": ident, "name": said.call.name, "input": said.call.arguments})
        return blocks

    @override
    def whole(self, asked: Asked, said: Said) -> dict[str, Any]:
        usage = {"input_tokens": PROMPT - CACHED, "cache_read_input_tokens": CACHED, "cache_creation_input_tokens": 0}
        return {
            "id": f"msg_01Scripted{said.round:014d}",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": self._blocks(said),
            "stop_reason": "tool_use" if said.call else "end_turn",
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": ANSWERED},
        }

    @override
    def frames(self, asked: Asked, said: Said) -> Iterator[bytes]:
        def one(kind: str, **fields: Any) -> bytes:
            return f"event: {kind}\n".encode() + event({"type": kind, **fields})

        message = self.whole(asked, said)
        usage, blocks, reason = message["usage"], message["content"], message["stop_reason"]
        begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        yield one("message_start", message=begun)
        for index, block in enumerate(blocks):
            hollow, deltas = self._deltas(block)
            yield one("content_block_start", index=index, content_block=hollow)
            if index == 0:
                yield one("ping")
            for delta in deltas:
                yield one("content_block_delta", index=index, delta=delta)
            yield one("content_block_stop", index=index)
        yield one("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)
        yield one("message_stop")

    def _deltas(self, block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            return {**block, "text": ""}, deltas
        if block["type"] == "tool_use":
            told = ["", *pieces(json.dumps(block["input"]))]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in told]
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        return {**block, "thinking": "", "signature": ""}, [
            *deltas,
            {"type": "signature_delta", "signature": block["signature"]},
        ]

    @override
    def counted(self, tokens: int) -> dict[str, Any]:
        return {"input_tokens": tokens}

    @override
    def failed(self, status: int) -> dict[str, Any]:
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": "scripted"}, "request_id": "req_scripted"}

    @override
    def thoughts(self, turn: Asked) -> list[tuple[str, str]]:
        found = []
        for message in turn.body["messages"]:
            blocks = message["content"] if isinstance(message["content"], list) else []
            if any(block["type"] == "tool_use" for block in blocks):
                first = blocks[0]
                found.append((str(first.get("thinking", "")), str(first.get("signature", ""))))
        return found


class Gemini(Tongue):
    """Google's generateContent."""

    path = "/v1beta/models/"

    @override
    def asked(self, seen: Seen) -> Asked | None:
        body, (path, _, query) = seen.fields, seen.target.partition("?")
        model, _, method = path.removeprefix(self.path).partition(":")
        if method not in {"generateContent", "streamGenerateContent"}:
            return None
        if method == "streamGenerateContent":
            assert "alt=sse" in query, "no stream of events was asked for"
        offered = (one for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or [])
        spellings = ("parametersJsonSchema", "parameters_json_schema", "parameters")  # the SDK sends the second
        tools: dict[str, dict[str, Any]] = {
            one["name"]: next((one[name] for name in spellings if name in one), {}) for one in offered
        }
        parts = [part for content in body["contents"] for part in content["parts"]]
        given = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
        results = [str(response.get("output", response)) for response in given]
        form = body.get("generationConfig") or {}
        schema = form.get("responseJsonSchema") or form.get("responseSchema")
        return Asked(seen, model, method == "streamGenerateContent", tools, results, schema)

    def _parts(self, said: Said) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        if said.thought:
            parts += [{"text": piece, "thought": True} for piece in pieces(said.thought, 20)]
        parts += [{"text": piece} for piece in pieces(said.text, 20)]
        if said.call is not None:
            call = {"name": said.call.name, "args": said.call.arguments}
            parts.append({"functionCall": call, "thoughtSignature": signature("gemini", said.round)})
        return parts

    def _answer(self, asked: Asked, said: Said, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
        usage = {
            "promptTokenCount": PROMPT,
            "cachedContentTokenCount": CACHED,
            "candidatesTokenCount": ANSWERED - THOUGHT,
            "thoughtsTokenCount": THOUGHT,
            "totalTokenCount": PROMPT + ANSWERED,
        }
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish is not None:
            candidate["finishReason"] = finish
        ident = {"modelVersion": asked.model, "responseId": f"scripted{said.round}"}
        return {"candidates": [candidate], "usageMetadata": usage, **ident}

    @override
    def whole(self, asked: Asked, said: Said) -> dict[str, Any]:
        return self._answer(asked, said, self._parts(said), "STOP")

    @override
    def frames(self, asked: Asked, said: Said) -> Iterator[bytes]:
        *first, last = self._parts(said)
        for part in first:
            yield self._frame(self._answer(asked, said, [part], None))
        yield self._frame(self._answer(asked, said, [last], "STOP"))

    def _frame(self, value: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"

    @override
    def counted(self, tokens: int) -> dict[str, Any]:
        return {"totalTokens": tokens}

    @override
    def failed(self, status: int) -> dict[str, Any]:
        word = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(status, "INTERNAL")
        return {"error": {"code": status, "message": "scripted", "status": word}}

    @override
    def thoughts(self, turn: Asked) -> list[tuple[str, str]]:
        found = []
        for content in turn.body["contents"]:
            called = [part for part in content["parts"] if "functionCall" in part]
            if called:
                thought = "".join(part["text"] for part in content["parts"] if part.get("thought"))
                sealed = str(called[0].get("thoughtSignature", ""))
                found.append((thought, sealed.replace("-", "+").replace("_", "/")))  # SDKs send the URL alphabet
        return found


class Ollama(Tongue):
    """Ollama's own chat."""

    path = "/api/chat"
    content_type = "application/x-ndjson"

    @override
    def asked(self, seen: Seen) -> Asked | None:
        body = seen.fields
        tools = {tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in body.get("tools") or []}
        results = [str(message["content"]) for message in body["messages"] if message["role"] == "tool"]
        form = body.get("format")
        return Asked(seen, body["model"], bool(body.get("stream", True)), tools, results, {} if form == "json" else form)

    def _line(self, asked: Asked, message: dict[str, Any], **more: Any) -> dict[str, Any]:
        base = {"model": asked.model, "created_at": "2026-11-21T09:00:00.000000001Z"}
        return {**base, "message": {"role": "assistant", "content": "", **message}, "done": False, **more}

    def _calls(self, said: Said) -> list[dict[str, Any]]:
        assert said.call is not None
        function = {"index": 0, "name": said.call.name, "arguments": said.call.arguments}
        return [{"id": f"call_scripted{said.round}", "function": function}]

    def _end(self) -> dict[str, Any]:
        counts = {"prompt_eval_count": PROMPT, "eval_count": ANSWERED}
        spans = {
            "total_duration": 4_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_duration": 1_000_000,
            "eval_duration": 1_000,
        }
        return {"done": True, "done_reason": "stop", **counts, **spans}

    @override
    def whole(self, asked: Asked, said: Said) -> dict[str, Any]:
        message: dict[str, Any] = {"content": said.text}
        if said.thought:
            message["thinking"] = said.thought
        if said.call is not None:
            message["tool_calls"] = self._calls(said)
        return self._line(asked, message, **self._end())

    @override
    def frames(self, asked: Asked, said: Said) -> Iterator[bytes]:
        lines = [self._line(asked, {"thinking": piece}) for piece in pieces(said.thought)]
        lines += [self._line(asked, {"content": piece}) for piece in pieces(said.text)]
        if said.call is not None:
            lines.append(self._line(asked, {"tool_calls": self._calls(said)}))
        lines.append(self._line(asked, {}, **self._end()))
        yield from (json.dumps(line).encode() + b"\n" for line in lines)

    @override
    def failed(self, status: int) -> dict[str, Any]:
        return {"error": "scripted"}

    @override
    def thoughts(self, turn: Asked) -> list[tuple[str, str]]:
        called = [message for message in turn.body["messages"] if message.get("tool_calls")]
        return [(str(message.get("thinking", "")), "") for message in called]


TONGUES: dict[str, Tongue] = {"openai_chat": Chat(), "anthropic": Messages(), "gemini": Gemini(), "ollama": Ollama()}
"""By dialect."""
