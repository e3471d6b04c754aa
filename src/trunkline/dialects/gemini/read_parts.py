"""One part of a content, read: the same for what a client sends and what a provider answers.

Which message a part belongs to, and which call a result answers, belongs in `read_contents`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Json, Media, Other, Part, Text, Thinking, ToolCall, ToolResult
from trunkline.dialects import state
from trunkline.dialects.arguments import text_of
from trunkline.dialects.gemini.words import NAME, medium
from trunkline.dialects.google_shape.fields import Fields
from trunkline.dialects.shallow import bad

NewId = Callable[[], str]
"""Makes the id of a call that has none."""
FILES = "https://generativelanguage.googleapis.com/"
_KEPT = (FILES, "gs://")
"""Files that only Google can read."""
_URL = ("http://", "https://")
_URL_SAFE = str.maketrans("-_", "+/")


def read_part(value: object, place: str, new_id: NewId) -> Part:
    """A part. What canon has no word for is an `Other`, whole. Raises `GatewayError(BAD_REQUEST)` with the path."""
    fields = Fields(value, place)
    if fields.peek("thought") is False:  # what it is untold
        fields.any("thought")
    read = next((read for name, read in _READERS.items() if name in fields), None)
    if read is not None and ("thought" not in fields or read is _text):
        return read(fields, new_id)
    if "thought" in fields and set(fields.left()) <= {"thought", "thoughtSignature"}:
        return _text(fields, new_id, redacted=True)
    return Other(NAME, dict(value) if isinstance(value, dict) else {})


def _text(fields: Fields, _: NewId, *, redacted: bool = False) -> Part:
    """A thought without text is one that may not be read."""
    text, thought, seal = fields.text("text"), fields.flag("thought"), state.seal_of(fields.text("thoughtSignature"), NAME)
    if thought:
        return Thinking(text, seal, redacted and seal is not None, fields.left())
    return Text(text, seal, vendor=fields.left())


def _inline(fields: Fields, _: NewId) -> Part:
    """Google's SDKs send the URL-safe alphabet."""
    inner = Fields(fields.any("inlineData"), fields.place("inlineData"))
    media_type, data = inner.text("mimeType"), inner.text("data").translate(_URL_SAFE)
    name = inner.text("displayName")
    return Media(medium(media_type), media_type, data=data, name=name, vendor=_beside(fields, inner, "inlineData"))


def _file(fields: Fields, _: NewId) -> Part:
    inner = Fields(fields.any("fileData"), fields.place("fileData"))
    media_type, uri, name = inner.text("mimeType"), inner.text("fileUri"), inner.text("displayName")
    vendor = _beside(fields, inner, "fileData")
    if uri.startswith(_KEPT) or not uri.startswith(_URL):
        return Media(medium(media_type), media_type, file_id=uri, name=name, vendor=vendor)
    return Media(medium(media_type), media_type, url=uri, name=name, vendor=vendor)


def _call(fields: Fields, new_id: NewId) -> Part:
    inner = Fields(fields.any("functionCall"), fields.place("functionCall"))
    call_id, name, arguments = inner.text("id") or new_id(), inner.text("name"), inner.object("args") or {}
    seal = state.seal_of(fields.text("thoughtSignature"), NAME)
    return ToolCall(call_id, name, text_of(arguments), seal, vendor=_beside(fields, inner, "functionCall"))


def _response(fields: Fields, _: NewId) -> Part:
    """A result; its id is empty where the client tells none."""
    place = fields.place("functionResponse")
    inner = Fields(fields.any("functionResponse"), place)
    call_id, name, response = inner.text("id"), inner.text("name"), inner.object("response") or {}
    texts, failed = _said(response)
    media = [_medium(one, f"{place}.parts[{at}]") for at, one in enumerate(inner.items("parts"))]
    vendor = _beside(fields, inner, "functionResponse")
    return ToolResult(call_id, name, (*texts, *media), failed, vendor=vendor)


def _medium(value: object, place: str) -> Media | Other:
    part = read_part(value, place, str)
    if not isinstance(part, Media | Other):
        raise bad(place, "must be inlineData or fileData")
    return part


def _said(response: Json) -> tuple[tuple[Text, ...], bool]:
    """The text of a `response` and whether it tells a failure. `output` and `error` are Google's names for a plain result
    and for a failure; what is written the same way again is taken out of them, anything else stays the object it is.
    """
    for name in ("output", "error"):
        text = response.get(name)
        if isinstance(text, str) and response == response_of(text, failed=name == "error"):
            return (Text(text),), name == "error"
    return (Text(msgspec.json.encode(response).decode()),), set(response) == {"error"}


def is_nothing(part: Part) -> bool:
    """An empty text, as it stands beside a finish reason."""
    return isinstance(part, Text | Thinking) and not part.text and part.seal is None


def response_of(text: str, *, failed: bool) -> dict[str, Any]:
    """What a tool said, as the object that a `response` must be: the text itself where it is one."""
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and (not failed or "error" in found):
        return found
    return {"error" if failed else "output": text}


def _beside(fields: Fields, inner: Fields, name: str) -> Json:
    """What nobody took of a part, and of the object in it, which stands under its own name."""
    left = dict(fields.left())
    if inner.left():
        left[name] = inner.left()
    return left or NOTHING


_READERS: Mapping[str, Callable[[Fields, NewId], Part]] = MappingProxyType(
    {
        "text": _text,
        "inlineData": _inline,
        "fileData": _file,
        "functionCall": _call,
        "functionResponse": _response,
    }
)
