"""Real-looking requests and answers, and what becomes of them where any value is one of another kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Path = tuple[str | int, ...]

#: What no encoder writes, by the word that stands for it until the text is made.
_RAW = {'"@huge"': b"1e999", '"@half"': b'"\\ud800"', '"@broken"': b'"\xff"', '"@nan"': b"NaN", '"@long"': b"1" * 5000}
VALUES: tuple[Any, ...] = (
    "", "x", 5, -1, 0, 1.5, 10**30, True, False, None, [], {}, [[]], [{}], [None], {"": []}, *(json.loads(one) for one in _RAW),
)  # fmt: skip

_DETAILS: list[dict[str, Any]] = [
    {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1", "index": 0, "id": "r"},
    {"type": "reasoning.summary", "summary": "u", "index": 1},
    {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1", "id": "x", "index": 2},
]
_EXTRA = {"google": {"thought_signature": "c2ln"}}
_CALLS: list[dict[str, Any]] = [
    {"id": "x", "type": "function", "index": 0, "function": {"name": "f", "arguments": '{"a":1}'}, "extra_content": _EXTRA},
    {"id": "y", "type": "custom", "index": 1, "custom": {"name": "g", "input": "i"}},
]
_CACHE = {"type": "ephemeral", "ttl": "1h"}
_PARTS: list[dict[str, Any]] = [
    {"type": "text", "text": "a", "cache_control": _CACHE},
    {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
    {"type": "file", "file": {"file_data": "data:text/plain;base64,QUJD", "filename": "a.txt"}},
]
_SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "enum": [1]}}, "required": ["a"]}

REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s", "name": "n"},
        {"role": "user", "content": _PARTS},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}], "signature": "s"}],
            "refusal": "no",
            "reasoning_content": "t",
            "reasoning": "t",
            "reasoning_details": _DETAILS,
            "tool_calls": _CALLS,
            "extra_content": _EXTRA,
        },
        {"role": "tool", "tool_call_id": "x", "content": "r"},
        {"role": "tool", "tool_call_id": "y", "content": [{"type": "text", "text": "r"}], "name": "g"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
        {"role": "user", "content": "u"},
    ],
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": _SCHEMA, "strict": True}},
        {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}, "cache_control": _CACHE},
    ],
    "functions": [{"name": "h", "parameters": _SCHEMA}],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
    },
    "parallel_tool_calls": True,
    "max_tokens": 9,
    "max_completion_tokens": 9,
    "stop": ["a", "b"],
    "n": 1,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "min_p": 0.1,
    "seed": 1,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {"5": 1},
    "logprobs": True,
    "top_logprobs": 2,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": _SCHEMA, "strict": True},
    },
    "reasoning_effort": "low",
    "reasoning": {"effort": "low", "max_tokens": 5, "exclude": True, "enabled": True},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "user": "u",
    "cache_control": _CACHE,
    "modalities": ["text"],
    "metadata": {"a": "b"},
    "safety_identifier": "i",
}

_LOGPROBS = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}], "refusal": None}
_SPOKEN: dict[str, Any] = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "t"}], "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ],
    "refusal": "no",
    "reasoning_content": "t",
    "reasoning_details": _DETAILS,
    "tool_calls": _CALLS,
    "function_call": {"name": "f", "arguments": "{}"},
    "annotations": [
        {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "content": "q", "start_index": 0, "end_index": 1}}
    ],
    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}],
    "audio": {"id": "a", "data": "QUJD"},
    "extra_content": _EXTRA,
}
_AROUND: dict[str, Any] = {
    "id": "c1",
    "created": 7,
    "model": "m",
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 5,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
    "x_groq": {"usage": {"prompt_tokens": 5}},
    "citations": ["u"],
    "search_results": [{"url": "u", "title": "t", "snippet": "s"}],
    "error": None,
}
_CHOICE = {"index": 0, "finish_reason": "stop", "stop_reason": "x", "logprobs": _LOGPROBS}
ANSWER: dict[str, Any] = {**_AROUND, "object": "chat.completion", "choices": [{**_CHOICE, "message": _SPOKEN}]}
CHUNK: dict[str, Any] = {**_AROUND, "object": "chat.completion.chunk", "choices": [{**_CHOICE, "delta": _SPOKEN}]}


def paths(value: Any, before: Path = ()) -> Iterator[Path]:
    """Where each value stands in it, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*before, key)
        yield from paths(one, (*before, key))


def mutated(told: dict[str, Any], *changes: tuple[Path, Any]) -> bytes:
    """The JSON text with these values in place of its own; a place that an earlier change took away stays away."""
    found: Any = deepcopy(told)
    for path, value in changes:
        inner = found
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = deepcopy(value)  # the change after it may go into it
        except (LookupError, TypeError):
            continue
    text = json.dumps(found).encode()
    for word, raw in _RAW.items():
        text = text.replace(word.encode(), raw)
    return text
