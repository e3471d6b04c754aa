"""Arguments of a tool call for dialects that hold them as an object. Canon has their text, which is as the model wrote it and
may be no object: such a text stands whole under a key of ours, and is read back from there.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import Json

_RAW = "_raw"
"""The only key of an object that holds a text."""


def object_of(text: str) -> dict[str, Any] | None:
    """The object that canon's text is, an empty one for no text; None where it is no JSON object."""
    if not text.strip():
        return {}
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def wrapped(text: str) -> dict[str, Any]:
    """An object in any case."""
    found = object_of(text)
    return {_RAW: text} if found is None else found


def text_of(told: Json) -> str:
    """Canon's text for an object: what `wrapped` wrapped as the model wrote it. A key like ours with an object in it, which
    `wrapped` never makes, is the model's own.
    """
    raw = told.get(_RAW) if len(told) == 1 else None
    if isinstance(raw, str) and object_of(raw) is None:
        return raw
    return msgspec.json.encode(told).decode()
