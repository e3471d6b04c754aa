"""Errors in OpenAI's own shape: told from others in what providers send, and written.

How an error is read whatever its shape belongs in `dialects.errors`.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects import errors

#: OpenAI's word for a kind of error, by status. 5xx are `server_error`, any other 4xx an `invalid_request_error`.
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """As `dialects.errors.read_error`; `upstream.verbatim` is True where the body is an error of OpenAI's shape."""
    return errors.read_error(status, content_type, body, is_own=_is_openai)


def write_error(error: GatewayError) -> bytes:
    """A JSON error body in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""
    kind = "server_error" if error.status >= 500 else _TYPES.get(error.status, "invalid_request_error")
    if error.kind is Kind.BUDGET_EXCEEDED:
        kind = "insufficient_quota"  # at 429 beside rate limits, so that clients can tell what waiting does not cure
    told = {"message": error.message, "type": kind, "param": error.param, "code": error.code or error.kind.value}
    return msgspec.json.encode({"error": told})


def write_stream_error(error: GatewayError) -> bytes:
    """The event that ends a stream which broke after it began. No `[DONE]` follows: it must not look like a clean end."""
    return b"data: " + write_error(error) + b"\n\n"


def _is_openai(told: object) -> bool:
    if not isinstance(told, dict):
        return False
    error = told.get("error")
    return isinstance(error, dict) and isinstance(error.get("message"), str)
