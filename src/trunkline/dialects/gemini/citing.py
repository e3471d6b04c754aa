"""Where an answer's text has its knowledge from: Google's grounding and citation metadata, read and written.

Google counts positions in bytes of UTF-8, canon in characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.canon.chat import Citation, Json

_KEPT = 256 * 1024
"""Characters of a streamed text that are kept to find citations in it."""


class Kept:
    """A text that grows and is kept while it is not too long: positions in a longer one are not told."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """More of it."""
        self._size += len(text)
        self._pieces.append(text)
        if self._size > _KEPT:
            self._pieces.clear()

    def text(self) -> str | None:
        """All of it; None where it was too long."""
        return "".join(self._pieces) if self._size <= _KEPT else None


class Cited:
    """Collects the citations of one answer for its `groundingMetadata`."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[str, str], int] = {}
        self._supports: list[dict[str, Any]] = []

    def add(self, citation: Citation, text: str | None, part: int = 0) -> None:
        """A citation of `text`, which is the answer's part number `part`. One without a URL has no place here."""
        if not citation.url:
            return
        number = self._chunks.setdefault((citation.url, citation.title), len(self._chunks))
        start, end = citation.start, citation.end
        if text is None or start is None or end is None or not 0 <= start < end <= len(text):
            return
        first, within = len(text[:start].encode()), text[start:end]
        segment: dict[str, Any] = {"startIndex": first, "endIndex": first + len(within.encode()), "text": within}
        if part:
            segment["partIndex"] = part
        self._supports.append({"segment": segment, "groundingChunkIndices": [number]})

    def metadata(self) -> dict[str, Any]:
        """What was collected, by the name of its field; nothing where there was nothing."""
        if not self._chunks:
            return {}
        chunks = [{"web": {"uri": url, **({"title": title} if title else {})}} for url, title in self._chunks]
        return {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": self._supports}}


def citations(candidate: Json, text: str | None, part: int | None = None) -> Iterator[Citation]:
    """The citations of a text, which is the answer's part number `part`; None where that is not known, as in a stream.

    Without the text, or where it does not agree with what is quoted of it, positions are not known.
    """
    grounding, own = _table(candidate.get("groundingMetadata")), _table(candidate.get("citationMetadata"))
    chunks = [_table(chunk) for chunk in _rows(grounding.get("groundingChunks"))]
    raw = None if text is None else text.encode()
    for support in map(_table, _rows(grounding.get("groundingSupports"))):
        segment = _table(support.get("segment"))
        if part not in {None, _number(segment.get("partIndex"))}:
            continue
        start, end = _span(segment, raw, segment.get("text"))
        for number in _rows(support.get("groundingChunkIndices")):
            if type(number) is int and 0 <= number < len(chunks):
                url, title = _source(chunks[number])
                if url or title:
                    yield Citation(url, title, start=start, end=end)
    for one in map(_table, _rows(own.get("citations") or own.get("citationSources"))):
        start, end = _span(one, raw, None)
        url, title = _text(one.get("uri")), _text(one.get("title"))
        if not part and (url or title):
            yield Citation(url, title, start=start, end=end)


def _span(told: Json, raw: bytes | None, quoted: object) -> tuple[int | None, int | None]:
    """Characters for bytes; none where there is no such span, or where it does not hold what is quoted of it."""
    start, end = _number(told.get("startIndex")), _number(told.get("endIndex"))
    if raw is None or not start < end <= len(raw):
        return None, None
    try:
        before, within = raw[:start].decode(), raw[start:end].decode()
    except UnicodeDecodeError:
        return None, None
    if quoted is not None and quoted != within:
        return None, None
    return len(before), len(before) + len(within)


def _source(chunk: Json) -> tuple[str, str]:
    """URL and title, whichever kind of source it is: `web`, `maps`, `retrievedContext`, `image`."""
    for source in map(_table, chunk.values()):
        url = _text(source.get("uri")) or _text(source.get("sourceUri"))
        if url or source.get("title"):
            return url, _text(source.get("title"))
    return "", ""


def _table(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
