"""The items of a provider's answer as canon's parts: what each of them says, leniently, for it may be any server's.

In which order their pieces come belongs in `assembly`; the items of a client's request are read, strictly, in `read_items`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Citation, Json, Media, Seal, Text, Thinking, ToolCall
from trunkline.dialects.openai_responses.read_content import read_annotation
from trunkline.dialects.openai_responses.words import CUSTOM_CALL, NAME, NAMESPACE, folded
from trunkline.dialects.openai_shape.reply import mended

#: What a call's item says that canon has a word for.
_CALL = frozenset({"type", "status", "call_id", "name", "arguments", "input"})
#: How the base64 of a picture begins.
_PICTURES = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "PHN2Z": "image/svg+xml",
}


def plain_text(told: object) -> str:
    """A text, empty where it is none."""
    return told if isinstance(told, str) else ""


def decoded(raw: msgspec.Raw) -> object:
    """A value that stayed bytes so far; None where it is none."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        pass
    try:
        return msgspec.json.decode(mended(bytes(raw)))
    except (ValueError, RecursionError):
        return None


def objects(told: object) -> list[dict[str, Any]]:
    """Those of a list that are objects."""
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def call_of(item: Json, ident: str) -> ToolCall:
    """A call, its arguments aside. `ident`: its id."""
    name, space = plain_text(item.get("name")), plain_text(item.get(NAMESPACE))
    custom = {"type": CUSTOM_CALL} if item.get("type") == CUSTOM_CALL else {}
    rest = {name: value for name, value in item.items() if name not in _CALL and value is not None}
    return ToolCall(ident, folded(space, name), "", vendor={**custom, **rest} or NOTHING)


def text_of(item: Json) -> Text:
    """A text of a message, with what the message itself is called."""
    return Text("", vendor={name: item[name] for name in ("id", "phase") if plain_text(item.get(name))} or NOTHING)


def thought_of(item: Json, *, redacted: bool = False) -> Thinking:
    """A piece of reasoning, its text and state aside."""
    ident = plain_text(item.get("id"))
    return Thinking("", redacted=redacted, vendor={"id": ident} if ident else NOTHING)


def thought_text(item: Json) -> str:
    """What reasoning shows of itself: its summary, else its content."""
    summary = [plain_text(one.get("text")) for one in objects(item.get("summary"))]
    return "\n\n".join(filter(None, summary)) or "".join(plain_text(one.get("text")) for one in objects(item.get("content")))


def seal_of(item: Json) -> Seal | None:
    """The state of a piece of reasoning."""
    told = plain_text(item.get("encrypted_content"))
    return Seal(NAME, told) if told else None


def picture_of(item: Json) -> Media | None:
    """A generated picture; None where there is none in it."""
    data = plain_text(item.get("result"))
    if not data:
        return None
    found = next((kind for start, kind in _PICTURES.items() if data.startswith(start)), "")
    return Media("image", found or f"image/{plain_text(item.get('output_format')) or 'png'}", data=data)


def citations_of(told: object) -> list[Citation]:
    """The annotations of a text."""
    return [found for one in objects(told) if (found := read_annotation(one)) is not None]


def tokens_of(told: object) -> tuple[Mapping[str, Any], ...]:
    """Logprobs, as writers may rely on them: their `top_logprobs` are objects, if there are any."""
    return tuple({**one, "top_logprobs": objects(one.get("top_logprobs"))} for one in objects(told))
