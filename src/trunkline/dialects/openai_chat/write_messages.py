"""A conversation, written for a provider of OpenAI's form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import (
    Cache,
    Chat,
    Media,
    Message,
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
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import names, plain
from trunkline.dialects.foreign import own_part
from trunkline.dialects.history import placed
from trunkline.dialects.openai_chat.details import NAME, is_detail, write_details, write_extra
from trunkline.dialects.openai_chat.write_answer import write_call
from trunkline.dialects.openai_shape.content import audio_format, check, data_url
from trunkline.dialects.openai_shape.settings import fit_name
from trunkline.dialects.state import UNSIGNED

_NINE = re.compile(r"[a-zA-Z0-9]{9}")
_LONGEST_ID = 40
"""Characters of a tool call's id; OpenAI refuses a longer one."""
_FAILED = "Error: "
_NO_SLOT = "the provider's API has no place for it"


class Messages:
    """Writes the messages of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._own = chat.dialect == NAME
        self._moved: list[dict[str, Any]] = []
        """Media of tool results, for the user's message that follows."""
        self._out: list[dict[str, Any]] = []

    def write(self) -> list[dict[str, Any]]:
        """All of them. Raises what the loss refuses, and `GatewayError(BAD_REQUEST)` where there are none."""
        kept = placed(self._chat, self._loss, midway=self._facts.system_midway or self._own)
        if kept and kept[-1][1].role == "assistant" and "prefill" in self._facts.refuses:
            self._loss.drop(f"messages[{kept.pop()[0]}]", "this model does not go on with a begun answer")
        if not kept:
            raise GatewayError(Kind.BAD_REQUEST, "The conversation is empty.", param="messages")
        for at, message in kept:
            if message.role not in {"tool", "user"}:
                self._flush()
            self._message(message, f"messages[{at}]")
        self._flush()
        return self._out

    def _message(self, message: Message, path: str) -> None:
        if message.role == "tool":
            for at, part in enumerate(message.parts):
                if isinstance(part, ToolResult):
                    self._result(part, f"{path}.content[{at}]")
        elif message.role == "assistant":
            self._out.append(self._named(message, self._assistant(message, path), path))
        else:
            parts = self._parts(enumerate(message.parts), message.role, path)
            if message.role == "user":
                parts, self._moved = [*self._moved, *parts], []
            self._out.append(self._named(message, {"content": _short(parts)}, path))

    def _flush(self) -> None:
        if self._moved:
            self._out.append({"role": "user", "content": self._moved})
            self._moved = []

    def _named(self, message: Message, told: dict[str, Any], path: str) -> dict[str, Any]:
        name = {"name": message.name} if message.name else {}
        return {"role": message.role, **name, **told, **own_part(message.vendor, self._chat, NAME, self._loss, path)}

    def _parts(self, parts: Iterable[tuple[int, Part]], role: Role, path: str) -> list[dict[str, Any]]:
        """`parts`: with their places in canon."""
        found = []
        for at, part in parts:
            place = f"{path}.content[{at}]"
            match part:
                case Text() if part.text:
                    found.append(self._marked(part, {"type": "text", "text": part.text}, place))
                case Media():
                    found.append(self._marked(part, self._medium(part, place), place))
                case Other():
                    found += self._other(part, role, place)
                case _:
                    pass
        return found

    def _other(self, other: Other, role: Role, place: str) -> list[dict[str, Any]]:
        """A model can do without what another said in a way of its own, but not without what it is asked or answered."""
        if other.dialect == NAME and not is_detail(other):
            return [dict(other.value)]
        if other.dialect != NAME and role == "tool":
            return [{"type": "text", "text": msgspec.json.encode(other.value).decode()}]
        if other.dialect != NAME and role != "assistant":
            raise self._loss.refuse(place, _NO_SLOT)
        if other.dialect != NAME or self._facts.reasoning_field != "reasoning_details":
            self._loss.note(place)
        return []

    def _marked(self, part: Text | Media, told: dict[str, Any], place: str) -> dict[str, Any]:
        """With its cache mark and its own fields, which go into the part's own object where they were in it."""
        for name, value in own_part(part.vendor, self._chat, NAME, self._loss, place).items():
            inner = told.get(name)
            told[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
        return told | mark(part.cache, self._facts, self._loss)

    def _result(self, result: ToolResult, path: str) -> None:
        """A result is text; pictures follow in a message of the user's."""
        texts = [pair for pair in enumerate(result.parts) if not isinstance(pair[1], Media)]
        images = [pair for pair in enumerate(result.parts) if isinstance(pair[1], Media)]
        content = self._parts(texts, "tool", path)
        if result.failed and not (content and str(content[0].get("text", "")).startswith(_FAILED)):
            content = [{"type": "text", "text": _FAILED}, *content] if len(content) != 1 else [_failed(content[0])]
        self._moved += self._parts(images, "tool", path)
        name = {"name": result.name} if result.name and self._own else {}
        told = {"role": "tool", **name, "tool_call_id": self._id(result.id), "content": _short(content)}
        if result.cache:
            told |= mark(result.cache, self._facts, self._loss)
        self._out.append({**told, **own_part(result.vendor, self._chat, NAME, self._loss, path)})

    def _assistant(self, message: Message, path: str) -> dict[str, Any]:
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        thoughts = [part for part in message.parts if isinstance(part, Thinking)]
        texts = [part for part in message.parts if isinstance(part, Text)]
        refusals = "".join(part.text for part in message.parts if isinstance(part, Refusal))
        content: Any = self._spoken(message, path)
        told: dict[str, Any] = {}
        thinking = self._thinking(message, thoughts)
        if self._facts.reasoning_field == "content" and "content" in thinking:
            content = [
                *thinking.pop("content"),
                *([{"type": "text", "text": content}] if isinstance(content, str) else content),
            ]
        told["content"] = content or (None if calls or refusals else "")
        if refusals:
            told["refusal"] = refusals
        told |= thinking
        if calls:
            told["tool_calls"] = self._calls(calls, path)
        seal = next((part.seal for part in reversed(texts) if part.seal is not None), None)
        if seal is not None and seal.family == "gemini" and self._facts.signatures:
            told["extra_content"] = write_extra(seal.data)
        return told

    def _spoken(self, message: Message, path: str) -> Any:
        """The text of an answer: its pieces belong together, so it is one, unless they bear marks."""
        parts = [pair for pair in enumerate(message.parts) if not isinstance(pair[1], Media)]
        for at, part in enumerate(message.parts):
            if isinstance(part, Media):
                self._loss.note(f"{path}.content[{at}]")
        written = self._parts(parts, "assistant", path)
        if all(part.keys() == {"type", "text"} and part["type"] == "text" for part in written):
            return "".join(part["text"] for part in written)
        return written

    def _thinking(self, message: Message, thoughts: list[Thinking]) -> dict[str, Any]:
        """What was thought, under the name the provider wants it back by. State of another family's model stays here."""
        field = self._facts.reasoning_field
        if field == "reasoning_details":
            found = write_details(message.parts, own=self._own)
            return {field: found} if found else {}
        kept = [part for part in thoughts if not part.redacted and (part.seal is None or part.seal.family == NAME)]
        if thoughts and (not field or len(kept) < len(thoughts)):
            self._loss.note("reasoning")
        text = "".join(part.text for part in kept)
        if field == "content":
            return {"content": [_think_chunk(part) for part in kept]} if kept else {}
        if not field or not (text or (field == "reasoning_content" and self._facts.thinks)):
            return {}  # a model that thinks in that field wants it back even where it is empty (DeepSeek)
        return {field: text}

    def _calls(self, calls: list[ToolCall], path: str) -> list[dict[str, Any]]:
        found = []
        for at, call in enumerate(calls):
            told = {**write_call(call, own=self._own), "id": self._id(call.id)}
            if "function" in told:
                told["function"]["name"] = fit_name(call.name)
            vendor = own_part(call.vendor, self._chat, NAME, self._loss, f"{path}.tool_calls[{at}]")
            found.append({**{name: value for name, value in vendor.items() if name != "type"}, **told})
        if self._facts.signatures:
            self._sign(found, [call.seal for call in calls])
        return found

    def _sign(self, found: list[dict[str, Any]], seals: list[Seal | None]) -> None:
        """Gemini's own signatures; parallel calls bear one on the first of them only."""
        for told, seal in zip(found, seals, strict=True):
            if seal is not None and seal.family == "gemini":
                told["extra_content"] = write_extra(seal.data)
        if not any("extra_content" in told for told in found):
            self._loss.note("reasoning")
            found[0]["extra_content"] = write_extra(UNSIGNED)

    def _id(self, told: str) -> str:
        if self._facts.call_ids == "alnum9":
            return told if _NINE.fullmatch(told) else hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:9]
        return told if self._own else names.cut(told, _LONGEST_ID)

    def _medium(self, media: Media, place: str) -> dict[str, Any]:
        check(media, self._facts, self._loss, place, own=self._own)
        match media.kind:
            case "image" if not media.file_id:
                detail = {"detail": media.detail} if media.detail else {}
                return {"type": "image_url", "image_url": {"url": data_url(media), **detail}}
            case "audio" if media.data:
                return {"type": "input_audio", "input_audio": {"data": media.data, "format": audio_format(media.media_type)}}
            case "video" if self._facts.media is not None and not media.file_id:
                return {"type": "video_url", "video_url": {"url": data_url(media)}}
            case "document":
                return self._document(media, place)
            case _:
                raise self._loss.refuse(place, _NO_SLOT)

    def _document(self, media: Media, place: str) -> dict[str, Any]:
        """A file; a plain text is one that every model reads, and OpenAI takes no text as a file."""
        if media.data and media.media_type.startswith("text/") and not self._own:
            return {"type": "text", "text": plain.document(media)}
        if media.url and not self._own:
            raise self._loss.refuse(place, "the provider's API takes no document by its address")
        name = {"filename": media.name} if media.name else {} if self._own else {"filename": "document.pdf"}
        if media.file_id:
            return {"type": "file", "file": {"file_id": media.file_id, **({"filename": media.name} if media.name else {})}}
        return {"type": "file", "file": {**name, "file_data": data_url(media)}}


def mark(cache: Cache, facts: Facts, loss: Loss) -> dict[str, Any]:
    """A prompt-cache mark, in the provider's spelling; noted where it has none."""
    if not cache:
        return {}
    if facts.cache_field == "cache_control":
        return {"cache_control": {"type": "ephemeral", **({"ttl": "1h"} if cache == "1h" else {})}}
    if facts.cache_field:
        return {facts.cache_field: {"mode": "explicit", **({"ttl": "12h"} if cache == "1h" else {})}}
    loss.note("cache_control")
    return {}


def _short(parts: list[dict[str, Any]]) -> Any:
    """Only a text is a string: that is what every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def _failed(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "text": f"{_FAILED}{part['text']}"} if "text" in part else part


def _think_chunk(part: Thinking) -> dict[str, Any]:
    """Mistral's."""
    signed = {} if part.seal is None else {"signature": part.seal.data}
    return {"type": "thinking", "thinking": [{"type": "text", "text": part.text}], **signed}
