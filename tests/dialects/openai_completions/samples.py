"""Streams and answers of the kinds that servers send: OpenAI's, llama.cpp's, Together's."""

from __future__ import annotations

import json
from typing import Any

USAGE = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}


def event(value: Any, end: str = "\n\n") -> bytes:
    """One event."""
    return f"data: {value if isinstance(value, str) else json.dumps(value)}{end}".encode()


def chunk(text: str, finish: str | None = None, *, index: int = 0, **more: Any) -> dict[str, Any]:
    """One chunk."""
    choice = {"text": text, "index": index, "logprobs": more.pop("logprobs", None), "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "created": 5, "model": "tiny", "choices": [choice], **more}


WHOLE: dict[str, Any] = {
    "id": "cmpl-1", "object": "text_completion", "created": 5, "model": "tiny", "system_fingerprint": "fp",
    "choices": [
        {
            "text": "Hey", "index": 0, "finish_reason": "stop", "matched_stop": 2,
            "logprobs": {"tokens": ["Hey"], "token_logprobs": [-1.0], "top_logprobs": [{"Hey": -1.0}], "text_offset": [0]},
        },
        {"text": "", "index": 1, "logprobs": None, "finish_reason": "length"},
    ],
    "usage": USAGE,
}  # fmt: skip
STREAM = b"".join(
    [
        b": waiting\n\n",
        event(chunk("He", usage=None)),
        event(chunk("Wo", index=1, usage=None)),
        event(chunk("y 漢", logprobs={"tokens": ["y 漢"], "token_logprobs": [-1.0]}, usage=None)),
        event(chunk("", "stop", usage=None)),
        event(chunk("", "length", index=1, usage=None)),
        event({**chunk(""), "choices": [], "usage": USAGE}),
        event("[DONE]"),
    ]
)
HIDDEN = event({**chunk(""), "choices": [], "usage": USAGE})
