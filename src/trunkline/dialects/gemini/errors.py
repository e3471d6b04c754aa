"""Errors in Google's shape: told from others in what providers send, and written.

How an error is read whatever its shape belongs in `dialects.errors`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError, Upstream
from trunkline.dialects import errors

#: google.rpc.Code by HTTP status, as googleapis maps them. Any other 4xx is an INVALID_ARGUMENT, any other 5xx UNAVAILABLE.
_STATUSES = {
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}
_OVERLOADED = 529
"""Anthropic's status, which Google's clients do not know."""
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """As `dialects.errors.read_error`; `upstream.verbatim` is True where the body is an error of Google's shape.

    Google's `code` repeats the status; the word that clients know is its `status`.
    """
    found = errors.read_error(status, content_type, body, is_own=_is_google)
    if found.code is None or found.code.isdecimal():
        found.code = _word(body)
    return found


def reported(error: object, data: bytes, content_type: str = "application/json") -> GatewayError:
    """Map an `error` that stood inside an answer of status 200; its `code` is an HTTP status."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if type(code) is int and 400 <= code < 600 else None
    found = errors.reported(error, Upstream(status=200, body=data, content_type=content_type), status)
    if found.code is not None and found.code.isdecimal():
        found.code = errors.word_of({"error": error}, "status")
    return found


def write_error(error: GatewayError) -> bytes:
    """A JSON error body: `{"error": {"code", "message", "status", "details"}}`. When to try again is told as Google tells
    it, in a RetryInfo: its clients look for no header.
    """
    status = _STATUSES.get(error.status, "UNAVAILABLE" if error.status >= 500 else "INVALID_ARGUMENT")
    code = 503 if error.status == _OVERLOADED else error.status
    told: dict[str, Any] = {"code": code, "message": error.message, "status": status}
    if error.retry_after is not None:
        told["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{error.retry_after:g}s"}]
    return msgspec.json.encode({"error": told})


def _word(body: bytes) -> str | None:
    try:
        told = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    return errors.word_of(told[0] if isinstance(told, list) and told else told, "status")


def _is_google(told: object) -> bool:
    error = told.get("error") if isinstance(told, dict) else None
    return isinstance(error, dict) and isinstance(error.get("message"), str)
