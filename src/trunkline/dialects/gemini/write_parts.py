"""One part of a message, written for a provider.

Which content it stands in belongs in `write_contents`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.canon.chat import (
    INSTRUCTS,
    Chat,
    Json,
    Media,
    Other,
    Part,
    Refusal,
    Role,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.arguments import wrapped
from trunkline.dialects.foreign import own_part
from trunkline.dialects.gemini.read_parts import response_of
from trunkline.dialects.gemini.words import BAD_NAME, LONGEST_NAME, NAME
from trunkline.dialects.gemini.write_answer import merged, write_media
from trunkline.dialects.names import fit, is_made

_TYPES = {"image": "image/png", "document": "application/pdf", "audio": "audio/wav", "video": "video/mp4"}
"""What a medium is taken for whose type nobody told: Gemini demands one."""


def fitting(name: str) -> str:
    """A function's name as Gemini takes it."""
    return fit(name, BAD_NAME, LONGEST_NAME)


class PartWriter:
    """Writes the parts of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._own = chat.dialect == NAME
        self._names: dict[str, str] = {}
        """What the calls so far call, by their ids, of which some models use the same in every turn."""
        self._writers: dict[type[Part], Callable[[Any, str], dict[str, Any] | None]] = {
            Text: self._text,
            Thinking: self._thinking,
            ToolCall: self._call,
            ToolResult: self._result,
            Media: self._media,
            Refusal: self._refusal,
        }

    def write(self, part: Part, role: Role, place: str) -> dict[str, Any] | None:
        """The part; None where nothing is left of it. Raises `GatewayError` where the model would miss it."""
        if getattr(part, "cache", ""):
            self._loss.note("cache_control")
        if role in INSTRUCTS and not isinstance(part, Text):
            raise self._loss.refuse(place, "Gemini takes only text in its instructions")
        if isinstance(part, Other):
            return self._other(part, role, place)
        return self._writers[type(part)](part, place)

    def _text(self, part: Text, place: str) -> dict[str, Any] | None:
        signed = self._signed(part.seal)
        vendor = self._vendor(part.vendor, place)
        if part.citations:
            self._loss.note(f"{place}.citations")
        return merged({"text": part.text, **signed}, vendor) if part.text or signed or self._own else None

    def _refusal(self, part: Refusal, _: str) -> dict[str, Any] | None:
        return {"text": part.text} if part.text else None

    def _thinking(self, part: Thinking, place: str) -> dict[str, Any] | None:
        """Only Gemini's own thoughts: a client of Gemini's hands them back without a signature too, and that is well."""
        signed = self._signed(part.seal)
        vendor = self._vendor(part.vendor, place)
        if not signed and (not self._own or part.seal is not None):
            self._loss.note("reasoning")
            return None
        return merged({"text": part.text, "thought": True, **signed}, vendor)

    def _call(self, part: ToolCall, place: str) -> dict[str, Any]:
        self._names[part.id] = part.name
        call = {"name": fitting(part.name), "args": wrapped(part.arguments), **_id(part.id)}
        return merged({"functionCall": call, **self._signed(part.seal)}, self._vendor(part.vendor, place))

    def _result(self, part: ToolResult, place: str) -> dict[str, Any]:
        texts: list[str] = []
        others: list[dict[str, Any]] = []
        for at, one in enumerate(part.parts):
            if isinstance(one, Text):
                texts.append(one.text)
            elif isinstance(one, Media):
                others.append(self._media(one, f"{place}.content[{at}]"))
            elif one.dialect == NAME:
                others.append(dict(one.value))
            else:
                texts.append(msgspec.json.encode(one.value).decode())
        response: dict[str, Any] = {"name": fitting(self._names.get(part.id) or part.name)}
        response |= {"response": response_of("".join(texts), failed=part.failed), **_id(part.id)}
        if others:
            response["parts"] = others
        return merged({"functionResponse": response}, self._vendor(part.vendor, place))

    def _media(self, part: Media, place: str) -> dict[str, Any]:
        facts, loss = self._facts, self._loss
        if facts.media is not None and part.kind not in facts.media:
            raise loss.refuse(place, f"the model takes no {part.kind}")
        if part.url and not facts.media_urls:
            raise loss.refuse(place, "the provider does not fetch URLs")
        if part.file_id and not self._own:
            raise loss.refuse(place, "a file that another provider keeps cannot be read by this one")
        if part.detail not in {"", "auto"}:
            loss.note(f"{place}.detail")
        if part.name and not self._own:
            loss.note(f"{place}.name")  # displayName is an error outside of Vertex
        media_type = part.media_type or (_TYPES[part.kind] if part.data else "")
        sent = msgspec.structs.replace(part, media_type=media_type, name=part.name if self._own else "")
        return write_media(sent, self._vendor(part.vendor, place))

    def _other(self, part: Other, role: Role, place: str) -> dict[str, Any] | None:
        """Another dialect's own part: what a model did there is past, what a user says must be heard."""
        if part.dialect == NAME:
            return dict(part.value)
        if role != "assistant":
            raise self._loss.refuse(place, "Gemini has no such part")
        self._loss.note(place)
        return None

    def _signed(self, seal: Seal | None) -> dict[str, str]:
        """Gemini's own state; another family's is left out."""
        if seal is None:
            return {}
        if seal.family != NAME:
            self._loss.note("reasoning")
            return {}
        return {"thoughtSignature": seal.data}

    def _vendor(self, vendor: Json, place: str) -> Json:
        return own_part(vendor, self._chat, NAME, self._loss, place)


def _id(call_id: str) -> dict[str, str]:
    """An id that is not ours: Gemini knows it, or another provider gave it; then it names call and result alike."""
    return {} if is_made(call_id) else {"id": call_id}
