"""Wrapped state of other families' models, taken out of a request that goes to a provider of this dialect.

What wraps it belongs in `dialects.state`. Nothing is decoded where the bytes do not hold its beginning.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.shallow import encode
from trunkline.dialects.state import SEALED

_MARK = SEALED.encode("ascii")
_Fields = dict[str, msgspec.Raw]
_messages = msgspec.json.Decoder(list[msgspec.Raw]).decode
_message = msgspec.json.Decoder(_Fields).decode
_any = msgspec.json.decode


def without_foreign(messages: msgspec.Raw) -> msgspec.Raw:
    """The same messages without it; `messages` itself where there is none. Messages of a strange shape stay as they are."""
    if _MARK not in bytes(messages):
        return messages
    try:
        kept = [_cleaned(raw) if _MARK in bytes(raw) else raw for raw in _messages(messages)]
    except (ValueError, RecursionError):
        return messages
    return msgspec.Raw(encode(kept))


def _cleaned(raw: msgspec.Raw) -> msgspec.Raw:
    try:
        message = _message(raw)
    except msgspec.ValidationError:
        return raw
    for name, clean in _SLOTS.items():
        value = message.get(name)
        if value is not None and _MARK in bytes(value):
            kept = clean(_any(value))
            if kept:
                message[name] = msgspec.Raw(encode(kept))
            else:
                del message[name]
    return msgspec.Raw(encode(message))


def _details(value: Any) -> Any:
    """Details of reasoning whose state is wrapped."""
    if not isinstance(value, list):
        return value
    return [one for one in value if not (isinstance(one, dict) and any(map(_wrapped, (one.get("signature"), one.get("data")))))]


def _extra(value: Any) -> Any:
    """`extra_content` without a wrapped signature, and without what is empty then."""
    google = value.get("google") if isinstance(value, dict) else None
    if not isinstance(google, dict) or not _wrapped(google.get("thought_signature")):
        return value
    del google["thought_signature"]
    if not google:
        del value["google"]
    return value


def _calls(value: Any) -> Any:
    for call in value if isinstance(value, list) else ():
        if isinstance(call, dict) and "extra_content" in call and not _extra(call["extra_content"]):
            del call["extra_content"]
    return value


def _wrapped(value: object) -> bool:
    return isinstance(value, str) and value.startswith(SEALED)


_SLOTS = {"reasoning_details": _details, "extra_content": _extra, "tool_calls": _calls}
