"""Errors of the Responses API: OpenAI's own shape outside of streams, and what ends a stream that broke.

How errors are read, and OpenAI's shape, belong in `dialects.openai_shape.errors`.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.errors import GatewayError
from trunkline.dialects.openai_shape.errors import read_error, write_error

__all__ = ["answer_error", "event_fields", "read_error", "write_error"]

#: What Codex and the SDKs know by its code, and must not take for something that passes.
_KNOWN = frozenset({"context_length_exceeded", "insufficient_quota", "invalid_prompt", "rate_limit_exceeded"})


def event_fields(error: GatewayError) -> dict[str, Any]:
    """What an `error` event says beside its number."""
    return {"code": error.code or error.kind.value, "message": error.message, "param": error.param}


def answer_error(error: GatewayError) -> dict[str, Any]:
    """The `error` of an answer that failed. OpenAI's codes there are a closed list: by the status, where the code is none."""
    if error.code in _KNOWN:
        code: str = error.code or ""
    elif error.status == 429:
        code = "rate_limit_exceeded"
    else:
        code = "server_error" if error.status >= 500 else "invalid_prompt"
    return {"code": code, "message": error.message}
