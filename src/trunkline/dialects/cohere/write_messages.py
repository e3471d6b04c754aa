"""A history for Cohere: texts, pictures, thoughts and plans, calls, results as texts and documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import (
    INSTRUCTS,
    Chat,
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
from trunkline.dialects import names
from trunkline.dialects.cohere.words import BAD_NAME, LONGEST_NAME, NAME
from trunkline.dialects.foreign import own_part
from trunkline.dialects.history import placed
from trunkline.dialects.plain import document

_FAILED = "Error: "
_DETAILS = frozenset({"auto", "low", "high"})

Block = dict[str, Any]
"""A block of content."""


class Messages:
    """Writes the messages of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss

    def write(self) -> list[dict[str, Any]]:
        """All of them."""
        kept = placed(self._chat, self._loss, midway=self._facts.system_midway)
        return [told for at, message in kept for told in self._message(message, f"messages[{at}]")]

    def _message(self, message: Message, place: str) -> list[dict[str, Any]]:
        own_part(message.vendor, self._chat, NAME, self._loss, place)
        if message.name:
            self._loss.note(f"{place}.name")
        if message.role == "tool":
            return self._results(message, place)
        if message.role == "assistant":
            return [self._assistant(message, place)]
        role = "system" if message.role in INSTRUCTS else "user"
        return [{"role": role, "content": _short(self._blocks(message.parts, message.role, f"{place}.content"))}]

    def _assistant(self, message: Message, place: str) -> dict[str, Any]:
        calls = [
            self._call(part, f"{place}.content[{at}]") for at, part in enumerate(message.parts) if isinstance(part, ToolCall)
        ]
        blocks = self._blocks(message.parts, message.role, f"{place}.content")
        told: dict[str, Any] = {"role": "assistant"}
        if not self._facts.thinks:
            thoughts = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
            blocks = [block for block in blocks if block["type"] != "thinking"]
            if thoughts and calls:
                told["tool_plan"] = thoughts
            elif thoughts:
                self._loss.note("reasoning")
        if blocks or not calls:
            told["content"] = _short(blocks)
        return {**told, "tool_calls": calls} if calls else told

    def _results(self, message: Message, place: str) -> list[dict[str, Any]]:
        """The results of one turn. A tool's message takes texts and documents, so its pictures follow as a user's."""
        written, pictures = [], []
        for at, part in enumerate(message.parts):
            where = f"{place}.content[{at}]"
            if not isinstance(part, ToolResult):
                raise self._loss.refuse(where, "it is no result of a tool")
            own_part(part.vendor, self._chat, NAME, self._loss, where)
            self._marked(part.cache)
            blocks = self._blocks(part.parts, message.role, f"{where}.content")
            pictures += [block for block in blocks if block["type"] == "image_url"]
            said = [block for block in blocks if block["type"] != "image_url"]
            if part.failed:
                said = _failed(said)
            written.append({"role": "tool", "tool_call_id": part.id, "content": _short(said)})
        return [*written, {"role": "user", "content": pictures}] if pictures else written

    def _blocks(self, parts: Iterable[Part], role: str, place: str) -> list[Block]:
        return [block for at, part in enumerate(parts) for block in self._block(part, role, f"{place}[{at}]")]

    def _block(self, part: Part, role: str, place: str) -> list[Block]:
        """What stands for a part in `content`; nothing for one that has another place, or that is left out."""
        match part:
            case Text():
                return self._text(part, place)
            case Refusal():
                return [_text(part.text)]
            case Thinking():
                return self._thinking(part, place)
            case Media() if role != "assistant":
                return [self._media(part, role, place)]
            case Other() if role == "tool":
                return [_text(msgspec.json.encode(part.value).decode())]
        if role != "assistant":
            raise self._loss.refuse(place, "Cohere has no such content")
        if not isinstance(part, ToolCall):
            self._loss.note(place)
        return []

    def _text(self, part: Text, place: str) -> list[Block]:
        self._marked(part.cache)
        self._sealed(part)
        own_part(part.vendor, self._chat, NAME, self._loss, place)
        if part.citations:
            self._loss.note(f"{place}.citations")
        return [_text(part.text)] if part.text else []

    def _thinking(self, part: Thinking, place: str) -> list[Block]:
        """Text goes back, in whichever place the model has for it; thoughts of another family's model stay out."""
        own_part(part.vendor, self._chat, NAME, self._loss, place)
        if part.seal is not None or part.redacted:
            self._loss.note("reasoning")
            return []
        return [{"type": "thinking", "thinking": part.text}] if part.text else []

    def _call(self, part: ToolCall, place: str) -> dict[str, Any]:
        self._marked(part.cache)
        self._sealed(part)
        own_part(part.vendor, self._chat, NAME, self._loss, place)
        return {"id": part.id, "type": "function", "function": {"name": fit_name(part.name), "arguments": part.arguments}}

    def _media(self, part: Media, role: str, place: str) -> Block:
        self._marked(part.cache)
        own_part(part.vendor, self._chat, NAME, self._loss, place)
        if part.kind == "document" and part.data and part.media_type.startswith("text/"):
            return _document(part) if role == "tool" else _text(document(part))
        if part.kind != "image":
            raise self._loss.refuse(place, f"Cohere takes no {part.kind}")
        if self._facts.media is not None and "image" not in self._facts.media:
            raise self._loss.refuse(place, "the model takes no pictures")
        if part.file_id:
            raise self._loss.refuse(place, "it is a file that another provider keeps")
        told = {"url": part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"}
        if part.detail in _DETAILS:
            told["detail"] = part.detail
        elif part.detail:
            self._loss.note(f"{place}.detail")
        return {"type": "image_url", "image_url": told}

    def _marked(self, cache: str) -> None:
        if cache:
            self._loss.note("cache_control")

    def _sealed(self, part: Text | ToolCall) -> None:
        if part.seal is not None:
            self._loss.note("reasoning")


def fit_name(name: str) -> str:
    """A tool's name as Cohere takes it."""
    return names.fit(name, BAD_NAME, LONGEST_NAME)


def _text(said: str) -> Block:
    return {"type": "text", "text": said}


def _document(part: Media) -> Block:
    """A document that a tool found, which the answer may then cite."""
    title = {"title": part.name} if part.name else {}
    said = document(msgspec.structs.replace(part, name=""))
    return {"type": "document", "document": {"data": {**title, "text": said}}}


def _failed(blocks: list[Block]) -> list[Block]:
    """The result of a tool that failed, told in words: there is no field for it."""
    if not blocks or blocks[0]["type"] != "text":
        return [_text(_FAILED.strip()), *blocks]
    said = blocks[0]["text"]
    return blocks if said.startswith(_FAILED) else [_text(_FAILED + said), *blocks[1:]]


def _short(blocks: list[Block]) -> list[Block] | str:
    """A text alone as a string, as nearly everybody writes it."""
    if not blocks:
        return ""
    return str(blocks[0]["text"]) if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks
