"""Errors in Anthropic's own shape: told from others in what providers send, read inside an answer, and written.

How an error is read whatever its shape belongs in `dialects.errors`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.errors import GatewayError, Kind, Upstream
from trunkline.dialects import errors

#: Anthropic's word for a kind of error, by status. Any other 5xx is an `api_error`, any other 4xx an `invalid_request_error`.
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES = {word: status for status, word in _TYPES.items()}


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """As `dialects.errors.read_error`; `upstream.verbatim` is True where the body is an error of Anthropic's shape."""
    return errors.read_error(status, content_type, body, is_own=_is_own)


def reported(error: object, data: bytes, content_type: str = "") -> GatewayError:
    """An error that stood inside an answer of status 200 (`event: error`). Its type tells the status it would have had."""
    word = error.get("type") if isinstance(error, dict) else None
    status = _STATUSES.get(word) if isinstance(word, str) else None
    return errors.reported(error, Upstream(status=200, body=data, content_type=content_type), status)


def write_error(error: GatewayError) -> bytes:
    """A JSON error body: `{"type": "error", "error": {"type", "message"}}`."""
    word = _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
    if error.kind is Kind.BUDGET_EXCEEDED:
        word = "billing_error"
    return msgspec.json.encode({"type": "error", "error": {"type": word, "message": error.message}})


def write_event(error: GatewayError) -> bytes:
    """The event that ends a stream as broken. No `message_stop` follows: it must not look like a clean end."""
    return b"event: error\ndata: " + write_error(error) + b"\n\n"


def _is_own(told: Any) -> bool:
    if not isinstance(told, dict) or told.get("type") != "error":
        return False
    error = told.get("error")
    return isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)
