"""Errors that a provider tells inside an answer of status 200: a failed response, or an error event.

An error that is the whole answer of another status belongs in `errors`.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.errors import GatewayError, Upstream
from trunkline.dialects.errors import reported, word_of

_STREAM_TYPE = "text/event-stream"
#: What the error's own code means, where it is not that the provider failed (openai-python 3.52.0, `ResponseError`).
_STATUSES = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "data_residency_mismatch": 400,
    "bio_policy": 400,
    "cyber_policy": 400,
    "misalignment_policy_violation": 400,
    "empty_image_file": 400,
    "failed_to_download_image": 400,
    "unsupported_image_media_type": 400,
}
_ABOUT_IMAGES = ("invalid_image", "invalid_base64_image", "image_")
_UNFINISHED = "The provider could not finish its answer."


def failed(error: object, body: bytes, *, streamed: bool = False) -> GatewayError:
    """The failure that an `error` object tells; `body` is the answer or event that it stood in."""
    code = word_of({"error": error}, "code") or ""
    status = 400 if code.startswith(_ABOUT_IMAGES) else _STATUSES.get(code)
    upstream = Upstream(status=200, body=body, content_type=_STREAM_TYPE if streamed else "")
    return reported(error or _UNFINISHED, upstream, status)


def event_error(told: dict[str, Any]) -> object:
    """What an `error` event says: beside its type (the schema), or in an object of its own (older servers)."""
    inner = told.get("error")
    if inner:
        return inner
    return {name: told[name] for name in ("code", "message", "param") if told.get(name) is not None}
