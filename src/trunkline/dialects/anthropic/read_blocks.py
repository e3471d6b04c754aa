"""Content blocks, read: those of a client's messages and those of a provider's answer.

A block that canon has no part for (server tools, their results, container uploads, whatever comes next) is an `Other`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from trunkline.canon.chat import (
    NOTHING,
    Cache,
    Citation,
    Json,
    Media,
    Medium,
    Other,
    Part,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from trunkline.dialects import state
from trunkline.dialects.anthropic.checks import array, optional_text, rest, table, text
from trunkline.dialects.anthropic.words import NAME
from trunkline.dialects.arguments import text_of
from trunkline.dialects.shallow import bad

# Membership is asked of tuples: what a client sends need not be hashable.
_TIMES = ("5m", "1h")
_NOT_IN_RESULTS = ("thinking", "redacted_thinking", "tool_use", "tool_result")


def read_content(value: object, place: str) -> tuple[Part, ...]:
    """The content of a client's message: a string or blocks. Wrapped state goes to the parts that it is of."""
    if isinstance(value, str):
        return (Text(value),) if value else ()
    if not isinstance(value, list):
        raise bad(place, "must be a string or an array")
    return tuple(_Unwrapping().read(value, place))


def read_answer_blocks(blocks: Iterable[Any], place: str) -> list[Part]:
    """The blocks of a provider's answer, whose state is its own."""
    return [read_block(_readable(table(block, f"{place}[{at}]")), f"{place}[{at}]") for at, block in enumerate(blocks)]


def _readable(block: dict[str, Any]) -> dict[str, Any]:
    """A provider's block without citations that are none: they must not cost the text."""
    citations = block.get("citations")
    found = [one for one in citations if isinstance(one, dict)] if isinstance(citations, list) else None
    return block if found == citations else {**block, "citations": found}


def read_block(block: dict[str, Any], place: str) -> Part:
    """One block. Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong."""
    kind = text(block, "type", place)
    reader = _READERS.get(kind)
    return reader(block, place) if reader is not None else Other(NAME, block)


def read_cache(block: Json) -> tuple[Cache, Json]:
    """A block's mark, and the mark as it stands where canon has no word for something in it."""
    mark = block.get("cache_control")
    if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
        return "", NOTHING if mark is None else {"cache_control": mark}
    ttl = mark.get("ttl") or "5m"
    cache = cast("Cache", ttl) if ttl in _TIMES else ""
    return cache, NOTHING if cache and mark.keys() <= {"type", "ttl"} else {"cache_control": mark}


def read_citation(found: Json) -> Citation:
    """A citation; `vendor` holds it whole. Its indices are places in the source and not in the text, so canon's stay open."""
    url = found.get("url") or found.get("source") or ""
    title = found.get("title") or found.get("document_title") or ""
    quote = found.get("cited_text") or ""
    told = [word if isinstance(word, str) else "" for word in (url, title, quote)]
    return Citation(told[0], told[1], told[2], vendor=found)


def read_arguments(value: object) -> str:
    """A tool's `input` as JSON text. It should be an object; a provider may send anything."""
    return text_of(value) if isinstance(value, dict) else msgspec.json.encode(value or {}).decode()


class _Unwrapping:
    """Reads a client's blocks, in which thinking may carry the state of a neighbour (see `dialects.state`)."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._next: Seal | None = None

    def read(self, blocks: list[Any], place: str) -> list[Part]:
        for at, value in enumerate(blocks):
            block = table(value, f"{place}[{at}]")
            kind = block.get("type")
            if kind == "thinking":
                self._thinking(block, f"{place}[{at}]")
                continue
            part = read_block(block, f"{place}[{at}]")
            if isinstance(part, Thinking) and part.seal is not None:
                part = Thinking("", state.seal_of(part.seal.data, NAME), redacted=True, vendor=part.vendor)
            elif self._next is not None and isinstance(part, Text | ToolCall):
                part = msgspec.structs.replace(part, seal=self._next)
            self._next = None
            self._parts.append(part)
        return self._parts

    def _thinking(self, block: dict[str, Any], place: str) -> None:
        signature = optional_text(block, "signature", place)
        found = state.unwrap(signature)
        if found is None:
            own = signature and not signature.startswith(state.SEALED)
            self._add(block, place, Seal(NAME, signature) if own else None)
            return
        seal, where = found
        if where == "own":
            self._add(block, place, seal if seal.data else None)
            return
        if block.get("thinking"):
            self._add(block, place, None)
        if where == "next":
            self._next = seal
        elif where == "empty":
            self._parts.append(Text("", seal))
        elif self._parts and isinstance(before := self._parts[-1], Text | ToolCall):
            self._parts[-1] = msgspec.structs.replace(before, seal=seal)

    def _add(self, block: dict[str, Any], place: str, seal: Seal | None) -> None:
        self._parts.append(msgspec.structs.replace(_thinking(block, place), seal=seal))


def _text(block: dict[str, Any], place: str) -> Part:
    cache, odd = read_cache(block)
    citations = block.get("citations")
    vendor = rest(block, {"type", "text", "citations", "cache_control"})
    return Text(
        text(block, "text", place),
        citations=() if citations is None else tuple(_citations(citations, f"{place}.citations")),
        cache=cache,
        vendor=_both(vendor, odd),
    )


def _citations(value: object, place: str) -> list[Citation]:
    return [read_citation(table(found, f"{place}[{at}]")) for at, found in enumerate(array(value, place))]


def _thinking(block: dict[str, Any], place: str) -> Part:
    signature = optional_text(block, "signature", place)
    vendor = rest(block, {"type", "thinking", "signature"})
    return Thinking(optional_text(block, "thinking", place), Seal(NAME, signature) if signature else None, vendor=vendor)


def _redacted(block: dict[str, Any], place: str) -> Part:
    return Thinking("", Seal(NAME, text(block, "data", place)), redacted=True, vendor=rest(block, {"type", "data"}))


def _image(block: dict[str, Any], place: str) -> Part:
    return _media(block, place, "image", {"type", "source", "cache_control"})


def _document(block: dict[str, Any], place: str) -> Part:
    return _media(block, place, "document", {"type", "source", "cache_control", "title"})


def _media(block: dict[str, Any], place: str, kind: Medium, known: set[str]) -> Part:
    source = table(block.get("source"), f"{place}.source")
    where = text(source, "type", f"{place}.source")
    cache, odd = read_cache(block)
    vendor = _both(rest(block, known), odd)
    reader = _SOURCES.get(where)
    if reader is None:
        return Other(NAME, block)
    media_type, data, url, file_id = reader(source, f"{place}.source")
    if where == "content":
        if not data:
            return Other(NAME, block)  # pictures inside: only Anthropic has a document made of blocks
        vendor = _both(vendor, {"source": source})
    name = optional_text(block, "title", place) if kind == "document" else ""
    return Media(kind, media_type, data, url, file_id, name, cache=cache, vendor=vendor)


def _from_base64(source: dict[str, Any], place: str) -> tuple[str, str, str, str]:
    return text(source, "media_type", place), text(source, "data", place), "", ""


def _from_url(source: dict[str, Any], place: str) -> tuple[str, str, str, str]:
    return "", "", text(source, "url", place), ""


def _from_file(source: dict[str, Any], place: str) -> tuple[str, str, str, str]:
    return "", "", "", text(source, "file_id", place)


def _from_text(source: dict[str, Any], place: str) -> tuple[str, str, str, str]:
    return optional_text(source, "media_type", place) or "text/plain", _encoded(text(source, "data", place)), "", ""


def _from_content(source: dict[str, Any], place: str) -> tuple[str, str, str, str]:
    content = source.get("content")
    if isinstance(content, str):
        return "text/plain", _encoded(content), "", ""
    texts = [block.get("text") for block in array(content, f"{place}.content") if isinstance(block, dict)]
    whole = texts and all(isinstance(one, str) for one in texts)
    return "text/plain", _encoded("\n".join(cast("list[str]", texts))) if whole else "", "", ""


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "replace")).decode("ascii")


def _search_result(block: dict[str, Any], place: str) -> Part:
    """For other dialects a search result is what it says; the block stands whole in `vendor`."""
    texts = [
        text(table(one, f"{place}.content"), "text", f"{place}.content")
        for one in array(block.get("content"), f"{place}.content")
    ]
    said = [optional_text(block, "title", place), optional_text(block, "source", place), *texts]
    return Text("\n".join(line for line in said if line), cache=read_cache(block)[0], vendor={"search_result": block})


def _tool_use(block: dict[str, Any], place: str) -> Part:
    cache, odd = read_cache(block)
    given = block.get("input")
    if given is not None and not isinstance(given, dict):
        raise bad(f"{place}.input", "must be an object")
    vendor = rest(block, {"type", "id", "name", "input", "cache_control"})
    call_id, name = text(block, "id", place), text(block, "name", place)
    return ToolCall(call_id, name, read_arguments(given), cache=cache, vendor=_both(vendor, odd))


def _tool_result(block: dict[str, Any], place: str) -> Part:
    cache, odd = read_cache(block)
    content = block.get("content")
    for at, inner in enumerate(content if isinstance(content, list) else ()):
        if isinstance(inner, dict) and inner.get("type") in _NOT_IN_RESULTS:
            raise bad(f"{place}.content[{at}].type", "is no content of a tool's result")
    parts = () if content is None else read_content(content, f"{place}.content")
    return ToolResult(
        text(block, "tool_use_id", place),
        "",
        cast("tuple[Text | Media | Other, ...]", parts),
        failed=bool(block.get("is_error")),
        cache=cache,
        vendor=_both(rest(block, {"type", "tool_use_id", "content", "is_error", "cache_control"}), odd),
    )


def _both(one: Json, other: Json) -> Json:
    return {**one, **other} if one and other else one or other


_READERS: dict[str, Callable[[dict[str, Any], str], Part]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
_SOURCES: dict[str, Callable[[dict[str, Any], str], tuple[str, str, str, str]]] = {
    "base64": _from_base64,
    "url": _from_url,
    "file": _from_file,
    "text": _from_text,
    "content": _from_content,
}
