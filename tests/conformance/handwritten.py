"""Hand-written exchanges of every OpenAI-compatible provider: a clone without the recordings proves itself on these.

The shapes are those that were measured in recorded traffic, the words are not. The streams are those the tap is tested
with; whole answers and errors stand here.
"""

from __future__ import annotations

import json
from typing import Any

from conformance.reading import Case
from dialects.openai_chat.variants import VARIANTS

KINDS = (
    "openai", "deepseek", "xai", "openrouter", "mistral", "groq", "blackbox", "ollama", "together", "fireworks", "perplexity",
    "cerebras",
)  # fmt: skip
"""Every row of the catalogue that is asked over a wire."""

ASK = {
    "model": "some/model-1",
    "messages": [{"role": "system", "content": "Be brief. \u2028 Äöü"}, {"role": "user", "content": "Say hello 👋"}],
    "temperature": 1.0,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "seed": 12345678901234567890,
    "vendor_extension": {"nested": [None, True, 1e-7, {"deep": "\u0000"}]},
}
USAGE = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}


def answer(message: dict[str, Any] | None = None, finish: str = "stop", **more: Any) -> bytes:
    """A whole chat completion."""
    choice = {"index": 0, "message": message or {"role": "assistant", "content": "Héllo 👋"}, "finish_reason": finish}
    fields = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE, **more}
    return json.dumps(fields, ensure_ascii=False, indent=1).encode()


_CALL = {"id": "call_00_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_TWO = [
    {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for at, text in enumerate("ab")
]

WHOLE: dict[str, tuple[str, bytes]] = {
    "openai": ("openai", answer(service_tier="default", system_fingerprint=None)),
    "openai: details": (
        "openai",
        answer(
            usage={
                **USAGE,
                "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 6},
            }
        ),
    ),
    "openai: two choices": ("openai", answer(choices=_TWO)),
    "azure: filters, a last line end": (
        "openai",
        answer(prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}]) + b"\n",
    ),
    "deepseek: blank lines before, two kinds of cache counts": (
        "deepseek",
        b"\n\n\n" + answer(usage={**USAGE, "prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 8}),
    ),
    "deepseek: thoughts and a tool call": (
        "deepseek",
        answer({"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [_CALL]}, "tool_calls"),
    ),
    "xai: reasoning beside the completion": (
        "xai",
        answer(
            usage={**USAGE, "total_tokens": 128, "completion_tokens_details": {"reasoning_tokens": 100}, "num_sources_used": 0}
        ),
    ),
    "groq: x_groq, fractions of seconds in usage": (
        "groq",
        answer(
            {"role": "assistant", "reasoning": "hm", "content": "x"}, usage={**USAGE, "queue_time": 0.01}, x_groq={"id": "r"}
        ),
    ),
    "mistral: content is a list": (
        "mistral",
        answer(
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "x"},
                ],
            }
        ),
    ),
    "openrouter: details and its own cost": (
        "openrouter",
        answer(
            {"role": "assistant", "content": None, "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
            provider="X",
            usage={**USAGE, "cost": 0.00014, "is_byok": False},
        ),
    ),
    "openrouter: a tool call without arguments": (
        "openrouter",
        answer({"role": "assistant", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f"}}]}, "tool_calls"),
    ),
    "blackbox": ("blackbox", answer()),
    "ollama": ("ollama", answer({"role": "assistant", "content": "", "reasoning": "hm"})),
    "together: eos": ("together", answer(finish="eos", prompt=[], usage={**USAGE, "cached_tokens": 3})),
    "fireworks": ("fireworks", answer()),
    "perplexity: citations": ("perplexity", answer(citations=["https://example.com"], search_results=[])),
    "cerebras": ("cerebras", answer(time_info={"total_time": 0.1})),
    "an error inside a 200": ("openrouter", b'{"error":{"message":"Upstream went away for good","code":502},"user_id":"u"}'),
    "an error inside a 200 that names a 4xx": ("openrouter", b'{"error":{"message":"Slow down a little","code":429}}'),
    "not JSON": ("openai", b"<html>It works!</html>"),
    "JSON of another API": ("openai", b'{"type":"message","content":[]}'),
}

ERRORS: dict[str, tuple[str, int, bytes]] = {
    "openai": (
        "openai",
        429,
        b'{\n "error": {\n  "message": "You exceeded your quota", "param": null, "code": "insufficient_quota"\n }\n}\n',
    ),
    "azure: an inner error": (
        "openai",
        400,
        b'{"error":{"message":"Filtered","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}',
    ),
    "deepseek: plain text": ("deepseek", 422, b"Failed to deserialize the JSON body: messages[0]: data did not match"),
    "deepseek": ("deepseek", 402, b'{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid"}}'),
    "xai: error is a text": (
        "xai",
        503,
        b'{"code":"The service is unavailable","error":"The model is at capacity, try again."}',
    ),
    "xai: a wrong key is a 400": (
        "xai",
        400,
        b'{"code":"Client specified an invalid argument","error":"Incorrect API key provided. Get one at console.example."}',
    ),
    "groq: tool_use_failed": (
        "groq",
        400,
        b'{"error":{"message":"Failed to call a function","code":"tool_use_failed","failed_generation":"<f>"}}\n',
    ),
    "mistral: message at the top": (
        "mistral",
        500,
        b'{"object":"error","message":"Service unavailable, please wait.","type":"internal_server_error","code":"1000"}',
    ),
    "mistral: detail is a list": (
        "mistral",
        422,
        b'{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required in the body of the request"}]}',
    ),
    "mistral: detail is a text": ("mistral", 401, b'{"detail":"Unauthorized"}'),
    "openrouter: metadata": (
        "openrouter",
        429,
        b'{"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "busy"}}, "user_id": "u"}',
    ),
    "ollama": ("ollama", 404, b'{"error":{"message":"model not found","type":"not_found_error","param":null,"code":null}}'),
    "perplexity": ("perplexity", 400, b'{"error":{"message":"Roles must alternate","type":"invalid_message","code":400}}'),
    "cerebras": ("cerebras", 404, b'{"message":"Model zai does not exist","type":"not_found_error","code":"model_not_found"}'),
    "an array of one, as Gemini writes": (
        "openai",
        400,
        b'[{"error":{"code":400,"message":"API key not valid. Please pass one.","status":"INVALID_ARGUMENT"}}]',
    ),
}


def cases() -> list[Case]:
    """All of them."""
    streams = [
        Case(f"stream, {one.name}", _kind(one.name), {**ASK, "stream": True, **options}, one.body)
        for one in VARIANTS
        for options in ({}, {"stream_options": {"include_usage": True, "include_obfuscation": False}})
    ]
    streams = [case._replace(id=f"{case.id}{', asked' * case.asked}") for case in streams]
    wholes = [Case(f"whole, {name}", kind, ASK, body) for name, (kind, body) in WHOLE.items()]
    errors = [Case(f"error, {name}", kind, ASK, body, status) for name, (kind, status, body) in ERRORS.items()]
    errors += [case._replace(id=f"{case.id}, streamed", fields={**ASK, "stream": True}) for case in errors[:3]]
    return streams + wholes + errors


def _kind(name: str) -> str:
    """The catalogue's row for a stream, by the first word of its name."""
    first = name.partition(":")[0].partition(" ")[0]
    return first if first in KINDS else "openai"
