"""Canon's parts, written as the content blocks of a request.

Which message a block stands in belongs in `write_messages`; the blocks of an answer to a client belong in `write_answer`.
"""

from __future__ import annotations

import base64
from typing import Any, cast

from trunkline.canon.chat import Cache, Chat, Json, Media, Message, Other, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import names
from trunkline.dialects.anthropic.words import BAD_NAME, LONGEST_NAME, NAME, STRICT_VERSION, VERSION
from trunkline.dialects.arguments import wrapped
from trunkline.dialects.foreign import own_part
from trunkline.dialects.shallow import encode

#: How the base64 of each kind of picture begins that Anthropic takes. Clients often name another type than it is.
_PICTURES = {"/9j/": "image/jpeg", "iVBORw0KGgo": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}
_TAKEN = frozenset(_PICTURES.values())
_PDF = "application/pdf"
_TEXTUAL = frozenset(
    {"application/json", "application/xml", "application/x-yaml", "application/yaml", "application/javascript"}
)
_NO_WORDS = "Error"
"""What a failed tool is said to have answered where it said nothing: Anthropic refuses a failure without content."""


def fit(name: str) -> str:
    """A tool's name or a call's id as Anthropic takes it."""
    return names.fit(name, BAD_NAME, LONGEST_NAME)


def mark(cache: Cache) -> dict[str, str]:
    """A cache mark."""
    return {"type": "ephemeral", "ttl": "1h"} if cache == "1h" else {"type": "ephemeral"}


class Blocks:
    """Writes the parts of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._own = chat.dialect == NAME
        self._strict = (facts.version or VERSION) >= STRICT_VERSION

    def write(self, message: Message, place: str) -> list[dict[str, Any]]:
        """The blocks of a message's parts; `place` such as `messages[2]`."""
        written = (self._part(part, message.role, f"{place}.content[{at}]") for at, part in enumerate(message.parts))
        return [block for block in written if block is not None]

    def _part(self, part: Part, role: str, place: str) -> dict[str, Any] | None:
        block: dict[str, Any] | None
        match part:
            case Text() | Refusal():
                block = self._text(part if isinstance(part, Text) else Text(part.text), role, place)
            case ToolCall():
                block = {"type": "tool_use", "id": fit(part.id), "name": fit(part.name), "input": wrapped(part.arguments)}
                block = self._with(block, part.cache, part.vendor, place)
            case ToolResult():
                block = self._result(part, place)
            case Thinking():
                block = self._thinking(part, place)
            case Media():
                block = self._media(part, role, place)
            case _:
                block = self._other(part, role, place)
        return block

    def _with(self, block: dict[str, Any], cache: Cache, vendor: Json, place: str) -> dict[str, Any]:
        if cache:
            block["cache_control"] = mark(cache)
        block.update(own_part(vendor, self._chat, NAME, self._loss, place))
        return block

    def _other(self, part: Other, role: str, place: str) -> dict[str, Any] | None:
        if part.dialect == NAME:
            return dict(part.value)
        if role == "tool":
            return {"type": "text", "text": encode(part.value).decode()}
        if role != "assistant":
            raise self._loss.refuse(place, f"only the API '{part.dialect}' has such content")
        self._loss.note(place)
        return None

    def _text(self, part: Text, role: str, place: str) -> dict[str, Any] | None:
        if self._own and (whole := part.vendor.get("search_result")) is not None:
            return dict(cast("Json", whole))
        if not part.text or not (self._own or part.text.strip()):  # an error to Anthropic
            if part.cache:
                self._loss.note(f"{place}.cache_control")
            return None
        block: dict[str, Any] = {"type": "text", "text": part.text}
        if part.citations:
            own = [dict(citation.vendor) for citation in part.citations if self._own and citation.vendor]
            if own and not (self._strict and role == "user"):
                block["citations"] = own
            else:
                self._loss.note(f"{place}.citations")
        return self._with(block, part.cache, part.vendor, place)

    def _thinking(self, part: Thinking, place: str) -> dict[str, Any] | None:
        if part.seal is None or part.seal.family != NAME or not part.seal.data:
            self._loss.note("reasoning")
            return None
        if part.redacted:
            block: dict[str, Any] = {"type": "redacted_thinking", "data": part.seal.data}
        else:
            block = {"type": "thinking", "thinking": part.text, "signature": part.seal.data}
        return self._with(block, "", part.vendor, place)

    def _result(self, part: ToolResult, place: str) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": fit(part.id)}
        inner = (self._part(one, "tool", f"{place}.content[{at}]") for at, one in enumerate(part.parts))
        content = [one for one in inner if one is not None]
        if part.failed and not content:
            content = [{"type": "text", "text": _NO_WORDS}]
        if content:
            block["content"] = content
        if part.failed:
            block["is_error"] = True
        return self._with(block, part.cache, part.vendor, place)

    def _media(self, part: Media, role: str, place: str) -> dict[str, Any]:
        taken = self._facts.media
        if part.kind in {"audio", "video"}:
            raise self._loss.refuse(place, f"Anthropic's API takes no {part.kind}")
        if taken is not None and part.kind not in taken:
            raise self._loss.refuse(place, f"this model takes no {part.kind}")
        if role == "assistant" and (not self._own or (self._strict and part.kind == "document")):
            raise self._loss.refuse(place, "Anthropic's API takes no media in an assistant's message")
        if part.detail:
            self._loss.note(f"{place}.detail")
        block: dict[str, Any] = {"type": part.kind, "source": self._source(part, place)}
        if part.kind == "document" and part.name:
            block["title"] = part.name
        return self._with(block, part.cache, part.vendor, place)

    def _source(self, part: Media, place: str) -> dict[str, Any]:
        if part.file_id:
            if not self._own:
                raise self._loss.refuse(place, "the file is kept by another provider")
            return {"type": "file", "file_id": part.file_id}
        if part.url:
            if not self._facts.media_urls:
                raise self._loss.refuse(place, "this provider fetches no URLs")
            return {"type": "url", "url": part.url}
        media_type = _type(part)
        if media_type in _TAKEN if part.kind == "image" else media_type == _PDF:
            return {"type": "base64", "media_type": media_type, "data": part.data}
        if part.kind == "document" and (media_type.startswith("text/") or media_type in _TEXTUAL):
            return {"type": "text", "media_type": "text/plain", "data": self._plain(part.data, place)}
        raise self._loss.refuse(place, f"Anthropic's API takes no {part.kind} of the type '{media_type}'")

    def _plain(self, data: str, place: str) -> str:
        try:
            return base64.b64decode(data).decode()
        except ValueError:
            raise self._loss.refuse(place, "it is said to be text and is none") from None


def _type(part: Media) -> str:
    """What the content really is, where its first letters tell; else what it is said to be."""
    if part.kind == "image":
        found = next((kind for start, kind in _PICTURES.items() if part.data.startswith(start)), "")
        return found or part.media_type
    said = part.media_type.partition(";")[0].strip().lower()
    return _PDF if part.data.startswith("JVBERi") else said
