"""The content blocks of an answer, whole, read into canon's parts.

A block is an object with one key that says what it is. What canon has no part for stays as it is, in `Other`: what a tool of
Bedrock's own was asked and answered among it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.canon.chat import NOTHING, Citation, Json, Media, Other, Part, Seal, Text, Thinking, ToolCall
from trunkline.dialects import names
from trunkline.dialects.arguments import text_of
from trunkline.dialects.bedrock.words import NAME

SERVER = "server_tool_use"
"""The `type` of a call that Bedrock itself answers."""
_CALL = frozenset({"toolUseId", "name", "input", "type"})


def read_blocks(content: object, seed: str) -> tuple[Part, ...]:
    """The parts. A block that holds nothing gives none; `seed` as for `read_answer`."""
    blocks = content if isinstance(content, list) else []
    parts = (read_block(block, seed, at) for at, block in enumerate(blocks) if isinstance(block, dict))
    return tuple(part for part in parts if part is not None)


def read_block(block: dict[str, Any], seed: str, at: int) -> Part | None:
    """One block, the `at`-th of its answer."""
    if isinstance(text := block.get("text"), str):
        return Text(text) if text else None
    part: Part | None = None
    if isinstance(told := block.get("toolUse"), dict):
        part = _call(told, seed, at)
    elif isinstance(told := block.get("reasoningContent"), dict):
        part = _thinking(told)
    elif isinstance(told := block.get("citationsContent"), dict):
        part = _cited(told)
    elif isinstance(told := block.get("image"), dict):
        part = picture(told.get("format"), told.get("source"))
    return part or Other(NAME, block)


def word(told: Json, name: str) -> str:
    """A string of the provider's, empty where it is none."""
    value = told.get(name)
    return value if isinstance(value, str) else ""


def read_citation(told: Json) -> Citation:
    """A citation. The places it names are the source's, not the answer's: they stay in `vendor`."""
    location = told.get("location")
    web = location.get("web") if isinstance(location, dict) else None
    url = word(web, "url") if isinstance(web, dict) else ""
    source = word(told, "source")
    if not url and source.startswith(("http://", "https://")):
        url = source
    return Citation(url, word(told, "title"), _texts(told.get("sourceContent")), vendor=told)


def call_vendor(told: Json) -> Json:
    """What of a call canon has no word for."""
    return {name: value for name, value in told.items() if name not in _CALL and value is not None} or NOTHING


def seal(data: str) -> Seal | None:
    """A signature, or what a redacted thought holds; None where there is none."""
    return Seal(NAME, data) if data else None


def picture(kind: object, source: object) -> Media | None:
    """A picture in an answer; None where it is not there as bytes."""
    data = word(source, "bytes") if isinstance(source, dict) else ""
    return Media("image", f"image/{kind}" if isinstance(kind, str) else "", data) if data else None


def _call(told: Json, seed: str, at: int) -> ToolCall | None:
    if told.get("type") == SERVER:
        return None
    given = told.get("input")
    arguments = text_of(given) if isinstance(given, dict) else "{}" if given is None else msgspec.json.encode(given).decode()
    call_id = word(told, "toolUseId") or names.made_id(seed, at)
    return ToolCall(call_id, word(told, "name"), arguments, vendor=call_vendor(told))


def _thinking(told: Json) -> Thinking | None:
    if redacted := word(told, "redactedContent"):
        return Thinking("", seal(redacted), redacted=True)
    reasoning = told.get("reasoningText")
    if not isinstance(reasoning, dict):
        return None
    return Thinking(word(reasoning, "text"), seal(word(reasoning, "signature")))


def _cited(told: Json) -> Text | None:
    """What is said and where it is from. Without words there is nothing that could be cited."""
    text, citations = _texts(told.get("content")), told.get("citations")
    if not text:
        return None
    found = [one for one in citations if isinstance(one, dict)] if isinstance(citations, list) else []
    return Text(text, citations=tuple(map(read_citation, found)))


def _texts(told: object) -> str:
    pieces = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return "".join(word(one, "text") for one in pieces)
