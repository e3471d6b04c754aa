"""Errors of this dialect: `{"error": "..."}`, with a status before an answer began and as a line of its own after it.

How other shapes are read belongs in `dialects/errors.py`.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.dialects import errors


def read_error(status: int, content_type: str, body: bytes) -> GatewayError:
    """Map a provider's error answer, whatever its shape; see `dialects.errors.read_error`."""
    return errors.read_error(status, content_type, body, is_own=_is_own)


def write_error(error: GatewayError) -> bytes:
    """A JSON error body. The official client shows it as it stands, so the message is all there is."""
    return msgspec.json.encode({"error": error.message})


def write_line(error: GatewayError) -> bytes:
    """The line that ends a stream which broke after it began; no line with `done` follows it."""
    return write_error(error) + b"\n"


def _is_own(told: object) -> bool:
    return isinstance(told, dict) and isinstance(told.get("error"), str)
