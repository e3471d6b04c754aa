"""Arguments of tool calls as this dialect writes them, in a history and in an answer: an object, never text."""

from __future__ import annotations

from typing import Any

import msgspec

_RAW = "_raw"
"""The only key of arguments that are no JSON object: under it stands what the model wrote, and it is read back from there."""

_decode = msgspec.json.decode
_encode = msgspec.json.encode


def as_text(told: dict[str, Any]) -> str:
    """The text of a call's arguments in a history; what `arguments` put under a key of ours is as the model wrote it."""
    raw = told.get(_RAW) if len(told) == 1 else None
    return raw if isinstance(raw, str) else _encode(told).decode()


def arguments(text: str) -> msgspec.Raw:
    """The arguments of a call as an object, in the model's own spelling but for line ends, which would end a line."""
    try:
        found = _decode(text)
    except (ValueError, RecursionError):
        found = None if text.strip() else {}
    if not isinstance(found, dict):
        return msgspec.Raw(_encode({_RAW: text}))
    return msgspec.Raw(_encode(found) if "\n" in text or "\r" in text or not text.strip() else text)
