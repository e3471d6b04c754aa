"""Stream usage, which a client asks for and the gateway asks for in its place: `stream_options.include_usage`."""

from __future__ import annotations

import msgspec

from trunkline.dialects.shallow import encode, flag_of, nested_of

_NAME = "stream_options"
_TRUE = msgspec.Raw(b"true")


def asks_usage(found: dict[str, msgspec.Raw]) -> bool:
    """The client itself asks for it. Raises `GatewayError(BAD_REQUEST)`."""
    return _NAME in found and bool(flag_of(nested_of(found, _NAME), "include_usage", f"{_NAME}.include_usage"))


def asking_usage(found: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """The same fields, asking for it."""
    return found | {_NAME: msgspec.Raw(encode(nested_of(found, _NAME) | {"include_usage": _TRUE}))}
