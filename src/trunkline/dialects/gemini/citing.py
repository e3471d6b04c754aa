"""Where an answer's text has its knowledge from: Google's grounding and citation metadata, read and written.

Google counts positions in bytes of UTF-8, canon in characters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from trunkline.canon.chat import Citation, Json

_KEPT = 256 * 1024
"""Characters of a streamed text that are kept to find citations in it."""


_BLOCK = 256
"""Characters between two known positions."""
_QUOTED = 1024
"""Characters of a cited piece that are repeated; of a longer one only the positions are told."""


class _Places:
    """Positions in a text as characters and as bytes, each found in a short time however many are asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._raw = text.encode()
        self._starts = [0]
        for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
            self._starts.append(self._starts[-1] + len(text[at : at + _BLOCK].encode()))

    def bytes(self, at: int) -> int:
        """Bytes before a character."""
        block = at // _BLOCK
        return self._starts[block] + len(self.text[block * _BLOCK : at].encode())

    def characters(self, at: int) -> int:
        """Characters before a byte. Raises `ValueError` where there is no such byte, or one inside of a character."""
        if at > len(self._raw):
            raise ValueError
        block = bisect_right(self._starts, at) - 1
        return block * _BLOCK + len(self._raw[self._starts[block] : at].decode())


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
        self._places = _Places("")

    def add(self, citation: Citation, text: str | None, part: int = 0) -> None:
        """A citation of `text`, which is the answer's part number `part`. One without a URL has no place here."""
        if not citation.url:
            return
        number = self._chunks.setdefault((citation.url, citation.title), len(self._chunks))
        start, end = citation.start, citation.end
        if text is None or start is None or end is None or not 0 <= start < end <= len(text):
            return
        if self._places.text is not text:
            self._places = _Places(text)
        segment: dict[str, Any] = {"startIndex": self._places.bytes(start), "endIndex": self._places.bytes(end)}
        if end - start <= _QUOTED:
            segment["text"] = text[start:end]
        if part:
            segment["partIndex"] = part
        self._supports.append({"segment": segment, "groundingChunkIndices": [number]})

    def metadata(self) -> dict[str, Any]:
        """What was collected, by the name of its field; nothing where there was nothing."""
        if not self._chunks:
            return {}
        chunks = [{"web": {"uri": url, **({"title": title} if title else {})}} for url, title in self._chunks]
        return {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": self._supports}}


class Sources:
    """What a candidate says of where its texts have their knowledge from."""

    def __init__(self, candidate: Json) -> None:
        grounding, own = _table(candidate.get("groundingMetadata")), _table(candidate.get("citationMetadata"))
        self._chunks = [_source(_table(chunk)) for chunk in _rows(grounding.get("groundingChunks"))]
        self._supports = [_table(support) for support in _rows(grounding.get("groundingSupports"))]
        self._of_part: dict[int, list[Json]] = {}
        for support in self._supports:
            part = _number(_table(support.get("segment")).get("partIndex"))
            self._of_part.setdefault(part, []).append(support)
        self._own = [_table(one) for one in _rows(own.get("citations") or own.get("citationSources"))]

    def of(self, text: str | None, part: int | None = None) -> Iterator[Citation]:
        """The citations of a text, which is the answer's part number `part`; None where that is not known, as in a stream.

        Without the text, or where it does not agree with what is quoted of it, positions are not known.
        """
        supports = self._supports if part is None else self._of_part.get(part, [])
        own = [] if part else self._own
        places = _Places(text) if text is not None and (supports or own) else None
        for support in supports:
            segment = _table(support.get("segment"))
            start, end = _span(segment, places, segment.get("text"))
            for number in _rows(support.get("groundingChunkIndices")):
                if type(number) is int and 0 <= number < len(self._chunks):
                    url, title = self._chunks[number]
                    if url or title:
                        yield Citation(url, title, start=start, end=end)
        for one in own:
            start, end = _span(one, places, None)
            url, title = _text(one.get("uri")), _text(one.get("title"))
            if url or title:
                yield Citation(url, title, start=start, end=end)


def _span(told: Json, places: _Places | None, quoted: object) -> tuple[int | None, int | None]:
    """Characters for bytes; none where there is no such span, or where it does not hold what is quoted of it."""
    first, last = _number(told.get("startIndex")), _number(told.get("endIndex"))
    if places is None or first >= last:
        return None, None
    try:
        start, end = places.characters(first), places.characters(last)
    except ValueError:
        return None, None
    if quoted is None or (isinstance(quoted, str) and len(quoted) == end - start and places.text.startswith(quoted, start)):
        return start, end
    return None, None


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
