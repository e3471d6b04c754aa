"""What scripted providers serve, and what each answer used by its own words: counted here, by nobody of the gateway.

Usages are random by a seed; where recordings are at hand, some answers are recorded ones, byte for byte.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from conformance.recordings import recordings
from harness.script import event

RATES = {
    "input": 1_234_500,
    "cache_read": 123_450,
    "cache_write_5m": 1_543_125,
    "cache_write_1h": 2_469_000,
    "output": 9_876_540,
}
"""Nano-dollars of a thousand tokens: such that every request is rounded."""
PICTURE = 40_000_000
"""Nano-dollars of a picture."""


def prices() -> list[dict[str, Any]]:
    """The same as the configuration has them: dollars per million tokens."""
    dollars = {name: f"{rate // 10**6}.{rate % 10**6:06d}" for name, rate in RATES.items()}
    return [{"model": "x-*", **dollars}, {"model": "pix-*", "image": "0.04"}]


@dataclass(frozen=True)
class Truth:
    """What one answer used. `input` has all of the prompt."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    images: int = 0

    @property
    def nano(self) -> int:
        """What it costs: rounded once, half up."""
        if self.images:
            return self.images * PICTURE  # their tokens cost nothing here
        plain = self.input - self.cache_read - self.cache_write_5m - self.cache_write_1h
        thousandths = plain * RATES["input"] + self.output * RATES["output"]
        thousandths += sum(getattr(self, name) * RATES[name] for name in ("cache_read", "cache_write_5m", "cache_write_1h"))
        return (thousandths + 500) // 1000


@dataclass(frozen=True)
class Answer:
    """One answer: whole, or as the pieces of a stream."""

    truth: Truth
    body: bytes = b""
    frames: tuple[bytes, ...] = ()
    content_type: str = "text/event-stream"
    """Of a stream."""


def answer(dialect: str, dice: random.Random, asked: dict[str, Any], *, stream: bool) -> Answer:
    """An answer of a provider that is spoken to in `dialect`."""
    if dialect in _RECORDED and dice.random() < 0.3:
        found = [one for one in recorded(dialect) if bool(one.frames) is stream]
        if found:
            return dice.choice(found)
    given, made = dice.randint(5, 5000), dice.randint(1, 900)
    truth = Truth(given, made, *(dice.randint(0, given // 4) for _ in range(3))) if dice.random() < 0.5 else Truth(given, made)
    return _MADE[dialect](truth, "word " * dice.randint(1, 12), stream, asked)


def _chat(truth: Truth, text: str, stream: bool, asked: dict[str, Any]) -> Answer:
    truth = Truth(truth.input, truth.output, truth.cache_read)
    told = {
        "prompt_tokens": truth.input, "completion_tokens": truth.output, "total_tokens": truth.input + truth.output,
        "prompt_tokens_details": {"cached_tokens": truth.cache_read},
    }  # fmt: skip
    base = {"id": "c", "created": 1, "model": "x"}
    if not stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Answer(truth, _json({**base, "object": "chat.completion", "choices": [choice], "usage": told}))
    base["object"] = "chat.completion.chunk"
    frames = [
        event({**base, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}) for word in text.split()
    ]
    frames.append(event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    if (asked.get("stream_options") or {}).get("include_usage"):
        frames.append(event({**base, "choices": [], "usage": told}))
    return Answer(truth, frames=(*frames, b"data: [DONE]\n\n"))


def _completions(truth: Truth, text: str, stream: bool, asked: dict[str, Any]) -> Answer:
    truth = Truth(truth.input, truth.output)
    told = {"prompt_tokens": truth.input, "completion_tokens": truth.output, "total_tokens": truth.input + truth.output}
    base = {"id": "c", "object": "text_completion", "created": 1, "model": "x"}
    last = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    if not stream:
        return Answer(truth, _json({**base, "choices": [last], "usage": told}))
    frames = [event({**base, "choices": [last]})]
    if (asked.get("stream_options") or {}).get("include_usage"):
        frames.append(event({**base, "choices": [], "usage": told}))
    return Answer(truth, frames=(*frames, b"data: [DONE]\n\n"))


def _messages(truth: Truth, text: str, stream: bool, asked: dict[str, Any]) -> Answer:
    written = truth.cache_write_5m + truth.cache_write_1h
    told: dict[str, Any] = {
        "input_tokens": truth.input - truth.cache_read - written,
        "cache_read_input_tokens": truth.cache_read,
        "cache_creation_input_tokens": written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": truth.cache_write_5m, "ephemeral_1h_input_tokens": truth.cache_write_1h,
        },
        "output_tokens": truth.output,
    }  # fmt: skip
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": "x", "stop_sequence": None}
    if not stream:
        return Answer(
            truth, _json({**base, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": told})
        )
    begun = {**base, "content": [], "stop_reason": None, "usage": {**told, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in text.split()),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": truth.output}},
        {"type": "message_stop"},
    ]
    return Answer(truth, frames=tuple(f"event: {one['type']}\n".encode() + event(one) for one in events))


def _gemini(truth: Truth, text: str, stream: bool, asked: dict[str, Any]) -> Answer:
    truth = Truth(truth.input, truth.output, truth.cache_read)
    thought = truth.output // 3
    told = {
        "promptTokenCount": truth.input, "cachedContentTokenCount": truth.cache_read, "thoughtsTokenCount": thought,
        "candidatesTokenCount": truth.output - thought, "totalTokenCount": truth.input + truth.output,
    }  # fmt: skip

    def one(said: str, **more: Any) -> dict[str, Any]:
        return {
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": said}]}, **more}],
            "modelVersion": "x",
        }

    if not stream:
        return Answer(truth, _json({**one(text, finishReason="STOP"), "usageMetadata": told}))
    frames = [event(one(word)) for word in text.split()]
    return Answer(truth, frames=(*frames, event({**one("", finishReason="STOP"), "usageMetadata": told})))


def _ollama(truth: Truth, text: str, stream: bool, asked: dict[str, Any]) -> Answer:
    truth = Truth(truth.input, truth.output)
    end = {
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": truth.input,
        "eval_count": truth.output,
        "total_duration": 1,
    }
    base = {"model": "x", "created_at": "2026-01-01T00:00:00Z"}

    def said(words: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": words}}

    if not stream:
        return Answer(truth, _json({**base, **said(text), **end}))
    lines = [_json({**base, **said(word), "done": False}) + b"\n" for word in text.split()]
    return Answer(truth, frames=(*lines, _json({**base, **said(""), **end}) + b"\n"), content_type="application/x-ndjson")


def _embeddings(truth: Truth, text: str, stream: bool, asked: dict[str, Any]) -> Answer:
    truth = Truth(truth.input)
    inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    data = [{"object": "embedding", "index": at, "embedding": [0.5, 0.25]} for at in range(len(inputs))]
    told = {"prompt_tokens": truth.input, "total_tokens": truth.input}
    return Answer(truth, _json({"object": "list", "data": data, "model": "x", "usage": told}))


def _images(truth: Truth, text: str, stream: bool, asked: dict[str, Any]) -> Answer:
    truth = Truth(truth.input, truth.output, images=int(asked.get("n") or 1))
    told = {"input_tokens": truth.input, "output_tokens": truth.output, "total_tokens": truth.input + truth.output}
    return Answer(truth, _json({"created": 1, "data": [{"b64_json": "aGk="}] * truth.images, "usage": told}))


_MADE = {
    "chat": _chat, "completions": _completions, "messages": _messages, "gemini": _gemini, "ollama": _ollama,
    "embeddings": _embeddings, "images": _images,
}  # fmt: skip


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


# recorded -------------------------------------------------------------------------------------------------------------

_RECORDED = {"chat": "openai.chat", "messages": "anthropic.messages"}
_WELL_COUNTED = frozenset({"openai", "groq", "mistral", "deepseek", "anthropic", "cerebras"})


@cache
def recorded(dialect: str) -> tuple[Answer, ...]:
    """Recorded answers whose usage is plain to see; none where there are no recordings."""
    found = []
    for one in recordings(_RECORDED[dialect]):
        if one.status == 200 and one.provider in _WELL_COUNTED and (truth := _truth(dialect, list(_objects(one.body)))):
            frames = tuple(part + b"\n\n" for part in one.body.split(b"\n\n") if part.strip()) if one.streamed else ()
            found.append(Answer(truth, b"" if one.streamed else one.body, frames))
    return tuple(found)


def _objects(body: bytes) -> Iterator[dict[str, Any]]:
    if body.lstrip().startswith(b"{"):
        yield json.loads(body)
        return
    for line in body.splitlines():
        if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
            yield json.loads(line[5:])


def _truth(dialect: str, objects: list[dict[str, Any]]) -> Truth | None:
    if dialect == "chat":
        usages = [one["usage"] for one in objects if one.get("usage")]
        said = any(
            (choice.get("message") or choice.get("delta") or {}).get("content")
            for one in objects
            for choice in one.get("choices") or ()
        )
        told = usages[-1] if usages else {}
        if not said or told.get("prompt_tokens", 0) + told.get("completion_tokens", 0) != told.get("total_tokens"):
            return None
        cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or told.get("prompt_cache_hit_tokens") or 0
        return Truth(told["prompt_tokens"], told["completion_tokens"], cached)
    told = {}
    for one in objects:
        told |= {name: value for name, value in ((one.get("message") or one).get("usage") or {}).items() if value is not None}
    if (
        "input_tokens" not in told
        or told.get("server_tool_use")
        or not any(b"text" in json.dumps(one).encode() for one in objects)
    ):
        return None
    read, written = told.get("cache_read_input_tokens", 0), told.get("cache_creation_input_tokens", 0)
    hour = (told.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
    return Truth(told["input_tokens"] + read + written, told["output_tokens"], read, written - hour, hour)
