"""A history for a provider of this dialect: texts, pictures in base64, calls with objects for arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.canon.chat import (
    INSTRUCTS,
    Chat,
    Json,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.foreign import own_part
from trunkline.dialects.history import placed
from trunkline.dialects.names import call_names, is_made
from trunkline.dialects.ollama.call import arguments
from trunkline.dialects.ollama.read_answer import NAME
from trunkline.dialects.plain import document

_BETWEEN = "\n\n"
"""What stands between the pieces of a prompt, as Ollama's own templates join messages (template/template.go)."""
_FAILED = "Error: "
_BESIDE = frozenset({"thinking", "images", "tool_calls"})
"""What a message may hold beside `content`; never empty where it is there."""


class Heard(msgspec.Struct):
    """The parts of a message, sorted into the fields of this dialect."""

    texts: list[str] = []
    thinking: list[str] = []
    images: list[str] = []
    calls: list[dict[str, Any]] = []


class MessageWriter:
    """Writes the messages of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._names = call_names(chat.messages)

    def write(self) -> list[dict[str, Any]]:
        """All of them."""
        kept = placed(self._chat, self._loss, midway=self._facts.system_midway)
        return [told for at, message in kept for told in self._message(message, f"messages[{at}]")]

    def _message(self, message: Message, place: str) -> list[dict[str, Any]]:
        vendor = own_part(message.vendor, self._chat, NAME, self._loss, place)
        if message.name:
            self._loss.note(f"{place}.name")
        if message.role == "tool":
            return self._results(message, place)
        heard = Heard()
        self._hear(heard, message.parts, message.role, f"{place}.content")
        told = _told(heard, "" if message.role == "assistant" else _BETWEEN)
        return [{"role": "system" if message.role in INSTRUCTS else message.role, **told, **vendor}]

    def _results(self, message: Message, place: str) -> list[dict[str, Any]]:
        """The results of one turn. Templates show a tool message's text only, so its pictures follow as a user's."""
        written, images = [], []
        for at, part in enumerate(message.parts):
            where = f"{place}.content[{at}]"
            if not isinstance(part, ToolResult):
                raise self._loss.refuse(where, "it is no result of a tool")
            heard = Heard()
            self._hear(heard, part.parts, message.role, f"{where}.content")
            images += heard.images
            self._marked(part.cache)
            content = _BETWEEN.join(heard.texts)
            if part.failed and not content.startswith(_FAILED):
                content = _FAILED + content
            vendor = own_part(part.vendor, self._chat, NAME, self._loss, where)
            name = part.name or self._names.get(part.id, "")
            told = {"role": "tool", "content": content, "tool_name": name}
            written.append({**told, **_named("tool_call_id", part.id), **vendor})
        return [*written, {"role": "user", "content": "", "images": images}] if images else written

    def _hear(self, heard: Heard, parts: Iterable[Part], role: str, place: str) -> None:
        for at, part in enumerate(parts):
            where = f"{place}[{at}]"
            match part:
                case Text():
                    self._text(heard, part, where)
                case Media():
                    self._media(heard, part, where)
                case ToolCall():
                    heard.calls.append(self._call(part, where))
                case Thinking():
                    self._thinking(heard, part, where)
                case Refusal():
                    heard.texts.append(part.text)
                case _:
                    self._other(heard, part, role, where)

    def _other(self, heard: Heard, part: ToolResult | Other, role: str, place: str) -> None:
        if isinstance(part, Other) and role == "tool":
            heard.texts.append(msgspec.json.encode(part.value).decode())
        elif role == "assistant":
            self._loss.note(place)
        else:
            raise self._loss.refuse(place, "Ollama has no such content")

    def _text(self, heard: Heard, part: Text, place: str) -> None:
        self._marked(part.cache)
        self._sealed(part)
        own_part(part.vendor, self._chat, NAME, self._loss, place)
        if part.citations:
            self._loss.note(f"{place}.citations")
        if part.text:
            heard.texts.append(part.text)

    def _thinking(self, heard: Heard, part: Thinking, place: str) -> None:
        """Text goes back; thoughts of another family's model stay out, and so does what only that model can read."""
        own_part(part.vendor, self._chat, NAME, self._loss, place)
        if part.seal is not None or part.redacted:
            self._loss.note("reasoning")
        elif part.text:
            heard.thinking.append(part.text)

    def _call(self, part: ToolCall, place: str) -> dict[str, Any]:
        self._marked(part.cache)
        self._sealed(part)
        vendor = own_part(part.vendor, self._chat, NAME, self._loss, place)
        inner = {"name": part.name, "arguments": arguments(part.arguments), **of_function(vendor)}
        return {**_named("id", part.id), "function": inner, **beside_function(vendor)}

    def _media(self, heard: Heard, part: Media, place: str) -> None:
        self._marked(part.cache)
        own_part(part.vendor, self._chat, NAME, self._loss, place)
        if part.kind == "document" and part.data and part.media_type.startswith("text/"):
            heard.texts.append(document(part))
        elif part.kind != "image":
            raise self._loss.refuse(place, f"Ollama takes no {part.kind}")
        elif self._facts.media is not None and part.kind not in self._facts.media:
            raise self._loss.refuse(place, "the model takes no pictures")
        elif not part.data:
            raise self._loss.refuse(place, "Ollama takes pictures only in base64")
        else:
            if part.detail not in {"", "auto"}:
                self._loss.note(f"{place}.detail")
            heard.images.append(part.data)

    def _marked(self, cache: str) -> None:
        if cache:
            self._loss.note("cache_control")

    def _sealed(self, part: Text | ToolCall) -> None:
        if part.seal is not None:
            self._loss.note("reasoning")


def says(written: list[dict[str, Any]]) -> bool:
    """Somebody says something; instructions count only where nobody else is there."""
    spoken = [message for message in written if message["role"] != "system"] or written
    return any(message["role"] == "tool" or message["content"].strip() or message.keys() & _BESIDE for message in spoken)


def of_function(vendor: Json) -> dict[str, Any]:
    """The fields of `function` in a `vendor` that `read_messages.beside` made."""
    return {name.removeprefix("function."): value for name, value in vendor.items() if name.startswith("function.")}


def beside_function(vendor: Mapping[str, Any]) -> dict[str, Any]:
    """Those beside it."""
    return {name: value for name, value in vendor.items() if not name.startswith("function.")}


def _named(field: str, call_id: str) -> dict[str, str]:
    """The id of a call, where its provider gave it one; name and order tell the others."""
    return {} if is_made(call_id) else {field: call_id}


def _told(heard: Heard, between: str) -> dict[str, Any]:
    fields = {"thinking": "".join(heard.thinking), "images": heard.images, "tool_calls": heard.calls}
    return {"content": between.join(heard.texts), **{name: value for name, value in fields.items() if value}}
