"""The content of messages and of tools' results, written for a provider of the Responses API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trunkline.canon.chat import Cache, Chat, Json, Media, Other, Part, Refusal, Role, Text
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import plain
from trunkline.dialects.foreign import own_part
from trunkline.dialects.openai_responses.answer_items import write_annotation
from trunkline.dialects.openai_responses.words import NAME
from trunkline.dialects.openai_shape.content import audio_format, check, data_url

_NO_SLOT = "the provider's API has no place for it"
#: What a text's `vendor` says of the message it stands in, not of itself.
MESSAGE_FIELDS = frozenset({"id", "phase", "status"})


class Content:
    """Writes the parts of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._own = chat.dialect == NAME

    def write(self, parts: Iterable[tuple[int, Part]], role: Role, path: str) -> list[dict[str, Any]]:
        """What is told to the model. `parts`: with their places in canon. Raises what the loss refuses."""
        found = []
        for at, part in parts:
            place = f"{path}.content[{at}]"
            match part:
                case Text() if part.text:
                    told = {"type": "input_text", "text": part.text}
                    found.append({**told, **self.mark(part.cache), **self.vendor(part.vendor, place)})
                case Media():
                    told = self._medium(part, place)
                    found.append({**told, **self.mark(part.cache), **self.vendor(part.vendor, place)})
                case Other():
                    found += self._other(part, role, place)
                case _:
                    pass
        return found

    def said(self, part: Text | Refusal, place: str) -> dict[str, Any]:
        """A text or a refusal that the model said."""
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        told: dict[str, Any] = {"type": "output_text", "text": part.text}
        if part.citations and self._own:
            told["annotations"] = [write_annotation(one, len(part.text)) for one in part.citations]
        elif part.citations:
            self._loss.note(f"{place}.citations")
        if part.seal is not None:
            self._loss.note("reasoning")
        vendor = self.vendor(part.vendor, place)
        return told | self.mark(part.cache) | {name: value for name, value in vendor.items() if name not in MESSAGE_FIELDS}

    def mark(self, cache: Cache) -> dict[str, Any]:
        """A prompt-cache mark; noted where the model knows none."""
        if not cache:
            return {}
        if self._facts.cache_field != "prompt_cache_breakpoint":
            self._loss.note("cache_control")
            return {}
        return {"prompt_cache_breakpoint": {"mode": "explicit", **({"ttl": "12h"} if cache == "1h" else {})}}

    def vendor(self, vendor: Json, place: str) -> Json:
        """A part's own fields, where they are of this dialect."""
        return own_part(vendor, self._chat, NAME, self._loss, place)

    def _other(self, other: Other, role: Role, place: str) -> list[dict[str, Any]]:
        if other.dialect == NAME:
            return [dict(other.value)]
        if role == "tool":
            return [{"type": "input_text", "text": msgspec.json.encode(other.value).decode()}]
        raise self._loss.refuse(place, _NO_SLOT)

    def _medium(self, media: Media, place: str) -> dict[str, Any]:
        check(media, self._facts, self._loss, place, own=self._own)
        match media.kind:
            case "image":
                source = {"file_id": media.file_id} if media.file_id else {"image_url": data_url(media)}
                return {"type": "input_image", **source, "detail": media.detail or "auto"}
            case "document":
                return self._document(media)
            case "audio" if media.data:
                told = {"data": media.data, "format": audio_format(media.media_type)}
                return {"type": "input_audio", "input_audio": told}
            case _:
                raise self._loss.refuse(place, _NO_SLOT)

    def _document(self, media: Media) -> dict[str, Any]:
        """A file; a plain text is one that every model reads."""
        name = {"filename": media.name} if media.name else {}
        if media.file_id:
            return {"type": "input_file", "file_id": media.file_id, **name}
        if media.url:  # with an address a name is an error
            return {"type": "input_file", "file_url": media.url, **(name if self._own else {})}
        if self._own:
            return {"type": "input_file", **name, "file_data": data_url(media) if media.media_type else media.data}
        if media.media_type.startswith("text/"):
            return {"type": "input_text", "text": plain.document(media)}
        return {"type": "input_file", "filename": media.name or "document.pdf", "file_data": data_url(media)}
