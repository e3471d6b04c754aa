"""Canon's parts, written as the content blocks of a request.

Which message a block stands in belongs in `write_messages`.
"""

from __future__ import annotations

import re
from typing import Any

from trunkline.canon.chat import Cache, Chat, Media, Message, Other, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import plain
from trunkline.dialects.arguments import wrapped
from trunkline.dialects.bedrock.words import NAME, fit_id, fit_name
from trunkline.dialects.foreign import own_part

Block = dict[str, Any]
Group = list[Block]
"""A block, and the cache mark that follows it."""

#: How the base64 of each kind of picture begins that Bedrock takes. Clients often name another type than it is.
_PICTURES = {"/9j/": "jpeg", "iVBORw0KGgo": "png", "R0lGOD": "gif", "UklGR": "webp"}
_OOXML = "application/vnd.openxmlformats-officedocument"
#: MIME types and the words that Bedrock has for them, by what it is.
_FORMATS: dict[str, dict[str, str]] = {
    "image": {f"image/{word}": word for word in ("png", "jpeg", "gif", "webp")} | {"image/jpg": "jpeg"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        f"{_OOXML}.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        f"{_OOXML}.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/markdown": "md",
        "application/json": "txt",
        "application/xml": "txt",
        "application/yaml": "txt",
        "application/x-yaml": "txt",
        "application/javascript": "txt",
    },
    "video": {
        "video/x-matroska": "mkv",
        "video/quicktime": "mov",
        "video/mp4": "mp4",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/mpg": "mpg",
        "video/x-ms-wmv": "wmv",
        "video/wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mp3": "mp3",
        "audio/mpeg": "mp3",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/mp4": "m4a",
        "audio/m4a": "m4a",
        "audio/webm": "webm",
        "audio/pcm": "pcm",
    },
}
_TEXTUAL = frozenset({"csv", "html", "md", "txt"})
_BAD_TITLE = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
"""What a document's name may not hold (AWS, `DocumentBlock`); white space only one at a time."""
_LONGEST_TITLE = 100
_NO_WORDS, _FAILED = "(empty)", "Error"
"""What a tool is said to have answered that said nothing: Bedrock takes no result without words."""


class Blocks:
    """Writes the parts of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._titles: dict[str, int] = {}
        """Names of documents, which must differ, and the number that each was given last."""

    def write(self, message: Message, place: str) -> list[Group]:
        """The blocks of a message's parts; `place` such as `messages[2]`."""
        return self._groups(message.parts, message.role, place)

    def system(self, message: Message, place: str) -> list[Block]:
        """The blocks of an instruction that stands before the conversation: text only."""
        blocks: list[Block] = []
        for at, part in enumerate(message.parts):
            if not isinstance(part, Text | Refusal):
                raise self._loss.refuse(f"{place}.content[{at}]", "Bedrock's API takes instructions as text only")
            text, cache = (part, part.cache) if isinstance(part, Text) else (Text(part.text), "")
            if group := self._text(text, f"{place}.content[{at}]"):
                blocks += group + self.mark(cache, "system")
        return blocks

    def mark(self, cache: Cache, space: str) -> list[Block]:
        """A cache mark behind what stands in this space of the prompt, or nothing."""
        if not cache:
            return []
        taken = self._facts.caches
        if space not in taken or (cache == "1h" and cache not in taken):
            self._loss.note("cache_control")
        if space not in taken:
            return []
        return [{"cachePoint": {"type": "default", **({"ttl": "1h"} if cache == "1h" and cache in taken else {})}}]

    def _groups(self, parts: tuple[Part, ...], role: str, place: str) -> list[Group]:
        found = []
        for at, part in enumerate(parts):
            here = f"{place}.content[{at}]"
            if group := self._part(part, role, here):
                own_part(getattr(part, "vendor", {}), self._chat, NAME, self._loss, here)
                found.append(group + (self.mark(_cache(part), "messages") if role != "result" else []))
            elif _cache(part):
                self._loss.note("cache_control")
        return found

    def _part(self, part: Part, role: str, place: str) -> Group:
        match part:
            case Text() | Refusal():
                return self._text(part if isinstance(part, Text) else Text(part.text), place)
            case ToolCall():
                call = {"toolUseId": fit_id(part.id), "name": fit_name(part.name), "input": wrapped(part.arguments)}
                return [{"toolUse": call}]
            case ToolResult():
                return self._result(part, place)
            case Thinking():
                return self._thinking(part)
            case Media():
                return [{"text": plain.document(part)} if self._is_words(part) else self._media(part, role, place)]
            case _:
                return self._other(part, role, place)

    def _text(self, part: Text, place: str) -> Group:
        if not part.text.strip():  # an error to Bedrock
            return []
        if part.citations:
            self._loss.note(f"{place}.citations")
        return [{"text": part.text}]

    def _thinking(self, part: Thinking) -> Group:
        if part.seal is None or part.seal.family != NAME or not part.seal.data:
            self._loss.note("reasoning")
            return []
        if part.redacted:
            return [{"reasoningContent": {"redactedContent": part.seal.data}}]
        return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.seal.data}}}]

    def _other(self, part: Other, role: str, place: str) -> Group:
        if part.dialect == NAME:
            return [dict(part.value)]
        if role == "result":
            return [{"json": dict(part.value)}]
        if role != "assistant":
            raise self._loss.refuse(place, f"only the API '{part.dialect}' has such content")
        self._loss.note(place)
        return []

    def _result(self, part: ToolResult, place: str) -> Group:
        content = [block for group in self._groups(part.parts, "result", place) for block in group]
        if not content:
            content = [{"text": _FAILED if part.failed else _NO_WORDS}]
        result: Block = {"toolUseId": fit_id(part.id), "content": content}
        if part.failed and self._facts.result_status:
            result["status"] = "error"
        elif part.failed:
            _say_failed(content)
        return [{"toolResult": result}]

    def _is_words(self, part: Media) -> bool:
        """The model takes no documents, and this one can be read to it."""
        taken = self._facts.media
        return taken is not None and part.kind not in taken and bool(part.data) and _form(part) in _TEXTUAL

    def _media(self, part: Media, role: str, place: str) -> Block:
        taken = self._facts.media
        if taken is not None and part.kind not in taken:
            raise self._loss.refuse(place, f"this model takes no {part.kind}")
        if role == "assistant":
            raise self._loss.refuse(place, "Bedrock's API takes no media in an assistant's message")
        if not part.data:
            raise self._loss.refuse(place, "the file is kept elsewhere: Bedrock's API takes its content")
        form = _form(part)
        if not form:
            raise self._loss.refuse(place, f"Bedrock's API takes no {part.kind} of the type '{part.media_type}'")
        if part.detail:
            self._loss.note(f"{place}.detail")
        source = {"bytes": part.data}
        if part.kind != "document":
            return {part.kind: {"format": form, "source": source}}
        return {"document": {"format": form, "name": self._title(part.name, form), "source": source}}

    def _title(self, name: str, form: str) -> str:
        """A document's name as Bedrock takes it, another for each: by their order, which a longer history keeps."""
        title = " ".join(_BAD_TITLE.sub("-", name.removesuffix(f".{form}")).split()).strip("-")[:_LONGEST_TITLE] or "document"
        found, number = title, self._titles.get(title, 1)
        while found in self._titles:
            number += 1
            found = f"{title} ({number})"
        self._titles[title] = number
        self._titles.setdefault(found, 1)
        return found


def _say_failed(content: list[Block]) -> None:
    """For models that have no other way to know."""
    text = content[0].get("text")
    if text is None:
        content.insert(0, {"text": _FAILED})
    elif not text.startswith(_FAILED):
        content[0]["text"] = f"{_FAILED}: {text}"


def _cache(part: Part) -> Cache:
    """A part's cache mark; that of a result holds those of its parts."""
    inner = part.parts if isinstance(part, ToolResult) else ()
    own: Cache = getattr(part, "cache", "")
    return own or next((cache for one in reversed(inner) if (cache := _cache(one))), "")


def _form(part: Media) -> str:
    """Bedrock's word for what the content is, where its first letters tell; else for what it is said to be."""
    if part.kind == "image" and (found := next((word for start, word in _PICTURES.items() if part.data.startswith(start)), "")):
        return found
    said = part.media_type.partition(";")[0].strip().lower()
    if part.kind != "document":
        return _FORMATS[part.kind].get(said, "")
    if part.data.startswith("JVBERi"):
        return "pdf"
    return _FORMATS["document"].get(said, "txt" if said.startswith("text/") else "")
