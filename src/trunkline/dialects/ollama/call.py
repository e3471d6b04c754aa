"""Arguments of tool calls as this dialect writes them, in a history and in an answer: an object, never text."""

from __future__ import annotations

import msgspec

from trunkline.dialects.arguments import object_of, wrapped

_encode = msgspec.json.encode


def arguments(text: str) -> msgspec.Raw:
    """The arguments of a call as an object, in the model's own spelling but for line ends, which would end a line."""
    if not text.strip() or "\n" in text or "\r" in text or object_of(text) is None:
        return msgspec.Raw(_encode(wrapped(text)))
    return msgspec.Raw(text)
