"""Errors of Cohere's: `{"id", "message"}`, and at times an `error_type`.

How other shapes are read belongs in `dialects.errors`.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects import errors

_DENIED = 498
"""What was said holds a word on a list of forbidden ones (cohere-python, `InvalidTokenError`); no other API has this status."""


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """As `dialects.errors.read_error`. No client speaks this dialect, so no body is ever `verbatim`."""
    error = errors.read_error(status, content_type, body, is_own=lambda _: False)
    code = error.code or _type_of(body)
    if status == _DENIED:
        return GatewayError(
            Kind.UPSTREAM_REFUSED, error.message, status=400, code=code or "content_filter", upstream=error.upstream
        )
    error.code = code
    return error


def _type_of(body: bytes) -> str | None:
    """`error_type`, in lower case as codes are elsewhere."""
    try:
        told = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    word = errors.word_of(told, "error_type")
    return word.lower() if word else None
