"""The dialects of the benchmark: how a client asks in each, what a provider of it streams, what a client must have read.

Written by hand from the providers' documentation, so that the gateway's own writers are not measured against themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import wire

_TEXT = "z"
_ID = "01XFDUDYJgAACzvnptvVoYEL"


@dataclass(frozen=True)
class Form:
    """One dialect."""

    name: str
    kind: str
    """The provider's kind in the gateway's configuration."""
    target: str
    """A model of that kind with a known price."""
    base: str
    """Path of the base URL that a provider of this kind is configured with."""
    path: str
    """Where both clients and the gateway ask for a stream; `{}` is the model's name."""
    body: Callable[[str, str], dict[str, object]]
    """A request, from a model's name and a prompt."""
    first: tuple[bytes, ...]
    event: Callable[[str], bytes]
    last: tuple[bytes, ...]
    text: Callable[[bytes], str]
    """What a client reads in a stream."""


def _sse(value: object, name: str = "") -> bytes:
    return (
        (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
    )


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _data(stream: bytes) -> list[dict[str, object]]:
    lines = (line[6:] for line in stream.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data: {"))
    return [json.loads(line) for line in lines]


def _openai_text(stream: bytes) -> str:
    found = [chunk["choices"][0]["delta"].get("content") or "" for chunk in _data(stream) if chunk.get("choices")]  # type: ignore[index]
    return "".join(found) if stream.endswith(b"data: [DONE]\n\n") else ""


def _anthropic_text(stream: bytes) -> str:
    found = [event["delta"].get("text", "") for event in _data(stream) if event["type"] == "content_block_delta"]  # type: ignore[attr-defined]
    return "".join(found) if b"event: message_stop\n" in stream else ""


def _gemini_text(stream: bytes) -> str:
    candidates = [chunk["candidates"][0] for chunk in _data(stream) if chunk.get("candidates")]  # type: ignore[index]
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts", ())]
    return "".join(part.get("text", "") for part in parts) if candidates[-1].get("finishReason") == "STOP" else ""


def _ollama_text(stream: bytes) -> str:
    lines = [json.loads(line) for line in stream.splitlines()]
    return "".join(line["message"].get("content", "") for line in lines) if lines[-1]["done"] else ""


_MESSAGE = {
    "id": f"msg_{_ID}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": [],
    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 212, "output_tokens": 1},
}  # fmt: skip
_OLLAMA = {"model": "tiny", "created_at": "2026-01-01T00:00:00.000000Z"}

_OPENAI_FORM = Form(
    "openai_chat", "openai", wire.TARGET, "/v1", "/v1/chat/completions",
    lambda model, prompt: {
        "model": model, "stream": True, "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": prompt}],
    },
    (), wire.content_event,
    (wire.FINISH, wire.USAGE, wire.DONE), _openai_text,
)  # fmt: skip
_ANTHROPIC_FORM = Form(
    "anthropic", "anthropic", "claude-sonnet-4-5", "", "/v1/messages",
    lambda model, prompt: {
        "model": model, "stream": True, "max_tokens": 1024, "messages": [{"role": "user", "content": prompt}],
    },
    (
        _sse({"type": "message_start", "message": _MESSAGE}, "message_start"),
        _sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, "content_block_start"),
    ),
    lambda text: _sse(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}, "content_block_delta"
    ),
    (
        _sse({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        _sse(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": 100}}, "message_delta",
        ),
        _sse({"type": "message_stop"}, "message_stop"),
    ),
    _anthropic_text,
)  # fmt: skip
_GEMINI_FORM = Form(
    "gemini", "gemini", "gemini-2.5-flash", "/v1beta", "/v1beta/models/{}:streamGenerateContent?alt=sse",
    lambda _, prompt: {"contents": [{"role": "user", "parts": [{"text": prompt}]}]},
    (), lambda text: _sse(
        {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
         "modelVersion": "gemini-2.5-flash",
         "usageMetadata": {"promptTokenCount": 212, "candidatesTokenCount": 99, "totalTokenCount": 311}, "responseId": _ID}
    ).replace(b"\n", b"\r\n"),
    (
        _sse(
            {"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
             "usageMetadata": {"promptTokenCount": 212, "candidatesTokenCount": 100, "totalTokenCount": 312}, "responseId": _ID}
        ).replace(b"\n", b"\r\n"),
    ),
    _gemini_text,
)  # fmt: skip
_OLLAMA_FORM = Form(
    "ollama", "ollama", "tiny", "", "/api/chat",
    lambda model, prompt: {"model": model, "stream": True, "messages": [{"role": "user", "content": prompt}]},
    (), lambda text: _line(_OLLAMA | {"message": {"role": "assistant", "content": text}, "done": False}),
    (
        _line(
            _OLLAMA | {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
            "total_duration": 1, "load_duration": 1, "prompt_eval_count": 212, "prompt_eval_duration": 1, "eval_count": 100,
            "eval_duration": 1}
        ),
    ),
    _ollama_text,
)  # fmt: skip

FORMS = {form.name: form for form in (_OPENAI_FORM, _ANTHROPIC_FORM, _GEMINI_FORM, _OLLAMA_FORM)}
"""Dialect -> form."""


def _piece(form: Form) -> str:
    """The text of one event, so long that the event has `wire.EVENT_BYTES`."""
    return _TEXT * max(1, wire.EVENT_BYTES - len(form.event("")))


def stream(form: Form, chunks: int) -> list[bytes]:
    """What a provider sends: the events before the text, `chunks` events with text, and those after it."""
    return [*form.first, *[form.event(_piece(form))] * chunks, *form.last]


def text(form: Form, chunks: int) -> str:
    """What a client must have read when a provider of `form` has sent that."""
    return _piece(form) * chunks


def request(form: Form, model: str, paced: tuple[int, int, int], *, key: str, port: int, prefix: str = "") -> bytes:
    """A whole HTTP request for a stream. `paced` as in `wire.prompt`; it stands in the prompt, which every dialect carries."""
    chunks, pace, phases = paced
    prompt = f"x_stream [{chunks},{pace},{phases}] " + wire.FILLER * 8
    body = json.dumps(form.body(model, prompt), separators=(",", ":")).encode()
    return wire.request(key, port, body, prefix=prefix, path=form.path.format(model))
